//! Fine-tunes a model as a classifier of texts on labelled rows, and reports how good it is on rows that it never saw.
//! Where labels are lists, each row may have any number of classes.
//!
//!     cargo run --release --example classify -- --model FOLDER --data examples/assets/requests.csv --output runs/requests

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Parser;
use finetune::data::mapping::LabelMapping;
use finetune::data::split::Parts;
use finetune::data::{Labeled, Split};
use finetune::eval::local::LocalClassifier;
use finetune::eval::metric::{of_labels, of_several};
use finetune::eval::report::Training;
use finetune::eval::{Report, Run};
use finetune::prelude::*;
use finetune::train::batch::LabelBatches;
use finetune::train::objective::{Classification, SeveralClasses};

/// Fine-tune a classifier, fully or with LoRA, and report accuracy, macro F1 and which label became which.
#[derive(Parser)]
struct Flags {
    /// The base, a Hugging Face folder of a family with a classifier.
    #[arg(long, value_parser = program::model)]
    model: PathBuf,
    /// Files of labelled texts, or pairs of texts.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// The names of the fields: `text=body,label=topic`; detected without it, or with `auto`.
    #[arg(long)]
    map: Option<String>,
    /// The folder of the result and its report. It must not hold anything yet.
    #[arg(long)]
    output: PathBuf,
    /// The rank of a LoRA adapter; without it all weights are trained.
    #[arg(long)]
    lora_rank: Option<usize>,
    /// Begin with random weights instead of the base's, to see what the base is worth.
    #[arg(long)]
    random: bool,
    /// Epochs.
    #[arg(long, default_value_t = 10.0)]
    epochs: f64,
    /// Rows of a batch.
    #[arg(long, default_value_t = 16)]
    rows: usize,
    /// The most tokens of a row; a longer text loses its end.
    #[arg(long, default_value_t = 128)]
    length: usize,
    /// The peak of the learning rate; without it 1e-4, and 3e-3 with LoRA.
    #[arg(long)]
    learning_rate: Option<f64>,
    /// The split of the rows (60 % to train on, 15 % to validate, 25 % to test), and all that is random.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    program::vacant(&flags.output)?;
    let device = device(flags.device.as_deref())?.autodiff();
    let mapping: LabelMapping = program::mapping(&flags.data, flags.map.as_deref())?;
    let (rows, counts) = program::loaders().examples(&flags.data, &OnError::Stop, &mapping)?;
    println!("{counts}");
    let labels: BTreeSet<String> = rows.iter().flat_map(|row| row.label.classes()).collect();
    let labels: Vec<String> = labels.into_iter().collect();
    let lists = rows.iter().any(|row| row.label.is_list());
    let split = Split {
        validation: 0.15,
        test: 0.25,
        seed: flags.seed,
    };
    let parts = split.apply(rows, key);

    let checkpoint = checkpoint(&flags)?.with_seed(flags.seed);
    let checkpoint = if lists {
        checkpoint.with_label_sets(&labels)
    } else {
        checkpoint.with_labels(&labels)
    };
    let encoder = Encoder::open(&flags.model, "plain")?.length(flags.length);
    let vocabulary = checkpoint.blueprint().embedding.vocabulary;
    encoder.tokenizer().fits_model(vocabulary)?;
    let mut model = checkpoint.classifier(labels.len(), &device)?;
    if let Some(rank) = flags.lora_rank {
        let lora = LoraConfig {
            rank,
            alpha: 2.0 * rank as f64,
            ..LoraConfig::default()
        };
        model = lora::attach(model, checkpoint.architecture(), &lora)?;
    }

    let config = config(&flags);
    let batches = |examples: &[Labeled]| -> Result<LabelBatches, Failure> {
        let rows = encoder.labeled_all(examples)?;
        let full = rows
            .iter()
            .filter(|row| row.encoded.ids.len() == flags.length)
            .count();
        println!(
            "{} rows, {full} of them as long as --length allows",
            rows.len()
        );
        let rows = rows
            .into_iter()
            .zip(examples.iter().map(|example| example.label.clone()));
        let build = if lists {
            LabelBatches::several
        } else {
            LabelBatches::classes
        };
        Ok(build(
            rows.collect(),
            &labels,
            &config.batch,
            config.seed,
            0,
            &device,
        )?)
    };
    let (train, held_out) = (
        batches(&parts.train)?,
        batches(&parts.validation)?.in_order(),
    );
    let run = flags.output.join("run");
    let trainer = Trainer::in_terminal(config.clone(), &run)?;
    let trained = if lists {
        trainer.fit(model, &SeveralClasses, &train, Some(&held_out))?
    } else {
        trainer.fit(model, &Classification, &train, Some(&held_out))?
    };
    let trained = trained.finished()?;
    let folder = flags.output.join("model");
    if flags.lora_rank.is_some() {
        let base = flags.model.display().to_string();
        lora::save(&trained.model, checkpoint.architecture(), &base, &folder)?;
    } else {
        checkpoint.save(&trained.model, &folder)?;
    }

    let classifier = LocalClassifier::new(trained.model, encoder, labels.clone());
    let report = report(&flags, &classifier, &labels, &parts)?;
    println!("\n{report}");
    let page = flags.output.join("report.html");
    report.write(&page)?;
    println!("wrote {} and {}", folder.display(), page.display());
    Ok(())
}

/// The classifier beside what is most frequent, on the rows held out.
fn report(
    flags: &Flags,
    classifier: &LocalClassifier,
    labels: &[String],
    parts: &Parts<Labeled>,
) -> Result<Report, Failure> {
    let before = Run::majority("test", &parts.train, &parts.test)?;
    let after = classifier.evaluate("fine-tuned", "test", &parts.test)?;
    let report = Report::new(format!("Classifier on {}", flags.model.display()));
    let report = if parts.test.iter().any(|row| row.label.is_list()) {
        report.compare(&[&before, &after], &of_several())?
    } else {
        report
            .compare(&[&before, &after], &of_labels(labels))?
            .confusion(&after)?
    };
    Ok(report
        .training(Training::read(flags.output.join("run/metrics.jsonl"))?)
        .count("rows to train on", parts.train.len(), "")
        .count(
            "rows to validate on",
            parts.validation.len(),
            "the best on them is kept",
        )
        .count(
            "rows to test on",
            parts.test.len(),
            "looked at once, at the end",
        )
        .summarise())
}

/// What rows are split by: texts that differ in capitals and spaces alone are one text.
fn key(row: &Labeled) -> String {
    let text = row.whole().to_lowercase();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn checkpoint(flags: &Flags) -> Result<Checkpoint, Failure> {
    let checkpoint = program::open(&flags.model)?;
    if !flags.random {
        return Ok(checkpoint);
    }
    Ok(Checkpoint::create(checkpoint.config().clone(), flags.seed)?)
}

fn config(flags: &Flags) -> TrainConfig {
    let mut config = TrainConfig {
        seed: flags.seed,
        epochs: flags.epochs,
        ..TrainConfig::default()
    };
    config.batch.rows = flags.rows;
    config.batch.length = flags.length;
    config.schedule.warmup = 0.1;
    let peak = if flags.lora_rank.is_some() {
        3e-3
    } else {
        1e-4
    };
    config.schedule.peak = flags.learning_rate.unwrap_or(peak);
    config
}
