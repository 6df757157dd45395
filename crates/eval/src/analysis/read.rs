//! Outcomes and losses from files.

use std::path::Path;

use finetune_data::{Document, Origin};
use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::RowLoss;
use crate::suite::Results;
use crate::{EvalError, Outcome, Result, Run};

/// A line of outputs of any system.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    origin: Option<Origin>,
    input: String,
    #[serde(alias = "references")]
    reference: Texts,
    output: String,
    #[serde(default)]
    finished: Option<crate::Finish>,
}

/// One text or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Outcome {
    /// The outcomes in a file: a [`Run`] or [`Results`] as JSON, if the name ends with `.json`; else JSON lines, each an outcome or
    /// `{"input", "reference", "output"}` with a text or a list as reference, perhaps with `origin` and `finished`. A line
    /// without an origin gets the place of the line in no file, so that the outputs of two models can be compared.
    ///
    /// # Errors
    /// [`EvalError::Io`] if the file cannot be read as UTF-8; [`EvalError::Format`] with the line, and column where it is
    /// known; [`EvalError::NoOutcomes`] for a file without any.
    pub fn open(path: impl AsRef<Path>) -> Result<Vec<Self>> {
        let path = path.as_ref();
        let outcomes = if path.extension().is_some_and(|ending| ending == "json") {
            Self::of_json(path, &text(path)?)?
        } else {
            let lines = text(path)?;
            let lines = numbered(&lines);
            lines
                .map(|(number, line)| Self::line(path, number, line))
                .collect::<Result<_>>()?
        };
        if outcomes.is_empty() {
            return Err(EvalError::NoOutcomes {
                metric: path.display().to_string(),
            });
        }
        Ok(outcomes)
    }

    /// The outcomes of a run, or of all tasks of results, which have samples.
    fn of_json(path: &Path, text: &str) -> Result<Vec<Self>> {
        #[derive(Deserialize)]
        struct Form {
            samples: Option<IgnoredAny>,
        }
        let form = serde_json::from_str::<Form>(text);
        if form.is_ok_and(|form| form.samples.is_some()) {
            let runs = Results::read(path)?.runs();
            return Ok(runs.into_iter().flat_map(|run| run.outcomes).collect());
        }
        let run: Run = serde_json::from_str(text).map_err(|error| fault(path, 1, &error))?;
        Ok(run.outcomes)
    }

    fn line(path: &Path, number: usize, line: &str) -> Result<Self> {
        if let Ok(outcome) = serde_json::from_str(line) {
            return Ok(outcome);
        }
        let line: Line = serde_json::from_str(line).map_err(|error| fault(path, number, &error))?;
        let origin = line
            .origin
            .unwrap_or_else(|| Origin::new("", number as u64));
        let mut outcome = Self::new(origin, line.input, "", line.output);
        outcome.references = match line.reference {
            Texts::One(text) => vec![text],
            Texts::Several(texts) => texts,
        };
        outcome.finished = line.finished;
        Ok(outcome)
    }

    /// Gives outcomes that came without a file the origins of their documents, in the same order.
    ///
    /// # Errors
    /// [`EvalError::Unmatched`] if there is not one document for each.
    pub fn place(outcomes: &mut [Self], documents: &[Document]) -> Result<()> {
        if outcomes
            .iter()
            .any(|outcome| !outcome.origin.path.as_os_str().is_empty())
        {
            return Ok(());
        }
        if outcomes.len() != documents.len() {
            return Err(EvalError::Unmatched {
                before: "the outputs".into(),
                after: "the documents".into(),
                detail: format!(
                    "{} outputs without an origin and {} documents",
                    outcomes.len(),
                    documents.len()
                ),
            });
        }
        for (outcome, document) in outcomes.iter_mut().zip(documents) {
            outcome.origin = document.origin.clone();
        }
        Ok(())
    }
}

impl RowLoss {
    /// The losses in a file of JSON lines: `{"origin": {"path", "place"}, "loss", "tokens"}`.
    ///
    /// # Errors
    /// [`EvalError::Io`] if the file cannot be read as UTF-8; [`EvalError::Format`] with the line.
    pub fn open(path: impl AsRef<Path>) -> Result<Vec<Self>> {
        let path = path.as_ref();
        let lines = text(path)?;
        numbered(&lines)
            .map(|(number, line)| read(path, number, line))
            .collect()
    }
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|source| EvalError::Io {
        path: path.to_owned(),
        source,
    })
}

/// The lines that are not blank, with their numbers.
fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = (1..).zip(text.lines());
    lines.filter(|(_, line)| !line.trim().is_empty())
}

fn read<T: DeserializeOwned>(path: &Path, number: usize, line: &str) -> Result<T> {
    serde_json::from_str(line).map_err(|error| fault(path, number, &error))
}

fn fault(path: &Path, first: usize, error: &serde_json::Error) -> EvalError {
    EvalError::Format {
        path: Some(path.to_owned()),
        line: first + error.line().saturating_sub(1),
        column: error.column(),
        reason: error.to_string(),
    }
}
