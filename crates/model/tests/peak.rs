//! What loading costs in memory: the model, and little more.
//!
//! Each measurement is a process of its own: what was freed before would be used again and not counted.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

use burn::tensor::{Device, FloatDType};
use finetune_model::{Checkpoint, Head, weights};
use serde_json::{Value, json};

/// 15 million weights: 61 MB in f32. The embedding is half of them, and its copy lies in the file too.
fn llama(dtype: &str) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 16_384, "hidden_size": 512,
        "intermediate_size": 1376, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8,
        "tie_word_embeddings": true, "dtype": dtype,
    })
}

/// 15 million weights whose projections lie fused in the file.
fn gpt2(dtype: &str) -> Value {
    json!({
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 4096, "n_embd": 768, "n_layer": 2,
        "n_head": 12, "n_positions": 64, "dtype": dtype,
    })
}

/// A figure of this process's memory, in bytes.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}

/// Puts a copy of the tied embedding into the weight file of a folder, as some files have it.
fn with_copy(folder: &Path) {
    let path = folder.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let data = &bytes[8 + length..];
    let mut copy = header["model.embed_tokens.weight"].clone();
    let [begin, end] = [0, 1].map(|i| copy["data_offsets"][i].as_u64().unwrap() as usize);
    copy["data_offsets"] = json!([data.len(), data.len() + end - begin]);
    header["lm_head.weight"] = copy;
    let header = header.to_string();
    let length = (header.len() as u64).to_le_bytes();
    let pieces = [&length[..], header.as_bytes(), data, &data[begin..end]];
    fs::write(&path, pieces.concat()).unwrap();
}

#[test]
fn loading_takes_the_model_and_little_more() {
    let types = [("float32", 4), ("bfloat16", 2), ("float16", 2)];
    for (name, config) in [("llama", llama as fn(&str) -> Value), ("gpt2", gpt2)] {
        for (stored, bytes) in types {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("m");
            let checkpoint = Checkpoint::create(config(stored), 1).unwrap();
            let model = checkpoint.causal_lm(&Device::default()).unwrap();
            checkpoint.save(&model, &path).unwrap();
            let sizes = weights::declared(&model)
                .into_iter()
                .map(|parameter| parameter.shape.iter().product::<usize>());
            let sizes: Vec<usize> = sizes.collect();
            drop(model);
            if name == "llama" {
                with_copy(&path);
            }
            for (dtype, size) in [("f32", 4), ("bf16", 2)] {
                let whole = (sizes.iter().sum::<usize>() * size) as f64;
                let largest = (sizes.iter().max().unwrap() * bytes) as f64;
                let peak = peak_alone(&path, dtype) as f64;
                println!(
                    "{name}, {stored} to {dtype}: {:.3} of the model",
                    peak / whole
                );
                assert!(peak <= 1.15 * whole + largest, "{}", peak / whole);
                // What there is: the model, two pieces of four megabytes, pages and threads.
                assert!(peak <= whole + f64::from(14 << 20), "{}", peak / whole);
            }
        }
    }
}

/// The peak of another process that loads a checkpoint and does nothing else.
fn peak_alone(folder: &Path, dtype: &str) -> u64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "loads_alone", "--ignored", "--nocapture"])
        .env("PEAK_FOLDER", folder)
        .env("PEAK_DTYPE", dtype)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    let peak = text.lines().find_map(|line| line.strip_prefix("peak "));
    let peak = peak.unwrap_or_else(|| panic!("{text}"));
    peak.parse().unwrap()
}

#[test]
#[ignore = "runs in a process of its own"]
fn loads_alone() {
    let Some(folder) = std::env::var_os("PEAK_FOLDER") else {
        return;
    };
    let dtype = match std::env::var("PEAK_DTYPE").as_deref() {
        Ok("bf16") => FloatDType::BF16,
        _ => FloatDType::F32,
    };
    let device = Device::default();
    let checkpoint = Checkpoint::open(folder).unwrap().with_dtype(dtype);
    assert!(checkpoint.fresh(Head::Causal, &device).unwrap().is_empty());
    let before = memory("VmRSS");
    let model = checkpoint.causal_lm(&device).unwrap();
    // A line of its own: the test's name stands before the first one.
    println!("\npeak {}", memory("VmHWM") - before);
    drop(model);
}
