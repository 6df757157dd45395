//! A whole training step, forward, backward, clipping and AdamW, and the forward pass alone.
//!
//! `cargo bench --bench step` measures with criterion. With `--peer` it takes a shape as flags and prints one line of
//! JSON, for `benches/peers/training_step.py`.

use std::time::Instant;

use clap::Parser;
use criterion::{BatchSize, Criterion};
use finetune::burn::tensor::Device;
use finetune::model::{CausalLm, Checkpoint, Noise, Targets, Tokens, op, weights};
use finetune::train::optimizer::norm;
use finetune::train::{AdamW, OptimizerConfig};
use serde_json::json;

/// A shape and how often to run it.
#[derive(Parser, Clone)]
struct Flags {
    #[arg(long)]
    peer: bool,
    /// Given by cargo; nothing depends on it.
    #[arg(long)]
    bench: bool,
    #[arg(long, default_value_t = 256)]
    width: usize,
    #[arg(long, default_value_t = 4)]
    layers: usize,
    #[arg(long, default_value_t = 4)]
    heads: usize,
    #[arg(long, default_value_t = 2)]
    key_heads: usize,
    #[arg(long, default_value_t = 688)]
    feed_forward: usize,
    #[arg(long, default_value_t = 4096)]
    vocabulary: usize,
    #[arg(long, default_value_t = 8)]
    rows: usize,
    #[arg(long, default_value_t = 256)]
    length: usize,
    #[arg(long, default_value_t = 3)]
    warmup: usize,
    #[arg(long, default_value_t = 10)]
    steps: usize,
}

fn main() {
    let flags = Flags::parse();
    if flags.peer {
        peer(&flags);
        return;
    }
    let mut criterion = Criterion::default().sample_size(10);
    let (tokens, targets) = batch(&flags);
    criterion.bench_function("training step", |bencher| {
        let mut state = Some(start(&flags));
        bencher.iter(|| {
            let (model, optimizer) = state.take().expect("a step gives the state back");
            state = Some(step(model, optimizer, &tokens, &targets));
        });
    });
    criterion.bench_function("forward", |bencher| {
        use finetune::burn::module::Module;
        let model = start(&flags).0.valid();
        let run = |model: CausalLm| model.log_probs(&tokens, &targets, Noise::off()).into_data();
        bencher.iter_batched(|| model.clone(), run, BatchSize::SmallInput);
    });
    criterion.final_summary();
}

fn peer(flags: &Flags) {
    let (tokens, targets) = batch(flags);
    let (mut model, mut optimizer) = start(flags);
    let mut seconds = Vec::new();
    for number in 0..flags.warmup + flags.steps {
        let begun = Instant::now();
        (model, optimizer) = step(model, optimizer, &tokens, &targets);
        if number >= flags.warmup {
            seconds.push(begun.elapsed().as_secs_f64());
        }
    }
    println!("{}", json!({"seconds": seconds, "peak_mib": peak()}));
}

fn start(flags: &Flags) -> (CausalLm, AdamW) {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": flags.vocabulary,
        "hidden_size": flags.width, "intermediate_size": flags.feed_forward, "num_hidden_layers": flags.layers,
        "num_attention_heads": flags.heads, "num_key_value_heads": flags.key_heads, "tie_word_embeddings": true,
    });
    let checkpoint = Checkpoint::create(config, 0).expect("the shape is valid");
    let model = checkpoint
        .causal_lm(&Device::default().autodiff())
        .expect("a llama has this head");
    let optimizer = OptimizerConfig {
        weight_decay: 0.01,
        ..OptimizerConfig::default()
    };
    (model, AdamW::new(optimizer))
}

fn batch(flags: &Flags) -> (Tokens, Targets) {
    let noise = Noise::new(1, 0, 0);
    let id = |at: usize| (noise.uniform(at as u64) * flags.vocabulary as f32) as u32;
    let ids: Vec<u32> = (0..flags.rows * flags.length).map(id).collect();
    let rows: Vec<Vec<Vec<u32>>> = ids
        .chunks(flags.length)
        .map(|row| vec![row.to_vec()])
        .collect();
    let tokens = Tokens::new(
        &rows,
        None,
        finetune::model::Side::Right,
        0,
        &Device::default(),
    )
    .expect("rows of equal length");
    let places =
        (0..ids.len() as u32).filter(|place| !(place + 1).is_multiple_of(flags.length as u32));
    let (places, ids) = places.map(|place| (place, ids[place as usize + 1])).unzip();
    (tokens, Targets { places, ids })
}

fn step(
    model: CausalLm,
    mut optimizer: AdamW,
    tokens: &Tokens,
    targets: &Targets,
) -> (CausalLm, AdamW) {
    let loss = op::sum(model.log_probs(tokens, targets, Noise::off())).neg() / targets.len() as f64;
    let gradients = weights::gradients(&model, &mut loss.backward());
    let clip = optimizer.clip(norm(&gradients).expect("the CPU does not fail"));
    let model = optimizer.step(model, gradients, clip, 1e-4);
    (model, optimizer)
}

/// The largest resident memory of the process so far, in MiB; 0 where the system does not tell.
fn peak() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| {
        line.trim()
            .trim_end_matches(" kB")
            .trim()
            .parse::<f64>()
            .ok()
    });
    kib.unwrap_or(0.0) / 1024.0
}
