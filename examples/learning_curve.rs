//! Trains on growing parts of the data and says what more data would give.
//!
//!     cargo run --release --example learning_curve -- --model examples/assets/base --data runs/quickstart/train.jsonl --lora-rank 8 --sizes 5 --output runs/curve

use std::path::{Path, PathBuf};

use clap::Parser;
use finetune::eval::Report;
use finetune::eval::learning_curve::LearningCurve;
use finetune::prelude::*;
use finetune::tuning::Settings;
use finetune::tuning::curve::{Grown, Sizes, grow};
use serde_json::json;

#[path = "tuning/flags.rs"]
mod flags;

/// Train on growing parts of the data, fit a power law to the validation loss, and forecast what 2, 4 and 10 times the
/// data would give. What is trained already is not trained again: call it again with more sizes or seeds, or after it
/// was killed.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    settings: flags::SettingFlags,
    /// How many sizes (5: all rows, half of them, a quarter and so on), or the numbers of rows: 100,200,400.
    #[arg(long, default_value = "5")]
    sizes: Sizes,
    /// How many seeds each size is trained with; without at least two nothing tells the noise but the curve itself.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// The folder of the runs, of learning-curve.json and of report.html.
    #[arg(long)]
    output: PathBuf,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    let settings = flags.settings.settings()?;
    let device = device(flags.device.as_deref())?;
    let Grown { curve, trained } =
        grow(&settings, &flags.sizes, flags.seeds, &flags.output, &device)?;
    println!("{trained} of {} runs trained now\n", curve.points.len());
    write_json(&curve, &flags.output.join("learning-curve.json"))?;
    let page = flags.output.join("report.html");
    let report = report(&settings, curve);
    report.write(&page)?;
    print!("{report}");
    println!("wrote {}", page.display());
    Ok(())
}

/// The runs and their fit as JSON.
fn write_json(curve: &LearningCurve, path: &Path) -> Result<(), Failure> {
    let content = json!({ "curve": curve, "fit": curve.fit()? });
    std::fs::write(path, serde_json::to_string_pretty(&content)? + "\n")
        .map_err(|error| format!("{}: {error}", path.display()).into())
}

fn report(settings: &Settings, curve: LearningCurve) -> Report {
    let model = settings
        .model
        .as_ref()
        .map_or_else(String::new, |model| model.display().to_string());
    let adapter = settings
        .lora
        .as_ref()
        .map_or("none: all weights are trained".to_owned(), |lora| {
            format!("rank {}", lora.rank)
        });
    let train = &settings.train;
    Report::new("Learning curve")
        .subtitle(format!("{model}, trained on growing parts of the same data"))
        .learning_curve(curve)
        .section(
            "Training",
            [
                ("LoRA", adapter),
                ("epochs", train.steps.map_or_else(|| train.epochs.to_string(), |steps| format!("{steps} steps"))),
                ("rows of a micro-batch", train.batch.rows.to_string()),
                ("peak of the learning rate", train.schedule.peak.to_string()),
                ("first seed", train.seed.to_string()),
            ],
        )
        .reproduce(std::env::args().collect::<Vec<_>>().join(" "))
        .note("Each value is the lowest validation loss of its run: that of the model which the run keeps.")
        .note("All seeds share the order in which rows are added; another order would scatter a little more.")
        .note("Intervals hold the chance in training; other held-out rows would move all values alike.")
        .summarise()
}
