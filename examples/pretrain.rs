//! Pretrains a small LLaMA from random weights on plain text, its tokenizer included.
//!
//!     cargo run --release --example pretrain -- --data corpus.jsonl --validation held-out.jsonl --output base

use std::path::PathBuf;

use clap::Parser;
use finetune::data::PlainText;
use finetune::data::mapping::TextMapping;
use finetune::data::template::Plain;
use finetune::data::tokenizer::TokenizerPlan;
use finetune::prelude::*;
use finetune::train::batch::CausalBatches;
use finetune::train::objective::NextToken;
use finetune::train::{BatchConfig, Decay, Schedule};
use serde_json::{Value, json};

/// Pretrain a small LLaMA from random weights on plain text.
#[derive(Parser)]
struct Flags {
    /// Files of text, or JSON lines with a field `text`.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Held-out files.
    #[arg(long, required = true, num_args = 1..)]
    validation: Vec<PathBuf>,
    /// The folder of the new checkpoint; it must not hold anything yet.
    #[arg(long)]
    output: PathBuf,
    /// The folder of the run, with its checkpoints and metrics.
    #[arg(long, default_value = "runs/pretrain")]
    run: PathBuf,
    /// A tokenizer's folder; without it one is trained on the data.
    #[arg(long)]
    tokenizer: Option<PathBuf>,
    /// Go on with the run that the folder holds.
    #[arg(long)]
    resume: bool,
    /// Tokens of the vocabulary.
    #[arg(long, default_value_t = 4096)]
    vocabulary: usize,
    /// Features of the hidden state.
    #[arg(long, default_value_t = 256)]
    width: usize,
    /// Blocks.
    #[arg(long, default_value_t = 4)]
    layers: usize,
    /// Query heads; there are half as many key heads.
    #[arg(long, default_value_t = 4)]
    heads: usize,
    /// Tokens of a row.
    #[arg(long, default_value_t = 256)]
    length: usize,
    /// Rows of a step.
    #[arg(long, default_value_t = 16)]
    rows: usize,
    /// Optimizer steps; without it as many as one epoch has.
    #[arg(long)]
    steps: Option<u64>,
    /// The peak of the learning rate.
    #[arg(long, default_value_t = 2e-3, allow_negative_numbers = true)]
    learning_rate: f64,
    /// Fixes weights, order and tokenizer.
    #[arg(long, default_value_t = 1)]
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
    let texts = texts(&flags.data)?;
    let tokenizer = if let Some(folder) = &flags.tokenizer {
        Tokenizer::open(folder)?
    } else {
        let plan = TokenizerPlan::chat(flags.vocabulary);
        Tokenizer::train(texts.iter().map(|text| text.text.as_str()), &plan)?
    };
    let checkpoint = Checkpoint::create(llama(&flags, &tokenizer), flags.seed)?;
    let encoder = Encoder::new(tokenizer, Box::new(Plain::default())).length(flags.length);
    let (rows, report) = encoder.text(&texts)?;
    println!("{report}");
    drop(texts);
    let (held_out, _) = encoder.text(&self::texts(&flags.validation)?)?;

    let config = config(&flags);
    let train = CausalBatches::new(rows, &config.batch, config.seed, &encoder, &device)?;
    let held_out = CausalBatches::validation(held_out, &config.batch, &encoder, &device)?;
    let trained = Trainer::in_terminal(config, &flags.run)?
        .resume_if(flags.resume)
        .fit(
            checkpoint.causal_lm(&device)?,
            &NextToken,
            &train,
            Some(&held_out),
        )?
        .finished()?;
    checkpoint.save(&trained.model, &flags.output)?;
    encoder.tokenizer().save(&flags.output)?;
    println!(
        "{:?} after {} steps; wrote {}",
        trained.outcome(),
        trained.summary.step,
        flags.output.display()
    );
    Ok(())
}

fn texts(files: &[PathBuf]) -> Result<Vec<PlainText>, Failure> {
    let mapping = TextMapping::default();
    let (texts, counts) = program::loaders().examples(files, &OnError::Stop, &mapping)?;
    println!("{counts}");
    Ok(texts)
}

/// The new model's `config.json`.
fn llama(flags: &Flags, tokenizer: &Tokenizer) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": tokenizer.vocabulary(),
        "hidden_size": flags.width, "intermediate_size": (flags.width * 8 / 3).next_multiple_of(16),
        "num_hidden_layers": flags.layers, "num_attention_heads": flags.heads, "num_key_value_heads": flags.heads.div_ceil(2),
        "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true,
        "hidden_act": "silu", "initializer_range": 0.02, "attention_bias": false, "mlp_bias": false,
        "bos_token_id": tokenizer.bos(), "eos_token_id": tokenizer.eos(), "pad_token_id": tokenizer.pad().unwrap_or_default(),
        "dtype": "bfloat16",
    })
}

fn config(flags: &Flags) -> TrainConfig {
    let mut config = TrainConfig {
        seed: flags.seed,
        epochs: 1.0,
        steps: flags.steps,
        batch: BatchConfig {
            rows: flags.rows,
            length: flags.length,
            pack: true,
            ..BatchConfig::default()
        },
        schedule: Schedule {
            peak: flags.learning_rate,
            warmup: flags
                .steps
                .map_or(100.0, |steps| (steps as f64 / 20.0).min(100.0)),
            decay: Decay::Cosine,
            floor: 0.1,
        },
        ..TrainConfig::default()
    };
    config.optimizer.weight_decay = 0.1;
    config.optimizer.beta2 = 0.95;
    config.validation.every = Some(500);
    config.checkpoint.every = Some(250);
    config
}
