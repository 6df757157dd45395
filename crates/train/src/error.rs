//! What can go wrong in a run, and what the user is told.

use std::fmt::{self, Display, Write as _};
use std::path::{Path, PathBuf};

use finetune_data::{DataError, Origin};
use finetune_model::ModelError;

/// The result of everything here that can fail.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

/// Everything that can go wrong between rows and a trained model.
///
/// Every message says where, what was found, what was expected and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration holds numbers that cannot be. All of them are named.
    #[error("the configuration is invalid:{}", lines(faults))]
    ConfigInvalid {
        /// Every fault.
        faults: Vec<Fault>,
    },

    // --- rows ----------------------------------------------------------------------------------------------------
    /// There is nothing to train or validate on.
    #[error("no rows: found 0; expected at least one row with a learned token")]
    NoRows,
    /// Rows in which no token is learned, so that they would only cost time.
    #[error(
        "{count} rows have no learned token after their first one: {}; check the template's mask and the truncation, \
         or drop the rows",
        list(origins)
    )]
    EmptyMask {
        /// How many rows.
        count: usize,
        /// The first of them.
        origins: Vec<Origin>,
    },
    /// Rows in which no token has a label, so that they would only cost time.
    #[error(
        "{count} rows have no token with a label: {}; label them, or drop them",
        list(origins)
    )]
    NoLabels {
        /// How many rows.
        count: usize,
        /// The first of them.
        origins: Vec<Origin>,
    },
    /// No row teaches the model to stop, so it would never stop.
    #[error(
        "none of {rows} rows learns a stop token ({}): the model would never learn to stop. Let the template end with \
         it, and keep it inside the learned part",
        list(stop)
    )]
    NoStop {
        /// How many rows were looked at.
        rows: usize,
        /// The ids that would count.
        stop: Vec<u32>,
    },
    /// Rows that begin with the begin-of-text token twice: the template writes it, and the tokenizer adds it again.
    #[error(
        "{count} rows begin with two begin-of-text tokens (id {bos}): {}; the template and the tokenizer both add it, \
         let only one of them",
        list(origins)
    )]
    TwoBos {
        /// How many rows.
        count: usize,
        /// The id.
        bos: u32,
        /// The first of them.
        origins: Vec<Origin>,
    },
    /// A row longer than the batches.
    #[error(
        "{origin}: {found} tokens; expected at most batch.length = {limit}. Truncate in the encoder or raise batch.length"
    )]
    TooLong {
        /// The row.
        origin: Origin,
        /// Its tokens.
        found: usize,
        /// The most that fit.
        limit: usize,
    },
    /// A row whose parts disagree about their length.
    #[error(
        "{origin}: {ids} ids, {learn} marks of what is learned, {kinds} kinds; expected as many of each"
    )]
    RowInvalid {
        /// The row.
        origin: Origin,
        /// Token ids.
        ids: usize,
        /// Learn marks.
        learn: usize,
        /// Kinds.
        kinds: usize,
    },
    /// A label that does not fit the classes, or a number that is none.
    #[error("{origin}: label {found}; expected {expected}")]
    LabelInvalid {
        /// The row.
        origin: Origin,
        /// The label.
        found: String,
        /// What would fit.
        expected: String,
    },
    /// The batches ended before the epoch did.
    #[error(
        "epoch {epoch} ended after {found} micro-batches; expected {expected} from Batches::per_epoch"
    )]
    EpochTooShort {
        /// The epoch, from 0.
        epoch: u64,
        /// Micro-batches that came, counted from the epoch's start.
        found: u64,
        /// Micro-batches that were announced.
        expected: u64,
    },

    // --- the step ------------------------------------------------------------------------------------------------
    /// The model has no trainable parameter.
    #[error(
        "the model has no trainable parameter: all {parameters} tensors are frozen; unfreeze some or attach an adapter"
    )]
    NothingToTrain {
        /// How many tensors the model has.
        parameters: usize,
    },
    /// Trainable tensors that the loss does not depend on.
    #[error(
        "{} trainable tensors have no gradient after the first step: {}; freeze them, or let the objective use them",
        paths.len(), list(paths)
    )]
    NoGradient {
        /// Their paths.
        paths: Vec<String>,
    },
    /// A step without a single target. Its loss would be 0/0.
    #[error(
        "step {step}: no targets in the rows {}; expected at least one learned token",
        list(origins)
    )]
    NoTargets {
        /// The step, from 1.
        step: u64,
        /// The rows of the step.
        origins: Vec<Origin>,
    },
    /// The loss or the gradient is no finite number. The weights were not touched.
    #[error(
        "step {step}: the {what} is {value}; the weights were not changed by this step. Rows: {}. Lower the learning \
         rate, lengthen the warm-up, or look at these rows",
        list(origins)
    )]
    NonFinite {
        /// The step, from 1; in a validation, the steps done before it.
        step: u64,
        /// What was not finite: `loss`, `gradient norm`, `validation loss`.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The rows of the batch, or of the whole step for the gradient.
        origins: Vec<Origin>,
    },
    /// The device failed while its numbers were read.
    #[error("the device failed at {what}: {why}")]
    Device {
        /// What was read.
        what: String,
        /// The device's words.
        why: String,
    },

    // --- checkpoints ---------------------------------------------------------------------------------------------
    /// Another process trains in this folder.
    #[error(
        "{}: in use by {holder}; wait for it, stop it, or take another folder",
        shown(path)
    )]
    RunLocked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it: process, host and time, as the lock file says.
        holder: String,
    },
    /// The folder holds a run, and nobody said to resume it.
    #[error(
        "{}: holds a run at step {step}; resume it, or take another folder",
        shown(path)
    )]
    RunExists {
        /// The run's folder.
        path: PathBuf,
        /// Its newest checkpoint.
        step: u64,
    },
    /// A signal ended the run.
    #[error("interrupted after step {step}; resume the run to go on")]
    Interrupted {
        /// The last step that was done.
        step: u64,
    },
    /// Every checkpoint of the folder is damaged.
    #[error("{}: no usable checkpoint:{}", shown(path), lines(reasons))]
    NoUsableCheckpoint {
        /// The run's folder.
        path: PathBuf,
        /// What is wrong with each.
        reasons: Vec<String>,
    },
    /// A checkpoint is damaged.
    #[error("{}: {why}", shown(path))]
    CheckpointInvalid {
        /// The file or folder.
        path: PathBuf,
        /// What was found and what was expected.
        why: String,
    },
    /// The run to resume was another one.
    #[error(
        "cannot resume: {field} was {saved} in the saved run and is {now} now; go back to it, or start a new run in \
         another folder"
    )]
    ResumeMismatch {
        /// The field of the configuration, or `training data`, `validation data`, `frozen weights`.
        field: String,
        /// What the checkpoint says.
        saved: String,
        /// What this run says.
        now: String,
    },
    /// The saved tensors are not those of this model.
    #[error(
        "the checkpoint's {what} do not fit the model: missing {}; unexpected {}; misshapen {}",
        list(missing),
        list(extra),
        list(misshapen)
    )]
    ParametersMismatch {
        /// `weights` or `moments`.
        what: &'static str,
        /// Trainable tensors of the model that the file lacks.
        missing: Vec<String>,
        /// Tensors of the file that the model lacks.
        extra: Vec<String>,
        /// Tensors with both shapes and types.
        misshapen: Vec<String>,
    },
    /// The disk is full. The checkpoints written before are intact.
    #[error(
        "{}: the disk is full; the checkpoint needs {need} bytes. Free some space and resume",
        shown(path)
    )]
    DiskFull {
        /// What was being written.
        path: PathBuf,
        /// How many bytes the checkpoint has.
        need: u64,
    },
    /// The operating system refused an operation.
    #[error("{}: cannot {action}: {source}", shown(path))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried, as a verb.
        action: &'static str,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// Signals could not be caught.
    #[error("cannot catch signals: {source}")]
    Signal {
        /// The operating system's words.
        source: std::io::Error,
    },

    /// An observer could not save or restore what it keeps.
    #[error("observer {name}: {why}")]
    Observer {
        /// Its name.
        name: String,
        /// What went wrong.
        why: String,
    },
    /// The data failed.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// One thing that is wrong with a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field, with its path: `optimizer.beta1`.
    pub field: String,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub rule: String,
}

impl Fault {
    pub(crate) fn new(
        field: impl Into<String>,
        value: impl Display,
        rule: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            value: value.to_string(),
            rule: rule.into(),
        }
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} {}", self.field, self.value, self.rule)
    }
}

impl TrainError {
    /// Wraps an error of the operating system; a full disk becomes [`TrainError::DiskFull`].
    pub(crate) fn io(path: &Path, action: &'static str, source: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match source.kind() {
            StorageFull | QuotaExceeded => Self::DiskFull {
                path: path.to_owned(),
                need: 0,
            },
            _ => Self::Io {
                path: path.to_owned(),
                action,
                source,
            },
        }
    }

    pub(crate) fn invalid(path: &Path, why: impl Into<String>) -> Self {
        Self::CheckpointInvalid {
            path: path.to_owned(),
            why: why.into(),
        }
    }
}

/// A path without what would move a terminal's cursor.
fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    text.chars()
        .map(|character| match character {
            control if control.is_control() => control.escape_default().to_string(),
            other => other.to_string(),
        })
        .collect()
}

/// How many items of a list an error shows.
pub(crate) const SHOWN: usize = 5;

/// The first items, and how many more there are.
fn list<T: Display>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    let mut text = items
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if items.len() > SHOWN {
        let _ = write!(text, " and {} more", items.len() - SHOWN);
    }
    text
}

fn lines<T: Display>(items: &[T]) -> String {
    items.iter().fold(String::new(), |mut text, item| {
        let _ = write!(text, "\n  {item}");
        text
    })
}
