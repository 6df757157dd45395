//! What lies beside `tokenizer.json`: special tokens and chat templates.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{DataError, Place, Result};

/// The special tokens that have a name, in the order of transformers.
const NAMES: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// Files that belong to a tokenizer and are kept as they are when it is saved.
const FILES: [&str; 4] = [
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
];

/// The longest of these files that is read, in bytes.
const FILE: u64 = 16 << 20;

/// The files beside `tokenizer.json`.
#[derive(Debug, Clone, Default)]
pub(super) struct Folder {
    /// The special tokens by name (`bos_token`), in the order of transformers.
    pub(super) named: Vec<(String, String)>,
    /// Special tokens without a name.
    pub(super) unnamed: Vec<String>,
    /// Chat templates by name, each with the file that it came from.
    pub(super) templates: BTreeMap<String, (PathBuf, String)>,
    /// Whether BOS and EOS are added to a text, if the configuration says so.
    pub(super) add_bos: Option<bool>,
    pub(super) add_eos: Option<bool>,
    /// Ids from `generation_config.json` and `config.json`, for names without a token.
    pub(super) ids: BTreeMap<String, Vec<u32>>,
    /// The files as they came.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

impl Folder {
    /// Reads the files of a folder; each may be missing.
    ///
    /// # Errors
    ///
    /// If one of them cannot be read, or is not a JSON object where it should be one.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut read = Self::default();
        for name in FILES {
            if let Some(bytes) = file(&folder.join(name), FILE)? {
                read.files.push((name.to_owned(), bytes));
            }
        }
        let config = read.json(folder, "tokenizer_config.json")?;
        let map = read.json(folder, "special_tokens_map.json")?;
        read.tokens(&config);
        read.tokens(&map);
        read.add_bos = config.get("add_bos_token").and_then(Value::as_bool);
        read.add_eos = config.get("add_eos_token").and_then(Value::as_bool);
        read.chat_templates(folder, &config)?;
        for name in ["generation_config.json", "config.json"] {
            if let Some(bytes) = file(&folder.join(name), FILE)? {
                read.ids_of(&object(&folder.join(name), &bytes)?);
            }
        }
        Ok(read)
    }

    /// The token of this name, such as `bos_token`.
    pub(super) fn token(&self, name: &str) -> Option<&str> {
        let mut named = self.named.iter();
        named
            .find(|(known, _)| known == name)
            .map(|(_, token)| token.as_str())
    }

    fn json(&self, folder: &Path, name: &str) -> Result<Map<String, Value>> {
        match self.files.iter().find(|(file, _)| file == name) {
            Some((_, bytes)) => object(&folder.join(name), bytes),
            None => Ok(Map::new()),
        }
    }

    fn tokens(&mut self, config: &Map<String, Value>) {
        for name in NAMES {
            if self.token(name).is_none()
                && let Some(token) = config.get(name).and_then(content)
            {
                self.named.push((name.to_owned(), token));
            }
        }
        for name in ["additional_special_tokens", "extra_special_tokens"] {
            let tokens: Vec<String> = match config.get(name) {
                Some(Value::Array(tokens)) => tokens.iter().filter_map(content).collect(),
                Some(Value::Object(tokens)) => tokens.values().filter_map(content).collect(),
                _ => continue,
            };
            self.unnamed.extend(tokens);
        }
        let decoder = config
            .get("added_tokens_decoder")
            .and_then(Value::as_object);
        for token in decoder.into_iter().flat_map(Map::values) {
            if token.get("special") == Some(&Value::Bool(true)) {
                self.unnamed.extend(content(token));
            }
        }
    }

    fn chat_templates(&mut self, folder: &Path, config: &Map<String, Value>) -> Result<()> {
        let path = folder.join("chat_template.json");
        let legacy = self.json(folder, "chat_template.json")?;
        self.add_templates(&path, legacy.get("chat_template"));
        let path = folder.join("tokenizer_config.json");
        self.add_templates(&path, config.get("chat_template"));
        // Files of their own hide what the configuration says.
        let mut own = vec![("default".to_owned(), folder.join("chat_template.jinja"))];
        let more = folder.join("additional_chat_templates");
        if let Ok(entries) = fs::read_dir(&more) {
            let paths = entries.flatten().map(|entry| entry.path());
            let mut paths: Vec<PathBuf> = paths
                .filter(|path| {
                    path.extension()
                        .is_some_and(|extension| extension == "jinja")
                })
                .collect();
            paths.sort();
            own.extend(
                paths
                    .into_iter()
                    .filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path))),
            );
        }
        for (name, path) in own {
            if let Some(bytes) = file(&path, FILE)? {
                if name != "default" {
                    let kept = format!("additional_chat_templates/{name}.jinja");
                    self.files.push((kept, bytes.clone()));
                }
                let source = String::from_utf8(bytes).map_err(|error| DataError::Utf8 {
                    place: Place::file(&path),
                    byte: error.as_bytes()[error.utf8_error().valid_up_to()],
                })?;
                self.templates.insert(name, (path, source));
            }
        }
        Ok(())
    }

    /// A template, or a list of templates with names.
    fn add_templates(&mut self, path: &Path, value: Option<&Value>) {
        let mut add = |name: &str, source: &str| {
            let entry = (path.to_owned(), source.to_owned());
            self.templates.insert(name.to_owned(), entry);
        };
        match value {
            Some(Value::String(source)) => add("default", source),
            Some(Value::Array(list)) => {
                for entry in list {
                    if let (Some(name), Some(source)) = (
                        entry.get("name").and_then(Value::as_str),
                        entry.get("template").and_then(Value::as_str),
                    ) {
                        add(name, source);
                    }
                }
            }
            _ => {}
        }
    }

    fn ids_of(&mut self, config: &Map<String, Value>) {
        for name in NAMES {
            let ids = match config.get(&format!("{name}_id")) {
                Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_u64).collect(),
                Some(id) => id.as_u64().into_iter().collect::<Vec<_>>(),
                None => continue,
            };
            let ids: Vec<u32> = ids
                .into_iter()
                .filter_map(|id| u32::try_from(id).ok())
                .collect();
            if !ids.is_empty() {
                self.ids.entry(name.to_owned()).or_insert(ids);
            }
        }
    }
}

/// A token written as a text or as an object with its content.
fn content(token: &Value) -> Option<String> {
    let text = match token {
        Value::String(text) => Some(text.as_str()),
        _ => token.get("content").and_then(Value::as_str),
    };
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

fn object(path: &Path, bytes: &[u8]) -> Result<Map<String, Value>> {
    serde_json::from_slice(bytes).map_err(|error| DataError::JsonSyntax {
        place: Place::at(path, error.line() as u64, error.column() as u64),
        message: error.to_string(),
    })
}

/// The bytes of a regular file, or `None` if there is no such file.
pub(super) fn file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let failed = |operation: &'static str| {
        let place = Place::file(path);
        move |source: std::io::Error| DataError::Io {
            place,
            operation,
            source,
        }
    };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open")(error)),
    };
    if !metadata.is_file() {
        let found = if metadata.is_dir() {
            "a folder"
        } else {
            "a pipe or device"
        };
        return Err(DataError::NotARegularFile {
            place: Place::file(path),
            found,
        });
    }
    if metadata.len() > limit {
        return Err(DataError::LimitExceeded {
            place: Place::file(path),
            what: "the size in bytes",
            found: metadata.len(),
            limit,
            hint: "Is it the right file?",
        });
    }
    fs::read(path).map(Some).map_err(failed("read"))
}
