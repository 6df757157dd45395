//! Reports on data before anything is trained on it: what is doubled, dirty, too long, or known from a benchmark; and
//! writes what stays without it.
//!
//!     cargo run --release --example inspect -- examples/assets/facts.jsonl --map prompt=questions.0,completion=answer \
//!         --drop exact_duplicate near_duplicate --keep runs/kept.jsonl --output runs/report

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use finetune::data::quality::{Against, AnyMapping, Benchmark, Inspection, Keep, Reason, Spool};
use finetune::prelude::*;

/// Report on a data set of conversations, preferences, labelled texts or plain texts.
///
/// Every check only reports until it is named in --drop. Checks: `exact_duplicate`, `near_duplicate`, leak,
/// contaminated, language, length, debris, repetition, boilerplate, sensitive, disagreement, unencodable, truncated,
/// endless, `control_tokens` (all on), and prose (off, for English web pages; `--skip` with a list that lacks it turns
/// it on). Limits such as `length.least_words = 3` stand in --config.
#[derive(Parser)]
struct Flags {
    /// Files or folders.
    #[arg(required = true)]
    data: Vec<PathBuf>,
    /// The names of the fields: `prompt=question,completion=answer`, `text=body,label=topic`,
    /// `prompt=q,chosen=a,rejected=b` or `text=body`; detected without it.
    #[arg(long)]
    map: Option<AnyMapping>,
    /// What becomes of a broken record: stop, skip or quarantine=FILE.
    #[arg(long, default_value = "stop")]
    on_error: OnError,
    /// A folder with a tokenizer.
    #[arg(long, default_value = "examples/assets/base")]
    tokenizer: PathBuf,
    /// chat (the tokenizer's own), plain, alpaca, question-answer or custom:PATTERN.
    #[arg(long, default_value = "chat")]
    template: String,
    /// The most tokens of a row.
    #[arg(long, default_value_t = 1024)]
    length: usize,
    /// Test data, read like the data: no row may repeat it, exactly or nearly.
    #[arg(long, num_args = 1..)]
    test: Vec<PathBuf>,
    /// Benchmarks as NAME=FILE: no row may share a run of words with their items.
    #[arg(long, num_args = 1..)]
    benchmark: Vec<Benchmark>,
    /// A TOML file with settings of the checks.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The checks whose faults drop a row.
    #[arg(long, num_args = 1..)]
    drop: Option<Vec<Reason>>,
    /// The checks that are not made; prose without it.
    #[arg(long, num_args = 0..)]
    skip: Option<Vec<Reason>>,
    /// The wanted languages by their ISO 639-3 codes, such as eng deu; all without it.
    #[arg(long, num_args = 1..)]
    language: Option<Vec<String>>,
    /// A file for the rows that stay, to be read again with the same --map. Personal data and secrets are masked.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Keep personal data and secrets as they are.
    #[arg(long)]
    unmasked: bool,
    /// A folder for report.json and report.html.
    #[arg(long, default_value = "runs/report")]
    output: PathBuf,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    let loaders = program::loaders();
    let inspection = inspection(&flags)?;
    let keep = flags.keep.as_ref();
    let keep = keep.map(|path| Keep::new(path, &flags.data)).transpose()?;
    let masks = (!flags.unmasked).then(|| inspection.kinds());
    let mapping = flags.map.clone();
    let mapping = mapping.map_or_else(|| AnyMapping::detect(&loaders, &flags.data), Ok)?;
    println!("reading {}", mapping.kind());
    let against = Against::read(&loaders, &flags.test, &flags.benchmark, &mapping)?;
    let encoder = Encoder::open(&flags.tokenizer, &flags.template)?
        .length(flags.length)
        .truncation(Truncation::CutRight);
    let (rows, counts) = Spool::read(&loaders, &flags.data, &flags.on_error, mapping)?;
    println!("{counts}");
    let inspected = inspection.run(&rows, &against, Some(&encoder))?;
    let kept = keep.map(|keep| keep.masks(masks).write(&rows, &inspected));
    let kept = kept.transpose()?;
    let report = inspected.report.after(&counts).with_kept(kept);
    println!("{report}");
    fs::create_dir_all(&flags.output)?;
    report.write(flags.output.join("report.json"))?;
    report.write_html(flags.output.join("report.html"))?;
    println!("the reports are in {}", flags.output.display());
    Ok(())
}

/// The settings of the file, with the flags over them.
fn inspection(flags: &Flags) -> Result<Inspection, Failure> {
    let mut inspection: Inspection = match &flags.config {
        Some(path) => toml::from_str(&fs::read_to_string(path)?)?,
        None => Inspection::default(),
    };
    if let Some(reasons) = &flags.drop {
        inspection = inspection.drop_for(reasons.iter().copied());
    }
    if let Some(reasons) = &flags.skip {
        inspection = inspection.skipping(reasons.iter().copied());
    }
    if let Some(languages) = &flags.language {
        inspection.language.wanted.clone_from(languages);
    }
    Ok(inspection)
}
