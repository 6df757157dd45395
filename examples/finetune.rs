//! Fine-tunes a language model, causal or with an encoder (T5), on conversations or prompt–completion pairs, fully or
//! with LoRA.
//!
//!     cargo run --release --example finetune -- --model examples/assets/base --data runs/quickstart/train.jsonl --lora-rank 8 --output adapter

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use finetune::data::Split;
use finetune::data::shard::{EXTENSION, Shards};
use finetune::data::split::Parts;
use finetune::data::template::Plain;
use finetune::model::{Network, Seq2Seq};
use finetune::prelude::*;
use finetune::train::Batch;
use finetune::train::batch::{AnswerBatches, CausalBatches, Rows};
use finetune::train::objective::NextToken;
use serde::Deserialize;

/// Fine-tune a language model, causal or with an encoder, fully or with LoRA. A flag wins over the same line of
/// `--config`.
#[derive(Parser)]
struct Flags {
    /// A TOML file with any of: model, data, map, template, output, truncation, validation, lora, train.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The base, a Hugging Face folder.
    #[arg(long, value_parser = program::model)]
    model: Option<PathBuf>,
    /// Files of conversations or pairs; or shards of tokens, as `prepare` writes them with the same model, template,
    /// length and truncation, which may be larger than memory.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// What to validate on: a share of the data, by a hash of what is asked (0.05 without it, 0 for none), or files of
    /// the same kind as the data.
    #[arg(long, num_args = 1..)]
    validation: Vec<PathBuf>,
    /// The names of the fields: `prompt=question,completion=answer`; detected without it, or with `auto`.
    #[arg(long)]
    map: Option<String>,
    /// chat (the model's own), plain, alpaca, question-answer or custom:PATTERN. An encoder reads the bare prompt
    /// without it.
    #[arg(long)]
    template: Option<String>,
    /// The folder of the result: a whole checkpoint, or an adapter with LoRA. It must not hold anything yet.
    #[arg(long)]
    output: Option<PathBuf>,
    /// The most tokens of a row.
    #[arg(long)]
    length: Option<usize>,
    /// What becomes of a longer row: refuse (an error), drop, `cut_left`, `cut_right` or `cut_prompt`.
    #[arg(long)]
    truncation: Option<Truncation>,
    /// The rank of a LoRA adapter; without it all weights are trained.
    #[arg(long)]
    lora_rank: Option<usize>,
    /// Epochs.
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<f64>,
    /// Rows of a micro-batch.
    #[arg(long)]
    rows: Option<usize>,
    /// The peak of the learning rate.
    #[arg(long, allow_negative_numbers = true)]
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
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    model: Option<PathBuf>,
    data: Vec<PathBuf>,
    map: Option<String>,
    template: Option<String>,
    output: Option<PathBuf>,
    truncation: Truncation,
    validation: Validation,
    lora: Option<LoraConfig>,
    train: TrainConfig,
}

/// What to validate on.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a share of the data, such as 0.05, or a list of files"
)]
enum Validation {
    /// A share of the data.
    Share(f64),
    /// Files beside the data.
    Files(Vec<PathBuf>),
}

impl Default for Validation {
    fn default() -> Self {
        Self::Share(0.05)
    }
}

impl From<&[PathBuf]> for Validation {
    /// A number alone is a share: a file of that name is `./0.1`.
    fn from(words: &[PathBuf]) -> Self {
        let share = match words {
            [word] => word.to_str().and_then(|word| word.parse().ok()),
            _ => None,
        };
        share.map_or_else(|| Self::Files(words.to_vec()), Self::Share)
    }
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    let settings = settings(&flags)?;
    let folder = given(settings.model.as_deref(), "model")?;
    let output = given(settings.output.as_deref(), "output")?;
    program::vacant(output)?;
    let device = device(flags.device.as_deref())?.autodiff();

    let checkpoint = program::open(folder)?;
    let answers = checkpoint.architecture().heads.causal.is_none();
    let encoder = match settings.template.as_deref() {
        None if answers => Encoder::new(Tokenizer::open(folder)?, Box::new(Plain::new(""))),
        name => Encoder::open(folder, name.unwrap_or("chat"))?,
    };
    let encoder = encoder
        .length(settings.train.batch.length)
        .truncation(settings.truncation);
    encoder
        .tokenizer()
        .fits_model(checkpoint.blueprint().embedding.vocabulary)?;
    if answers {
        let parts = conversations(&settings)?;
        let model = checkpoint.seq2seq(&device)?;
        let (batches, held_out) = answer_batches(&settings, &encoder, &parts, &model)?;
        train(
            &flags,
            &settings,
            &checkpoint,
            model,
            &batches,
            held_out.as_ref(),
        )
    } else {
        let model = checkpoint.causal_lm(&device)?;
        let shard = |path: &PathBuf| path.extension().is_some_and(|name| name == EXTENSION);
        let (batches, held_out) = if settings.data.iter().all(shard) {
            shard_batches(&settings, &encoder, &device)?
        } else {
            causal_batches(&settings, &encoder, &conversations(&settings)?, &device)?
        };
        train(
            &flags,
            &settings,
            &checkpoint,
            model,
            &batches,
            held_out.as_ref(),
        )
    }
}

/// Trains the model, or an adapter beside it, and writes what was trained.
fn train<M: Network + 'static, B: Batch, D: Batches<B>>(
    flags: &Flags,
    settings: &Settings,
    checkpoint: &Checkpoint,
    mut model: M,
    batches: &D,
    held_out: Option<&D>,
) -> Result<(), Failure>
where
    NextToken: Objective<M, B>,
{
    let (folder, output) = (
        given(settings.model.as_deref(), "model")?,
        given(settings.output.as_deref(), "output")?,
    );
    let architecture = checkpoint.architecture();
    if let Some(config) = &settings.lora {
        model = lora::attach(model, architecture, config)?;
    }
    let trained = Trainer::in_terminal(settings.train.clone(), &flags.run)?
        .resume_if(flags.resume)
        .fit(model, &NextToken, batches, held_out)?
        .finished()?;
    if settings.lora.is_some() {
        let base = folder.display().to_string();
        lora::save(&trained.model, architecture, &base, output)?;
    } else {
        checkpoint.save(&trained.model, output)?;
    }
    println!(
        "{:?} after {} steps; wrote {}",
        trained.outcome(),
        trained.summary.step,
        output.display()
    );
    Ok(())
}

/// The conversations to train on and to validate on: the data's, split by a hash of what is asked, or those of files of
/// their own.
fn conversations(settings: &Settings) -> Result<Parts<Conversation>, Failure> {
    let read = |files: &[PathBuf]| -> Result<Vec<Conversation>, Failure> {
        let mapping: AnyChat = program::mapping(files, settings.map.as_deref())?;
        let (chats, counts) = program::loaders().examples(files, &OnError::Stop, &mapping)?;
        println!("{counts}");
        Ok(chats)
    };
    match &settings.validation {
        Validation::Share(share) => {
            Ok(split(*share)?.apply(read(&settings.data)?, Conversation::question))
        }
        Validation::Files(files) => Ok(Parts {
            train: read(&settings.data)?,
            validation: read(files)?,
            test: Vec::new(),
        }),
    }
}

fn split(validation: f64) -> Result<Split, Failure> {
    let split = Split::without_test(validation);
    split.check()?;
    Ok(split)
}

/// Batches of shards to train and to validate on. The same encoder must have made all of them.
fn shard_batches(
    settings: &Settings,
    encoder: &Encoder,
    device: &Device,
) -> Result<(CausalBatches, Option<CausalBatches>), Failure> {
    let config = &settings.train;
    let shards = Arc::new(Shards::open(&settings.data, &encoder.fingerprint())?);
    let (train, held_out): (Rows, Rows) = match &settings.validation {
        Validation::Share(share) => {
            let parts = shards.split(&split(*share)?);
            let train = (Arc::clone(&shards), parts.train);
            (train.into(), (shards, parts.validation).into())
        }
        Validation::Files(files) => {
            let held_out = Shards::open(files, &encoder.fingerprint())?;
            (shards.into(), held_out.into())
        }
    };
    println!(
        "{} rows to train on, {} to validate",
        train.len(),
        held_out.len()
    );
    let train = CausalBatches::new(train, &config.batch, config.seed, encoder, device)?;
    if held_out.is_empty() {
        return Ok((train, None));
    }
    let held_out = CausalBatches::validation(held_out, &config.batch, encoder, device)?;
    Ok((train, Some(held_out)))
}

/// Batches to train and, if a conversation fell to it, to validate on.
fn causal_batches(
    settings: &Settings,
    encoder: &Encoder,
    parts: &Parts<Conversation>,
    device: &Device,
) -> Result<(CausalBatches, Option<CausalBatches>), Failure> {
    let config = &settings.train;
    let (rows, report) = encoder.encode_all(&parts.train)?;
    println!("{report}");
    let train = CausalBatches::new(rows, &config.batch, config.seed, encoder, device)?;
    if parts.validation.is_empty() {
        return Ok((train, None));
    }
    let (rows, _) = encoder.encode_all(&parts.validation)?;
    let held_out = CausalBatches::validation(rows, &config.batch, encoder, device)?;
    Ok((train, Some(held_out)))
}

/// The same for a model with an encoder.
fn answer_batches(
    settings: &Settings,
    encoder: &Encoder,
    parts: &Parts<Conversation>,
    model: &Seq2Seq,
) -> Result<(AnswerBatches, Option<AnswerBatches>), Failure> {
    let (config, device) = (&settings.train, model.device());
    let start = model
        .start()
        .ok_or("neither config.json nor generation_config.json names a decoder_start_token_id")?;
    let (rows, report) = encoder.answered_all(&parts.train)?;
    println!("{report}");
    let train = AnswerBatches::new(rows, start, &config.batch, config.seed, encoder, &device)?;
    if parts.validation.is_empty() {
        return Ok((train, None));
    }
    let (rows, _) = encoder.answered_all(&parts.validation)?;
    let held_out = AnswerBatches::validation(rows, start, &config.batch, encoder, &device)?;
    Ok((train, Some(held_out)))
}

/// The file's settings, with the flags over them.
fn settings(flags: &Flags) -> Result<Settings, Failure> {
    let mut settings = match &flags.config {
        None => Settings::default(),
        Some(path) => std::fs::read_to_string(path)
            .map_err(Failure::from)
            .and_then(|text| Ok(toml::from_str(&text)?))
            .map_err(|error| format!("{}: {error}", path.display()))?,
    };
    settings.model = flags.model.clone().or(settings.model);
    settings.output = flags.output.clone().or(settings.output);
    settings.map = flags.map.clone().or(settings.map);
    settings.truncation = flags.truncation.unwrap_or(settings.truncation);
    settings.template = flags.template.clone().or(settings.template);
    if !flags.data.is_empty() {
        settings.data.clone_from(&flags.data);
    }
    if !flags.validation.is_empty() {
        settings.validation = flags.validation.as_slice().into();
    }
    if settings.data.is_empty() {
        return Err("no data: give --data FILE…, or a line `data` in --config".into());
    }
    if let Some(rank) = flags.lora_rank {
        let alpha = 2.0 * rank as f64;
        let lora = settings.lora.unwrap_or_default();
        settings.lora = Some(LoraConfig {
            rank,
            alpha,
            ..lora
        });
    }
    let train = &mut settings.train;
    train.batch.length = flags.length.unwrap_or(train.batch.length);
    train.batch.rows = flags.rows.unwrap_or(train.batch.rows);
    train.epochs = flags.epochs.unwrap_or(train.epochs);
    train.schedule.peak = flags.learning_rate.unwrap_or(train.schedule.peak);
    Ok(settings)
}

fn given<'a>(folder: Option<&'a Path>, name: &str) -> Result<&'a Path, Failure> {
    folder.ok_or_else(|| {
        format!("no {name}: give --{name} FOLDER, or a line `{name}` in --config").into()
    })
}
