//! Fine-tunes a language model, causal or with an encoder (T5), on conversations or prompt–completion pairs, fully or
//! with LoRA.
//!
//!     cargo run --release --example finetune -- --model examples/assets/base --data runs/quickstart/train.jsonl --lora-rank 8 --output adapter

use std::path::PathBuf;

use clap::Parser;
use finetune::prelude::*;
use finetune::tuning::{Place, Tuning};

#[path = "tuning/flags.rs"]
mod flags;

/// Fine-tune a language model, causal or with an encoder, fully or with LoRA. A flag wins over the same line of
/// `--config`.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: flags::SettingFlags,
    /// The folder of the result: a whole checkpoint, or an adapter with LoRA. It must not hold anything yet.
    #[arg(long)]
    output: Option<PathBuf>,
    /// The folder of the run, with its checkpoints and metrics.
    #[arg(long, default_value = "runs/finetune")]
    run: PathBuf,
    /// Go on with the run that the folder holds.
    #[arg(long)]
    resume: bool,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    let mut settings = flags.settings.settings()?;
    settings.output = flags.output.or(settings.output);
    settings.base()?;
    let output = settings.result()?.to_owned();
    program::vacant(&output)?;
    let tuning = Tuning::open(settings, device(flags.device.as_deref())?)?;
    let summary = tuning.run(Place {
        run: &flags.run,
        resume: flags.resume,
        output: Some(&output),
    })?;
    println!(
        "{:?} after {} steps; wrote {}",
        summary.outcome,
        summary.step,
        output.display()
    );
    Ok(())
}
