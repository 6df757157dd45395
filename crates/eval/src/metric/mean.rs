//! The mean of a per-item score.

use super::{Better, Metric, Unit, mean, no_outcomes};
use crate::{Outcome, Result};

/// The mean over the items of one of their [scores](Outcome::scores).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mean {
    name: String,
    score: String,
    better: Better,
    unit: Unit,
}

impl Mean {
    /// The mean of the score `score`, shown as `name`, a share of which more is better.
    pub fn new(name: impl Into<String>, score: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            score: score.into(),
            better: Better::Higher,
            unit: Unit::Share,
        }
    }

    /// Says which way it improves.
    pub fn better(mut self, better: Better) -> Self {
        self.better = better;
        self
    }

    /// Says how its value is written.
    pub fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }
}

impl Metric for Mean {
    fn name(&self) -> &str {
        &self.name
    }

    fn value(&self, outcomes: &[&Outcome]) -> Result<f64> {
        let items = self.items(outcomes)?.unwrap_or_default();
        if items.is_empty() {
            Err(no_outcomes(&self.name))
        } else {
            Ok(mean(&items))
        }
    }

    fn better(&self) -> Better {
        self.better
    }

    fn unit(&self) -> Unit {
        self.unit
    }

    fn items(&self, outcomes: &[&Outcome]) -> Result<Option<Vec<f64>>> {
        outcomes
            .iter()
            .map(|outcome| outcome.score(&self.name, &self.score))
            .collect::<Result<_>>()
            .map(Some)
    }
}
