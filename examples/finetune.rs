//! Fine-tunes a causal language model on conversations or prompt–completion pairs, fully or with LoRA.
//!
//!     cargo run --release --example finetune -- --model examples/assets/base --data pairs.jsonl --lora-rank 8 --output out

use std::path::{Path, PathBuf};

use clap::Parser;
use finetune::data::mapping::ChatMapping;
use finetune::data::mapping::CompletionMapping;
use finetune::data::{Part, Split};
use finetune::prelude::*;
use finetune::train::batch::{CausalBatches, Specials};
use finetune::train::objective::NextToken;
use serde::Deserialize;

/// Fine-tune a causal language model, fully or with LoRA. A flag wins over the same line of `--config`.
#[derive(Parser)]
struct Flags {
    /// A TOML file with any of: model, data, map, template, output, length, validation, lora, train.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The base, a Hugging Face folder.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Files of conversations or pairs.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// The names of the fields: `prompt=question,completion=answer`; detected without it.
    #[arg(long)]
    map: Option<String>,
    /// chat (the model's own), plain, alpaca or question-answer.
    #[arg(long)]
    template: Option<String>,
    /// The folder of the result: a whole checkpoint, or an adapter with LoRA. It must not exist.
    #[arg(long)]
    output: Option<PathBuf>,
    /// The most tokens of a row; a longer one is refused.
    #[arg(long)]
    length: Option<usize>,
    /// The rank of a LoRA adapter; without it all weights are trained.
    #[arg(long)]
    lora_rank: Option<usize>,
    /// Epochs.
    #[arg(long)]
    epochs: Option<f64>,
    /// Rows of a micro-batch.
    #[arg(long)]
    rows: Option<usize>,
    /// The peak of the learning rate.
    #[arg(long)]
    learning_rate: Option<f64>,
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

/// A whole run as a file.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    model: Option<PathBuf>,
    data: Vec<PathBuf>,
    map: Option<String>,
    template: Option<String>,
    output: Option<PathBuf>,
    length: Option<usize>,
    validation: Option<f64>,
    lora: Option<LoraConfig>,
    train: TrainConfig,
}

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let flags = Flags::parse();
    let settings = settings(&flags)?;
    let folder = settings
        .model
        .as_deref()
        .ok_or("no model: give --model FOLDER, or a line `model` in --config")?;
    let output = settings
        .output
        .as_deref()
        .ok_or("no output: give --output FOLDER, or a line `output` in --config")?;
    if output.exists() {
        return Err(format!(
            "{}: exists already; choose another --output",
            output.display()
        )
        .into());
    }
    let device = device(flags.device.as_deref())?.autodiff();
    let checkpoint = Checkpoint::open(folder)?;
    let tokenizer = Tokenizer::open(folder)?;
    let template =
        Templates::default().get(settings.template.as_deref().unwrap_or("chat"), &tokenizer)?;
    let encoder = Encoder::new(tokenizer, template).length(settings.train.batch.length);
    let (train, validation) = rows(&settings, &encoder)?;
    let specials = Specials {
        pad: encoder.tokenizer().pad().unwrap_or_default(),
        bos: encoder.tokenizer().bos(),
        stop: encoder.stops(),
    };
    let held_out = if validation.is_empty() {
        None
    } else {
        Some(CausalBatches::validation(
            validation,
            &settings.train.batch,
            specials.clone(),
            &device,
        )?)
    };
    let batches = CausalBatches::new(
        train,
        &settings.train.batch,
        settings.train.seed,
        specials,
        &device,
    )?;

    let mut model = checkpoint.causal_lm(&device)?;
    if let Some(config) = &settings.lora {
        model = lora::attach(model, checkpoint.architecture(), config)?;
    }
    let mut trainer = Trainer::new(settings.train.clone())
        .folder(&flags.run)
        .observe(Progress::new())
        .observe(JsonLines::new(flags.run.join("metrics.jsonl")))
        .stop_on_signal()?;
    if flags.resume {
        trainer = trainer.resume();
    }
    let trained = trainer.fit(model, &NextToken, &batches, held_out.as_ref())?;
    if trained.outcome() == finetune::train::Outcome::Interrupted {
        println!(
            "interrupted after step {}; go on with --resume",
            trained.summary.step
        );
        return Ok(());
    }
    save(
        &trained.model,
        &checkpoint,
        folder,
        output,
        settings.lora.is_some(),
    )?;
    println!(
        "{:?} after {} steps; wrote {}",
        trained.outcome(),
        trained.summary.step,
        output.display()
    );
    Ok(())
}

fn save(
    model: &CausalLm,
    checkpoint: &Checkpoint,
    base: &Path,
    output: &Path,
    adapter: bool,
) -> Result<(), Failure> {
    if adapter {
        lora::save(
            model,
            checkpoint.architecture(),
            &base.display().to_string(),
            output,
        )?;
    } else {
        checkpoint.save(model, output)?;
    }
    Ok(())
}

/// Encoded rows, split by a hash of what is asked.
fn rows(settings: &Settings, encoder: &Encoder) -> Result<(Vec<Row>, Vec<Row>), Failure> {
    let loaders = Loaders::default();
    let read = |mapping: &(
                     dyn Fn(finetune::data::Document) -> finetune::data::Result<Conversation> + Sync
                 )| loaders.collect(&settings.data, &OnError::Stop, mapping);
    let (conversations, counts) = match &settings.map {
        None => read(&|document| AnyChat::default().example(document))?,
        Some(names) if names.contains("prompt=") => {
            let mapping: CompletionMapping = names.parse()?;
            read(&|document| mapping.example(document))?
        }
        Some(names) => {
            let mapping: ChatMapping = names.parse()?;
            read(&|document| mapping.example(document))?
        }
    };
    println!("{counts}");
    let split = Split {
        validation: settings.validation.unwrap_or(0.05),
        test: 0.0,
        seed: 0,
    };
    split.check()?;
    let (held_out, train): (Vec<_>, Vec<_>) = conversations
        .into_iter()
        .partition(|chat| split.part(&chat.question()) == Part::Validation);
    let (rows, report) = encoder.encode_all(&train)?;
    println!("{report}");
    let held_out = if held_out.is_empty() {
        Vec::new()
    } else {
        encoder.encode_all(&held_out)?.0
    };
    Ok((rows, held_out))
}

/// The file's settings, with the flags over them.
fn settings(flags: &Flags) -> Result<Settings, Failure> {
    let mut settings = match &flags.config {
        None => Settings::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    settings.model = flags.model.clone().or(settings.model);
    settings.output = flags.output.clone().or(settings.output);
    settings.map = flags.map.clone().or(settings.map);
    settings.template = flags.template.clone().or(settings.template);
    if !flags.data.is_empty() {
        settings.data.clone_from(&flags.data);
    }
    if settings.data.is_empty() {
        return Err("no data: give --data FILE…, or a line `data` in --config".into());
    }
    if let Some(rank) = flags.lora_rank {
        let lora = settings.lora.take().unwrap_or_default();
        settings.lora = Some(LoraConfig {
            rank,
            alpha: 2.0 * rank as f64,
            ..lora
        });
    }
    let train = &mut settings.train;
    train.batch.length = flags
        .length
        .or(settings.length)
        .unwrap_or(train.batch.length);
    train.batch.rows = flags.rows.unwrap_or(train.batch.rows);
    train.epochs = flags.epochs.unwrap_or(train.epochs);
    train.schedule.peak = flags.learning_rate.unwrap_or(train.schedule.peak);
    Ok(settings)
}
