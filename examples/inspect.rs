//! Reports on data before anything is trained on it: what is doubled, dirty, too long, or known from a benchmark.
//!
//!     cargo run --release --example inspect -- examples/assets/facts.jsonl --map prompt=questions.0,completion=answer \
//!         --output report

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use finetune::data::quality::{EncodedRow, Inspection, Sample, ShownRow};
use finetune::prelude::*;

/// Report on a data set of conversations or prompts with completions.
#[derive(Parser)]
struct Flags {
    /// Files or folders.
    #[arg(required = true)]
    data: Vec<PathBuf>,
    /// The names of the fields, such as `prompt=question,completion=answer`; detected without it.
    #[arg(long, default_value = "")]
    map: String,
    /// A folder with a tokenizer.
    #[arg(long, default_value = "examples/assets/base")]
    tokenizer: PathBuf,
    /// chat (the tokenizer's own), plain, alpaca, question-answer or custom:PATTERN.
    #[arg(long, default_value = "chat")]
    template: String,
    /// The most tokens of a row.
    #[arg(long, default_value_t = 1024)]
    length: usize,
    /// Benchmarks and test data that must not be in the data.
    #[arg(long, num_args = 1..)]
    against: Vec<PathBuf>,
    /// The faults that drop a row, such as `exact_duplicate leak`; others are only reported.
    #[arg(long, num_args = 1..)]
    drop: Vec<String>,
    /// A folder for report.json and report.html.
    #[arg(long, default_value = "runs/report")]
    output: PathBuf,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    let mapping: AnyChat = flags.map.parse()?;
    let (chats, counts) = Loaders::default().examples(&flags.data, &OnError::Skip, &mapping)?;
    let mut against = Vec::new();
    for path in &flags.against {
        for document in Loaders::default().load(path)? {
            against.push(document?);
        }
    }
    let encoder = Encoder::open(&flags.tokenizer, &flags.template)?
        .length(flags.length)
        .truncation(Truncation::CutRight);
    let rows: Vec<Sample<'_>> = chats.iter().map(Sample::from).collect();
    let items: Vec<Sample<'_>> = against.iter().map(Sample::from).collect();
    let drop: BTreeSet<_> = flags
        .drop
        .iter()
        .map(|reason| serde_json::from_value(serde_json::json!(reason)))
        .collect::<Result<_, _>>()?;
    let encoded = EncodedRow::of_all(&encoder, &chats);
    let inspected = Inspection::default()
        .drop_for(drop)
        .run(&rows, &items, &encoded)?;
    // A few rows that stay, spread over the data.
    let kept: Vec<usize> = inspected.kept().collect();
    let shown = kept.iter().step_by(kept.len().div_ceil(5).max(1));
    let shown = shown.filter_map(|&row| ShownRow::of(&encoder, &chats[row], 300));
    let report = inspected.report.after(&counts).show(shown.collect());
    println!("{report}");
    fs::create_dir_all(&flags.output)?;
    report.write(flags.output.join("report.json"))?;
    report.write_html(flags.output.join("report.html"))?;
    println!(
        "report.json and report.html are in {}",
        flags.output.display()
    );
    Ok(())
}
