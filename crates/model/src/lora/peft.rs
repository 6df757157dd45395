//! Adapters in PEFT's two files: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Where a checkpoint fuses projections that the model keeps apart (`c_attn` of GPT-2), PEFT has one pair of factors for
//! all of them. Such a pair is read exactly: every projection gets the first factor and its own columns of the second.
//! It is written exactly too: as it was when the first factors are still equal, and otherwise as one pair of the summed
//! rank whose second factor is zero outside each projection's own block.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Map, Value, json};

use super::{OUTPUT, Slot, factors, scale_of, slots, train_head};
use crate::checkpoint::names::Layout;
use crate::error::{ModelError, Result, escape};
use crate::family::Architecture;
use crate::head::{Head, Network};
use crate::part::{Linear, Lora};

/// The name of the file with the settings.
pub const CONFIG_FILE: &str = "adapter_config.json";
/// The name of the file with the factors.
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";

/// What PEFT puts before every name.
const PREFIX: &str = "base_model.model.";

/// A matrix of a file, row by row.
struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

/// The pair of a checkpoint's module: `a` is `[rank, in]`, `b` is `[out, rank]`.
struct Pair {
    a: Matrix,
    b: Matrix,
    scale: f64,
    dropout: f64,
}

/// Writes the adapter of a model into a folder, as PEFT does.
///
/// # Arguments
/// - `base`: the name or folder of the base model, for `base_model_name_or_path`
///
/// # Errors
/// When the model has no adapter, or a file cannot be written.
pub fn save<M: Network>(
    model: &M,
    architecture: &Architecture,
    base: &str,
    folder: &Path,
) -> Result<()> {
    let mut model = model.clone();
    let slots = slots(&mut model, &architecture.names);
    let layers = linears(&mut model);
    let mut pairs = BTreeMap::new();
    for slot in &slots {
        if let Some(pair) = pair_of(slot, &layers) {
            pairs.insert(slot.module.clone(), pair);
        }
    }
    let Some(first) = pairs.values().next() else {
        return Err(invalid(
            folder,
            "the model has no adapter; attach one before saving",
        ));
    };
    let (rank, dropout) = (first.a.rows, first.dropout);
    let alpha = first.scale * rank as f64;
    let fan_in = slots
        .iter()
        .any(|slot| pairs.contains_key(&slot.module) && slot.layout == Layout::Same);
    let differing = |pair: &&Pair| pair.a.rows != rank || (pair.scale - first.scale).abs() > 1e-12;
    let odd: Vec<(&String, &Pair)> = pairs.iter().filter(|(_, pair)| differing(pair)).collect();
    let head = head_slot::<M>(&slots);
    let config = json!({
        "peft_type": "LORA",
        "task_type": if M::HEAD == Head::Classifier { json!("SEQ_CLS") } else if M::HEAD == Head::Causal { json!("CAUSAL_LM") } else { Value::Null },
        "base_model_name_or_path": base,
        "inference_mode": true,
        "r": rank,
        "lora_alpha": number(alpha),
        "lora_dropout": dropout,
        "target_modules": targets(&pairs, &slots),
        "rank_pattern": odd.iter().map(|(name, pair)| ((*name).clone(), json!(pair.a.rows))).collect::<Map<_, _>>(),
        "alpha_pattern": odd.iter().map(|(name, pair)| ((*name).clone(), number(pair.scale * pair.a.rows as f64))).collect::<Map<_, _>>(),
        "fan_in_fan_out": fan_in,
        "use_rslora": false,
        "use_dora": false,
        "bias": "none",
        "init_lora_weights": true,
        "modules_to_save": head.map(|slot| vec![slot.module.clone()]),
        "revision": Value::Null,
    });
    let mut tensors: Vec<(String, Vec<usize>, Vec<f32>)> = Vec::new();
    for (module, pair) in pairs {
        for (name, matrix) in [("lora_A", pair.a), ("lora_B", pair.b)] {
            tensors.push((
                format!("{PREFIX}{module}.{name}.weight"),
                vec![matrix.rows, matrix.columns],
                matrix.values,
            ));
        }
    }
    if let Some(slot) = head {
        tensors.extend(head_tensors(slot, &layers));
    }
    fs::create_dir_all(folder).map_err(ModelError::io(folder, "create"))?;
    write(&folder.join(WEIGHTS_FILE), &tensor_bytes(&tensors)?)?;
    let text = serde_json::to_string_pretty(&config).unwrap_or_default();
    write(&folder.join(CONFIG_FILE), text.as_bytes())
}

/// Freezes the model and attaches the adapter of a folder, trainable.
///
/// # Errors
/// When a file is missing or damaged, a setting is not implemented here (it is named), a tensor belongs to no layer of the
/// model, or a shape does not fit.
pub fn load<M: Network>(model: M, architecture: &Architecture, folder: &Path) -> Result<M> {
    let config_path = folder.join(CONFIG_FILE);
    let settings = Settings::read(&config_path)?;
    let weights_path = folder.join(WEIGHTS_FILE);
    let mut tensors = read(&weights_path)?;
    let mut model = model.no_grad();
    let slots = slots(&mut model, &architecture.names);
    let mut attached: BTreeMap<String, Lora> = BTreeMap::new();
    let layers = linears(&mut model);
    for slot in &slots {
        let key = |name: &str| format!("{PREFIX}{}.{name}.weight", slot.module);
        match (
            tensors.remove(&key("lora_A")),
            tensors.remove(&key("lora_B")),
        ) {
            (None, None) => {}
            (Some(a), Some(b)) => {
                attached.extend(split(&weights_path, slot, &layers, &settings, &a, &b)?);
            }
            _ => {
                return Err(invalid(
                    &weights_path,
                    &format!("{}: one of lora_A and lora_B is missing", slot.module),
                ));
            }
        }
    }
    let head = head_slot::<M>(&slots)
        .map(|slot| take_head(&mut tensors, slot, &layers, &weights_path))
        .transpose()?;
    if let Some(stray) = tensors.keys().next() {
        let why = format!(
            "\"{}\" and {} more belong to no layer of this model",
            escape(stray),
            tensors.len() - 1
        );
        return Err(invalid(&weights_path, &why));
    }
    if attached.is_empty() {
        return Err(invalid(
            &weights_path,
            "found no lora_A; expected at least one adapted layer",
        ));
    }
    model.linears(&mut |path, linear| {
        if let Some(lora) = attached.remove(path) {
            linear.lora = Some(lora);
        }
        if let (OUTPUT, Some(Some(head))) = (path, &head) {
            *linear = head.clone();
        }
    });
    Ok(train_head(model))
}

fn linears<M: Network>(model: &mut M) -> BTreeMap<String, Linear> {
    let mut layers = BTreeMap::new();
    model.linears(&mut |path, linear| {
        layers.insert(path.to_owned(), linear.clone());
    });
    layers
}

fn values(tensor: burn::tensor::Tensor<2>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn pair_of(slot: &Slot, layers: &BTreeMap<String, Linear>) -> Option<Pair> {
    let parts: Vec<&Lora> = slot
        .paths
        .iter()
        .filter_map(|path| layers.get(path)?.lora.as_ref())
        .collect();
    let first = *parts.first().filter(|_| parts.len() == slot.paths.len())?;
    // The file keeps a as [rank, in] and b as [out, rank].
    let firsts: Vec<Vec<f32>> = parts
        .iter()
        .map(|lora| values(lora.a.val().transpose()))
        .collect();
    let seconds: Vec<Vec<f32>> = parts
        .iter()
        .map(|lora| values(lora.b.val().transpose()))
        .collect();
    let [input, _] = first.a.val().dims();
    let ranks: Vec<usize> = parts.iter().map(|lora| lora.a.val().dims()[1]).collect();
    let same = firsts.iter().all(|a| *a == firsts[0]);
    let rank = if same { ranks[0] } else { ranks.iter().sum() };
    let a = if same {
        firsts[0].clone()
    } else {
        firsts.concat()
    };
    let mut b = Vec::new();
    let mut before = 0;
    for (second, own) in seconds.iter().zip(&ranks) {
        for row in second.chunks(*own) {
            let left = if same { 0 } else { before };
            b.extend(std::iter::repeat_n(0.0, left));
            b.extend_from_slice(row);
            b.extend(std::iter::repeat_n(0.0, rank - left - own));
        }
        before += own;
    }
    let outputs = b.len() / rank;
    Some(Pair {
        a: Matrix {
            rows: rank,
            columns: input,
            values: a,
        },
        b: Matrix {
            rows: outputs,
            columns: rank,
            values: b,
        },
        scale: first.scale,
        dropout: first.dropout,
    })
}

fn split(
    path: &Path,
    slot: &Slot,
    layers: &BTreeMap<String, Linear>,
    settings: &Settings,
    a: &Matrix,
    b: &Matrix,
) -> Result<Vec<(String, Lora)>> {
    let own: Vec<(&String, &Linear)> = slot
        .paths
        .iter()
        .filter_map(|path| layers.get_key_value(path))
        .collect();
    let input = own[0].1.shape()[0];
    let output: usize = own.iter().map(|(_, linear)| linear.shape()[1]).sum();
    let (rank, scale) = settings.of(&slot.module);
    if [a.rows, a.columns] != [rank, input] || [b.rows, b.columns] != [output, rank] {
        let why = format!(
            "{}: lora_A is [{}, {}] and lora_B [{}, {}]; expected [{rank}, {input}] and [{output}, {rank}]",
            slot.module, a.rows, a.columns, b.rows, b.columns
        );
        return Err(invalid(path, &why));
    }
    let first = transposed(&a.values, rank, input);
    let mut rows = b.values.chunks(rank);
    let part = |(path, linear): (&String, &Linear)| {
        let own: Vec<f32> = rows
            .by_ref()
            .take(linear.shape()[1])
            .flatten()
            .copied()
            .collect();
        let second = transposed(&own, linear.shape()[1], rank);
        (
            path.clone(),
            factors(
                path,
                linear,
                first.clone(),
                second,
                rank,
                scale,
                settings.dropout,
            ),
        )
    };
    Ok(own.into_iter().map(part).collect())
}

fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| values[row * columns + column]))
        .collect()
}

/// The layer that PEFT saves as a whole.
fn head_slot<M: Network>(slots: &[Slot]) -> Option<&Slot> {
    slots
        .iter()
        .find(|slot| M::HEAD == Head::Classifier && slot.paths[0] == OUTPUT)
}

fn head_tensors(
    slot: &Slot,
    layers: &BTreeMap<String, Linear>,
) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let Some(linear) = layers.get(OUTPUT) else {
        return Vec::new();
    };
    let [input, output] = linear.shape();
    let weight = values(linear.weight.val().transpose());
    let mut tensors = vec![(
        format!("{PREFIX}{}.weight", slot.module),
        vec![output, input],
        weight,
    )];
    if let Some(bias) = &linear.bias {
        let bias: Vec<f32> = bias.val().into_data().iter::<f32>().collect();
        tensors.push((format!("{PREFIX}{}.bias", slot.module), vec![output], bias));
    }
    tensors
}

/// The head that the file holds, when it holds one.
fn take_head(
    tensors: &mut BTreeMap<String, Matrix>,
    slot: &Slot,
    layers: &BTreeMap<String, Linear>,
    path: &Path,
) -> Result<Option<Linear>> {
    let Some(linear) = layers.get(OUTPUT) else {
        return Ok(None);
    };
    let Some(weight) = tensors.remove(&format!("{PREFIX}{}.weight", slot.module)) else {
        return Ok(None);
    };
    let bias = tensors.remove(&format!("{PREFIX}{}.bias", slot.module));
    let [input, output] = linear.shape();
    let biased = linear.bias.is_some();
    if [weight.rows, weight.columns] != [output, input]
        || bias.as_ref().map(|bias| bias.values.len()) != biased.then_some(output)
    {
        let why = format!(
            "{} does not fit; expected a weight of [{output}, {input}] and {} bias",
            slot.module,
            if biased { "a" } else { "no" }
        );
        return Err(invalid(path, &why));
    }
    let mut head = linear.clone();
    let device = head.weight.lazy_device();
    let values = transposed(&weight.values, output, input);
    let data = burn::tensor::TensorData::new(values, [input, output]);
    let dtype = head.weight.val().dtype();
    head.weight = burn::module::Param::initialized(
        head.weight.id,
        burn::tensor::Tensor::from_data(data, (&device, dtype)),
    );
    if let (Some(new), Some(old)) = (bias, head.bias.take()) {
        let data = burn::tensor::TensorData::new(new.values, [output]);
        head.bias = Some(burn::module::Param::initialized(
            old.id,
            burn::tensor::Tensor::from_data(data, (&device, dtype)),
        ));
    }
    Ok(Some(head))
}

/// The last parts of the adapted names where these choose no other layer, and the whole names otherwise.
fn targets(pairs: &BTreeMap<String, Pair>, slots: &[Slot]) -> Vec<String> {
    let last = |name: &String| name.rsplit('.').next().unwrap_or(name).to_owned();
    let short: BTreeSet<String> = pairs.keys().map(last).collect();
    let exact = slots
        .iter()
        .all(|slot| !short.contains(&last(&slot.module)) || pairs.contains_key(&slot.module));
    if exact {
        short.into_iter().collect()
    } else {
        pairs.keys().cloned().collect()
    }
}

fn number(value: f64) -> Value {
    if value.fract() == 0.0 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// The settings of `adapter_config.json` that matter here.
struct Settings {
    rank: usize,
    alpha: f64,
    dropout: f64,
    rslora: bool,
    ranks: BTreeMap<String, usize>,
    alphas: BTreeMap<String, f64>,
}

impl Settings {
    fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(ModelError::io(path, "read"))?;
        let config: Map<String, Value> =
            serde_json::from_str(&text).map_err(|error| ModelError::JsonSyntax {
                path: path.to_owned(),
                line: error.line(),
                column: error.column(),
                why: error.to_string(),
            })?;
        if let Some((field, value)) = unsupported(&config) {
            let why = format!(
                "{field} is {}; it is not implemented here",
                escape(&value.to_string())
            );
            return Err(invalid(path, &why));
        }
        let positive = |field: &str| {
            config
                .get(field)
                .and_then(Value::as_f64)
                .filter(|value| *value > 0.0)
                .ok_or_else(|| {
                    let found = config
                        .get(field)
                        .map_or("nothing".to_owned(), |value| escape(&value.to_string()));
                    invalid(
                        path,
                        &format!("{field} is {found}; expected a number above 0"),
                    )
                })
        };
        let pattern = |field: &str| -> BTreeMap<String, f64> {
            let object = config.get(field).and_then(Value::as_object);
            let pairs = object.into_iter().flatten();
            pairs
                .filter_map(|(name, value)| Some((name.clone(), value.as_f64()?)))
                .collect()
        };
        Ok(Self {
            rank: positive("r")? as usize,
            alpha: positive("lora_alpha")?,
            dropout: config
                .get("lora_dropout")
                .and_then(Value::as_f64)
                .unwrap_or(0.0),
            rslora: config
                .get("use_rslora")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            ranks: pattern("rank_pattern")
                .into_iter()
                .map(|(name, rank)| (name, rank as usize))
                .collect(),
            alphas: pattern("alpha_pattern"),
        })
    }

    /// Rank and factor of one module.
    fn of(&self, module: &str) -> (usize, f64) {
        let rank = pattern_value(&self.ranks, module).unwrap_or(self.rank);
        let alpha = pattern_value(&self.alphas, module).unwrap_or(self.alpha);
        (rank, scale_of(alpha, rank, self.rslora))
    }
}

/// PEFT takes the keys of a pattern as regular expressions for the end of a module's name.
fn pattern_value<T: Copy>(pattern: &BTreeMap<String, T>, module: &str) -> Option<T> {
    let fits = |key: &String| {
        regex::Regex::new(&format!(r"^(?:.*\.)?(?:{key})$"))
            .is_ok_and(|whole| whole.is_match(module))
    };
    pattern
        .iter()
        .find(|(key, _)| fits(key))
        .map(|(_, value)| *value)
}

/// The first setting that would change the arithmetic and is not implemented.
fn unsupported(config: &Map<String, Value>) -> Option<(&str, &Value)> {
    const OFF: [&str; 8] = [
        "use_dora",
        "use_qalora",
        "lora_bias",
        "layer_replication",
        "alora_invocation_tokens",
        "trainable_token_indices",
        "target_parameters",
        "use_bdlora",
    ];
    let off = |value: &Value| match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    };
    let must_be = |field: &'static str, wanted: &str| {
        config
            .get_key_value(field)
            .filter(|(_, value)| value.as_str() != Some(wanted))
    };
    let kind = must_be("peft_type", "LORA").or_else(|| must_be("bias", "none"));
    kind.map(|(field, value)| (field.as_str(), value))
        .or_else(|| {
            OFF.iter().find_map(|field| {
                config
                    .get_key_value(*field)
                    .filter(|(_, value)| !off(value))
                    .map(|(field, value)| (field.as_str(), value))
            })
        })
}

fn read(path: &Path) -> Result<BTreeMap<String, Matrix>> {
    let bytes = fs::read(path).map_err(ModelError::io(path, "read"))?;
    let damaged = |error: &dyn std::fmt::Display| ModelError::SafetensorsHeader {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let file = SafeTensors::deserialize(&bytes).map_err(|error| damaged(&error))?;
    let mut matrices = BTreeMap::new();
    for (name, view) in file.tensors() {
        let (rows, columns) = match view.shape() {
            [count] => (1, *count),
            [rows, columns] => (*rows, *columns),
            shape => {
                return Err(invalid(
                    path,
                    &format!(
                        "\"{}\" has the shape {shape:?}; expected a matrix",
                        escape(&name)
                    ),
                ));
            }
        };
        let values = floats(view.dtype(), view.data()).ok_or_else(|| {
            invalid(
                path,
                &format!(
                    "\"{}\" is {:?}; expected F32, F16 or BF16",
                    escape(&name),
                    view.dtype()
                ),
            )
        })?;
        matrices.insert(
            name,
            Matrix {
                rows,
                columns,
                values,
            },
        );
    }
    Ok(matrices)
}

fn floats(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let values = match dtype {
        Dtype::F32 => bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect(),
        Dtype::F16 => bytes
            .chunks_exact(2)
            .map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
        Dtype::BF16 => bytes
            .chunks_exact(2)
            .map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32())
            .collect(),
        _ => return None,
    };
    Some(values)
}

fn tensor_bytes(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Result<Vec<u8>> {
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, _, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect())
        .collect();
    let failed = |error: safetensors::SafeTensorError| ModelError::Adapter {
        place: WEIGHTS_FILE.to_owned(),
        why: error.to_string(),
    };
    let views: Vec<(&String, TensorView<'_>)> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, shape, _), bytes)| {
            Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?))
        })
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    let format = [("format".to_owned(), "pt".to_owned())].into();
    safetensors::serialize(views, Some(format)).map_err(failed)
}

/// Writes beside the file and renames, so that nobody reads half of it.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let beside = path.with_extension("tmp");
    fs::write(&beside, bytes).map_err(ModelError::io(&beside, "write"))?;
    fs::rename(&beside, path).map_err(ModelError::io(path, "rename"))
}

fn invalid(path: &Path, why: &str) -> ModelError {
    ModelError::Adapter {
        place: path.display().to_string(),
        why: why.to_owned(),
    }
}
