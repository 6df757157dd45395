//! Training a tokenizer from text.

use std::path::PathBuf;

use serde_json::{Map, Value, json};
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, PreTokenizerWrapper,
    TokenizerImpl,
};

use crate::error::{DataError, Result};

use super::Tokenizer;
use super::folder::Folder;
use super::guarded;

/// The longest piece of a text that is counted at once, in bytes.
const CHUNK: usize = 1 << 20;

/// What tokenizer to train.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenizerPlan {
    /// How many tokens there shall be, special ones and the 256 bytes included.
    pub vocabulary: usize,
    /// How often a pair must occur to become a token.
    pub minimum: u64,
    /// The token that begins a text.
    pub bos: Option<String>,
    /// The token that ends a text or an answer.
    pub eos: String,
    /// The token that fills rows.
    pub pad: Option<String>,
    /// Further special tokens, such as `<|im_start|>`; their ids follow those of the tokens above.
    pub specials: Vec<String>,
    /// Whether the tokenizer puts the BOS token before every text of its own accord.
    pub add_bos: bool,
    /// A chat template to write beside the tokenizer.
    pub chat_template: Option<String>,
}

impl Default for TokenizerPlan {
    /// 8,192 tokens from pairs that occur twice; `<s>` before every text, `</s>` after it, `<pad>`.
    fn default() -> Self {
        Self {
            vocabulary: 8_192,
            minimum: 2,
            bos: Some("<s>".to_owned()),
            eos: "</s>".to_owned(),
            pad: Some("<pad>".to_owned()),
            specials: Vec::new(),
            add_bos: true,
            chat_template: None,
        }
    }
}

type Impl = TokenizerImpl<
    BPE,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

impl Tokenizer {
    /// Trains a byte-level BPE tokenizer: every text can be written with it, no character is unknown, and decoding
    /// gives the text back byte for byte. Words are split as GPT-2 does, every digit is a token of its own. The same
    /// texts give the same tokenizer, with any number of threads.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the vocabulary has no room for 256 bytes and the special tokens, or a special token
    /// is empty or stands twice.
    pub fn train<S: AsRef<str> + Send>(
        texts: impl Iterator<Item = S> + Send,
        plan: &TokenizerPlan,
    ) -> Result<Self> {
        let specials = plan.specials()?;
        let path = PathBuf::from("tokenizer.json");
        let tokenizer = guarded(&path, || {
            let mut tokenizer = TokenizerPlan::untrained();
            let added = specials.iter().map(|token| AddedToken::from(*token, true));
            let mut trainer = BpeTrainer::builder()
                .vocab_size(plan.vocabulary)
                .min_frequency(plan.minimum)
                .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
                .special_tokens(added.collect())
                .show_progress(false)
                .build();
            tokenizer.train(&mut trainer, texts.flat_map(|text| chunks(text.as_ref())))?;
            plan.frame(&mut tokenizer)?;
            // The written form is the one that everybody else will read; read it too.
            Ok(serde_json::to_string_pretty(&tokenizer)?)
        })?;
        let mut folder = Folder::default();
        let config = plan.config(&specials);
        folder.files.push((
            "tokenizer_config.json".to_owned(),
            format!("{config:#}\n").into_bytes(),
        ));
        for (name, token) in plan.named() {
            folder.named.push((name.to_owned(), token.to_owned()));
        }
        if let Some(source) = &plan.chat_template {
            let entry = (PathBuf::from("tokenizer_config.json"), source.clone());
            folder.templates.insert("default".to_owned(), entry);
        }
        Self::build(path, tokenizer.into_bytes(), folder)
    }
}

/// A turn is `<|user|>`, a line break, the text, `<|end|>` and a line break; what the assistant says is learned.
const CHAT: &str = "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' }}\
{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}{{ '\n' }}\
{% else %}{{ message['content'] + '<|end|>\n' }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";

impl TokenizerPlan {
    /// The plan of a tokenizer for conversations: tokens that begin and end a turn, and the chat template that writes
    /// them. `<|endoftext|>` ends a text, `<|pad|>` fills rows, and nothing is put before a text.
    pub fn chat(vocabulary: usize) -> Self {
        Self {
            vocabulary,
            bos: None,
            eos: "<|endoftext|>".to_owned(),
            pad: Some("<|pad|>".to_owned()),
            specials: ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
                .map(str::to_owned)
                .to_vec(),
            add_bos: false,
            chat_template: Some(CHAT.to_owned()),
            ..Self::default()
        }
    }

    fn named(&self) -> Vec<(&'static str, &str)> {
        let bos = self.bos.as_deref().map(|token| ("bos_token", token));
        let pad = self.pad.as_deref().map(|token| ("pad_token", token));
        bos.into_iter()
            .chain([("eos_token", self.eos.as_str())])
            .chain(pad)
            .collect()
    }

    /// The special tokens in the order of their ids.
    fn specials(&self) -> Result<Vec<&str>> {
        let mut specials: Vec<&str> = self.named().into_iter().map(|(_, token)| token).collect();
        // BOS, EOS and padding may be one token.
        let mut seen = Vec::new();
        specials.retain(|token| {
            let new = !seen.contains(token);
            seen.push(*token);
            new
        });
        specials.extend(self.specials.iter().map(String::as_str));
        let setting = |name: &str, found: String, expected: String| {
            Err(DataError::Setting {
                name: name.to_owned(),
                found,
                expected,
            })
        };
        for (index, token) in specials.iter().enumerate() {
            if token.is_empty() || specials[..index].contains(token) {
                let expected = "special tokens that are not empty, each once".to_owned();
                return setting("specials", format!("{token:?}"), expected);
            }
        }
        let least = 256 + specials.len();
        if self.vocabulary < least {
            let expected = format!(
                "at least {least}: 256 bytes and {} special tokens",
                specials.len()
            );
            return setting("vocabulary", self.vocabulary.to_string(), expected);
        }
        Ok(specials)
    }

    fn untrained() -> Impl {
        let mut tokenizer = Impl::new(BPE::default());
        let split = ByteLevel::new(false, false, true);
        let steps = vec![
            PreTokenizerWrapper::Digits(Digits::new(true)),
            PreTokenizerWrapper::ByteLevel(split),
        ];
        tokenizer.with_pre_tokenizer(Some(PreTokenizerWrapper::Sequence(Sequence::new(steps))));
        tokenizer.with_decoder(Some(DecoderWrapper::ByteLevel(ByteLevel::new(
            false, false, true,
        ))));
        tokenizer
    }

    /// Puts the BOS token before every text.
    fn frame(&self, tokenizer: &mut Impl) -> tokenizers::Result<()> {
        let Some(bos) = self.bos.as_deref().filter(|_| self.add_bos) else {
            return Ok(());
        };
        let id = tokenizer
            .token_to_id(bos)
            .ok_or("the BOS token has no id")?;
        let single = vec![bos.to_owned(), "$A".to_owned()];
        let pair = vec![
            bos.to_owned(),
            "$A".to_owned(),
            bos.to_owned(),
            "$B".to_owned(),
        ];
        let processor = TemplateProcessing::builder()
            .try_single(single)?
            .try_pair(pair)?
            .special_tokens(vec![(bos, id)])
            .build()?;
        tokenizer.with_post_processor(Some(PostProcessorWrapper::Template(processor)));
        Ok(())
    }

    /// `tokenizer_config.json`.
    fn config(&self, specials: &[&str]) -> Value {
        let mut config = Map::new();
        let mut decoder = Map::new();
        for (id, token) in specials.iter().enumerate() {
            let entry = json!({
                "content": token, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false,
                "special": true,
            });
            decoder.insert(id.to_string(), entry);
        }
        config.insert(
            "tokenizer_class".to_owned(),
            "PreTrainedTokenizerFast".into(),
        );
        config.insert("added_tokens_decoder".to_owned(), decoder.into());
        for (name, token) in self.named() {
            config.insert(name.to_owned(), token.into());
        }
        if !self.specials.is_empty() {
            let further = self.specials.clone();
            config.insert("additional_special_tokens".to_owned(), further.into());
        }
        config.insert("clean_up_tokenization_spaces".to_owned(), false.into());
        if let Some(source) = &self.chat_template {
            config.insert("chat_template".to_owned(), source.as_str().into());
        }
        config.into()
    }
}

/// A text in parts that end with lines, so that a long one does not fill the memory.
fn chunks(text: &str) -> Vec<String> {
    let mut parts = Vec::with_capacity(text.len() / CHUNK + 1);
    let mut rest = text;
    while rest.len() > CHUNK {
        let mut end = CHUNK;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let end = rest[..end].rfind('\n').map_or(end, |place| place + 1);
        let (part, after) = rest.split_at(end);
        parts.push(part.to_owned());
        rest = after;
    }
    parts.push(rest.to_owned());
    parts
}
