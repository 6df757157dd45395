//! Prepares data on one or several machines: each writes its part of the inputs as JSON lines, Parquet or tokens.
//!
//!     cargo run --release --example prepare -- --rank 0 --world 2 --output runs/parts examples/assets/facts.jsonl
//!     cargo run --release --example prepare -- --rank 1 --world 2 --output runs/parts examples/assets/facts.jsonl
//!     cargo run --release --example prepare -- --merge --output runs/parts
//!
//! `docs/scale.md` shows what other engines do with the parts.

use std::path::PathBuf;

use clap::Parser;
use finetune::data::parts::{Inputs, Job, Share, merge};
use finetune::prelude::*;

/// Write the part of one machine, or check that all parts are there.
#[derive(Parser)]
struct Flags {
    /// Files or folders, in the same order on every machine.
    #[arg(required_unless_present = "merge")]
    inputs: Vec<PathBuf>,
    /// Which machine this is, from 0.
    #[arg(long, default_value_t = 0)]
    rank: u32,
    /// How many machines there are.
    #[arg(long, default_value_t = 1)]
    world: u32,
    /// jsonl, parquet (in a build with the feature all-formats) or tokens.
    #[arg(long, default_value = "jsonl")]
    format: String,
    /// The folder of the tokenizer, for tokens.
    #[arg(long, default_value = "examples/assets/base")]
    tokenizer: PathBuf,
    /// The template, for tokens.
    #[arg(long, default_value = "chat")]
    template: String,
    /// The names of the fields, for tokens; detected without it, or with `auto`.
    #[arg(long)]
    map: Option<String>,
    /// The most tokens of a row; longer ones lose their ends.
    #[arg(long, default_value_t = 1024)]
    length: usize,
    /// Broken records: stop, skip or quarantine=FILE. With several machines each has a file of its own,
    /// FILE-00001-of-00003.
    #[arg(long, default_value = "stop")]
    on_error: OnError,
    /// The folder of the parts.
    #[arg(long)]
    output: PathBuf,
    /// Check that all parts are there and belong together, and write manifest.json.
    #[arg(long)]
    merge: bool,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    if flags.merge {
        let all = merge(&flags.output)?;
        if let Some(counts) = &all.counts {
            println!("{counts}");
        }
        println!("{} rows in {} parts", all.rows, all.parts.len());
        return Ok(());
    }
    let share = Share::new(flags.rank, flags.world)?;
    let inputs = Inputs {
        loaders: &program::loaders(),
        paths: &flags.inputs,
        on_error: &flags.on_error,
    };
    let job = Job::new(share, &flags.output);
    let part = if flags.format == "tokens" {
        let mapping: AnyChat = program::mapping(&flags.inputs, flags.map.as_deref())?;
        let encoder = Encoder::open(&flags.tokenizer, &flags.template)?
            .length(flags.length)
            .truncation(Truncation::CutRight);
        let fingerprint = encoder.fingerprint();
        let (part, report) = job
            .settings(format!("{:?}, {mapping:?}, {fingerprint:?}", flags.inputs))
            .load_tokens(&inputs, &encoder, &mapping)?;
        println!("{report}");
        part
    } else {
        job.settings(format!("{:?}", flags.inputs))
            .load_documents(&inputs, flags.format.parse()?)?
    };
    if let Some(counts) = &part.counts {
        println!("{counts}");
        if let (OnError::Quarantine(path), 1..) = (&flags.on_error, counts.quarantined) {
            println!("broken records: {}", share.quarantine(path).display());
        }
    }
    println!("{}: {} rows, {} bytes", part.file, part.rows, part.bytes);
    Ok(())
}
