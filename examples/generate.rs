//! Continues a prompt, or chats when none is given.
//!
//!     cargo run --release --example generate -- --model runs/quickstart/model --prompt "What is LoRA?"

use std::io::{BufRead, Write, stdin, stdout};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Parser;
use finetune::data::Value;
use finetune::eval::local::Local;
use finetune::eval::{EvalError, Prompt};
use finetune::model::generate::Length;
use finetune::prelude::*;

/// Continue a prompt, or chat when none is given.
#[derive(Parser)]
struct Flags {
    /// A Hugging Face folder.
    #[arg(long, value_parser = program::model, default_value = "examples/assets/base")]
    model: PathBuf,
    /// A folder with an adapter in PEFT's layout.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// What to answer; without it every line that is typed is a turn.
    #[arg(long)]
    prompt: Option<String>,
    /// chat (the model's own), plain, alpaca, question-answer or custom:PATTERN.
    #[arg(long, default_value = "chat")]
    template: String,
    /// The most new tokens; by default as many as the model's own settings say, else 128.
    #[arg(long)]
    tokens: Option<usize>,
    /// 0 takes the likeliest token; by default what the model's own settings say.
    #[arg(long, allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Replaces one of the model's own settings of generation; may be given several times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = program::field)]
    set: Vec<(String, Value)>,
    /// End the answer before this text; may be given several times.
    #[arg(long)]
    stop: Vec<String>,
    /// Fixes what is drawn.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let mut flags = Flags::parse();
    let device = device(flags.device.as_deref())?;
    let (folder, adapter) = (&flags.model, flags.adapter.as_deref());
    let checkpoint = program::open(folder)?;
    let mut settings = checkpoint.generation_with(flags.set.clone())?;
    if let Some(temperature) = flags.temperature {
        settings.draw = temperature != 0.0;
        settings.drawn.temperature = temperature;
    }
    settings.drawn.seed = flags.seed;
    settings.notes.iter().for_each(|note| eprintln!("{note}"));
    let local = Local::of(&checkpoint, adapter, &flags.template, &device)?;
    flags.tokens = flags.tokens.or(settings.length.map(Length::tokens));
    let local = local.settings(settings);
    if let Some(prompt) = &flags.prompt {
        answer(&flags, &local, &mut vec![Turn::new(Role::User, prompt)])?;
        return Ok(());
    }
    eprintln!("Type a line; an empty one ends.");
    let mut turns = Vec::new();
    for line in stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            break;
        }
        turns.push(Turn::new(Role::User, line));
        let text = answer(&flags, &local, &mut turns)?;
        turns.push(Turn::new(Role::Assistant, text));
    }
    Ok(())
}

/// Prints an answer while it is made. A conversation that has become too long for the model loses its oldest exchange.
fn answer(flags: &Flags, local: &Local, turns: &mut Vec<Turn>) -> Result<String, Failure> {
    let mut show = |piece: &str| {
        print!("{piece}");
        match stdout().flush() {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let tokens = flags.tokens.unwrap_or(128);
    loop {
        let prompt = Prompt {
            stop: flags.stop.clone(),
            ..Prompt::new(Conversation::new(turns.clone()), tokens)
        };
        match local.stream(&prompt, &mut show) {
            Err(EvalError::TooLong { .. }) if turns.len() > 2 => turns.drain(..2),
            answer => {
                let text = answer?.text;
                println!();
                return Ok(text);
            }
        };
    }
}
