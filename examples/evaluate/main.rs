//! Judges models: on benchmarks, on questions with answers, or on plain text.
//!
//!     cargo run --release --example evaluate -- --model runs/quickstart/model --data runs/quickstart/test.jsonl --output report.html
//!     cargo run --release --example evaluate -- --model llama --tasks arc_easy,mmlu --data benchmarks --shots 5 --output results.json
//!     cargo run --release --features api --example evaluate -- --endpoint http://localhost:8000/v1 --name llama --tasks arc_easy --data benchmarks

mod benchmarks;
mod endpoint;
mod questions;

use std::path::PathBuf;

use clap::Parser;
use finetune::prelude::*;

/// Judge models on benchmarks, on questions with answers, or on plain text.
#[derive(Parser)]
pub(crate) struct Flags {
    /// A Hugging Face folder; with `--tasks`, several may be named.
    #[arg(long, required_unless_present = "endpoint", num_args = 1.., value_parser = program::model)]
    model: Vec<PathBuf>,
    /// A folder with an adapter in PEFT's layout, for each model.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Files of conversations or pairs; with `--text`, of texts; with `--tasks`, the folder that holds
    /// `<task>/<split>.jsonl` or `.parquet`.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Where to write what was found: the results as JSON with `--tasks`; else the report, by its ending .html, .json,
    /// .md or .txt. It is printed in any case.
    #[arg(long)]
    output: Option<PathBuf>,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
    /// Solved examples before every question: with `--tasks`, each task's own number if this is not said; else the first
    /// of the data, as plain text, which are not asked.
    #[arg(long)]
    shots: Option<usize>,
    #[command(flatten)]
    benchmarks: benchmarks::Flags,
    #[command(flatten)]
    endpoint: endpoint::Flags,
    #[command(flatten)]
    questions: questions::Flags,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    run(&Flags::parse())
}

pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    if flags.benchmarks.tasks.is_empty() {
        questions::run(flags)
    } else {
        benchmarks::run(flags)
    }
}
