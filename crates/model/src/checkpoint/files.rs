//! Which weight files a save writes, and which tensors each of them holds.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Checkpoint;
use super::dtype::Dtype;
use super::header::Stored;
use super::plan::Plan;
use super::source::SINGLE;
use crate::error::{ModelError, Result, escape};

/// A weight file to be written.
pub(super) struct Output {
    pub(super) name: String,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tensors: Vec<Stored>,
}

/// The files with their tensors: as they came, and what is new behind them.
pub(super) fn outputs(checkpoint: &Checkpoint, plan: &Plan) -> Result<Vec<Output>> {
    let source = &checkpoint.source;
    let mut outputs: Vec<Output> = source
        .shards()
        .iter()
        .map(|shard| {
            let (name, metadata) = (shard.name.clone(), shard.metadata.clone());
            Output {
                name,
                metadata,
                tensors: Vec::new(),
            }
        })
        .collect();
    for name in source.names() {
        if let (Some(shard), Some(stored)) = (source.shard_of(name), source.tensor(name)) {
            outputs[shard].tensors.push(stored.clone());
        }
    }
    for output in &mut outputs {
        output
            .tensors
            .sort_by_key(|tensor| (tensor.begin, tensor.end));
    }
    let mut fresh = fresh(checkpoint, plan)?;
    match outputs.last_mut() {
        Some(last) if !fresh.is_empty() => {
            last.tensors.append(&mut fresh);
            // Wide types first, so that every tensor begins at a multiple of its element's size.
            last.tensors
                .sort_by_key(|tensor| Reverse(tensor.dtype.bits()));
        }
        Some(_) => {}
        None => outputs = split(fresh, checkpoint.options.shard),
    }
    for output in &mut outputs {
        let mut place = 0;
        for tensor in &mut output.tensors {
            let length = tensor.bytes();
            (tensor.begin, tensor.end) = (place, place + length);
            place += length;
        }
    }
    Ok(outputs)
}

/// Tensors that have no file yet, in the type that the configuration names.
fn fresh(checkpoint: &Checkpoint, plan: &Plan) -> Result<Vec<Stored>> {
    let dtype = new_dtype(checkpoint, plan)?;
    let mut fresh: Vec<Stored> = plan
        .slots
        .iter()
        .filter(|slot| slot.stored.is_none())
        .map(|slot| Stored {
            name: slot.name.clone(),
            dtype,
            shape: slot.shape.clone(),
            begin: 0,
            end: slot.shape.iter().product::<usize>() as u64 * dtype.bits() / 8,
        })
        .collect();
    fresh.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(fresh)
}

/// The type of new tensors: that of the tensors that came, or the one that the configuration names.
fn new_dtype(checkpoint: &Checkpoint, plan: &Plan) -> Result<Dtype> {
    if let Some(dtype) = plan.slots.iter().find_map(|slot| slot.stored) {
        return Ok(dtype);
    }
    let config = &checkpoint.config;
    let field = ["dtype", "torch_dtype"]
        .into_iter()
        .find(|field| config[*field].is_string());
    let Some(field) = field else {
        return Ok(Dtype::F32);
    };
    match config[field].as_str() {
        Some("float32" | "torch.float32") => Ok(Dtype::F32),
        Some("float16" | "torch.float16") => Ok(Dtype::F16),
        Some("bfloat16" | "torch.bfloat16") => Ok(Dtype::BF16),
        _ => Err(ModelError::Unsupported {
            field: field.to_owned(),
            value: escape(&config[field].to_string()),
            known: "weights are written as float32, float16 or bfloat16".to_owned(),
        }),
    }
}

/// Distributes new tensors over files of limited size.
fn split(tensors: Vec<Stored>, limit: Option<u64>) -> Vec<Output> {
    let mut files: Vec<Vec<Stored>> = vec![Vec::new()];
    let mut size = 0;
    for tensor in tensors {
        let bytes = tensor.bytes();
        if let (Some(limit), Some(false)) = (limit, files.last().map(Vec::is_empty))
            && size + bytes > limit
        {
            files.push(Vec::new());
            size = 0;
        }
        size += bytes;
        if let Some(last) = files.last_mut() {
            last.push(tensor);
        }
    }
    let count = files.len();
    let name = |number: usize| match count {
        1 => SINGLE.to_owned(),
        _ => format!("model-{:05}-of-{count:05}.safetensors", number + 1),
    };
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    files
        .into_iter()
        .enumerate()
        .map(|(number, tensors)| Output {
            name: name(number),
            metadata: metadata.clone(),
            tensors,
        })
        .collect()
}

/// The list of several weight files, with what an old one said besides.
pub(super) fn index_of(old: Option<&Value>, outputs: &[Output]) -> Value {
    let mut index = old.cloned().unwrap_or_else(|| json!({}));
    let mut places: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut bytes, mut elements) = (0, 0);
    for output in outputs {
        for tensor in &output.tensors {
            places.insert(&tensor.name, &output.name);
            bytes += tensor.bytes();
            elements += tensor.shape.iter().product::<usize>();
        }
    }
    if !index["metadata"].is_object() {
        index["metadata"] = json!({});
    }
    index["metadata"]["total_size"] = json!(bytes);
    if index["metadata"].get("total_parameters").is_some() {
        index["metadata"]["total_parameters"] = json!(elements);
    }
    let map: Map<String, Value> = places
        .into_iter()
        .map(|(name, file)| (name.to_owned(), json!(file)))
        .collect();
    index["weight_map"] = Value::Object(map);
    index
}
