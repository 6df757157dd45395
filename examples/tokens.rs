//! Shows what a model would read and learn: the first rows of a data set, token by token.
//!
//!     cargo run --release --example tokens -- --data examples/assets/facts.jsonl --map prompt=questions.0,completion=answer

use std::path::PathBuf;

use clap::Parser;
use finetune::prelude::*;

/// Show each token of the first rows, and whether it is learned.
#[derive(Parser)]
struct Flags {
    /// A folder with a tokenizer.
    #[arg(long, value_parser = program::model, default_value = "examples/assets/base")]
    model: PathBuf,
    /// Files of conversations or prompt–completion pairs.
    #[arg(long, required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// The names of the fields, such as `prompt=question,completion=answer`; detected without it, or with
    /// `auto`.
    #[arg(long)]
    map: Option<String>,
    /// chat (the model's own), plain, alpaca, question-answer or custom:PATTERN.
    #[arg(long, default_value = "chat")]
    template: String,
    /// The most tokens of a row.
    #[arg(long, default_value_t = 1024)]
    length: usize,
    /// How many rows to show.
    #[arg(long, default_value_t = 3)]
    rows: usize,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    let mapping: AnyChat = program::mapping(&flags.data, flags.map.as_deref())?;
    let (chats, counts) = program::loaders().examples(&flags.data, &OnError::Stop, &mapping)?;
    println!("{counts}");
    let encoder = Encoder::open(&flags.model, &flags.template)?
        .length(flags.length)
        .truncation(Truncation::CutRight);
    let (rows, report) = encoder.encode_all(&chats)?;
    println!("{report}");
    for row in rows.iter().take(flags.rows) {
        println!(
            "\n{}: {} tokens, {} learned (marked +)",
            row.origin,
            row.encoded.ids.len(),
            row.encoded.targets()
        );
        for ((text, learned), id) in encoder.show(&row.encoded).zip(&row.encoded.ids) {
            println!("  {} {id:>6}  {text:?}", if learned { '+' } else { ' ' });
        }
    }
    Ok(())
}
