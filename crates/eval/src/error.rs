//! The errors of this crate.

use std::path::PathBuf;

use finetune_data::Origin;

use crate::text::excerpt;

/// What evaluation, analysis and reports return.
pub type Result<T, E = EvalError> = std::result::Result<T, E>;

/// Everything that can go wrong while a model is evaluated, its errors are analysed, or a report is made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A task was given no documents.
    #[error(
        "{task}: the evaluation set is empty; expected at least one document; check the path, the split and the number of shots"
    )]
    EmptyEvaluation {
        /// The task's name.
        task: String,
    },
    /// A metric was asked about no outcomes.
    #[error("{metric}: there are no outcomes to measure; expected at least one")]
    NoOutcomes {
        /// The metric's name.
        metric: String,
    },
    /// A record lacks the answer that the model's output is compared with.
    #[error("{origin}: {task}: the record has no reference to grade against: {reason}")]
    MissingReference {
        /// Where the record stands.
        origin: Origin,
        /// The task's name.
        task: String,
        /// What was looked for.
        reason: String,
    },
    /// A record lacks a field that the task reads.
    #[error(
        "{origin}: {task}: the field {field:?} is missing or of the wrong kind: expected {expected}; the record has {}",
        fields(.found)
    )]
    MissingField {
        /// Where the record stands.
        origin: Origin,
        /// The task's name.
        task: String,
        /// The field that was looked for.
        field: String,
        /// The kind of value that was expected.
        expected: &'static str,
        /// The fields that the record has.
        found: Box<[String]>,
    },
    /// A label that is not in the task's list.
    #[error("{origin}: {task}: the label {:?} is not one of {}", excerpt(.label), fields(.labels))]
    UnknownLabel {
        /// Where the record stands.
        origin: Origin,
        /// The task's name.
        task: String,
        /// The label that was found.
        label: String,
        /// The labels that the task knows.
        labels: Vec<String>,
    },
    /// An outcome lacks a per-item score that a metric is made of.
    #[error("{origin}: {metric}: the outcome has no score {score:?}; it has {}", fields(.found))]
    MissingScore {
        /// Where the item stands.
        origin: Origin,
        /// The metric's name.
        metric: String,
        /// The score that was looked for.
        score: String,
        /// The scores that the outcome has.
        found: Vec<String>,
    },
    /// A score is not a finite number.
    #[error(
        "{origin}: {score} is {value}; expected a finite number; look at the model's log-likelihoods of this item"
    )]
    NotFinite {
        /// Where the item stands.
        origin: Origin,
        /// The name of the score.
        score: String,
        /// The value that was found.
        value: f64,
    },
    /// A model answered fewer or more requests than it was asked.
    #[error(
        "the model gave {found} answers to {expected} requests; every request needs exactly one answer, in order"
    )]
    AnswerCount {
        /// The number of requests.
        expected: usize,
        /// The number of answers.
        found: usize,
    },
    /// A task was handed an answer of another kind than it asked for.
    #[error("{origin}: {task}: expected an answer of the kind {expected}, found {found}")]
    AnswerKind {
        /// Where the item stands.
        origin: Origin,
        /// The task's name.
        task: String,
        /// The kind that the task asked for.
        expected: &'static str,
        /// The kind that it got.
        found: &'static str,
    },
    /// Two runs that should hold the same items do not.
    #[error(
        "{before} and {after} hold different items: {detail}; compare runs of one task over the same documents"
    )]
    Unmatched {
        /// The first run.
        before: String,
        /// The second run.
        after: String,
        /// The first difference.
        detail: String,
    },
    /// A pattern, label set or threshold that cannot be used.
    #[error("{what}: {reason}")]
    Setting {
        /// What was being set.
        what: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// A prompt or continuation that the model cannot take.
    #[error(
        "the {what} {:?} has {tokens} tokens, its answer included, and the model takes {limit}; shorten it, ask for fewer \
         tokens, or lower the number of shots",
        excerpt(.text)
    )]
    TooLong {
        /// `prompt` or `continuation`.
        what: &'static str,
        /// Its text.
        text: String,
        /// Its length in tokens.
        tokens: usize,
        /// The model's limit in tokens.
        limit: usize,
    },
    /// A task that is not known.
    #[error("there is no task, group or tag {name:?}; perhaps {}", fields(.known))]
    UnknownTask {
        /// The name.
        name: String,
        /// Names that are near it, or all that are known.
        known: Vec<String>,
    },
    /// A report or a log that does not read.
    #[error("{}: {reason}", place(.path.as_ref(), *.line, *.column))]
    Format {
        /// The file, if there is one.
        path: Option<PathBuf>,
        /// The line, from 1.
        line: usize,
        /// The column, from 1; 0 where unknown.
        column: usize,
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The report's page could not be rendered.
    #[error("the report's page could not be rendered: {reason}")]
    Render {
        /// The template engine's reason.
        reason: String,
    },
    /// An error of the data crate.
    #[error(transparent)]
    Data(#[from] finetune_data::DataError),
    /// An error of the model crate.
    #[error(transparent)]
    Model(#[from] finetune_model::ModelError),
    /// An endpoint that gave no answer, or none that can be used.
    #[error("model {model:?} at {url}: {message}; asked: {:?}", excerpt(.asked))]
    Endpoint {
        /// The model's name.
        model: String,
        /// The address that was asked.
        url: String,
        /// What happened, and what to do.
        message: String,
        /// The text or question that was asked.
        asked: String,
    },
    /// An error of an engine from outside.
    #[error("the engine failed: {0}")]
    Engine(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The names in a list, quoted, for an error message.
fn fields(names: &[String]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    let shown: Vec<_> = names
        .iter()
        .take(20)
        .map(|name| format!("{:?}", excerpt(name)))
        .collect();
    let rest = names.len() - shown.len();
    if rest == 0 {
        shown.join(", ")
    } else {
        format!("{} and {rest} more", shown.join(", "))
    }
}

/// `path:line:column`, as far as it is known.
fn place(path: Option<&PathBuf>, line: usize, column: usize) -> String {
    let path = path.map_or_else(|| "report".to_owned(), |path| path.display().to_string());
    if column == 0 {
        format!("{path}:{line}")
    } else {
        format!("{path}:{line}:{column}")
    }
}
