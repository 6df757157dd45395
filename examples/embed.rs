//! Vectors of texts, and which texts are near each other.
//!
//!     cargo run --release --example embed -- --model FOLDER "Where is my order?" "My parcel has not come." "I want a refund."

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use finetune::data::encode::Encoded;
use finetune::model::blueprint::Place;
use finetune::model::{Side, Tokens};
use finetune::prelude::*;
use serde_json::json;

/// Turn texts into vectors of length 1, and show the cosine of the angle between each two.
#[derive(Parser)]
struct Flags {
    /// A Hugging Face folder of any family, most usefully one that was trained for this.
    #[arg(long, value_parser = program::model)]
    model: PathBuf,
    /// The texts.
    texts: Vec<String>,
    /// A file with more of them, one a line.
    #[arg(long)]
    file: Option<PathBuf>,
    /// What stands for a text: mean, first or last.
    #[arg(long, default_value = "mean")]
    pooling: String,
    /// The most tokens of a text; longer ones lose their end.
    #[arg(long, default_value_t = 256)]
    length: usize,
    /// A JSONL file to write, of texts, token ids and vectors, instead of the table.
    #[arg(long)]
    output: Option<PathBuf>,
    /// The device: flex, ndarray, wgpu or cuda, as compiled in.
    #[arg(long)]
    device: Option<String>,
}

fn main() -> Result<(), Failure> {
    program::end_with_reader()?;
    let flags = Flags::parse();
    let pooling = match flags.pooling.as_str() {
        "mean" => Place::Mean,
        "first" => Place::First,
        "last" => Place::Last,
        other => return Err(format!("--pooling {other}: expected mean, first or last").into()),
    };
    let mut texts = flags.texts;
    if let Some(path) = &flags.file {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        texts.extend(text.lines().map(ToOwned::to_owned));
    }
    if texts.is_empty() {
        return Err("no text: give some, or --file FILE".into());
    }
    let device = device(flags.device.as_deref())?;
    let tokenizer = Tokenizer::open(&flags.model)?;
    let trunk = program::open(&flags.model)?.trunk(&device)?;

    let encode = |text: &String| tokenizer.encode_pair(text, None, Some(flags.length));
    let encoded = texts.iter().map(encode).collect::<Result<Vec<_>, _>>()?;
    let mut vectors: Vec<Vec<f32>> = Vec::new();
    for batch in encoded.chunks(32) {
        let rows: Vec<_> = batch.iter().map(|row| vec![row.ids.clone()]).collect();
        let tokens = Tokens::new(&rows, None, Side::Right, 0, &device)?;
        let found = trunk.embed(&tokens, pooling, Noise::off());
        let width = found.dims()[1];
        let values: Vec<f32> = found.into_data().iter().collect();
        vectors.extend(values.chunks(width).map(<[f32]>::to_vec));
    }

    let cosine = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    for (number, text) in texts.iter().enumerate().filter(|_| flags.output.is_none()) {
        let near = vectors[..=number]
            .iter()
            .map(|other| format!("{:5.2}", cosine(other, &vectors[number])));
        println!("{} {text}", near.collect::<Vec<_>>().join(" "));
    }
    if let Some(path) = &flags.output {
        let rows = texts.iter().zip(&encoded).zip(&vectors);
        let line = |((text, row), vector): ((&String, &Encoded), &Vec<f32>)| {
            format!(
                "{}\n",
                json!({"text": text, "ids": row.ids, "vector": vector})
            )
        };
        fs::write(path, rows.map(line).collect::<String>())?;
    }
    Ok(())
}
