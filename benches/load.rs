//! Opening a checkpoint and building its model: 80 MB in bf16, read into f32.

use criterion::{Criterion, Throughput};
use finetune::burn::tensor::Device;
use finetune::model::Checkpoint;
use serde_json::json;

fn main() {
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 16_384, "hidden_size": 512,
        "intermediate_size": 1376, "num_hidden_layers": 10, "num_attention_heads": 8, "num_key_value_heads": 8,
        "tie_word_embeddings": true, "dtype": "bfloat16",
    });
    let device = Device::default();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model");
    let checkpoint = Checkpoint::create(config, 0).expect("the shape is valid");
    let model = checkpoint
        .causal_lm(&device)
        .expect("a llama has this head");
    checkpoint
        .save(&model, &path)
        .expect("there is room on the disk");
    let bytes = std::fs::metadata(path.join("model.safetensors")).map_or(0, |file| file.len());
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("load");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("bf16 to f32", |bencher| {
        bencher
            .iter(|| Checkpoint::open(&path).and_then(|checkpoint| checkpoint.causal_lm(&device)));
    });
    group.finish();
    criterion.final_summary();
}
