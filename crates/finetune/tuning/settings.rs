//! A fine-tuning run as a file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::encode::Truncation;
use crate::data::load::OnError;
use crate::data::mapping::AnyChat;
use crate::data::split::Parts;
use crate::data::{Conversation, Split};
use crate::model::lora::LoraConfig;
use crate::program::{self, Failure};
use crate::train::TrainConfig;

/// A whole run. Every field has a default; a field that does not exist is refused by name.
///
/// ```
/// use finetune::tuning::{Settings, Validation};
///
/// let settings = Settings::parse("model = 'base'\ndata = ['pairs.jsonl']\nvalidation = 0.1\n[lora]\nrank = 4")?;
/// assert!(matches!(settings.validation, Validation::Share(share) if share == 0.1));
/// assert!(Settings::parse("modle = 'base'").unwrap_err().to_string().contains("modle"));
/// # Ok::<(), finetune::prelude::Failure>(())
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The base, a Hugging Face folder.
    pub model: Option<PathBuf>,
    /// Files of conversations or pairs; or shards of tokens.
    pub data: Vec<PathBuf>,
    /// The names of the fields; detected without it, or with `auto`.
    pub map: Option<String>,
    /// The template's name. Default: the model's own; the bare prompt where the model has an encoder.
    pub template: Option<String>,
    /// The folder of the result.
    pub output: Option<PathBuf>,
    /// What becomes of a row that is too long.
    pub truncation: Truncation,
    /// What to validate on.
    pub validation: Validation,
    /// The adapter; without it all weights are trained.
    pub lora: Option<LoraConfig>,
    /// The training.
    pub train: TrainConfig,
}

/// What to validate on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a share of the data, such as 0.05, or a list of files"
)]
pub enum Validation {
    /// A share of the data, by a hash of what is asked.
    Share(f64),
    /// Files beside the data.
    Files(Vec<PathBuf>),
}

impl Default for Validation {
    fn default() -> Self {
        Self::Share(0.05)
    }
}

impl From<&[PathBuf]> for Validation {
    /// A number alone is a share: a file of that name is `./0.1`.
    fn from(words: &[PathBuf]) -> Self {
        let share = match words {
            [word] => word.to_str().and_then(|word| word.parse().ok()),
            _ => None,
        };
        share.map_or_else(|| Self::Files(words.to_vec()), Self::Share)
    }
}

impl Settings {
    /// Reads a TOML file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or as [`Settings::parse`]; both name the file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        std::fs::read_to_string(path)
            .map_err(Failure::from)
            .and_then(|text| Self::parse(&text))
            .map_err(|error| format!("{}: {error}", path.display()).into())
    }

    /// Reads TOML.
    ///
    /// # Errors
    ///
    /// When it is not TOML, has a field that does not exist, or a value of another kind.
    pub fn parse(toml: &str) -> Result<Self, Failure> {
        Ok(toml::from_str(toml)?)
    }

    /// The base's folder.
    ///
    /// # Errors
    ///
    /// When none is given.
    pub fn base(&self) -> Result<&Path, Failure> {
        given(self.model.as_deref(), "model")
    }

    /// The folder of the result.
    ///
    /// # Errors
    ///
    /// When none is given.
    pub fn result(&self) -> Result<&Path, Failure> {
        given(self.output.as_deref(), "output")
    }

    /// The conversations to train on and to validate on: the data's, split by a hash of what is asked, or those of files
    /// of their own. Prints what was read.
    ///
    /// # Errors
    ///
    /// When there are no files, one does not read, or the share is none.
    pub fn conversations(&self) -> Result<Parts<Conversation>, Failure> {
        if self.data.is_empty() {
            return Err("no data: give --data FILE…, or a line `data` in --config".into());
        }
        let read = |files: &[PathBuf]| -> Result<Vec<Conversation>, Failure> {
            let mapping: AnyChat = program::mapping(files, self.map.as_deref())?;
            let (chats, counts) = program::loaders().examples(files, &OnError::Stop, &mapping)?;
            println!("{counts}");
            Ok(chats)
        };
        match &self.validation {
            Validation::Share(share) => {
                Ok(split(*share)?.apply(read(&self.data)?, Conversation::question))
            }
            Validation::Files(files) => Ok(Parts {
                train: read(&self.data)?,
                validation: read(files)?,
                test: Vec::new(),
            }),
        }
    }
}

/// The split of a share.
pub(super) fn split(validation: f64) -> Result<Split, Failure> {
    let split = Split::without_test(validation);
    split.check()?;
    Ok(split)
}

fn given<'a>(folder: Option<&'a Path>, name: &str) -> Result<&'a Path, Failure> {
    folder.ok_or_else(|| {
        format!("no {name}: give --{name} FOLDER, or a line `{name}` in --config").into()
    })
}
