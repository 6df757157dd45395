//! Models of this project that write data.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use finetune_data::synthesize::{Answer, Ask, Ended, Refusal, Request, Usage};
use finetune_data::{Conversation, Role, Turn};
use finetune_model::Checkpoint;
use finetune_model::generate::Settings;
use serde_json::json;
use xxhash_rust::xxh3::Xxh3;

use super::Local;
use crate::{EvalError, Finish, Prompt, Result};

/// A model of this project that is asked for data.
///
/// A request becomes a conversation in the model's own template, and the answer ends where the model ends it. Its
/// instructions are the system turn, or stand above the prompt where the template knows no system. Temperature and seed
/// are the request's; all else is as the model's settings of generation say.
///
/// Each request is answered by itself and not in a batch: sums are rounded otherwise in other company, and an answer
/// would depend on which requests came at the same time. So it is a function of the weights and the request alone, for
/// any number of threads, and in a run that goes on after it was killed.
///
/// ```no_run
/// use finetune_data::Document;
/// use finetune_data::synthesize::{Recipe, Synthesis};
/// use finetune_eval::local::Author;
/// use finetune_model::{Checkpoint, device};
///
/// # fn documents() -> Vec<Document> { Vec::new() }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let author = Author::of(&Checkpoint::open("models/writer")?, None, "chat", &device(None)?)?;
/// let synthesis = Synthesis::new(Recipe::named("question-answers")?).cache("answers.jsonl");
/// let (made, counts) = synthesis.run(&author, &documents())?;
/// println!("{counts}");
/// # Ok(())
/// # }
/// ```
pub struct Author {
    local: Local,
    name: String,
    weights: String,
    /// Whether the template knows system turns.
    system: bool,
}

impl Author {
    /// The model of a checkpoint that was opened from a folder, with an adapter in PEFT's layout where there is one. It
    /// is called as its folder.
    ///
    /// The weights' files are read once more, for a hash that tells this model's answers from those of others in a
    /// cache: a model that was trained further in the same folder is another one.
    ///
    /// # Errors
    /// As [`Local::of`], or if a file of weights cannot be read.
    pub fn of(
        checkpoint: &Checkpoint,
        adapter: Option<&Path>,
        template: &str,
        device: &Device,
    ) -> Result<Self> {
        let local = Local::of(checkpoint, adapter, template, device)?;
        let folders: Vec<&Path> = checkpoint.folder().into_iter().chain(adapter).collect();
        let names = folders.iter().map(|folder| folder.display().to_string());
        let turns = [Role::System, Role::User].map(|role| Turn::new(role, "a"));
        let probe = Conversation::new(turns.into());
        Ok(Self {
            system: local.encoder.prompt(&probe).is_ok(),
            local,
            name: names.collect::<Vec<_>>().join(" + "),
            weights: hash(&folders)?,
        })
    }

    /// The same under another name, for the provenance of what it writes.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The most tokens that the model reads at once, its answer included; see [`Local::length`].
    pub fn length(mut self, tokens: usize) -> Self {
        self.local = self.local.length(tokens);
        self
    }

    fn write(&self, request: &Request) -> Result<Answer> {
        let asked = conversation(request, self.system);
        let prompt = Prompt::new(asked, request.max_tokens as usize);
        let mut settings = self.local.settings.clone();
        settings.draw = request.temperature > 0.0;
        settings.drawn.temperature = request.temperature;
        settings.drawn.seed = request.seed.into();
        let ids = self.local.prompt(&prompt)?;
        let read = ids.len() as u64;
        let made = self.local.group(&[ids], &prompt, &settings)?;
        let [made] = made.as_slice() else {
            return Err(EvalError::AnswerCount {
                expected: 1,
                found: made.len(),
            });
        };
        Ok(Answer {
            text: made.text.clone(),
            ended: match made.finished {
                Finish::Stop => Ended::Stop,
                Finish::Length => Ended::Length,
            },
            usage: Some(Usage {
                prompt: read,
                completion: made.tokens as u64,
            }),
        })
    }
}

impl Ask for Author {
    fn model(&self) -> &str {
        &self.name
    }

    fn settings(&self) -> String {
        let encoder = self.local.encoder.fingerprint();
        // What a request says itself is no part of it.
        let mut settings: Settings = self.local.settings.clone();
        settings.draw = false;
        settings.drawn.temperature = 0.0;
        settings.drawn.seed = 0;
        settings.notes.clear();
        json!([
            self.weights,
            encoder.tokenizer,
            encoder.template,
            self.local.length,
            format!("{settings:?}"),
        ])
        .to_string()
    }

    fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
        self.write(request).map_err(|error| {
            let message = error.to_string();
            match error {
                EvalError::TooLong { .. } => Refusal::Rejected { message },
                // A setting or a template that cannot be used fails for every request.
                _ => Refusal::Denied { message },
            }
        })
    }
}

/// What the model reads. `system`: whether there may be a system turn.
fn conversation(request: &Request, system: bool) -> Conversation {
    match &request.system {
        Some(text) if system => Conversation::new(vec![
            Turn::new(Role::System, text),
            Turn::new(Role::User, &request.prompt),
        ]),
        Some(text) => Conversation::prompt(format!("{text}\n\n{}", request.prompt)),
        None => Conversation::prompt(&request.prompt),
    }
}

/// XXH3, 128 bits in hexadecimal, of the configurations and weights in the folders, by their names.
fn hash(folders: &[&Path]) -> Result<String> {
    let mut hash = Xxh3::new();
    let mut buffer = vec![0; 1 << 20];
    for folder in folders {
        for path in files(folder)? {
            let failed = |source| EvalError::Io {
                path: path.clone(),
                source,
            };
            let mut file = File::open(&path).map_err(failed)?;
            let length = file.metadata().map_err(failed)?.len();
            let name = path.file_name().unwrap_or_default();
            hash.update(name.as_encoded_bytes());
            hash.update(&length.to_le_bytes());
            loop {
                let count = file.read(&mut buffer).map_err(failed)?;
                if count == 0 {
                    break;
                }
                hash.update(&buffer[..count]);
            }
        }
    }
    Ok(format!("{:032x}", hash.digest128()))
}

/// The files of a folder that say what its model is, in the order of their names. What beside them changes its answers
/// is in the encoder's fingerprint and the settings of generation.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| EvalError::Io {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let weights = name.ends_with(".safetensors");
        if weights || ["config.json", "adapter_config.json"].contains(&name.as_ref()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail")]

    use super::*;

    #[test]
    fn instructions_stand_above_the_prompt_where_there_is_no_system() {
        let mut request = Request {
            system: Some("Be brief.".to_owned()),
            prompt: "Why?".to_owned(),
            max_tokens: 1,
            temperature: 0.0,
            seed: 0,
        };
        let turns = |request: &Request, system| -> Vec<(Role, String)> {
            let turns = conversation(request, system).turns.into_iter();
            turns.map(|turn| (turn.role, turn.text)).collect()
        };
        let (system, user) = (Role::System, Role::User);
        assert_eq!(
            turns(&request, true),
            [(system, "Be brief.".into()), (user, "Why?".into())]
        );
        assert_eq!(turns(&request, false), [(user, "Be brief.\n\nWhy?".into())]);
        request.system = None;
        assert_eq!(turns(&request, true), [(user, "Why?".into())]);
    }

    #[test]
    fn other_weights_have_another_hash_and_other_files_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        let hash = || hash(&[folder.path()]).unwrap();
        write("config.json", "{}");
        write("model.safetensors", "abc");
        let first = hash();
        write("README.md", "a card");
        assert_eq!(hash(), first);
        write("model.safetensors", "abd");
        assert_ne!(hash(), first);
        write("model.safetensors", "abc");
        assert_eq!(hash(), first);
        // What moves from one file to the next is another model.
        write("config.json", "{}a");
        write("model.safetensors", "bc");
        assert_ne!(hash(), first);
    }
}
