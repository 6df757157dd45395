//! Low-rank adapters (Hu et al. 2021), attached to a model from outside.
//!
//! No part of a model knows of adapters but [`Linear`], which adds the low-rank term when one is attached. [`attach`]
//! freezes the base and puts fresh factors beside the chosen layers; [`save`] and [`load`] speak PEFT's two files;
//! [`merge`] folds the factors into the weights.

mod merge;
mod peft;

use burn::module::{Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::checkpoint::names::{Entry, Layout, Names};
use crate::error::{ModelError, Result};
use crate::family::Architecture;
use crate::head::{Head, Network};
use crate::noise::Noise;
use crate::part::init::hash;
use crate::part::{Linear, Lora};

pub use merge::{MergeReport, merge};
pub use peft::{CONFIG_FILE, WEIGHTS_FILE, load, save};

/// What a new adapter looks like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// The inner dimension of the two factors. At least 1, default 8.
    pub rank: usize,
    /// The term is multiplied by `alpha / rank`. Default 16.
    pub alpha: f64,
    /// The share of its input's features that the term does not see while training, in `[0, 1)`. Default 0.
    pub dropout: f64,
    /// Multiply by `alpha / sqrt(rank)` instead (Kalajdzievski 2023), which keeps large ranks effective. Default false.
    pub rslora: bool,
    /// Which layers get one. Default: those that PEFT adapts in this family.
    pub targets: LoraTargets,
    /// Fixes the random values of the first factor. Default 0.
    pub seed: u64,
}

/// Which linear layers get an adapter. Names are those of the checkpoint's modules, such as
/// `model.layers.0.self_attn.q_proj`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LoraTargets {
    /// The layers that PEFT adapts by default in this family.
    #[default]
    Family,
    /// Every linear layer but the output head.
    AllLinear,
    /// Layers with one of these names, or whose name ends with a dot and one of them.
    Names(Vec<String>),
    /// Layers whose whole name fits this regular expression.
    Pattern(String),
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            rank: 8,
            alpha: 16.0,
            dropout: 0.0,
            rslora: false,
            targets: LoraTargets::Family,
            seed: 0,
        }
    }
}

impl LoraConfig {
    /// What the low-rank term is multiplied by.
    pub fn scale(&self) -> f64 {
        scale_of(self.alpha, self.rank, self.rslora)
    }

    fn check(&self) -> Result<()> {
        let problem = if self.rank == 0 {
            Some("rank is 0; expected at least 1".to_owned())
        } else if !(self.alpha.is_finite() && self.alpha > 0.0) {
            Some(format!(
                "alpha is {}; expected a number above 0",
                self.alpha
            ))
        } else if !(0.0..1.0).contains(&self.dropout) {
            Some(format!(
                "dropout is {}; expected at least 0 and below 1",
                self.dropout
            ))
        } else {
            None
        };
        problem.map_or(Ok(()), |why| {
            Err(ModelError::Adapter {
                place: "LoraConfig".to_owned(),
                why,
            })
        })
    }
}

fn scale_of(alpha: f64, rank: usize, rslora: bool) -> f64 {
    let rank = rank as f64;
    alpha / if rslora { rank.sqrt() } else { rank }
}

/// Freezes the model and puts an adapter beside every chosen layer. The head of a classifier stays trainable as a
/// whole: it is new, and PEFT saves it with the adapter too.
///
/// The second factor begins as zeros, so the model computes what it did before.
///
/// # Errors
/// When a setting is out of its range, or no layer is chosen (the error lists the layers there are).
pub fn attach<M: Network>(model: M, architecture: &Architecture, config: &LoraConfig) -> Result<M> {
    config.check()?;
    let mut model = model.no_grad();
    let slots = slots(&mut model, &architecture.names);
    let chosen = choose(&slots, architecture, &config.targets)?;
    model.linears(&mut |path, linear| {
        if chosen
            .iter()
            .any(|slot| slot.paths.iter().any(|own| own == path))
        {
            linear.lora = Some(fresh(path, linear, config));
        }
    });
    Ok(train_head(model))
}

/// A linear layer of the checkpoint: one of the model, or several that the file stores as one.
#[derive(Clone, Debug)]
struct Slot {
    /// The module's name in the checkpoint.
    module: String,
    /// The paths of the model's layers that it holds, along the output.
    paths: Vec<String>,
    layout: Layout,
}

/// The path of the layer that makes a model's output.
const OUTPUT: &str = "head";

fn slots<M: Network>(model: &mut M, names: &Names) -> Vec<Slot> {
    let mut linears = Vec::new();
    model.linears(&mut |path, _| linears.push(path.to_owned()));
    let slot = |entry: &Entry| {
        let spelled = names.spellings(entry, true).into_iter().next()?;
        let module = spelled.strip_suffix(".weight")?.to_owned();
        let paths: Option<Vec<String>> = entry
            .parts
            .iter()
            .map(|part| part.strip_suffix(".weight").map(str::to_owned))
            .collect();
        let paths = paths.filter(|paths| paths.iter().all(|path| linears.contains(path)))?;
        Some(Slot {
            module,
            paths,
            layout: entry.layout,
        })
    };
    names
        .entries()
        .iter()
        .filter(|entry| entry.belongs_to(M::HEAD))
        .filter_map(slot)
        .collect()
}

fn choose(slots: &[Slot], architecture: &Architecture, targets: &LoraTargets) -> Result<Vec<Slot>> {
    let inner = || slots.iter().filter(|slot| slot.paths[0] != OUTPUT);
    let by_name = |names: &[&str]| -> Vec<Slot> {
        let fits = |module: &str| {
            names.iter().any(|name| {
                module == *name
                    || module
                        .strip_suffix(name)
                        .is_some_and(|rest| rest.ends_with('.'))
            })
        };
        slots
            .iter()
            .filter(|slot| fits(&slot.module))
            .cloned()
            .collect()
    };
    let chosen = match targets {
        LoraTargets::Family => by_name(architecture.adapted),
        LoraTargets::AllLinear => inner().cloned().collect(),
        LoraTargets::Names(names) => by_name(&names.iter().map(String::as_str).collect::<Vec<_>>()),
        LoraTargets::Pattern(pattern) => {
            let whole =
                Regex::new(&format!("^(?:{pattern})$")).map_err(|error| ModelError::Adapter {
                    place: "LoraTargets::Pattern".to_owned(),
                    why: error.to_string(),
                })?;
            slots
                .iter()
                .filter(|slot| whole.is_match(&slot.module))
                .cloned()
                .collect()
        }
    };
    if chosen.is_empty() {
        let known: Vec<&str> = inner().map(|slot| slot.module.as_str()).take(8).collect();
        return Err(ModelError::Adapter {
            place: "targets".to_owned(),
            why: format!(
                "{targets:?} fits no linear layer; there are {} …",
                known.join(", ")
            ),
        });
    }
    Ok(chosen)
}

/// Factors as PEFT begins them: the first uniform in `±1/sqrt(in)`, the second zero.
fn fresh(path: &str, linear: &Linear, config: &LoraConfig) -> Lora {
    let [input, output] = linear.shape();
    let noise = Noise::new(config.seed, 0, 0).site(hash(path));
    let bound = 1.0 / (input as f32).sqrt();
    let a = (0..input * config.rank)
        .map(|index| (2.0 * noise.uniform(index as u64) - 1.0) * bound)
        .collect();
    factors(
        path,
        linear,
        a,
        vec![0.0; config.rank * output],
        config.rank,
        config.scale(),
        config.dropout,
    )
}

/// An adapter with the given values, trainable, in f32, where its layer lies.
///
/// # Arguments
/// - `a`: `[in, rank]`
/// - `b`: `[rank, out]`
fn factors(
    path: &str,
    linear: &Linear,
    a: Vec<f32>,
    b: Vec<f32>,
    rank: usize,
    scale: f64,
    dropout: f64,
) -> Lora {
    let [input, output] = linear.shape();
    let device = linear.weight.lazy_device();
    let parameter = |name: &str, values: Vec<f32>, shape: [usize; 2]| {
        let id = ParamId::from(hash(&format!("{path}.lora.{name}")));
        let tensor: Tensor<2> = Tensor::from_data(
            TensorData::new(values, shape),
            (&device, burn::tensor::DType::F32),
        );
        // Outside autodiff this is remembered until the model is brought there.
        Param::initialized(id, tensor).set_require_grad(true)
    };
    Lora {
        a: parameter("a", a, [input, rank]),
        b: parameter("b", b, [rank, output]),
        scale,
        dropout,
    }
}

fn train_head<M: Network>(mut model: M) -> M {
    if M::HEAD == Head::Classifier {
        model.linears(&mut |path, linear| {
            if path == OUTPUT {
                linear.weight = linear.weight.clone().set_require_grad(true);
                linear.bias = linear.bias.take().map(|bias| bias.set_require_grad(true));
            }
        });
    }
    model
}
