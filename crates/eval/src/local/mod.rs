//! The models of this project behind [`LanguageModel`], and behind the seam of those that write data. The only place of
//! this crate that knows tensors and tokenizers.

mod author;
mod classify;
mod encode;
mod generate;
mod score;
mod share;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;
use finetune_data::encode::Encoder;
use finetune_model::generate::Settings;
use finetune_model::{Checkpoint, Sampling};
use serde_json::Value;

pub use author::Author;
pub use classify::LocalClassifier;
pub use writer::Writer;

use crate::{Continuation, EvalError, Generation, LanguageModel, Prompt, Result, Score};

/// The length that is taken where a model names none, in tokens; lm-evaluation-harness takes the same.
const LENGTH: usize = 2048;

/// A model of this project that writes, with its tokenizer and template, to be evaluated.
///
/// Texts are encoded as lm-evaluation-harness 0.4.13 encodes them: whitespace at the end of a context is scored with the
/// continuation; context and continuation are tokenized together and parted by the context's number of tokens; an empty
/// context stands for the BOS token, or EOS where there is none; whole documents are scored in disjoint windows, each
/// new token with as much left context as fits, and what the tokenizer puts before a text (BOS) is scored as part of it.
/// Other than there, control tokens in the text of a document are never recognised.
///
/// Of a model with an encoder, the encoder reads the context and the decoder's answer is scored, each tokenized alone;
/// whole documents are refused.
///
/// What texts that are scored together have in common at their beginning, such as the context of several answers, is
/// read once by models that [take branches](finetune_model::CausalLm::takes_branches), where that saves work.
///
/// Log-probabilities are computed in `f32` logits and `f64` sums. Results do not depend on the batches, nor on what is
/// read once, but for rounding.
pub struct Local {
    model: Writer,
    encoder: Encoder,
    length: usize,
    long: Long,
    batch_tokens: usize,
    rows: usize,
    settings: Settings,
    cut: AtomicUsize,
}

/// What becomes of a prompt or context that is longer than the model takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Long {
    /// It is an error.
    #[default]
    Refuse,
    /// It loses its beginning, as in lm-evaluation-harness. A continuation that does not fit alone is still an error.
    CutLeft,
}

impl Local {
    /// A model on a device without autodiff, with the encoder (tokenizer and template) that it was trained with.
    ///
    /// The length is that of the model's learned positions, else 2,048 tokens; see [`length`](Local::length).
    pub fn new(model: impl Into<Writer>, encoder: Encoder) -> Self {
        let model = model.into();
        let length = model.longest().unwrap_or(LENGTH);
        Self {
            model,
            encoder,
            length,
            long: Long::default(),
            batch_tokens: 4096,
            rows: 32,
            settings: Settings::default(),
            cut: AtomicUsize::new(0),
        }
    }

    /// Opens a folder in Hugging Face's layout. `template` is one of
    /// [`Templates`](finetune_data::template::Templates)' names, for conversations; the length is the configuration's.
    ///
    /// It writes as the folder's `generation_config.json` says, except that it draws nothing, as in
    /// lm-evaluation-harness; see [`settings`](Local::settings).
    ///
    /// # Errors
    /// If the checkpoint, its settings of generation or the tokenizer cannot be opened, there is no such template, or
    /// the tokenizer has more tokens than the model.
    pub fn open(folder: impl AsRef<Path>, template: &str, device: &Device) -> Result<Self> {
        Self::open_with(folder, None, template, device)
    }

    /// Opens a folder, with an adapter in PEFT's layout from another one.
    ///
    /// # Errors
    /// As [`open`](Local::open), or if the adapter does not fit the model.
    pub fn open_with(
        folder: impl AsRef<Path>,
        adapter: Option<&Path>,
        template: &str,
        device: &Device,
    ) -> Result<Self> {
        Self::of(&Checkpoint::open(folder)?, adapter, template, device)
    }

    /// The model of a checkpoint that was opened with settings of its own.
    ///
    /// # Errors
    /// As [`open_with`](Local::open_with), or if the checkpoint is new and has no folder with a tokenizer.
    pub fn of(
        checkpoint: &Checkpoint,
        adapter: Option<&Path>,
        template: &str,
        device: &Device,
    ) -> Result<Self> {
        let Some(folder) = checkpoint.folder() else {
            return Err(EvalError::Setting {
                what: "the checkpoint".to_owned(),
                reason: "it is new; expected one that was opened from a folder".to_owned(),
            });
        };
        let encoder = Encoder::open(folder, template)?;
        encoder
            .tokenizer()
            .fits_model(checkpoint.blueprint().embedding.vocabulary)?;
        let model = Writer::open(checkpoint, adapter, device)?;
        let settings = Settings {
            draw: false,
            ..checkpoint.generation()?
        };
        let local = Self::new(model, encoder).settings(settings);
        Ok(match configured_length(checkpoint.config()) {
            Some(length) => local.length(length),
            None => local,
        })
    }

    /// The most tokens that the model reads at once, its answer included; of a model with an encoder, of the text and
    /// of the answer each.
    pub fn length(mut self, tokens: usize) -> Self {
        let tokens = tokens.max(1);
        self.length = self
            .model
            .longest()
            .map_or(tokens, |longest| longest.min(tokens));
        self
    }

    /// What becomes of longer prompts and contexts; refusing them is the default.
    pub fn long(mut self, long: Long) -> Self {
        self.long = long;
        self
    }

    /// The most tokens that the model reads at once.
    pub fn longest(&self) -> usize {
        self.length
    }

    /// How many prompts and contexts have lost their beginning so far, under [`Long::CutLeft`].
    pub fn cut(&self) -> usize {
        self.cut.load(Ordering::Relaxed)
    }

    /// About how many tokens are scored in one forward pass, padding included; 4,096 by default.
    pub fn batch_tokens(mut self, tokens: usize) -> Self {
        self.batch_tokens = tokens.max(1);
        self
    }

    /// How many prompts are answered at once; 32 by default.
    pub fn batch_rows(mut self, rows: usize) -> Self {
        self.rows = rows.max(1);
        self
    }

    /// How it writes: rules, beams, tokens that end an answer. Of several answers it gives the best, and a prompt says
    /// itself how long its answer may be.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// How tokens are chosen when it generates; the likeliest by default.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.settings.draw = !sampling.is_greedy();
        self.settings.drawn = sampling;
        self
    }

    /// The model.
    pub fn model(&self) -> &Writer {
        &self.model
    }

    /// The tokenizer and the template.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }
}

/// The length that a configuration names, by the harness's order of names.
fn configured_length(config: &Value) -> Option<usize> {
    let nested = config.get("text_config");
    let named = |config: &Value| {
        ["n_positions", "max_position_embeddings", "n_ctx"]
            .into_iter()
            .find_map(|name| config.get(name)?.as_u64())
    };
    nested
        .and_then(named)
        .or_else(|| named(config))
        .map(|length| length as usize)
}

impl LanguageModel for Local {
    fn score(&self, requests: &[Continuation]) -> Result<Vec<Score>> {
        let jobs = requests
            .iter()
            .map(|request| self.continuation(request))
            .collect::<Result<Vec<_>>>()?;
        self.run(&jobs)
    }

    fn generate(&self, prompts: &[Prompt]) -> Result<Vec<Generation>> {
        self.answer(prompts)
    }

    fn rolling(&self, documents: &[String]) -> Result<Vec<Score>> {
        let windows = documents
            .iter()
            .map(|document| self.windows(document))
            .collect::<Result<Vec<_>>>()?;
        let counts: Vec<usize> = windows.iter().map(Vec::len).collect();
        let mut scores = self.run(&windows.concat())?.into_iter();
        let total = |count| {
            let none = Score {
                log_likelihood: 0.0,
                greedy: true,
                tokens: 0,
            };
            scores.by_ref().take(count).fold(none, |sum, score| Score {
                log_likelihood: sum.log_likelihood + score.log_likelihood,
                greedy: sum.greedy && score.greedy,
                tokens: sum.tokens + score.tokens,
            })
        };
        Ok(counts.into_iter().map(total).collect())
    }
}
