//! The benchmark suite: tasks in the form of lm-evaluation-harness 0.4.13, with its prompts and its figures.
//!
//! A task is a file in the harness's own YAML form. ARC, `HellaSwag`, MMLU, `TruthfulQA`, `WikiText`, LAMBADA, PIQA,
//! `WinoGrande`, `OpenBookQA`, `BoolQ` and GSM8K come with the crate ([`Suite::standard`]); a user's own files load
//! beside them. Their rows come from the disk ([`Rows`]), in the schemas of the hub's data sets: nothing of a benchmark's
//! content is part of the crate.
//!
//! ```no_run
//! use finetune_data::Loaders;
//! use finetune_eval::suite::{Benchmark, Rows, Setup, Suite};
//! # fn run(model: &dyn finetune_eval::LanguageModel) -> finetune_eval::Result<()> {
//! let rows = Rows::new("benchmarks", Loaders::default());
//! let setup = Setup { shots: Some(5), ..Setup::default() };
//! for task in Suite::standard().select(&["arc_easy", "mmlu"])?.tasks {
//!     let benchmark = Benchmark::open(task, &rows, &setup)?;
//!     let run = finetune_eval::evaluate("mine", model, &benchmark, benchmark.documents())?;
//!     println!("{:?}", run.estimate("acc"));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What is different from the harness, each on purpose: control tokens in the text of a row stay text; a right answer
//! that is not among the choices is an error, not a wrong answer; answers are never drawn at random; `mc2` of
//! `TruthfulQA` is computed so that long answers do not come to 0/0.

mod benchmark;
mod cache;
mod catalog;
mod definition;
mod filter;
mod grade;
mod hook;
mod metric;
mod near;
mod prompt;
mod python;
mod questions;
mod results;
mod row;
mod shots;
mod template;
mod yaml;

pub use benchmark::{Benchmark, Setup};
pub use cache::{Cached, identity};
pub use catalog::{SelectedGroup, Selection, Suite};
pub use definition::{
    Aggregate, Aggregates, Definition, Field, FilterEntry, FilterStep, Group, Member, Members,
    MetricEntry, OneOrMany, OutputType, SamplerName, Shots,
};
pub use hook::Hook;
pub use prompt::Form;
pub use python::Random;
pub use results::{Calibration, Figure, Leak, Leaks, Results, Sample, TaskInfo};
pub use row::Rows;
