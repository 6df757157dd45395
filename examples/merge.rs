//! Folds an adapter into its base and writes a whole checkpoint.
//!
//!     cargo run --release --example merge -- --model examples/assets/base --adapter adapter --output merged

use std::path::PathBuf;

use clap::Parser;
use finetune::model::Tokens;
use finetune::prelude::*;

/// Fold an adapter into its base and write a whole checkpoint.
#[derive(Parser)]
struct Flags {
    /// The base, a Hugging Face folder.
    #[arg(long, value_parser = program::model)]
    model: PathBuf,
    /// The adapter, in PEFT's layout.
    #[arg(long)]
    adapter: PathBuf,
    /// The folder of the new checkpoint; it must not hold anything yet.
    #[arg(long)]
    output: PathBuf,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    program::vacant(&flags.output)?;
    let device = device(flags.device.as_deref())?;
    let checkpoint = program::open(&flags.model)?;
    let model = lora::load(
        checkpoint.causal_lm(&device)?,
        checkpoint.architecture(),
        &flags.adapter,
    )?;
    // Any text shows the rounding: the first ids of the vocabulary serve every tokenizer.
    let vocabulary = checkpoint.blueprint().embedding.vocabulary as u32;
    let probe = Tokens::single(&(0..vocabulary.min(32)).collect::<Vec<_>>(), &device)?;
    let (merged, report) = lora::merge(model, |model| {
        model.logits(model.hidden(&probe, Noise::off(), None))
    });
    checkpoint.save(&merged, &flags.output)?;
    println!(
        "merged {} layers; the largest change of a weight is {:.2e}, the logits of a probe differ by {:.2e}; wrote {}",
        report.layers,
        report.largest_change,
        report.difference,
        flags.output.display()
    );
    Ok(())
}
