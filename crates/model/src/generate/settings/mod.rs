//! How a model's makers want it to write: `generation_config.json`.

mod known;
mod read;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::beams::Beams;
use super::sampling::Sampling;
use crate::checkpoint::json;
use crate::error::{ModelError, Result};
use crate::family::settings::Settings as Fields;

/// The name of the file.
pub(crate) const FILE: &str = "generation_config.json";
/// The name of the token that a decoder begins with.
const START: &str = "decoder_start_token_id";
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

/// What `config.json` may say of the tokens of generation.
const OF_MODEL: &[&str] = &[
    "bos_token_id",
    START,
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
        known::refuse(fields)?;
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
            decoder_start: read::token(fields, START)?,
            notes: known::unknown(config),
        })
    }
}

/// What the file of a folder says, with other values for some of its fields; without a file, what `config.json` says of
/// tokens.
pub(crate) fn of_folder(
    folder: Option<&Path>,
    model: &Value,
    changes: impl IntoIterator<Item = (String, Value)>,
) -> Result<Settings> {
    let (path, mut config) = content(folder, model)?;
    if let Some(fields) = config.as_object_mut() {
        fields.extend(changes);
    }
    let mut settings = Settings::read(&config).map_err(|error| in_file(error, &path))?;
    let first = model.get(START).and_then(Value::as_u64);
    if let (Some(first), Some(found)) = (first, settings.decoder_start)
        && first != u64::from(found)
    {
        settings.notes.push(format!(
            "{FILE}: {START} is {found} and has no effect; decoders begin with that of config.json, {first}"
        ));
    }
    Ok(settings)
}

/// The token that a decoder begins with, as the file of a folder says.
pub(crate) fn decoder_start(folder: Option<&Path>, model: &Value) -> Result<Option<u32>> {
    let (path, config) = content(folder, model)?;
    let start = Fields::new(&config).and_then(|fields| read::token(fields, START));
    start.map_err(|error| in_file(error, &path))
}

/// The file of a folder, or, where there is none, what `config.json` says of tokens.
fn content(folder: Option<&Path>, model: &Value) -> Result<(PathBuf, Value)> {
    let path = folder.map_or_else(|| FILE.into(), |folder| folder.join(FILE));
    let config = if path.exists() {
        json::read(&path, LONGEST)?
    } else {
        let named = |name: &&str| Some(((*name).to_owned(), model.get(*name)?.clone()));
        Value::Object(OF_MODEL.iter().filter_map(named).collect())
    };
    Ok((path, config))
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
