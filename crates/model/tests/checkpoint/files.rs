//! Small checkpoints in folders that vanish, and their weight files taken apart.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::Device;
use finetune_model::{Checkpoint, ModelError};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn config() -> Value {
    json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 11, "hidden_size": 8,
        "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "dtype": "float32",
    })
}

pub(crate) fn gpt2() -> Value {
    json!({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 11, "n_embd": 8, "n_layer": 2,
        "n_head": 2, "n_positions": 16,
    })
}

pub(crate) fn device() -> Device {
    Device::default()
}

/// A folder with a good checkpoint in it.
pub(crate) fn good(config: Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::create(config, 1).unwrap();
    let model = checkpoint.causal_lm(&device()).unwrap();
    checkpoint.save(&model, folder.path().join("m")).unwrap();
    folder
}

pub(crate) fn weights_of(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("m/model.safetensors")
}

pub(crate) fn write_config(folder: &TempDir, config: &Value) {
    fs::write(folder.path().join("m/config.json"), config.to_string()).unwrap();
}

pub(crate) fn open(folder: &TempDir) -> Result<Checkpoint, ModelError> {
    Checkpoint::open(folder.path().join("m"))
}

pub(crate) fn load(folder: &TempDir) -> Result<(), ModelError> {
    open(folder)?.causal_lm(&device()).map(drop)
}

pub(crate) type Tensors = BTreeMap<String, (String, Vec<usize>, Vec<u8>)>;

/// Reads a file whose tensors are few and known to be good.
pub(crate) fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let data = &bytes[8 + length..];
    let tensors = header
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "__metadata__");
    tensors
        .map(|(name, tensor)| {
            let numbers = |field: &str| -> Vec<usize> {
                let list = tensor[field].as_array().unwrap().iter();
                list.map(|number| number.as_u64().unwrap() as usize)
                    .collect()
            };
            let range = numbers("data_offsets");
            let dtype = tensor["dtype"].as_str().unwrap().to_owned();
            (
                name.clone(),
                (dtype, numbers("shape"), data[range[0]..range[1]].to_vec()),
            )
        })
        .collect()
}

pub(crate) fn write(path: &Path, tensors: &Tensors) {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, (dtype, shape, bytes)) in tensors {
        let range = [data.len(), data.len() + bytes.len()];
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": range});
        header.insert(name.clone(), entry);
        data.extend(bytes);
    }
    write_raw(path, &Value::Object(header).to_string(), &data);
}

pub(crate) fn write_raw(path: &Path, header: &str, data: &[u8]) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

/// Changes the tensors of a good checkpoint.
pub(crate) fn changed(config: Value, change: impl FnOnce(&mut Tensors)) -> TempDir {
    let folder = good(config);
    let mut tensors = read(&weights_of(&folder));
    change(&mut tensors);
    write(&weights_of(&folder), &tensors);
    folder
}

pub(crate) fn says(error: &ModelError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}
