//! One whole run: facts become questions, a small base model is asked, fine-tuned, asked again, and compared.
//!
//!     cargo run --release --example quickstart

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use finetune::data::Document;
use finetune::data::generate::{Facts, Widening, write_pairs};
use finetune::data::{Part, Split};
use finetune::eval::analysis::{Analysis, Classes, Flow, Vocabulary};
use finetune::eval::local::Local;
use finetune::eval::report::Training;
use finetune::eval::task::{Prompting, QuestionAnswering, TextForm};
use finetune::eval::{Report, Run, Task, evaluate};
use finetune::prelude::*;
use finetune::train::batch::{CausalBatches, Specials};
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
    #[arg(long, default_value_t = 8.0)]
    epochs: f64,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
}

type Failure = Box<dyn std::error::Error>;

/// Solved questions in the few-shot prompt.
const SHOTS: usize = 4;
/// The most tokens of an answer; the longest reference has about sixty.
const ANSWER: usize = 80;

fn main() -> Result<(), Failure> {
    let flags = Flags::parse();
    let started = Instant::now();
    if flags.output.exists() {
        fs::remove_dir_all(&flags.output)?;
    }
    fs::create_dir_all(&flags.output)?;
    let device = device(flags.device.as_deref())?;

    // Data: hand-written facts, widened into pairs; some wordings of every question are held out.
    let (train, test) = pairs(&flags.output)?;
    println!(
        "data: {} training questions, {} held-out wordings",
        train.len(),
        test.len()
    );

    // Before: the base model with a bare prompt, and with solved examples.
    let base = Local::open(&flags.model, "chat", &device)?;
    let shots = train
        .iter()
        .step_by(train.len() / SHOTS)
        .take(SHOTS)
        .map(|document| AnyChat::default().example(document.clone()));
    let shots = shots.collect::<Result<Vec<_>, _>>()?;
    let bare = ask("base, bare prompt", &base, Prompting::bare(), &test)?;
    let few = ask(
        "base, few-shot prompt",
        &base,
        Prompting::Text(few_shot(shots)),
        &test,
    )?;
    println!(
        "base model asked after {:.0} s",
        started.elapsed().as_secs_f64()
    );

    // Fine-tuning.
    let config = config(flags.epochs);
    let (model, rows) = tune(&flags, &config, &train)?;
    println!("fine-tuned after {:.0} s", started.elapsed().as_secs_f64());

    // After.
    let tokenizer = Tokenizer::open(&model)?;
    let template = Templates::default().get("chat", &tokenizer)?;
    let tuned = Local::new(
        Checkpoint::open(&model)?.causal_lm(&device)?,
        Encoder::new(tokenizer, template),
    );
    let tuned = ask("fine-tuned", &tuned, Prompting::template(), &test)?;

    let texts = train
        .iter()
        .flat_map(|document| document.fields.values().filter_map(|value| value.as_str()));
    let classes = Classes::standard(Vocabulary::of_texts(texts).with_common_english());
    let analyze = |run: &Run| classes.analyze(&run.model, &run.outcomes);
    let analyses = [analyze(&bare)?, analyze(&few)?, analyze(&tuned)?];
    let mut report = report(&[&bare, &few, &tuned], &analyses)?
        .training(Training::read(flags.output.join("run/metrics.jsonl"))?)
        .count("training pairs", train.len(), "8 wordings of each of 130 facts")
        .count("held-out questions", test.len(), "2 further wordings of each fact, never seen in training")
        .count("training rows", rows.0, "after the validation split")
        .count("learned tokens per epoch", rows.1, "answers and their end tokens")
        .section("training", settings(&config))
        .reproduce("cargo run --release --example quickstart")
        .note("The test asks in new words for facts that were trained. It measures recall across wordings, not knowledge of anything else.")
        .note("The base model is tiny (4 million weights) and was pretrained on a few million tokens; it knows next to nothing.");
    report = report
        .subtitle("A small base model, fine-tuned on questions about fine-tuning and this library");
    let report = report.summarise();
    println!("\n{report}");
    report.write(flags.output.join("report.html"))?;
    report.write(flags.output.join("report.json"))?;
    println!(
        "{:.0} s in all; the report is {}",
        started.elapsed().as_secs_f64(),
        flags.output.join("report.html").display()
    );
    println!(
        "ask it yourself: cargo run --release --example generate -- --model {}",
        model.display()
    );
    Ok(())
}

/// Training and held-out questions, as files that the report's origins point to, and as documents.
fn pairs(output: &Path) -> Result<(Vec<Document>, Vec<Document>), Failure> {
    let assets = Path::new("examples/assets");
    let facts = Facts::open(
        &assets.join("facts.jsonl"),
        Some(&assets.join("phrasings.json")),
    )?;
    let (test, train): (Vec<_>, Vec<_>) = facts
        .widen(&Widening::default())?
        .into_iter()
        .partition(|pair| pair.held_out);
    let load = |name: &str, pairs: &[_]| {
        let path = output.join(name);
        write_pairs(&path, pairs)?;
        Ok::<_, Failure>(Loaders::default().load_all(&[path], &OnError::Stop)?.0)
    };
    Ok((load("train.jsonl", &train)?, load("test.jsonl", &test)?))
}

fn task(prompting: Prompting) -> QuestionAnswering {
    QuestionAnswering::new("held-out questions", AnyChat::default())
        .prompting(prompting)
        .max_tokens(ANSWER)
}

/// Solved questions before the question. The base likes to begin an answer on a new line, so only the next question
/// ends it.
fn few_shot(shots: Vec<Conversation>) -> TextForm {
    TextForm {
        shots,
        stop: vec!["Question:".to_owned()],
        ..TextForm::question_answer()
    }
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
) -> Result<(PathBuf, (usize, usize)), Failure> {
    let device = device(flags.device.as_deref())?.autodiff();
    let checkpoint = Checkpoint::open(&flags.model)?;
    let tokenizer = Tokenizer::open(&flags.model)?;
    let template = Templates::default().get("chat", &tokenizer)?;
    let encoder = Encoder::new(tokenizer, template).length(config.batch.length);
    let chats = train
        .iter()
        .map(|document| AnyChat::default().example(document.clone()))
        .collect::<Result<Vec<_>, _>>()?;
    let split = Split {
        validation: 0.05,
        test: 0.0,
        seed: 0,
    };
    let (validation, train): (Vec<_>, Vec<_>) = chats
        .into_iter()
        .partition(|chat| split.part(&chat.question()) == Part::Validation);
    let (rows, encoded) = encoder.encode_all(&train)?;
    println!("{encoded}");
    let specials = Specials {
        pad: encoder.tokenizer().pad().unwrap_or_default(),
        bos: encoder.tokenizer().bos(),
        stop: encoder.stops(),
    };
    let held_out = CausalBatches::validation(
        encoder.encode_all(&validation)?.0,
        &config.batch,
        specials.clone(),
        &device,
    )?;
    let batches = CausalBatches::new(rows, &config.batch, config.seed, specials, &device)?;
    let size = (batches.rows().len(), batches.targets());
    let run = flags.output.join("run");
    let trained = Trainer::new(config.clone())
        .folder(&run)
        .observe(Progress::new())
        .observe(JsonLines::new(run.join("metrics.jsonl")))
        .stop_on_signal()?
        .fit(
            checkpoint.causal_lm(&device)?,
            &NextToken,
            &batches,
            Some(&held_out),
        )?;
    let folder = flags.output.join("model");
    checkpoint.save(&trained.model, &folder)?;
    Ok((folder, size))
}

fn report(runs: &[&Run], analyses: &[Analysis; 3]) -> Result<Report, Failure> {
    let [bare, few, tuned] = analyses;
    let flow = Flow::between(few, tuned)?;
    let fixed: Vec<usize> = flow.fixed_items().into_iter().step_by(17).take(5).collect();
    Ok(Report::new("Quickstart: what fine-tuning changed")
        .model(
            "base, bare prompt",
            "the base model, given the question alone",
        )
        .model(
            "base, few-shot prompt",
            "the base model, after four solved examples",
        )
        .model("fine-tuned", "the same model after training on the pairs")
        .compare(runs, &task(Prompting::bare()).metrics())?
        .errors(&[bare, few, tuned])
        .flow(flow)
        .examples(
            "Fixed by fine-tuning",
            "Wrong before, right after: every seventeenth of them.",
            &[few, tuned],
            &fixed,
        )
        .examples(
            "The worst answers of the fine-tuned model",
            "Those least like their references.",
            &[few, tuned],
            &tuned.worst(5),
        ))
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
