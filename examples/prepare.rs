//! Prepares data on one or several machines: each writes its part of the inputs as JSON lines, Parquet or tokens.
//!
//!     cargo run --release --example prepare -- --rank 0 --world 2 --output runs/parts examples/assets/facts.jsonl
//!     cargo run --release --example prepare -- --rank 1 --world 2 --output runs/parts examples/assets/facts.jsonl
//!     cargo run --release --example prepare -- --merge --output runs/parts
//!
//! `docs/scale.md` shows what other engines do with the parts.

use std::path::PathBuf;

use clap::Parser;
use finetune::data::DataError;
use finetune::data::encode::Fingerprint;
use finetune::data::parts::{Job, Share, merge};
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
        println!("{} rows in {} parts", all.rows, all.parts.len());
        return Ok(());
    }
    let share = Share::new(flags.rank, flags.world)?;
    let loaders = program::loaders();
    let documents = share.documents(&loaders, &flags.inputs);
    let job = Job::new(share, &flags.output);
    let part = if flags.format == "tokens" {
        let mapping: AnyChat = program::mapping(&flags.inputs, flags.map.as_deref())?;
        let encoder = Encoder::open(&flags.tokenizer, &flags.template)?
            .length(flags.length)
            .truncation(Truncation::CutRight);
        let fingerprint: Fingerprint = encoder.fingerprint();
        let mut left_out = 0;
        let chats = documents.map(|document| mapping.example(document?));
        let chats = chats.filter(|chat| {
            let out = matches!(chat, Err(DataError::LeftOut { .. }));
            left_out += u64::from(out);
            !out
        });
        let rows = chats.map(|chat| {
            let chat = chat?;
            let encoded = encoder.encode(&chat)?;
            Ok(Row {
                encoded,
                origin: chat.origin,
            })
        });
        let part = job
            .settings(format!("{:?}, {:?}", flags.inputs, fingerprint))
            .rows(fingerprint.clone(), rows)?;
        println!("{left_out} records left out by the mapping");
        part
    } else {
        job.settings(format!("{:?}", flags.inputs))
            .documents(flags.format.parse()?, documents)?
    };
    println!("{}: {} rows, {} bytes", part.file, part.rows, part.bytes);
    Ok(())
}
