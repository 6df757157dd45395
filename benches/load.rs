//! Opening checkpoints of 500 MB: seconds against reading the same files as bytes, and the peak of memory.
//!
//!     cargo bench --bench load
//!     cargo bench --bench load -- gpt2
//!
//! Every load is a process of its own, so that what one freed is not used again by the next. The files are in the
//! page cache: what is measured is the work, not the disk. What is left of it is mostly the system's: fresh memory
//! costs as much as the conversion. `docs/fidelity.md` has the figures.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use finetune::burn::tensor::{Device, FloatDType};
use finetune::model::{Checkpoint, weights};
use finetune::prelude::Failure;
use serde_json::{Value, json};

/// How often each case is measured; the median counts.
const ROUNDS: usize = 5;

/// A checkpoint, and the types that it is read into.
struct Case {
    name: &'static str,
    config: Value,
    /// The most bytes of a file.
    shard: Option<u64>,
    types: &'static [&'static str],
}

fn main() -> Result<(), Failure> {
    if let Some(folder) = env::var_os("LOAD_FOLDER") {
        return load(Path::new(&folder));
    }
    let wanted: Vec<String> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    println!("| checkpoint | files | model | read as bytes | load | load / read | peak / model |");
    println!("|---|---|---|---|---|---|---|");
    for case in cases() {
        if wanted.iter().all(|word| case.name.contains(word.as_str())) {
            measure(&case)?;
        }
    }
    Ok(())
}

fn cases() -> Vec<Case> {
    let llama = |vocabulary: usize, depth: usize, dtype: &str| {
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocabulary,
            "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": depth, "num_attention_heads": 16,
            "num_key_value_heads": 8, "tie_word_embeddings": true, "dtype": dtype,
        })
    };
    let gpt2 = json!({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 50_257, "n_embd": 768,
        "n_layer": 12, "n_head": 12, "n_positions": 1024, "dtype": "float32",
    });
    let case = |name, config, shard, types| Case {
        name,
        config,
        shard,
        types,
    };
    vec![
        case(
            "llama, f32",
            llama(32_000, 8, "float32"),
            None,
            &["f32", "bf16"],
        ),
        case(
            "llama, f32, 8 shards",
            llama(32_000, 8, "float32"),
            Some(64 << 20),
            &["f32"],
        ),
        case(
            "llama, bf16",
            llama(32_000, 18, "bfloat16"),
            None,
            &["f32", "bf16"],
        ),
        case("llama, f16", llama(32_000, 18, "float16"), None, &["f32"]),
        case("gpt2, f32, fused", gpt2, None, &["f32"]),
    ]
}

fn measure(case: &Case) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model");
    let mut checkpoint = Checkpoint::create(case.config.clone(), 0)?;
    if let Some(bytes) = case.shard {
        checkpoint = checkpoint.with_shards(bytes);
    }
    checkpoint.save(&checkpoint.causal_lm(&Device::default())?, &path)?;
    let mut reads: Vec<f64> = Vec::new();
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        bytes = plain_read(&path)?;
        reads.push(begun.elapsed().as_secs_f64());
    }
    for dtype in case.types {
        let (mut seconds, mut peaks, mut model) = (Vec::new(), Vec::new(), 0.0);
        for _ in 0..ROUNDS {
            let [time, peak, size] = alone(&path, dtype)?;
            seconds.push(time);
            peaks.push(peak);
            model = size;
        }
        let (read, load, peak) = (median(&mut reads), median(&mut seconds), median(&mut peaks));
        println!(
            "| {} → {dtype} | {:.0} MB | {:.0} MB | {read:.2} s | {load:.2} s | {:.1} | {:.3} |",
            case.name,
            bytes as f64 / 1e6,
            model / 1e6,
            load / read,
            peak / model
        );
    }
    Ok(())
}

/// Reads all weight files of a folder into fresh memory, whole; returns how many bytes that were.
fn plain_read(folder: &Path) -> Result<usize, Failure> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|ending| ending == "safetensors")
        {
            files.push(fs::read(path)?);
        }
    }
    Ok(files.iter().map(Vec::len).sum())
}

/// Seconds, peak and size of the model of a load in another process.
fn alone(folder: &Path, dtype: &str) -> Result<[f64; 3], Failure> {
    let child = Command::new(env::current_exe()?)
        .env("LOAD_FOLDER", folder)
        .env("LOAD_DTYPE", dtype)
        .output()?;
    let text = String::from_utf8_lossy(&child.stdout);
    let figures: Vec<f64> = text
        .split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect();
    <[f64; 3]>::try_from(figures)
        .map_err(|_| format!("{text}{}", String::from_utf8_lossy(&child.stderr)).into())
}

fn load(folder: &Path) -> Result<(), Failure> {
    let dtype = match env::var("LOAD_DTYPE")?.as_str() {
        "bf16" => FloatDType::BF16,
        _ => FloatDType::F32,
    };
    let device = Device::default();
    let before = memory("VmRSS:")?;
    let begun = Instant::now();
    let model = Checkpoint::open(folder)?
        .with_dtype(dtype)
        .causal_lm(&device)?;
    let seconds = begun.elapsed().as_secs_f64();
    let peak = memory("VmHWM:")? - before;
    let size: usize = weights::parameters(&model)
        .iter()
        .map(|parameter| parameter.shape.iter().product::<usize>() * parameter.dtype.size())
        .sum();
    println!("{seconds} {peak} {size}");
    Ok(())
}

/// A figure of this process's memory, in bytes; 0 where the system does not tell.
fn memory(field: &str) -> Result<f64, Failure> {
    let Ok(status) = fs::read_to_string("/proc/self/status") else {
        return Ok(0.0);
    };
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.unwrap_or("0").parse::<f64>()? * 1024.0)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
