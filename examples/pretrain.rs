//! Pretrains a small LLaMA from random weights on plain text, its tokenizer included.
//!
//!     cargo run --release --example pretrain -- --data corpus.jsonl --validation held-out.jsonl --output base

use std::path::PathBuf;

use clap::Parser;
use finetune::data::load::{Loaders, OnError};
use finetune::data::mapping::{Mapping, TextMapping};
use finetune::data::template::Plain;
use finetune::data::tokenizer::TokenizerPlan;
use finetune::prelude::*;
use finetune::train::batch::{CausalBatches, Specials};
use finetune::train::objective::NextToken;
use finetune::train::{BatchConfig, Decay, Schedule};
use serde_json::json;

/// Pretrain a small LLaMA from random weights on plain text.
#[derive(Parser)]
struct Flags {
    /// Files of text, or JSON lines with a field `text`.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// Held-out files.
    #[arg(long, required = true, num_args = 1..)]
    validation: Vec<PathBuf>,
    /// The folder of the new checkpoint; it must not exist.
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
    #[arg(long, default_value_t = 2e-3)]
    learning_rate: f64,
    /// Fixes weights, order and tokenizer.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
}

/// A turn is `<|user|>`, a line break, the text, `<|end|>` and a line break; what the assistant says is learned.
const CHAT: &str = "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' }}\
{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}{{ '\n' }}\
{% else %}{{ message['content'] + '<|end|>\n' }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse();
    let read = |paths: &[PathBuf]| {
        let mapping = TextMapping::default();
        Loaders::default().collect(paths, &OnError::Stop, |document| mapping.example(document))
    };
    let (texts, counts) = read(&flags.data)?;
    println!("training data: {counts}");
    let tokenizer = match &flags.tokenizer {
        Some(folder) => Tokenizer::open(folder)?,
        None => train_tokenizer(
            texts.iter().map(|text| text.text.as_str()),
            flags.vocabulary,
        )?,
    };
    let (eos, pad) = (tokenizer.eos(), tokenizer.pad().unwrap_or_default());
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": tokenizer.vocabulary(),
        "hidden_size": flags.width, "intermediate_size": (flags.width * 8 / 3).next_multiple_of(16),
        "num_hidden_layers": flags.layers, "num_attention_heads": flags.heads, "num_key_value_heads": flags.heads.div_ceil(2),
        "max_position_embeddings": 1024, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true,
        "hidden_act": "silu", "initializer_range": 0.02, "attention_bias": false, "mlp_bias": false,
        "bos_token_id": tokenizer.bos(), "eos_token_id": eos, "pad_token_id": pad, "dtype": "bfloat16",
    });
    let checkpoint = Checkpoint::create(config, flags.seed)?;
    let encoder = Encoder::new(tokenizer, Box::new(Plain::default())).length(flags.length);
    let (rows, report) = encoder.text(&texts)?;
    println!("{report}");
    drop(texts);
    let held_out = encoder.text(&read(&flags.validation)?.0)?.0;

    let batch = BatchConfig {
        rows: flags.rows,
        length: flags.length,
        pack: true,
        ..BatchConfig::default()
    };
    let mut settings = TrainConfig {
        seed: flags.seed,
        epochs: 1.0,
        steps: flags.steps,
        batch,
        ..TrainConfig::default()
    };
    settings.schedule = Schedule {
        peak: flags.learning_rate,
        warmup: flags
            .steps
            .map_or(100.0, |steps| (steps as f64 / 20.0).min(100.0)),
        decay: Decay::Cosine,
        floor: 0.1,
    };
    settings.optimizer.weight_decay = 0.1;
    settings.optimizer.beta2 = 0.95;
    settings.validation.every = Some(500);
    settings.checkpoint.every = Some(250);
    let device = device(flags.device.as_deref())?.autodiff();
    let specials = Specials {
        pad,
        bos: encoder.tokenizer().bos(),
        stop: eos.into_iter().collect(),
    };
    let train = CausalBatches::new(
        rows,
        &settings.batch,
        settings.seed,
        specials.clone(),
        &device,
    )?;
    let validation = CausalBatches::validation(held_out, &settings.batch, specials, &device)?;
    let mut trainer = Trainer::new(settings)
        .folder(&flags.run)
        .observe(Progress::new())
        .observe(JsonLines::new(flags.run.join("metrics.jsonl")))
        .stop_on_signal()?;
    if flags.resume {
        trainer = trainer.resume();
    }
    let trained = trainer.fit(
        checkpoint.causal_lm(&device)?,
        &NextToken,
        &train,
        Some(&validation),
    )?;
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

fn train_tokenizer<'t>(
    texts: impl Iterator<Item = &'t str> + Send,
    vocabulary: usize,
) -> finetune::data::Result<Tokenizer> {
    let plan = TokenizerPlan {
        vocabulary,
        bos: None,
        eos: "<|endoftext|>".to_owned(),
        pad: Some("<|pad|>".to_owned()),
        specials: ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
            .map(str::to_owned)
            .to_vec(),
        add_bos: false,
        chat_template: Some(CHAT.to_owned()),
        ..TokenizerPlan::default()
    };
    Tokenizer::train(texts, &plan)
}
