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
//! ```
//! use finetune_data::{Document, Origin, mapping::AnyChat};
//! use finetune_eval::analysis::{Classes, Flow, Vocabulary};
//! use finetune_eval::task::QuestionAnswering;
//! use finetune_eval::{Continuation, Finish, Generation, LanguageModel, Prompt, Report, Result, Score, Task, evaluate};
//!
//! /// An engine that always says the same.
//! struct Says(&'static str);
//!
//! impl LanguageModel for Says {
//!     fn score(&self, requests: &[Continuation]) -> Result<Vec<Score>> {
//!         Ok(vec![Score { log_likelihood: -1.0, greedy: false, tokens: 1 }; requests.len()])
//!     }
//!     fn generate(&self, prompts: &[Prompt]) -> Result<Vec<Generation>> {
//!         Ok(vec![Generation { text: self.0.into(), finished: Finish::Stop, tokens: 2 }; prompts.len()])
//!     }
//! }
//!
//! let document = Document {
//!     text: String::new(),
//!     fields: [("question", "Which rank?"), ("answer", "Rank eight.")].map(|(k, v)| (k.into(), v.into())).into(),
//!     origin: Origin::new("questions.jsonl", 1),
//! };
//! let task = QuestionAnswering::new("questions", AnyChat::default());
//! let before = evaluate("base", &Says("No idea."), &task, &[document.clone()])?;
//! let after = evaluate("tuned", &Says("Rank eight"), &task, &[document])?;
//!
//! let classes = Classes::standard(Vocabulary::new().with_common_english());
//! let (old, new) = (classes.analyze("base", &before.outcomes)?, classes.analyze("tuned", &after.outcomes)?);
//! let report = Report::new("Which rank?")
//!     .compare(&[&before, &after], &task.metrics())?
//!     .errors(&[&old, &new])
//!     .flow(Flow::between(&old, &new)?)
//!     .examples("Fixed", "", &[&old, &new], &Flow::between(&old, &new)?.fixed_items())
//!     .summarise();
//! println!("{report}");
//! # let folder = tempfile::tempdir().unwrap();
//! report.write(folder.path().join("report.html"))?;
//! # Ok::<(), finetune_eval::EvalError>(())
//! ```
//!
//! Nothing is ever scored over nothing: an empty set, a record without a reference and a model that answers less than
//! it was asked are errors, and every figure carries its count.

pub mod analysis;
#[cfg(feature = "api")]
mod endpoint;
mod error;
mod language_model;
pub mod learning_curve;
pub mod local;
pub mod metric;
mod outcome;
pub mod report;
mod run;
pub mod suite;
pub mod task;
mod text;

pub use analysis::{Analysis, Classes, ErrorClass, Flow};
#[cfg(feature = "api")]
pub use endpoint::Endpoint;
pub use error::{EvalError, Result};
pub use language_model::{Context, Continuation, Finish, Generation, LanguageModel, Prompt, Score};
pub use metric::{Difference, Estimate, Interval, Metric};
pub use outcome::Outcome;

pub use report::Report;
pub use run::{Evaluation, Measured, Run, evaluate};
pub use task::{Answer, Request, Task};
