//! How a model's makers want it to write: `generation_config.json`.

mod read;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde_json::Value;

use super::beams::Beams;
use super::sampling::Sampling;
use crate::checkpoint::json;
use crate::error::{ModelError, Result, escape};
use crate::family::settings::{Settings as Fields, invalid};

/// The name of the file.
pub(crate) const FILE: &str = "generation_config.json";
/// The longest file that is read, in bytes: lists of bad words can be long.
const LONGEST: u64 = 16 << 20;

/// How a model's makers want it to write, as `generation_config.json` says.
///
/// The default is what transformers 5.23 takes where the file is silent, except that the length is left open.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Whether tokens are drawn (`do_sample`); otherwise the likeliest is taken, or a search made.
    pub draw: bool,
    /// How the next token is chosen, where tokens are drawn; see [`Self::sampling`].
    pub drawn: Sampling,
    /// How many texts are followed at once.
    pub beams: Beams,
    /// How many answers each prompt gets.
    pub answers: usize,
    /// How long an answer may become.
    pub length: Option<Length>,
    /// The tokens that end an answer.
    pub ends: Vec<u32>,
    /// The strings that end an answer.
    pub stop_strings: Vec<String>,
    /// The token that begins a text.
    pub begin: Option<u32>,
    /// The token that a decoder begins with, where an encoder reads the prompt.
    pub decoder_start: Option<u32>,
    /// What the file says and nobody here understands.
    pub notes: Vec<String>,
}

/// How long an answer may become, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// The answer alone (`max_new_tokens`).
    New(usize),
    /// With what it opens with (`max_length`).
    Whole(usize),
}

impl Length {
    /// The number of tokens.
    pub fn tokens(self) -> usize {
        match self {
            Self::New(tokens) | Self::Whole(tokens) => tokens,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            draw: false,
            drawn: Sampling {
                temperature: 1.0,
                top_k: Some(50),
                ..Sampling::default()
            },
            beams: Beams::default(),
            answers: 1,
            length: None,
            ends: Vec::new(),
            stop_strings: Vec::new(),
            begin: None,
            decoder_start: None,
            notes: Vec::new(),
        }
    }
}

/// Settings that change what is written and are not implemented, each with the values that mean that it is off; `null`
/// always does.
const REFUSED: &[(&str, &[Off])] = &[
    ("assistant_early_exit", &[]),
    ("constraints", &[]),
    ("diversity_penalty", &[Off::Number(0.0)]),
    ("dola_layers", &[]),
    ("force_words_ids", &[]),
    ("guidance_scale", &[Off::Number(1.0)]),
    ("is_assistant", &[Off::False]),
    ("max_time", &[]),
    ("num_beam_groups", &[Off::Number(1.0)]),
    ("penalty_alpha", &[Off::Number(0.0)]),
    ("prompt_lookup_num_tokens", &[]),
    ("remove_invalid_values", &[Off::False]),
    ("sequence_bias", &[]),
    ("token_healing", &[Off::False]),
    ("top_h", &[]),
    ("use_mtp", &[Off::False]),
    ("watermarking_config", &[]),
];

enum Off {
    False,
    Number(f64),
}

impl Off {
    fn is(&self, value: &Value) -> bool {
        match self {
            Self::False => value == &Value::Bool(false),
            Self::Number(off) => value
                .as_f64()
                .is_some_and(|number| number.to_bits() == off.to_bits()),
        }
    }
}

/// Settings that are read.
const READ: &[&str] = &[
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "decoder_start_token_id",
    "do_sample",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "encoder_repetition_penalty",
    "eos_token_id",
    "epsilon_cutoff",
    "eta_cutoff",
    "exponential_decay_length_penalty",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "length_penalty",
    "max_length",
    "max_new_tokens",
    "min_length",
    "min_new_tokens",
    "min_p",
    "no_repeat_ngram_size",
    "num_beams",
    "num_return_sequences",
    "renormalize_logits",
    "repetition_penalty",
    "stop_strings",
    "suppress_tokens",
    "temperature",
    "top_k",
    "top_p",
    "typical_p",
];

/// Settings that do not change what is written: speed, memory, what else is returned; and padding, which is known by its
/// place here.
const WITHOUT_EFFECT: &[&str] = &[
    "_commit_hash",
    "_from_model_config",
    "assistant_confidence_threshold",
    "assistant_ensemble_weight",
    "assistant_lookbehind",
    "cache_config",
    "cache_implementation",
    "compile_config",
    "continuous_batching_config",
    "disable_compile",
    "low_memory",
    "max_cache_len",
    "max_matching_ngram_size",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "output_scores",
    "pad_token_id",
    "prefill_chunk_size",
    "return_dict_in_generate",
    "speculation_type",
    "target_lookbehind",
    "transformers_version",
    "use_cache",
];

/// What `config.json` may say of the tokens of generation.
const OF_MODEL: &[&str] = &[
    "bos_token_id",
    "decoder_start_token_id",
    "eos_token_id",
    "forced_bos_token_id",
    "forced_eos_token_id",
];

impl Settings {
    /// The settings that a `generation_config.json` with this content makes.
    ///
    /// # Errors
    /// When it holds a value that cannot be, or asks for something that is not implemented.
    pub fn new(config: &Value) -> Result<Self> {
        Self::read(config).map_err(|error| in_file(error, Path::new(FILE)))
    }

    /// How the next token is chosen: as the file says, or the likeliest where it draws none.
    pub fn sampling(&self) -> Sampling {
        let mut sampling = self.drawn.clone();
        if !self.draw {
            sampling.temperature = 0.0;
        }
        sampling
    }

    fn read(config: &Value) -> Result<Self> {
        let fields = Fields::new(config)?;
        refuse(fields)?;
        let draw = fields.flag(&["do_sample"], false)?;
        Ok(Self {
            draw,
            drawn: read::drawn(fields, draw)?,
            beams: read::beams(fields)?,
            answers: fields.count(&["num_return_sequences"], 1)?,
            length: read::length(fields)?,
            ends: read::tokens(fields, "eos_token_id")?,
            stop_strings: read::strings(fields, "stop_strings")?,
            begin: read::token(fields, "bos_token_id")?,
            decoder_start: read::token(fields, "decoder_start_token_id")?,
            notes: unknown(config),
        })
    }
}

fn refuse(fields: Fields<'_>) -> Result<()> {
    for (name, off) in REFUSED {
        if let Some(value) = fields.value(&[name])
            && !off.iter().any(|off| off.is(value))
        {
            let why =
                "it changes what is written and is not implemented; remove it, or set it to null";
            return Err(invalid(name, Some(value), why));
        }
    }
    Ok(())
}

fn unknown(config: &Value) -> Vec<String> {
    let known = |name: &str| {
        READ.contains(&name)
            || WITHOUT_EFFECT.contains(&name)
            || REFUSED.iter().any(|(refused, _)| *refused == name)
    };
    let names = config
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys());
    names
        .filter(|name| !known(name))
        .map(|name| {
            format!(
                "{FILE}: {} is not known here and has no effect",
                escape(name)
            )
        })
        .collect()
}

/// What the file of a folder says, with other values for some of its fields; without a file, what `config.json` says of
/// tokens.
pub(crate) fn of_folder(
    folder: Option<&Path>,
    model: &Value,
    changes: impl IntoIterator<Item = (String, Value)>,
) -> Result<Settings> {
    let path = folder.map_or_else(|| FILE.into(), |folder| folder.join(FILE));
    let mut config = if path.exists() {
        json::read(&path, LONGEST)?
    } else {
        let named = |name: &&str| Some(((*name).to_owned(), model.get(*name)?.clone()));
        Value::Object(OF_MODEL.iter().filter_map(named).collect())
    };
    if let Some(fields) = config.as_object_mut() {
        fields.extend(changes);
    }
    Settings::read(&config).map_err(|error| in_file(error, &path))
}

/// The same error about another file than `config.json`.
fn in_file(error: ModelError, path: &Path) -> ModelError {
    match error {
        ModelError::ConfigInvalid { field, value, why } => ModelError::GenerationInvalid {
            path: path.to_owned(),
            field,
            value,
            why,
        },
        other => other,
    }
}
