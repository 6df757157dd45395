//! What a checkpoint computes from given inputs, for comparison with another implementation.
//!
//!     cargo run --release --example parity -- --checkpoint FOLDER --inputs in.safetensors --output out.safetensors --gradients
//!
//! The inputs hold `input_ids`, `attention_mask`, `labels` (-100 where nothing is learned; floats for numbers and for
//! several classes at once) and, where the model takes them, `token_type_ids`, `decoder_input_ids` (without them, the
//! labels behind the start token), `decoder_attention_mask`, `perm_mask` and `target_mapping`.
//!
//! The output holds `logits`, `loss` (the mean that transformers reports), `grad.<name>` for every tensor of the
//! checkpoint, `curve` (the loss before each of N AdamW steps) and `greedy` (N tokens after the first row). `--save`
//! writes the model after these steps, so that others can open it.

mod curve;
mod file;
mod given;
mod heads;
mod measure;
mod problem;

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use finetune::model::Head;
use finetune::prelude::*;

use file::{Output, write};
use given::Given;
use heads::Case;

/// Compute logits, loss, gradients, a training curve and greedy tokens from given inputs.
#[derive(Parser)]
pub(crate) struct Flags {
    /// A Hugging Face folder.
    #[arg(long)]
    pub checkpoint: PathBuf,
    /// A folder in PEFT's layout; its adapter is attached.
    #[arg(long)]
    pub adapter: Option<PathBuf>,
    /// A new adapter, as JSON of `LoraConfig`: `{"rank": 3, "targets": "all-linear", "rslora": true}`.
    #[arg(long, conflicts_with = "adapter")]
    pub lora: Option<String>,
    /// A safetensors file.
    #[arg(long)]
    pub inputs: PathBuf,
    /// A safetensors file to write.
    #[arg(long)]
    pub output: PathBuf,
    /// The head: causal, classifier, token-classifier, masked, discriminator, seq2seq, or trunk for hidden states and
    /// their normalised means; without it the one of `config.json`.
    #[arg(long)]
    pub head: Option<String>,
    /// Write the gradient of every tensor.
    #[arg(long)]
    pub gradients: bool,
    /// AdamW steps on this batch; betas 0.9 and 0.999, eps 1e-8.
    #[arg(long)]
    pub steps: Option<u64>,
    /// The learning rate of these steps.
    #[arg(long, default_value_t = 3e-3)]
    pub learning_rate: f64,
    /// Decay of tensors of rank 2 and more.
    #[arg(long, default_value_t = 0.01)]
    pub weight_decay: f64,
    /// The largest global norm of the gradient; 0 for none.
    #[arg(long, default_value_t = 1.0)]
    pub clip: f64,
    /// A folder to write: the model after the steps, or its adapter alone where it has one.
    #[arg(long, requires = "steps")]
    pub save: Option<PathBuf>,
    /// Tokens to continue the first row with.
    #[arg(long)]
    pub greedy: Option<usize>,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    pub device: Option<String>,
}

#[allow(dead_code)] // Tests take the rest of this program.
fn main() -> Result<(), Box<dyn Error>> {
    let flags = Flags::parse();
    write(&flags.output, &run(&flags)?)
}

/// Everything that the flags ask for.
pub(crate) fn run(flags: &Flags) -> Result<Output, Box<dyn Error>> {
    let device = device(flags.device.as_deref())?.autodiff();
    let checkpoint = Checkpoint::open(&flags.checkpoint)?;
    let given = Given::read(&flags.inputs, &device)?;
    let head = match flags.head.as_deref() {
        None => checkpoint
            .head()
            .ok_or("config.json names no head that is known; give --head")?,
        Some(name) => named(name)?,
    };
    let case = Case {
        flags,
        checkpoint: &checkpoint,
        given: &given,
        device: &device,
    };
    case.head(head)
}

fn named(head: &str) -> Result<Head, Box<dyn Error>> {
    let heads = [
        Head::Causal,
        Head::Classifier,
        Head::TokenClassifier,
        Head::Masked,
        Head::Discriminator,
        Head::Seq2Seq,
        Head::Trunk,
    ];
    let found = heads.into_iter().find(|known| known.to_string() == head);
    found.ok_or_else(|| {
        let known = heads.map(|head| head.to_string()).join(", ");
        format!("--head {head}: expected one of {known}").into()
    })
}
