//! Questions, answers, metrics, error analysis and reports.
//!
//! A [`Task`] turns a document into a [`Request`] of strings, a [`LanguageModel`] answers it, and the task grades the
//! answer into an [`Outcome`]. [`Metric`]s turn outcomes into [`Estimate`]s: a value, its standard error, and the
//! number of items behind it. The [`analysis`] names what is wrong with each output, before and after training, and
//! [`Report`] shows everything on one page: in the terminal, as JSON, and as one self-contained HTML file.
//!
//! Strings stand at the border: only [`local`] knows tensors and tokenizers, so any engine can be put behind
//! [`LanguageModel`]. A report is plain data and can be written by hand.
//!
//! Nothing is ever scored over nothing: an empty set, a record without a reference and a model that answers less than
//! it was asked are errors, and every figure carries its count.

pub mod analysis;
mod error;
mod language_model;
pub mod metric;
mod outcome;
pub mod report;
mod run;
pub mod task;
mod text;

pub use analysis::{Analysis, Classes, ErrorClass, Flow};
pub use error::{EvalError, Result};
pub use language_model::{Context, Continuation, Finish, Generation, LanguageModel, Prompt, Score};
pub use metric::{Difference, Estimate, Interval, Metric};
pub use outcome::Outcome;

pub use report::Report;
pub use run::{Evaluation, Measured, Run, evaluate};
pub use task::{Answer, Request, Task};
