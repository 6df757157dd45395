//! The classes of every output, and their totals.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Classes, Finding, similarity};
use crate::{Estimate, EvalError, Outcome, Result};

/// An output with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Judged {
    /// The item.
    pub outcome: Outcome,
    /// How near it is to its nearest reference, 0 to 1; see [`similarity`].
    pub similarity: f64,
    /// The weightiest class that holds; none if the output is right.
    pub main: Option<String>,
    /// The classes that hold with their evidence, the weightiest first.
    pub errors: Vec<(String, Vec<Finding>)>,
}

impl Judged {
    /// The main class, or [`RIGHT`](super::RIGHT).
    pub fn class(&self) -> &str {
        self.main.as_deref().unwrap_or(super::RIGHT)
    }
}

/// How often a class holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassTotal {
    /// The class.
    pub name: String,
    /// What it means.
    pub meaning: String,
    /// How many outputs it holds for, alone or with others.
    pub count: usize,
    /// How many outputs it is the main class of.
    pub main: usize,
    /// `count` as a share of all outputs, with error and interval.
    pub share: Estimate,
}

/// The errors of one model over a set of items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analysis {
    /// The model, as it stands in reports.
    pub model: String,
    /// One per item, in their order.
    pub items: Vec<Judged>,
    /// The classes, the weightiest first.
    pub totals: Vec<ClassTotal>,
    /// The share of outputs for which no class holds.
    pub right: Estimate,
}

impl Classes {
    /// Judges every output of a model.
    ///
    /// # Errors
    /// [`EvalError::NoOutcomes`] without outcomes; [`EvalError::MissingReference`] for one that has no reference.
    pub fn analyze(&self, model: impl Into<String>, outcomes: &[Outcome]) -> Result<Analysis> {
        let items = outcomes
            .par_iter()
            .map(|outcome| self.judge(outcome))
            .collect::<Result<Vec<_>>>()?;
        let none = || EvalError::NoOutcomes {
            metric: "error analysis".into(),
        };
        let share = |count| Estimate::of_share(count, items.len()).ok_or_else(none);
        let right = share(items.iter().filter(|item| item.main.is_none()).count())?;
        let total = |class: &super::ErrorClass| {
            let holds = |item: &&Judged| item.errors.iter().any(|(name, _)| *name == class.name);
            let count = items.iter().filter(holds).count();
            let main = items
                .iter()
                .filter(|item| item.main.as_ref() == Some(&class.name))
                .count();
            Ok(ClassTotal {
                name: class.name.clone(),
                meaning: class.meaning.clone(),
                count,
                main,
                share: share(count)?,
            })
        };
        let totals = self.iter().map(total).collect::<Result<_>>()?;
        Ok(Analysis {
            model: model.into(),
            items,
            totals,
            right,
        })
    }

    fn judge(&self, outcome: &Outcome) -> Result<Judged> {
        if outcome.references.is_empty() {
            return Err(EvalError::MissingReference {
                origin: outcome.origin.clone(),
                task: "error analysis".into(),
                reason: "the outcome has no reference".into(),
            });
        }
        let similarity = similarity(outcome);
        let errors: Vec<_> = self
            .iter()
            .map(|class| {
                let found = class.rule.find_at(outcome, similarity);
                (class.name.clone(), found)
            })
            .filter(|(_, findings)| !findings.is_empty())
            .collect();
        let main = errors.first().map(|(name, _)| name.clone());
        Ok(Judged {
            outcome: outcome.clone(),
            similarity,
            main,
            errors,
        })
    }
}

impl Analysis {
    /// The numbers of the worst outputs, the worst first: the least similar to their references, then those with the most
    /// errors, then the first ones. Right outputs are left out.
    pub fn worst(&self, count: usize) -> Vec<usize> {
        let mut wrong: Vec<usize> = (0..self.items.len())
            .filter(|&index| self.items[index].main.is_some())
            .collect();
        wrong.sort_by(|&a, &b| {
            let (a, b) = (&self.items[a], &self.items[b]);
            a.similarity
                .total_cmp(&b.similarity)
                .then(b.errors.len().cmp(&a.errors.len()))
        });
        wrong.truncate(count);
        wrong
    }
}
