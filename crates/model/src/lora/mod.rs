//! Low-rank adapters (Hu et al. 2021), attached to a model from outside.
//!
//! No part of a model knows of adapters but [`Linear`](crate::part::Linear), which adds the low-rank term when one is
//! attached. [`attach`] freezes the base and puts fresh factors beside the chosen layers; [`save`] and [`load`] speak
//! PEFT's two files; [`merge`] folds the factors into the weights.

mod factor;
mod merge;
mod peft;
mod target;
mod whole;

use serde::{Deserialize, Serialize};

use crate::error::{ModelError, Result};
use crate::family::Architecture;
use crate::head::Network;

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
    /// Every linear layer but the one that makes the output: the vocabulary's, or a classifier's.
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

/// Freezes the model and puts an adapter beside every chosen layer. What a classifier's head has beside the trunk
/// (`classifier`, `score`, and such modules of ELECTRA, `RoBERTa`, `DistilBERT` and `ModernBERT` as no layer is chosen
/// in) gets none and stays trainable as a whole: it is new more often than not, and PEFT saves it with the adapter too.
///
/// The second factor begins as zeros, so the model computes what it did before.
///
/// # Errors
/// When a setting is out of its range, or no layer is chosen (the error lists the layers there are).
pub fn attach<M: Network>(model: M, architecture: &Architecture, config: &LoraConfig) -> Result<M> {
    config.check()?;
    let mut model = model.no_grad();
    let mut slots = target::slots(&mut model, &architecture.names);
    slots.retain(|slot| !whole::is_never_adapted(M::HEAD, &slot.module));
    let chosen = target::choose(&slots, architecture, &config.targets, "targets")?;
    model.linears(&mut |path, linear| {
        if chosen
            .iter()
            .any(|slot| slot.paths.iter().any(|own| own == path))
        {
            linear.lora = Some(factor::fresh(path, linear, config));
        }
    });
    let modules = whole::modules(&model, &architecture.names);
    Ok(whole::train(model, &modules))
}
