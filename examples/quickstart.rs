//! One whole run: facts become questions, a small base model is asked, fine-tuned, asked again, and compared.
//!
//!     cargo run --release --example quickstart

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use finetune::data::generate::{Facts, Pair, Widening, write_pairs};
use finetune::data::{Document, Split};
use finetune::eval::analysis::{Classes, Vocabulary};
use finetune::eval::local::Local;
use finetune::eval::report::Training;
use finetune::eval::task::{Prompting, QuestionAnswering, TextForm};
use finetune::eval::{Report, Run, Task, evaluate};
use finetune::prelude::*;
use finetune::train::batch::CausalBatches;
use finetune::train::objective::NextToken;
use finetune::train::{Decay, Schedule};

/// Fine-tune the small model of the repository on questions about fine-tuning, and report what that changed.
#[derive(Parser)]
struct Flags {
    /// Where data, model and report go; what an earlier run left there is replaced.
    #[arg(long, default_value = "runs/quickstart")]
    output: PathBuf,
    /// The base model.
    #[arg(long, default_value = "examples/assets/base")]
    model: PathBuf,
    /// Epochs of training.
    #[arg(long, default_value_t = 8.0, allow_negative_numbers = true)]
    epochs: f64,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
}

/// Solved questions in the few-shot prompt.
const SHOTS: usize = 4;
/// The most tokens of an answer; the longest reference has about sixty.
const ANSWER: usize = 80;

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    let started = Instant::now();
    let assets = Path::new("examples/assets");
    if !assets.is_dir() {
        return Err("examples/assets: not here; run this in the folder of the repository".into());
    }
    let device = device(flags.device.as_deref())?;
    sweep(&flags.output)?;

    // Data: hand-written facts, widened into pairs; some wordings of every question are held out.
    let facts = Facts::open(
        &assets.join("facts.jsonl"),
        Some(&assets.join("phrasings.json")),
    )?;
    let pairs = facts.widen(&Widening::default())?;
    let (test, train): (Vec<Pair>, _) = pairs.into_iter().partition(|pair| pair.held_out);
    let train = documents(&flags.output.join("train.jsonl"), &train)?;
    let test = documents(&flags.output.join("test.jsonl"), &test)?;
    println!(
        "data: {} training questions, {} held-out wordings",
        train.len(),
        test.len()
    );

    // Before: the base model with a bare prompt, and with solved examples.
    let base = Local::open(&flags.model, "chat", &device)?;
    let shots = train.iter().step_by(train.len() / SHOTS).take(SHOTS);
    let few_shot = TextForm {
        shots: AnyChat::default().examples(shots)?,
        // The base likes to begin an answer on a new line, so only the next question ends it.
        stop: vec!["Question:".to_owned()],
        ..TextForm::question_answer()
    };
    let bare = ask("base, bare prompt", &base, Prompting::bare(), &test)?;
    let few_shot = Prompting::Text(few_shot);
    let few = ask("base, few-shot prompt", &base, few_shot, &test)?;
    let seconds = || started.elapsed().as_secs_f64();
    println!("base model asked after {:.0} s", seconds());

    // Fine-tuning, and after.
    let config = config(flags.epochs);
    let (model, rows, learned) = tune(&flags, &config, &train, &device.clone().autodiff())?;
    println!("fine-tuned after {:.0} s", seconds());
    let tuned = Local::open(&model, "chat", &device)?;
    let tuned = ask("fine-tuned", &tuned, Prompting::template(), &test)?;

    let texts = train
        .iter()
        .flat_map(|document| document.fields.values().filter_map(|value| value.as_str()));
    let classes = Classes::standard(Vocabulary::of_texts(texts).with_common_english());
    let metrics = task(Prompting::bare()).metrics();
    let title = "Quickstart: what fine-tuning changed";
    let report = Report::of_runs(title, &[&bare, &few, &tuned], &metrics, &classes)?
        .subtitle("A small base model, fine-tuned on questions about fine-tuning and this library")
        .model("base, bare prompt", "the base model, given the question alone")
        .model("base, few-shot prompt", "the base model, after four solved examples")
        .model("fine-tuned", "the same model after training on the pairs")
        .training(Training::read(flags.output.join("run/metrics.jsonl"))?)
        .count("training pairs", train.len(), "8 wordings of each of 130 facts")
        .count("held-out questions", test.len(), "2 further wordings of each fact, never seen in training")
        .count("training rows", rows, "after the validation split")
        .count("learned tokens per epoch", learned, "answers and their end tokens")
        .section("training", settings(&config))
        .reproduce("cargo run --release --example quickstart")
        .note("The test asks in new words for facts that were trained. It measures recall across wordings, not knowledge of anything else.")
        .note("The base model is tiny (4 million weights) and was pretrained on 29 million tokens; it knows next to nothing.")
        .summarise();
    println!("\n{report}");
    let page = flags.output.join("report.html");
    report.write(&page)?;
    report.write(flags.output.join("report.json"))?;
    println!(
        "{:.0} s in all; the report is {}",
        seconds(),
        page.display()
    );
    println!(
        "ask it yourself: cargo run --release --example generate -- --model {}",
        model.display()
    );
    Ok(())
}

/// Removes what an earlier quickstart left; a folder of anything else is refused.
fn sweep(output: &Path) -> Result<(), Failure> {
    if output.join("train.jsonl").exists() && output.join("test.jsonl").exists() {
        fs::remove_dir_all(output)?;
    }
    program::vacant(output)?;
    Ok(fs::create_dir_all(output)?)
}

/// Pairs as a file, to which the report's origins point, and as documents.
fn documents(path: &Path, pairs: &[Pair]) -> Result<Vec<Document>, Failure> {
    write_pairs(path, pairs)?;
    Ok(Loaders::default().load_all(&[path], &OnError::Stop)?.0)
}

fn task(prompting: Prompting) -> QuestionAnswering {
    QuestionAnswering::new("held-out questions", AnyChat::default())
        .prompting(prompting)
        .max_tokens(ANSWER)
}

fn ask(name: &str, model: &Local, prompting: Prompting, test: &[Document]) -> Result<Run, Failure> {
    Ok(evaluate(name, model, &task(prompting), test)?)
}

fn config(epochs: f64) -> TrainConfig {
    let mut config = TrainConfig {
        epochs,
        ..TrainConfig::default()
    };
    config.batch.rows = 16;
    config.batch.length = 256;
    config.schedule = Schedule {
        peak: 2e-3,
        warmup: 20.0,
        decay: Decay::Cosine,
        ..Schedule::default()
    };
    config.optimizer.weight_decay = 0.01;
    config.validation.every = Some(100);
    config.validation.keep_best = false;
    config
}

/// Trains on the pairs and saves the model; returns its folder, and the rows and learned tokens of an epoch.
fn tune(
    flags: &Flags,
    config: &TrainConfig,
    train: &[Document],
    device: &Device,
) -> Result<(PathBuf, usize, usize), Failure> {
    let checkpoint = Checkpoint::open(&flags.model)?;
    let encoder = Encoder::open(&flags.model, "chat")?.length(config.batch.length);
    let chats = AnyChat::default().examples(train)?;
    let parts = Split::without_test(0.05).apply(chats, Conversation::question);
    let (rows, encoded) = encoder.encode_all(&parts.train)?;
    println!("{encoded}");
    let (held_out, _) = encoder.encode_all(&parts.validation)?;
    let held_out = CausalBatches::validation(held_out, &config.batch, &encoder, device)?;
    let rows = CausalBatches::new(rows, &config.batch, config.seed, &encoder, device)?;
    let trained = Trainer::in_terminal(config.clone(), flags.output.join("run"))?
        .fit(
            checkpoint.causal_lm(device)?,
            &NextToken,
            &rows,
            Some(&held_out),
        )?
        .finished()?;
    let folder = flags.output.join("model");
    checkpoint.save(&trained.model, &folder)?;
    Ok((folder, rows.rows().len(), rows.targets()))
}

/// The configuration as rows of the report.
fn settings(config: &TrainConfig) -> Vec<(&'static str, String)> {
    vec![
        ("epochs", config.epochs.to_string()),
        ("rows per step", config.batch.rows.to_string()),
        ("peak learning rate", config.schedule.peak.to_string()),
        ("schedule", "cosine after 20 steps of warmup".to_owned()),
        ("weight decay", config.optimizer.weight_decay.to_string()),
        ("seed", config.seed.to_string()),
    ]
}
