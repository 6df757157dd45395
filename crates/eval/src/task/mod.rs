//! Tasks: what is asked about a document, and how the answer is graded.

mod choice;
mod classification;
mod language_modeling;
mod prompting;
mod question;
mod record;

pub use choice::MultipleChoice;
pub use classification::{Classification, NO_LABEL};
pub use language_modeling::LanguageModeling;
pub use prompting::{Prompting, TextForm};
pub use question::QuestionAnswering;

use finetune_data::{Document, Origin};

use crate::{Continuation, EvalError, Generation, Metric, Outcome, Prompt, Result, Score};

/// What a model is asked about one document.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Write an answer.
    Generate(Prompt),
    /// Score these continuations.
    Score(Vec<Continuation>),
    /// Score this whole document.
    Rolling(String),
}

/// What the model answered to a [`Request`] of the same kind.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The generated text.
    Generation(Generation),
    /// The scores, in the order of the continuations.
    Scores(Vec<Score>),
    /// The document's score.
    Rolling(Score),
}

/// A way to test a model: documents become requests, answers become outcomes, outcomes become figures.
///
/// This is the seam for benchmarks. A task holds no state: the same document and answer give the same outcome.
pub trait Task: Send + Sync {
    /// Its name, as it stands in reports.
    fn name(&self) -> &str;

    /// What the model is asked about this document.
    ///
    /// # Errors
    /// If the document lacks what the task needs, with its file and line.
    fn request(&self, document: &Document) -> Result<Request>;

    /// Grades the answer to [`request`](Task::request) of the same document.
    ///
    /// # Errors
    /// [`EvalError::AnswerKind`] if the answer is of another kind than the request.
    fn grade(&self, document: &Document, answer: &Answer) -> Result<Outcome>;

    /// What is measured over the outcomes, the main metric first.
    fn metrics(&self) -> Vec<Box<dyn Metric>>;
}

impl Answer {
    /// The kind, for errors.
    fn kind(&self) -> &'static str {
        match self {
            Self::Generation(_) => "generation",
            Self::Scores(_) => "scores",
            Self::Rolling(_) => "rolling",
        }
    }

    /// The generation, for a task that asked for one.
    ///
    /// # Errors
    /// [`EvalError::AnswerKind`] for another kind of answer.
    pub fn generation(&self, task: &str, origin: &Origin) -> Result<&Generation> {
        match self {
            Self::Generation(generation) => Ok(generation),
            other => Err(other.unfit("generation", task, origin)),
        }
    }

    /// The `count` scores, for a task that asked for them.
    ///
    /// # Errors
    /// [`EvalError::AnswerKind`] for another kind of answer, [`EvalError::AnswerCount`] for another number of scores,
    /// [`EvalError::NotFinite`] if a log-likelihood is not a number.
    pub fn scores(&self, count: usize, task: &str, origin: &Origin) -> Result<&[Score]> {
        let Self::Scores(scores) = self else {
            return Err(self.unfit("scores", task, origin));
        };
        if scores.len() != count {
            return Err(EvalError::AnswerCount {
                expected: count,
                found: scores.len(),
            });
        }
        scores.iter().try_for_each(|score| finite(score, origin))?;
        Ok(scores)
    }

    /// The document's score, for a task that asked for it.
    ///
    /// # Errors
    /// [`EvalError::AnswerKind`] for another kind of answer, [`EvalError::NotFinite`] if the log-likelihood is not a
    /// number.
    pub fn rolling(&self, task: &str, origin: &Origin) -> Result<Score> {
        let Self::Rolling(score) = self else {
            return Err(self.unfit("rolling", task, origin));
        };
        finite(score, origin)?;
        Ok(*score)
    }

    fn unfit(&self, expected: &'static str, task: &str, origin: &Origin) -> EvalError {
        EvalError::AnswerKind {
            origin: origin.clone(),
            task: task.to_owned(),
            expected,
            found: self.kind(),
        }
    }
}

/// Refuses a log-likelihood that is not a finite number.
fn finite(score: &Score, origin: &Origin) -> Result<()> {
    if score.log_likelihood.is_finite() {
        return Ok(());
    }
    Err(EvalError::NotFinite {
        origin: origin.clone(),
        score: "log_likelihood".into(),
        value: score.log_likelihood,
    })
}

/// The index of the largest value; the first of equal ones. The slice is not empty.
pub(crate) fn largest(values: impl Iterator<Item = f64>) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (index, value) in values.enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}
