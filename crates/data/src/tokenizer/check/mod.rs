//! Checks `tokenizer.json` before the tokenizers crate sees it.
//!
//! That crate trusts the file: some broken files make it panic, one field makes it allocate without limit. What is
//! refused here is refused with the path of the field.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{DataError, Place, Result, quoted};

mod rules;

/// The longest file that is read, in bytes. The greatest published ones have 35 MB.
pub(super) const FILE: u64 = 256 << 20;

/// The models that there are.
const MODELS: [&str; 4] = ["BPE", "WordPiece", "WordLevel", "Unigram"];

/// The greatest id a token may have.
const ID: u64 = 1 << 24;

/// Parses the file's bytes, checks them, and removes what is not wanted: truncation and padding (done by position,
/// elsewhere), and dropout of merges (the same text shall always have the same ids).
///
/// # Errors
///
/// [`DataError::TokenizerInvalid`] with the place in the file, or the path of the field.
pub(super) fn check(path: &Path, bytes: &[u8]) -> Result<Value> {
    let mut value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let kind = match bytes.trim_ascii_start() {
            [b'<', ..] => "; this looks like HTML",
            text if text.starts_with(b"version https://git-lfs") => {
                "; this is a Git LFS pointer: run git lfs pull"
            }
            _ => "",
        };
        DataError::TokenizerInvalid {
            place: Place::at(path, error.line() as u64, error.column() as u64),
            message: format!("{error}{kind}"),
        }
    })?;
    File { path }.all(&mut value)?;
    Ok(value)
}

/// The added tokens of a checked file with their ids.
pub(super) fn added(checked: &Value) -> Vec<(String, u64)> {
    let tokens = checked.get("added_tokens").and_then(Value::as_array);
    let tokens = tokens.into_iter().flatten();
    tokens
        .filter_map(|token| {
            let content = token.get("content")?.as_str()?;
            Some((content.to_owned(), token.get("id")?.as_u64()?))
        })
        .collect()
}

struct File<'a> {
    path: &'a Path,
}

impl File<'_> {
    fn wrong<T>(&self, field: &str, message: impl std::fmt::Display) -> Result<T> {
        Err(DataError::TokenizerInvalid {
            place: Place::file(self.path),
            message: format!("{field}: {message}"),
        })
    }

    fn all(&self, value: &mut Value) -> Result<()> {
        let Some(file) = value.as_object_mut() else {
            return self.wrong("$", "expected an object");
        };
        file.insert("truncation".to_owned(), Value::Null);
        file.insert("padding".to_owned(), Value::Null);
        let model = file.get_mut("model").and_then(Value::as_object_mut);
        if let Some(dropout) = model.and_then(|model| model.get_mut("dropout")) {
            *dropout = Value::Null;
        }
        let Some(model) = file.get("model").and_then(Value::as_object) else {
            return self.wrong("model", "is missing; expected an object");
        };
        let vocabulary = self.model(model)?;
        self.added(file.get("added_tokens"), &vocabulary)?;
        let mut growth = 1.0;
        for name in ["normalizer", "pre_tokenizer", "decoder", "post_processor"] {
            if let Some(part) = file.get(name) {
                self.part(name, part, &mut growth)?;
            }
        }
        Ok(())
    }

    // --- model ---------------------------------------------------------------------------------------------------

    /// Checks the model and returns its vocabulary.
    fn model<'v>(&self, model: &'v Map<String, Value>) -> Result<HashMap<&'v str, u64>> {
        let kind = model.get("type").and_then(Value::as_str);
        if let Some(kind) = kind.filter(|kind| !MODELS.contains(kind)) {
            let known = MODELS.join(", ");
            return self.wrong(
                "model.type",
                format!("found {}; known: {known}", quoted(kind)),
            );
        }
        let vocabulary = match model.get("vocab") {
            Some(Value::Object(entries)) => self.table(entries)?,
            Some(Value::Array(entries)) => self.pieces(entries)?,
            _ => return self.wrong("model.vocab", "is missing; expected the vocabulary"),
        };
        if vocabulary.is_empty() {
            return self.wrong("model.vocab", "is empty");
        }
        if let Some(merges) = model.get("merges") {
            let prefix = model.get("continuing_subword_prefix");
            let prefix = prefix.and_then(Value::as_str).unwrap_or("");
            self.merges(merges, prefix, &vocabulary)?;
        }
        if let Some(unknown) = model.get("unk_id").filter(|id| !id.is_null())
            && unknown
                .as_u64()
                .is_none_or(|id| id >= vocabulary.len() as u64)
        {
            return self.wrong(
                "model.unk_id",
                format!("found {unknown}; expected an id of the vocabulary"),
            );
        }
        Ok(vocabulary)
    }

    /// A vocabulary of the form token: id.
    fn table<'v>(&self, entries: &'v Map<String, Value>) -> Result<HashMap<&'v str, u64>> {
        let mut ids = HashMap::with_capacity(entries.len());
        let mut vocabulary = HashMap::with_capacity(entries.len());
        for (token, id) in entries {
            let id = self.id(&format!("model.vocab[{}]", quoted(token)), id)?;
            if let Some(other) = ids.insert(id, token) {
                let both = format!("{} and {}", quoted(other), quoted(token));
                return self.wrong("model.vocab", format!("{both} have the same id {id}"));
            }
            vocabulary.insert(token.as_str(), id);
        }
        Ok(vocabulary)
    }

    /// A vocabulary of the form [[token, score], …].
    fn pieces<'v>(&self, entries: &'v [Value]) -> Result<HashMap<&'v str, u64>> {
        let mut vocabulary = HashMap::with_capacity(entries.len());
        for (id, entry) in entries.iter().enumerate() {
            let field = format!("model.vocab[{id}]");
            let (Some(token), Some(score)) = (
                entry.get(0).and_then(Value::as_str),
                entry.get(1).and_then(Value::as_f64),
            ) else {
                return self.wrong(&field, "expected [token, score]");
            };
            if token.is_empty() || !score.is_finite() {
                return self.wrong(
                    &field,
                    "expected a token that is not empty, and a finite score",
                );
            }
            if vocabulary.insert(token, id as u64).is_some() {
                return self.wrong(&field, format!("{} stands here twice", quoted(token)));
            }
        }
        Ok(vocabulary)
    }

    fn merges(&self, merges: &Value, prefix: &str, vocabulary: &HashMap<&str, u64>) -> Result<()> {
        let Some(merges) = merges.as_array() else {
            return self.wrong("model.merges", "expected an array");
        };
        let mut joined = String::new();
        for (index, merge) in merges.iter().enumerate() {
            let pair = match merge {
                Value::String(text) if index == 0 && text.starts_with("#version") => continue,
                Value::String(text) => text.split_once(' ').filter(|(_, b)| !b.contains(' ')),
                Value::Array(pair) => match pair.as_slice() {
                    [Value::String(a), Value::String(b)] => Some((a.as_str(), b.as_str())),
                    _ => None,
                },
                _ => None,
            };
            let field = || format!("model.merges[{index}]");
            let Some((a, b)) = pair else {
                return self.wrong(&field(), "expected two tokens");
            };
            let Some(rest) = b.get(prefix.len()..) else {
                return self.wrong(
                    &field(),
                    format!(
                        "{} is shorter than the prefix {}",
                        quoted(b),
                        quoted(prefix)
                    ),
                );
            };
            joined.clear();
            joined.extend([a, rest]);
            for token in [a, b, joined.as_str()] {
                if !vocabulary.contains_key(token) {
                    return self.wrong(
                        &field(),
                        format!("{} is not in the vocabulary", quoted(token)),
                    );
                }
            }
        }
        Ok(())
    }

    fn id(&self, field: &str, id: &Value) -> Result<u64> {
        match id.as_u64().filter(|&id| id < ID) {
            Some(id) => Ok(id),
            None => self.wrong(
                field,
                format!("found the id {id}; expected a number below {ID}"),
            ),
        }
    }

    // --- added tokens --------------------------------------------------------------------------------------------

    fn added(&self, tokens: Option<&Value>, vocabulary: &HashMap<&str, u64>) -> Result<()> {
        let tokens = match tokens {
            None | Some(Value::Null) => return Ok(()),
            Some(Value::Array(tokens)) => tokens,
            Some(_) => return self.wrong("added_tokens", "expected an array"),
        };
        let (mut ids, mut contents) = (HashSet::new(), HashSet::new());
        for (index, token) in tokens.iter().enumerate() {
            let field = format!("added_tokens[{index}]");
            let Some(content) = token.get("content").and_then(Value::as_str) else {
                return self.wrong(&field, "content is missing");
            };
            let id = self.id(
                &format!("{field}.id"),
                token.get("id").unwrap_or(&Value::Null),
            )?;
            if content.is_empty() {
                return self.wrong(&field, "content is empty");
            }
            if !ids.insert(id) || !contents.insert(content) {
                return self.wrong(
                    &field,
                    format!(
                        "the token {} or its id {id} stands here twice",
                        quoted(content)
                    ),
                );
            }
            if vocabulary.get(content).is_some_and(|&known| known != id) {
                let known = vocabulary[content];
                return self.wrong(
                    &field,
                    format!(
                        "{} has the id {id} here and {known} in the vocabulary",
                        quoted(content)
                    ),
                );
            }
        }
        Ok(())
    }
}
