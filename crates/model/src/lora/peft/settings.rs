//! `adapter_config.json`: what it says is understood, or refused by name.

use std::collections::BTreeSet;
use std::path::Path;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::super::scale_of;
use super::super::target::Slot;
use super::super::whole::Whole;
use super::fields::{Fields, count, positive};
use super::layout::Pair;
use super::select::Selection;
use crate::checkpoint::names::Layout;
use crate::error::{Result, escape};
use crate::family::Architecture;
use crate::head::{Head, Network};

/// Settings that are read.
const READ: [&str; 14] = [
    "peft_type",
    "bias",
    "init_lora_weights",
    "task_type",
    "r",
    "lora_alpha",
    "lora_dropout",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "target_modules",
    "exclude_modules",
    "modules_to_save",
    "layers_to_transform",
];
/// Settings that change nothing that a finished adapter computes.
const WITHOUT_EFFECT: [&str; 10] = [
    "layers_pattern",
    "eva_config",
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "peft_version",
    "fan_in_fan_out",
    "megatron_core",
    "qalora_group_size",
];
/// Beginnings of the factors that leave the base as it is; PEFT's others take something out of its weights.
const BEGINNINGS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// The settings that matter here.
#[derive(Debug)]
pub(super) struct Settings {
    rank: usize,
    alpha: f64,
    /// The share of the inputs that the adapter does not see while training.
    pub(super) dropout: f64,
    rslora: bool,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
    selection: Selection,
}

impl Settings {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let fields = Fields::read(path)?;
        refuse(&fields)?;
        let rate = |value: &Value| value.as_f64().filter(|rate| (0.0..1.0).contains(rate));
        let whole = "a whole number above 0";
        Ok(Self {
            rank: fields.required("r", whole, count)?,
            alpha: fields.required("lora_alpha", "a number above 0", positive)?,
            dropout: fields
                .optional("lora_dropout", "at least 0 and below 1", rate)?
                .unwrap_or(0.0),
            rslora: fields
                .optional("use_rslora", "true or false", Value::as_bool)?
                .unwrap_or(false),
            ranks: pattern(&fields, "rank_pattern", whole, count)?,
            alphas: pattern(&fields, "alpha_pattern", "a number above 0", positive)?,
            selection: Selection::read(&fields)?,
        })
    }

    /// Rank and factor of one module.
    pub(super) fn of(&self, module: &str) -> (usize, f64) {
        let rank = first(&self.ranks, module).unwrap_or(self.rank);
        let alpha = first(&self.alphas, module).unwrap_or(self.alpha);
        (rank, scale_of(alpha, rank, self.rslora))
    }

    /// Whether PEFT trains a module as a whole.
    pub(super) fn wraps(&self, module: &str) -> bool {
        self.selection.wraps(module)
    }

    /// The layers that get factors.
    pub(super) fn chosen<'a>(
        &self,
        slots: &'a [Slot],
        architecture: &Architecture,
    ) -> Result<Vec<&'a Slot>> {
        self.selection.chosen(slots, architecture)
    }
}

/// The settings of an adapter that is written.
pub(super) fn written<M: Network>(
    pairs: &[(&Slot, Pair)],
    slots: &[Slot],
    whole: &[Whole],
    base: &str,
) -> Value {
    let (_, first) = &pairs[0];
    let alpha = |pair: &Pair| number(pair.scale * pair.rank as f64);
    let odd = || {
        pairs.iter().filter(|(_, pair)| {
            pair.rank != first.rank || (pair.scale - first.scale).abs() > 1e-12 * first.scale.abs()
        })
    };
    let pattern = |value: &dyn Fn(&Pair) -> Value| -> Map<String, Value> {
        odd()
            .map(|(slot, pair)| (slot.module.clone(), value(pair)))
            .collect()
    };
    let task = match M::HEAD {
        Head::Classifier => json!("SEQ_CLS"),
        Head::TokenClassifier => json!("TOKEN_CLS"),
        Head::Causal => json!("CAUSAL_LM"),
        Head::Seq2Seq => json!("SEQ_2_SEQ_LM"),
        Head::Trunk => json!("FEATURE_EXTRACTION"),
        Head::Masked | Head::Discriminator => Value::Null,
    };
    let saved: Option<Vec<&str>> =
        (!whole.is_empty()).then(|| whole.iter().map(|module| module.name.as_str()).collect());
    json!({
        "peft_type": "LORA",
        "task_type": task,
        "base_model_name_or_path": base,
        "inference_mode": true,
        "r": first.rank,
        "lora_alpha": alpha(first),
        "lora_dropout": first.dropout,
        "target_modules": targets(pairs, slots),
        "rank_pattern": pattern(&|pair| json!(pair.rank)),
        "alpha_pattern": pattern(&|pair| alpha(pair)),
        "fan_in_fan_out": pairs.iter().any(|(slot, _)| slot.layout == Layout::Same),
        "use_rslora": false,
        "use_dora": false,
        "bias": "none",
        "init_lora_weights": true,
        "modules_to_save": saved,
        "revision": Value::Null,
    })
}

/// The last parts of the adapted names where these choose no other layer, and the whole names otherwise.
fn targets(pairs: &[(&Slot, Pair)], slots: &[Slot]) -> BTreeSet<String> {
    let last = |slot: &Slot| {
        let name = slot.module.rsplit('.').next();
        name.unwrap_or(&slot.module).to_owned()
    };
    let whole: BTreeSet<String> = pairs.iter().map(|(slot, _)| slot.module.clone()).collect();
    let short: BTreeSet<String> = pairs.iter().map(|(slot, _)| last(slot)).collect();
    let exact = slots
        .iter()
        .all(|slot| !short.contains(&last(slot)) || whole.contains(&slot.module));
    if exact { short } else { whole }
}

fn number(value: f64) -> Value {
    if value.fract() == 0.0 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// PEFT takes the keys as regular expressions for the end of a module's name; the first that fits counts.
fn pattern<T>(
    fields: &Fields<'_>,
    field: &str,
    expected: &str,
    read: impl Fn(&Value) -> Option<T>,
) -> Result<Vec<(Regex, T)>> {
    let object = |value: &Value| value.as_object().cloned();
    let Some(object) = fields.optional(field, "an object", object)? else {
        return Ok(Vec::new());
    };
    let entry = |(key, value): (String, Value)| {
        let wrong = |what: &str| {
            let (key, value) = (escape(&key), escape(&value.to_string()));
            fields.invalid(&format!("{field}: \"{key}\" is {value}; expected {what}"))
        };
        let whole = Regex::new(&format!(r"^(?:.*\.)?(?:{key})$"))
            .map_err(|_| wrong("a key that is a regular expression"))?;
        let value = read(&value).ok_or_else(|| wrong(expected))?;
        Ok((whole, value))
    };
    object.into_iter().map(entry).collect()
}

fn first<T: Copy>(pattern: &[(Regex, T)], module: &str) -> Option<T> {
    let found = pattern.iter().find(|(key, _)| key.is_match(module));
    found.map(|(_, value)| *value)
}

/// Refuses every setting that may change the arithmetic and is not implemented, those of later versions included.
fn refuse(fields: &Fields<'_>) -> Result<()> {
    let text = |field: &str| fields.get(field).and_then(Value::as_str);
    if text("peft_type") != Some("LORA") {
        return Err(fields.wrong(
            "peft_type",
            "\"LORA\"; other kinds of adapters are not implemented",
        ));
    }
    if fields.get("bias").is_some() && text("bias") != Some("none") {
        return Err(fields.wrong("bias", "\"none\"; trained biases are not implemented"));
    }
    let plain = |value: &Value| {
        value.is_boolean()
            || value
                .as_str()
                .is_some_and(|name| BEGINNINGS.contains(&name))
    };
    if fields
        .get("init_lora_weights")
        .is_some_and(|value| !plain(value))
    {
        let expected = "a beginning that leaves the base's weights as they are; convert the adapter with peft's \
                        path_initial_model_for_weight_conversion";
        return Err(fields.wrong("init_lora_weights", expected));
    }
    let unknown = fields.iter().find(|(field, value)| {
        !READ.contains(field) && !WITHOUT_EFFECT.contains(field) && !is_off(value)
    });
    unknown.map_or(Ok(()), |(field, _)| {
        let expected = "it to be off: it is not implemented here; merge the adapter with peft, and use the merged model";
        Err(fields.wrong(field, expected))
    })
}

fn is_off(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(_) | Value::Number(_) => false,
    }
}
