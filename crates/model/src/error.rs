//! What can go wrong with weights, and what the user is told.

use std::fmt::{self, Display, Write as _};
use std::path::PathBuf;

/// The result of everything here that can fail.
pub type Result<T, E = ModelError> = std::result::Result<T, E>;

/// What can go wrong between a checkpoint's folder and a model.
///
/// Every variant carries its place (file, tensor, field), what was found and what was expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The operating system refused to read or write.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb: `read`, `open`, `rename`.
        action: &'static str,
        /// The operating system's own words.
        source: std::io::Error,
    },
    /// A folder that should hold a checkpoint lacks a file.
    #[error("{}: {file} is missing; expected a Hugging Face checkpoint folder with config.json and model.safetensors", folder.display())]
    FileMissing {
        /// The checkpoint's folder.
        folder: PathBuf,
        /// The name of the file that is not there.
        file: String,
    },
    /// A path that should be a file is a folder, a pipe or a device.
    #[error("{}: not a regular file", path.display())]
    NotARegularFile {
        /// The path.
        path: PathBuf,
    },
    /// The weights are stored in a format that is not read here.
    #[error("{}: {found} is not read; {advice}", path.display())]
    UnsupportedFormat {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        found: String,
        /// What to do.
        advice: String,
    },
    /// A file changed between opening the checkpoint and reading its weights.
    #[error("{}: the file changed while it was read ({found}; expected {expected}); open the checkpoint again", path.display())]
    FileChanged {
        /// The file.
        path: PathBuf,
        /// Its size or time now.
        found: String,
        /// Its size or time when the checkpoint was opened.
        expected: String,
    },
    /// A JSON file is not JSON.
    #[error("{}:{line}:{column}: not valid JSON: {why}", path.display())]
    JsonSyntax {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The parser's words.
        why: String,
    },
    /// `config.json` names a family that is not known here.
    #[error("config.json: model_type {found:?} is not known; known are {}", known.join(", "))]
    UnknownFamily {
        /// The `model_type` that was found (escaped, cut).
        found: String,
        /// Every known `model_type`.
        known: Vec<String>,
    },
    /// A field of `config.json` is missing or holds something that cannot be.
    #[error("config.json: {field}: found {value}; {why}")]
    ConfigInvalid {
        /// The field's name.
        field: String,
        /// Its value as JSON (escaped, cut), or `nothing`.
        value: String,
        /// What was expected.
        why: String,
    },
    /// A field of `generation_config.json` holds something that cannot be, or asks for something that is not
    /// implemented.
    #[error("{}: {field}: found {value}; {why}", path.display())]
    GenerationInvalid {
        /// The file.
        path: PathBuf,
        /// The field's name.
        field: String,
        /// Its value as JSON (escaped, cut).
        value: String,
        /// What was expected, or what to do.
        why: String,
    },
    /// `config.json` asks for something real that is not implemented here.
    #[error("config.json: {field} = {value} is not implemented; {known}")]
    Unsupported {
        /// The field's name.
        field: String,
        /// Its value (escaped, cut).
        value: String,
        /// What is implemented.
        known: String,
    },
    /// The family has no such head, or the checkpoint has another one.
    #[error("model_type {family:?} has no {head} head here; it has {}", known.join(", "))]
    NoSuchHead {
        /// The `model_type`.
        family: String,
        /// The head that was asked for.
        head: String,
        /// The heads that the family has.
        known: Vec<String>,
    },
    /// The header of a safetensors file is damaged.
    #[error("{}: safetensors header: {why}", path.display())]
    SafetensorsHeader {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected, with the byte where it shows.
        why: String,
    },
    /// A tensor's name in a safetensors file is not acceptable.
    #[error("{}: tensor name \"{name}\": {why}", path.display())]
    TensorName {
        /// The file.
        path: PathBuf,
        /// The name (escaped, cut).
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A tensor's name occurs twice.
    #[error("{}: tensor \"{name}\" occurs twice", path.display())]
    DuplicateTensor {
        /// The file, or the index.
        path: PathBuf,
        /// The name (escaped, cut).
        name: String,
    },
    /// A tensor's bytes do not lie where they must.
    #[error("{}: tensor \"{name}\": bytes {begin}..{end}: {why}", path.display())]
    SafetensorsOffsets {
        /// The file.
        path: PathBuf,
        /// The tensor (escaped, cut).
        name: String,
        /// First byte, counted from the end of the header.
        begin: u64,
        /// One past the last byte.
        end: u64,
        /// What is wrong with the range.
        why: String,
    },
    /// A tensor's type, shape and size do not fit together.
    #[error("{}: tensor \"{name}\": dtype {dtype}, shape {shape}: {why}", path.display())]
    SafetensorsTensor {
        /// The file.
        path: PathBuf,
        /// The tensor (escaped, cut).
        name: String,
        /// The type as the file spells it (escaped, cut).
        dtype: String,
        /// The shape as the file spells it.
        shape: String,
        /// What is wrong.
        why: String,
    },
    /// A file holds more of something than is ever sensible.
    #[error("{}: {what}: found {found}, the limit is {limit}", path.display())]
    Limit {
        /// The file.
        path: PathBuf,
        /// What was counted.
        what: &'static str,
        /// How many there are.
        found: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// The index names a shard that is not a plain file name inside the folder, or a file is a link that leads out of
    /// it.
    #[error("{}: file \"{name}\" {why}; must be a file name inside the model folder", path.display())]
    FilePath {
        /// The index file or the folder.
        path: PathBuf,
        /// The file's name (escaped, cut).
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The index and the shards disagree.
    #[error("{}: the index and the shards disagree: {}", path.display(), first(disagreements))]
    IndexMismatch {
        /// The index file.
        path: PathBuf,
        /// One line per disagreement.
        disagreements: Vec<String>,
    },
    /// The tensors of the file are not those of the model. Nothing was applied.
    #[error("{}: the weights do not fit the model{}{}{}", folder.display(), missing_tensors(missing), unexpected_tensors(unexpected), misshapen_tensors(misshapen))]
    Coverage {
        /// The checkpoint's folder.
        folder: PathBuf,
        /// Names that the model needs and the file lacks.
        missing: Vec<String>,
        /// Names that the file has and the family does not know.
        unexpected: Vec<String>,
        /// Tensors whose shape differs.
        misshapen: Vec<Misshapen>,
    },
    /// The vocabulary of `config.json` is not the number of rows of the embedding.
    #[error(
        "vocab_size is {config} in config.json, but \"{tensor}\" has {rows} rows; they must be equal"
    )]
    VocabMismatch {
        /// `vocab_size`.
        config: usize,
        /// The embedding's name in the file.
        tensor: String,
        /// Its rows.
        rows: usize,
    },
    /// Weights hold NaN or infinity.
    #[error(
        "tensor \"{tensor}\" holds {count} values that are NaN or infinite; allow them explicitly if that is intended"
    )]
    NonFiniteWeights {
        /// The tensor's name in the file.
        tensor: String,
        /// How many values are not finite.
        count: usize,
    },
    /// Two tensors that are declared to be one differ.
    #[error(
        "tensor \"{tensor}\" is declared to be tied to \"{tied_to}\" (tie_word_embeddings), but the two differ; set tie_word_embeddings to false, or remove one of them"
    )]
    TiedMismatch {
        /// The copy.
        tensor: String,
        /// The original.
        tied_to: String,
    },
    /// A parameter of the model is not among the values to restore, or does not fit.
    #[error("parameter {path}: {why}")]
    Parameter {
        /// The parameter's path in the model.
        path: String,
        /// What was found and what was expected.
        why: String,
    },
    /// An adapter cannot be made, read or written.
    #[error("{place}: {why}")]
    Adapter {
        /// The file, or the setting.
        place: String,
        /// What was found and what was expected.
        why: String,
    },
    /// A rectangle of tokens cannot be built.
    #[error("tokens: {why}")]
    Tokens {
        /// What was found and what was expected.
        why: String,
    },
    /// The folder to write to holds something already.
    #[error("{}: the folder is not empty; choose another one, or remove it", path.display())]
    FolderExists {
        /// The folder.
        path: PathBuf,
    },
    /// A device's name is not known, or its backend is not compiled in.
    #[error("device {name:?} is not available; compiled in are {}", known.join(", "))]
    UnknownDevice {
        /// What was asked for.
        name: String,
        /// The names of the compiled backends.
        known: Vec<String>,
    },
}

impl ModelError {
    /// Wraps an operating system's error with its place.
    pub(crate) fn io(
        path: impl Into<PathBuf>,
        action: &'static str,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            path,
            action,
            source,
        }
    }
}

/// A tensor whose shape is not the one that the model needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// The tensor's name in the file.
    pub name: String,
    /// Its shape in the file.
    pub found: Vec<usize>,
    /// The shape that `config.json` leads to, as the file would store it.
    pub expected: Vec<usize>,
}

impl Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            found,
            expected,
        } = self;
        write!(
            f,
            "\"{}\" is {found:?}, expected {expected:?}",
            escape(name)
        )
    }
}

/// How many items of a list an error shows.
const SHOWN: usize = 5;

/// The first few of a list, and how many more there are.
fn first<T: Display>(items: &[T]) -> String {
    let mut text = items
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ");
    if items.len() > SHOWN {
        let _ = write!(text, "; and {} more", items.len() - SHOWN);
    }
    text
}

fn missing_tensors(names: &[String]) -> String {
    list_of("missing", names)
}

fn unexpected_tensors(names: &[String]) -> String {
    list_of("unexpected", names)
}

fn list_of(what: &str, names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let quoted: Vec<String> = names
        .iter()
        .map(|name| format!("\"{}\"", escape(name)))
        .collect();
    format!("; {} {what}: {}", names.len(), first(&quoted))
}

fn misshapen_tensors(items: &[Misshapen]) -> String {
    if items.is_empty() {
        String::new()
    } else {
        format!("; {} of another shape: {}", items.len(), first(items))
    }
}

/// Text from outside, made harmless for a terminal and cut to 200 characters.
pub(crate) fn escape(text: &str) -> String {
    const LONGEST: usize = 200;
    let escaped: String = text
        .chars()
        .take(LONGEST)
        .flat_map(|c| {
            if is_plain(c) {
                vec![c]
            } else {
                c.escape_unicode().collect()
            }
        })
        .collect();
    let cut: String = escaped.chars().take(LONGEST).collect();
    if cut.len() < escaped.len() || text.chars().nth(LONGEST).is_some() {
        cut + "…"
    } else {
        cut
    }
}

/// Whether a character may reach a terminal as it is: no control, no mark that reorders text.
pub(crate) fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_outside_is_escaped_and_cut() {
        assert_eq!(escape("a.weight"), "a.weight");
        assert_eq!(
            escape("a\u{0}\n\u{1b}[2J\u{202e}"),
            "a\\u{0}\\u{a}\\u{1b}[2J\\u{202e}"
        );
        assert_eq!(escape(&"x".repeat(5000)).chars().count(), 201);
    }

    #[test]
    fn coverage_names_tensors_and_both_shapes() {
        let error = ModelError::Coverage {
            folder: "m".into(),
            missing: vec!["a".into()],
            unexpected: (0..7).map(|i| format!("x.{i}")).collect(),
            misshapen: vec![Misshapen {
                name: "b".into(),
                found: vec![2, 3],
                expected: vec![3, 2],
            }],
        };
        let text = error.to_string();
        assert!(text.contains("1 missing: \"a\""), "{text}");
        assert!(
            text.contains("7 unexpected: \"x.0\"") && text.contains("and 2 more"),
            "{text}"
        );
        assert!(text.contains("\"b\" is [2, 3], expected [3, 2]"), "{text}");
    }
}
