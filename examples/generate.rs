//! Continues a prompt, or chats when none is given.
//!
//!     cargo run --release --example generate -- --model runs/quickstart/model --prompt "What is LoRA?"

use std::io::{BufRead, Write, stdin, stdout};
use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Parser;
use finetune::prelude::*;

/// Continue a prompt, or chat when none is given.
#[derive(Parser)]
struct Flags {
    /// A Hugging Face folder.
    #[arg(long, default_value = "examples/assets/base")]
    model: PathBuf,
    /// A folder with an adapter in PEFT's layout.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// What to answer; without it every line that is typed is a turn.
    #[arg(long)]
    prompt: Option<String>,
    /// chat (the model's own), plain, alpaca or question-answer.
    #[arg(long, default_value = "chat")]
    template: String,
    /// The most new tokens.
    #[arg(long, default_value_t = 128)]
    tokens: usize,
    /// 0 takes the likeliest token.
    #[arg(long, default_value_t = 0.0)]
    temperature: f64,
    /// Draw among this many likeliest tokens.
    #[arg(long)]
    top_k: Option<usize>,
    /// Draw among the likeliest tokens that hold this share of the probability.
    #[arg(long, default_value_t = 1.0)]
    top_p: f64,
    /// Above 1: tokens that were said become less likely.
    #[arg(long, default_value_t = 1.0)]
    repetition_penalty: f64,
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let flags = Flags::parse();
    let device = device(flags.device.as_deref())?;
    let checkpoint = Checkpoint::open(&flags.model)?;
    let mut model = checkpoint.causal_lm(&device)?;
    if let Some(folder) = &flags.adapter {
        model = lora::load(model, checkpoint.architecture(), folder)?;
    }
    let tokenizer = Tokenizer::open(&flags.model)?;
    let template = Templates::default().get(&flags.template, &tokenizer)?;
    let encoder = Encoder::new(tokenizer, template);
    let mut turns = Vec::new();
    if let Some(prompt) = &flags.prompt {
        turns.push(Turn::new(Role::User, prompt));
        answer(&flags, &encoder, &model, &turns)?;
        return Ok(());
    }
    println!("Type a line; an empty one ends.");
    for line in stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            break;
        }
        turns.push(Turn::new(Role::User, line));
        let text = answer(&flags, &encoder, &model, &turns)?;
        turns.push(Turn::new(Role::Assistant, text));
    }
    Ok(())
}

/// Prints an answer while it is made.
fn answer(
    flags: &Flags,
    encoder: &Encoder,
    model: &CausalLm,
    turns: &[Turn],
) -> Result<String, Box<dyn std::error::Error>> {
    let prompt = encoder.prompt(&Conversation::new(turns.to_vec()))?;
    let sampling = Sampling {
        temperature: flags.temperature,
        top_k: flags.top_k,
        top_p: flags.top_p,
        repetition_penalty: flags.repetition_penalty,
        seed: flags.seed,
    };
    let stops = Stops {
        tokens: encoder.stops(),
        strings: flags.stop.clone(),
    };
    let decode = |ids: &[u32]| encoder.tokenizer().decode(ids).unwrap_or_default();
    let (mut stream, mut text, mut shown) = (encoder.tokenizer().stream(), String::new(), 0);
    let mut show = |text: &str, upto: usize| {
        print!("{}", &text[shown..upto.max(shown)]);
        shown = upto.max(shown);
        let _ = stdout().flush();
    };
    let generator = Generator::new(model)
        .sampling(sampling)
        .stops(stops.clone())
        .new_tokens(flags.tokens)
        .decoder(&decode);
    generator.stream(&[prompt], &mut |_, id| match stream.push(id) {
        Ok(piece) => {
            text.push_str(&piece.unwrap_or_default());
            show(&text, stops.shown(&text));
            ControlFlow::Continue(())
        }
        Err(_) => ControlFlow::Break(()),
    })?;
    text.push_str(&stream.finish()?.unwrap_or_default());
    let (whole, _) = stops.cut(&text);
    show(whole, whole.len());
    println!();
    Ok(whole.to_owned())
}
