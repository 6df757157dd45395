//! Any number of labels for each item: micro F1 and equal sets.

use std::collections::BTreeSet;

use finetune_data::{Label, Labeled};

use super::{Mean, Metric, no_outcomes};
use crate::{Outcome, Result};

/// Labels of an item that are given and hold; that are given; that hold.
const HITS: &str = "hits";
const GIVEN: &str = "given";
const HELD: &str = "held";

/// The metrics of a choice of any number of labels, the main one first: micro F1, and the share of items whose labels
/// are all right and none of which is missing. Outcomes carry the scores `hits`, `given`, `held` and `acc`.
pub fn of_several() -> Vec<Box<dyn Metric>> {
    vec![Box::new(MicroF1), Box::new(Mean::new("equal sets", "acc"))]
}

/// `2·hits / (given + held)` over the labels of all items; 0 where there are no hits (scikit-learn's
/// `f1_score(average="micro", zero_division=0)`). Its error comes from the bootstrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MicroF1;

impl Metric for MicroF1 {
    fn name(&self) -> &'static str {
        "micro F1"
    }

    fn value(&self, outcomes: &[&Outcome]) -> Result<f64> {
        if outcomes.is_empty() {
            return Err(no_outcomes(self.name()));
        }
        let sum = |score: &str| -> Result<f64> {
            let scores = outcomes.iter();
            scores
                .map(|outcome| outcome.score(self.name(), score))
                .sum()
        };
        let (hits, given, held) = (sum(HITS)?, sum(GIVEN)?, sum(HELD)?);
        Ok(if hits > 0.0 {
            2.0 * hits / (given + held)
        } else {
            0.0
        })
    }
}

/// What became of an example that was given these labels.
pub(crate) fn outcome(example: &Labeled, given: BTreeSet<String>) -> Outcome {
    let held = example.label.classes();
    let hits = held.intersection(&given).count();
    let exact = f64::from(u8::from(held == given));
    let counts = [(HITS, hits), (GIVEN, given.len()), (HELD, held.len())];
    let (reference, output) = (Label::Classes(held), Label::Classes(given));
    let outcome = Outcome::new(
        example.origin.clone(),
        example.whole(),
        reference.to_string(),
        output.to_string(),
    );
    counts.into_iter().fold(
        outcome.with_score("acc", exact),
        |outcome, (name, count)| outcome.with_score(name, count as f64),
    )
}
