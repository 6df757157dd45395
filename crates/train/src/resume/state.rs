//! Where a run is: everything besides tensors that it needs to go on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::event::{Best, Outcome};

/// The place of a run. Floats are kept as bits: JSON may give back another last digit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Optimizer steps done.
    pub(crate) step: u64,
    /// The running epoch, from 0.
    pub(crate) epoch: u64,
    /// Micro-batches of the running epoch that were seen.
    pub(crate) cursor: u64,
    /// Tokens seen, without padding.
    pub(crate) tokens: u64,
    /// Targets seen.
    pub(crate) targets: u64,
    /// The lowest validation loss.
    pub(crate) best: Option<SavedBest>,
    /// The step of the last validation.
    pub(crate) validated: Option<u64>,
    /// How the run ended, if it did not break off.
    pub(crate) outcome: Option<Outcome>,
    /// Seconds over all resumptions.
    pub(crate) seconds: f64,
    /// How often the optimizer updated each parameter.
    pub(crate) updates: BTreeMap<String, u64>,
    /// What the observers keep, in their order, with their names.
    pub(crate) observers: Vec<(String, Value)>,
}

/// [`Best`], with the loss as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedBest {
    pub(crate) step: u64,
    pub(crate) loss_bits: u64,
}

impl SavedBest {
    pub(crate) fn new(step: u64, loss: f64) -> Self {
        Self {
            step,
            loss_bits: loss.to_bits(),
        }
    }

    pub(crate) fn loss(self) -> f64 {
        f64::from_bits(self.loss_bits)
    }
}

impl From<SavedBest> for Best {
    fn from(best: SavedBest) -> Self {
        Self {
            step: best.step,
            loss: best.loss(),
        }
    }
}
