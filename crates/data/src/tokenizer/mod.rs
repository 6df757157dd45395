//! Tokenizers: text to ids and back.
//!
//! Three rules that the tokenizers crate does not have by itself:
//!
//! * **A record never controls the model.** Text of a record is encoded without control tokens, whatever it says;
//!   only a template's own text becomes `<|im_end|>`. For texts without such strings the ids are those of
//!   transformers.
//! * **One tokenization per row.** The pieces of a row are joined and tokenized once, so training sees the tokens that
//!   generation will see; which of them are learned is told by the bytes that they stand for.
//! * **A broken file is an error**, never a panic and never an endless allocation.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokenizers::{AddedToken, Model};
use xxhash_rust::xxh3::xxh3_128;

use crate::error::{DataError, Place, Result, quoted};

mod added;
mod check;
mod folder;
mod frame;
mod pieces;
mod save;
mod stream;
mod stretch;
mod train;

pub use stream::Stream;
pub use train::TokenizerPlan;

use added::Added;
use folder::Folder;
use frame::{Frame, frames};

/// The longest text that is tokenized at once, in bytes, unless another limit is set.
const TEXT: usize = 4 << 20;

/// A tokenizer of the Hugging Face format. Cloning it is cheap.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
    text_limit: usize,
}

struct Inner {
    path: PathBuf,
    /// `tokenizer.json` as it came.
    file: Vec<u8>,
    folder: Folder,
    tokenizer: tokenizers::Tokenizer,
    added: Added,
    unknown: Option<u32>,
    /// Whether the model drops characters that it has no token for.
    drops: bool,
    single: Frame,
    pair: Frame,
    vocabulary: usize,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
}

impl Tokenizer {
    /// Opens a folder with a `tokenizer.json`, and reads what lies beside it: `tokenizer_config.json`,
    /// `special_tokens_map.json`, chat templates, and the special ids of `generation_config.json` and `config.json`.
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerInvalid`] with the field that is wrong, or what the system says.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let path = folder.join("tokenizer.json");
        let Some(bytes) = folder::file(&path, check::FILE)? else {
            return Err(DataError::TokenizerInvalid {
                place: Place::file(&path),
                message: "there is no such file; expected a folder with a tokenizer.json (convert a SentencePiece \
                          model with transformers first)"
                    .to_owned(),
            });
        };
        Self::build(path, bytes, Folder::read(folder)?)
    }

    /// Opens a `tokenizer.json` alone. It has no BOS, EOS or padding token by name and no chat template.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::open`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match folder::file(path, check::FILE)? {
            Some(bytes) => Self::build(path.to_owned(), bytes, Folder::default()),
            None => Err(DataError::TokenizerInvalid {
                place: Place::file(path),
                message: "there is no such file".to_owned(),
            }),
        }
    }

    fn build(path: PathBuf, file: Vec<u8>, folder: Folder) -> Result<Self> {
        let checked = check::check(&path, &file)?;
        let added = check::added(&checked);
        let unknown = checked
            .pointer("/model/unk_id")
            .and_then(serde_json::Value::as_u64);
        let tokenizer = guarded(&path, || {
            let mut tokenizer: tokenizers::Tokenizer = serde_json::from_value(checked)?;
            same_ids(&tokenizer, &added)?;
            add_specials(&mut tokenizer, &folder)?;
            Ok(tokenizer)
        })?;
        let added = guarded(&path, || {
            let tokens = tokenizer.get_added_tokens_decoder();
            let mut tokens: Vec<(u32, AddedToken)> = tokens.into_iter().collect();
            tokens.sort_by_key(|(id, _)| *id);
            Added::new(tokens, tokenizer.get_normalizer())
        })?;
        let ids = tokenizer.get_vocab(true).into_values();
        let vocabulary = ids.max().map_or(0, |id| id as usize + 1);
        let named = |name: &str| {
            let token = folder
                .token(name)
                .and_then(|token| tokenizer.token_to_id(token));
            let first = || folder.ids.get(name).and_then(|ids| ids.first().copied());
            token.or_else(|| first().filter(|&id| (id as usize) < vocabulary))
        };
        let (bos, eos, pad) = (named("bos_token"), named("eos_token"), named("pad_token"));
        let (single, pair) = frames(&path, &tokenizer, &folder, bos, eos)?;
        let (unknown, drops) = unknown_token(&tokenizer, unknown);
        Ok(Self {
            inner: Arc::new(Inner {
                path,
                file,
                folder,
                tokenizer,
                added,
                unknown,
                drops,
                single,
                pair,
                vocabulary,
                bos,
                eos,
                pad,
            }),
            text_limit: TEXT,
        })
    }

    /// Sets the longest text that is tokenized at once, in bytes; 4 MiB is the default. Tokenizing needs about 160
    /// bytes of memory for each of them.
    pub fn text_limit(mut self, bytes: usize) -> Self {
        self.text_limit = bytes;
        self
    }

    /// The text of these ids, without special tokens. Ids that the vocabulary lacks are passed over.
    ///
    /// # Errors
    ///
    /// What the decoder says.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        guarded(&self.inner.path, || self.inner.tokenizer.decode(ids, true))
    }

    /// The text of these ids with special tokens written out.
    ///
    /// # Errors
    ///
    /// What the decoder says.
    pub fn decode_all(&self, ids: &[u32]) -> Result<String> {
        guarded(&self.inner.path, || self.inner.tokenizer.decode(ids, false))
    }

    /// The text that a token adds to those before it.
    pub(crate) fn text_at(&self, ids: &[u32], index: usize) -> String {
        // The token before gives the context in which a space is written or not.
        let from = index.saturating_sub(1);
        let text = |range: std::ops::Range<usize>| self.decode_all(&ids[range]).unwrap_or_default();
        let (before, with) = (text(from..index), text(from..index + 1));
        match with.strip_prefix(before.as_str()) {
            Some(rest) => rest.to_owned(),
            None => text(index..index + 1),
        }
    }

    /// Turns ids into text one by one, for output that is shown while it is made.
    pub fn stream(&self) -> Stream<'_> {
        Stream::new(self)
    }

    /// The token of an id, as the vocabulary writes it.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.tokenizer.id_to_token(id)
    }

    /// The id of a token, as the vocabulary writes it.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.tokenizer.token_to_id(token)
    }

    /// One more than the greatest id: the least number of rows of an embedding.
    pub fn vocabulary(&self) -> usize {
        self.inner.vocabulary
    }

    /// Refuses a model that has fewer tokens than this tokenizer: the two do not belong together.
    ///
    /// # Arguments
    ///
    /// - `tokens`: how many the model's embedding has; more than the tokenizer's are common, and fine
    ///
    /// # Errors
    ///
    /// [`DataError::TokenizerInvalid`] with both numbers.
    pub fn fits_model(&self, tokens: usize) -> Result<()> {
        if self.vocabulary() <= tokens {
            return Ok(());
        }
        Err(DataError::TokenizerInvalid {
            place: Place::file(self.path()),
            message: format!(
                "the tokenizer has {} tokens and the model {tokens}; they do not belong together. Take the tokenizer \
                 that the model was trained with",
                self.vocabulary()
            ),
        })
    }

    /// What tells this tokenizer from another: a hash of `tokenizer.json`, and of the special tokens and settings that
    /// were read beside it.
    pub fn fingerprint(&self) -> String {
        let Inner { file, folder, .. } = &*self.inner;
        let beside = (&folder.named, &folder.unnamed, &folder.ids);
        let beside = format!("{beside:?}{:?}{:?}", folder.add_bos, folder.add_eos);
        hex(&[file, beside.as_bytes()].concat())
    }

    /// The token that begins a text.
    pub fn bos(&self) -> Option<u32> {
        self.inner.bos
    }

    /// The token that ends a text.
    pub fn eos(&self) -> Option<u32> {
        self.inner.eos
    }

    /// The token that fills rows.
    pub fn pad(&self) -> Option<u32> {
        self.inner.pad
    }

    /// Every id at which generation stops: the EOS token, and those that `generation_config.json` lists.
    pub fn stops(&self) -> Vec<u32> {
        let mut ids: Vec<u32> = self.inner.eos.into_iter().collect();
        ids.extend(self.inner.folder.ids.get("eos_token").into_iter().flatten());
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// Whether a token of this id controls the model: a special token, or another one that is more than letters,
    /// digits and white space, such as `<think>`. No text of a record is ever encoded to it.
    pub fn is_control(&self, id: u32) -> bool {
        self.inner.added.is_control(id)
    }

    /// The special tokens that have a name: `bos_token`, `eos_token`, …
    pub fn special_tokens(&self) -> impl Iterator<Item = (&str, &str)> {
        let named = self.inner.folder.named.iter();
        named.map(|(name, token)| (name.as_str(), token.as_str()))
    }

    /// The chat templates of the folder, by name. A single one is named `default`.
    pub fn chat_templates(&self) -> BTreeMap<&str, &str> {
        let templates = self.inner.folder.templates.iter();
        templates
            .map(|(name, (_, source))| (name.as_str(), source.as_str()))
            .collect()
    }

    /// The chat template for conversations without tools, if there is one.
    pub fn chat_template(&self) -> Option<&str> {
        self.default_chat_template().ok().map(|(_, source)| source)
    }

    /// The same with the name of its file, or why there is none.
    pub(crate) fn default_chat_template(&self) -> Result<(String, &str)> {
        let templates = &self.inner.folder.templates;
        let found = match templates.len() {
            1 => templates.values().next(),
            _ => templates.get("default"),
        };
        if let Some((path, source)) = found {
            return Ok((path.display().to_string(), source));
        }
        let names: Vec<&str> = templates.keys().map(String::as_str).collect();
        let known = if names.is_empty() {
            "none; use another template, such as question-answer, or put a chat_template.jinja into the folder"
                        .to_owned()
        } else {
            format!("{}; choose one of them", quoted(&names.join(", ")))
        };
        Err(DataError::NoTemplate {
            name: format!("for chats beside {}", Place::file(&self.inner.path)),
            known,
        })
    }

    /// The file that it was opened from.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokenizer")
            .field("path", &self.inner.path)
            .field("vocabulary", &self.inner.vocabulary)
            .finish_non_exhaustive()
    }
}

/// XXH3, 128 bits, in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

/// Calls into the tokenizers crate; what it returns as an error or throws as a panic is an error of the file.
fn guarded<T>(path: &Path, call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T> {
    let message = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => return Ok(value),
        // An error of ours comes back as it was.
        Ok(Err(error)) => match error.downcast::<DataError>() {
            Ok(ours) => return Err(*ours),
            Err(error) => error.to_string(),
        },
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!(
                "a rule cannot be carried out ({})",
                text.unwrap_or("no reason given")
            )
        }
    };
    Err(DataError::TokenizerInvalid {
        place: Place::file(path),
        message: quoted(&message),
    })
}

/// Checks that the added tokens have the ids that the file gives them: the tokenizers crate numbers them anew, without
/// gaps.
fn same_ids(tokenizer: &tokenizers::Tokenizer, tokens: &[(String, u64)]) -> tokenizers::Result<()> {
    for (token, id) in tokens {
        let found = tokenizer.token_to_id(token);
        if found.map(u64::from) != Some(*id) {
            let found = found.map_or("none".to_owned(), |found| found.to_string());
            return Err(format!(
                "added_tokens: {token} has the id {id}, but would get {found}: ids must follow each other"
            )
            .into());
        }
    }
    Ok(())
}

/// Adds the special tokens that are named beside `tokenizer.json` but not in it, as transformers does.
fn add_specials(tokenizer: &mut tokenizers::Tokenizer, folder: &Folder) -> tokenizers::Result<()> {
    let known = tokenizer.get_added_tokens_decoder();
    let named = folder.named.iter().map(|(_, token)| token);
    let mut missing: Vec<AddedToken> = Vec::new();
    for token in named.chain(&folder.unnamed) {
        let mut there = known.values().chain(&missing);
        if !there.any(|there| there.content == *token) {
            missing.push(AddedToken::from(token.clone(), true).normalized(false));
        }
    }
    if !missing.is_empty() {
        tokenizer.add_special_tokens(missing)?;
    }
    Ok(())
}

/// The id for unknown text, and whether the model drops text that it does not know.
fn unknown_token(tokenizer: &tokenizers::Tokenizer, index: Option<u64>) -> (Option<u32>, bool) {
    use tokenizers::ModelWrapper as Wrapper;

    match tokenizer.get_model() {
        Wrapper::BPE(model) => {
            let token = model.unk_token.as_deref();
            (
                token.and_then(|token| model.token_to_id(token)),
                token.is_none(),
            )
        }
        Wrapper::WordPiece(model) => (model.token_to_id(&model.unk_token), false),
        Wrapper::WordLevel(model) => (model.token_to_id(&model.unk_token), false),
        Wrapper::Unigram(_) => (index.and_then(|id| u32::try_from(id).ok()), false),
    }
}
