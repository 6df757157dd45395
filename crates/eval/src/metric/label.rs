//! Classification: confusion, per-class figures, macro F1, Matthews' correlation.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Better, Bootstrap, Estimate, Mean, Metric, Unit, no_outcomes};
use crate::{Outcome, Result};

/// The metrics of a choice among these labels, the main one first: accuracy, macro F1, Matthews' correlation. Outcomes
/// carry the score `acc`.
pub fn of_labels(labels: &[String]) -> Vec<Box<dyn Metric>> {
    vec![
        Box::new(Mean::new("accuracy", "acc")),
        Box::new(MacroF1::over(labels)),
        Box::new(Matthews),
    ]
}

/// Which label became which. `counts[reference][output]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confusion {
    /// The labels, in the order of rows and columns: sorted, all that occur as reference or output.
    pub labels: Vec<String>,
    /// The number of items by reference (row) and output (column).
    pub counts: Vec<Vec<usize>>,
}

/// The figures of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassFigures {
    /// The label.
    pub label: String,
    /// Of the items given this label, the share that has it; none if it was never given.
    pub precision: Option<Estimate>,
    /// Of the items that have this label, the share that was given it; none if no item has it.
    pub recall: Option<Estimate>,
    /// `2·hits / (given + present)`; 0 where there are no hits.
    pub f1: f64,
    /// The number of items that have this label.
    pub count: usize,
}

impl Confusion {
    /// The table of references and outputs, compared to the byte.
    ///
    /// # Errors
    /// [`NoOutcomes`](crate::EvalError::NoOutcomes) for an empty slice.
    pub fn of(outcomes: &[&Outcome]) -> Result<Self> {
        let coded = Coded::of("confusion", outcomes)?;
        let mut counts = vec![vec![0; coded.labels.len()]; coded.labels.len()];
        for &(reference, output) in &coded.pairs {
            counts[reference][output] += 1;
        }
        Ok(Self {
            labels: coded.labels,
            counts,
        })
    }

    /// The number of items with one label that were given the other.
    pub fn count(&self, reference: usize, output: usize) -> usize {
        let row = self.counts.get(reference);
        row.and_then(|row| row.get(output)).copied().unwrap_or(0)
    }

    /// Precision, recall and F1 of every label.
    pub fn classes(&self) -> Vec<ClassFigures> {
        let all = || 0..self.labels.len();
        all()
            .map(|class| {
                let hits = self.count(class, class);
                let present: usize = all().map(|output| self.count(class, output)).sum();
                let given: usize = all().map(|reference| self.count(reference, class)).sum();
                ClassFigures {
                    label: self.labels[class].clone(),
                    precision: Estimate::of_share(hits, given),
                    recall: Estimate::of_share(hits, present),
                    f1: f1(hits, given, present),
                    count: present,
                }
            })
            .collect()
    }
}

/// `2·hits/(given + present)`, 0 for a class without hits (scikit-learn's `zero_division=0`).
fn f1(hits: usize, given: usize, present: usize) -> f64 {
    if hits == 0 {
        0.0
    } else {
        2.0 * hits as f64 / (given + present) as f64
    }
}

/// The unweighted mean of the classes' F1. Its error comes from the bootstrap.
///
/// By default over all labels that occur as reference or output (scikit-learn's `f1_score(average="macro")`); with
/// [`MacroF1::over`], over those of a list that occur, so that an answer outside the list costs recall and is no class of
/// its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MacroF1 {
    labels: Option<Vec<String>>,
}

impl MacroF1 {
    /// The mean over these labels only.
    pub fn over(labels: &[String]) -> Self {
        Self {
            labels: Some(labels.to_vec()),
        }
    }

    /// Which of the coded labels count.
    fn counted(&self, coded: &Coded) -> Vec<bool> {
        let counts = |label| {
            self.labels
                .as_ref()
                .is_none_or(|labels| labels.contains(label))
        };
        coded.labels.iter().map(counts).collect()
    }
}

/// Matthews' correlation coefficient, in its form for any number of classes (Gorodkin 2004): −1 to 1, 0 for guessing,
/// and 0 where it is undefined. Its error comes from the bootstrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matthews;

impl Metric for MacroF1 {
    fn name(&self) -> &'static str {
        "macro F1"
    }

    fn value(&self, outcomes: &[&Outcome]) -> Result<f64> {
        let coded = Coded::of(self.name(), outcomes)?;
        Ok(coded.tally(None).macro_f1(&self.counted(&coded)))
    }

    fn measure(&self, outcomes: &[&Outcome]) -> Result<Estimate> {
        let coded = Coded::of(self.name(), outcomes)?;
        let counted = self.counted(&coded);
        let value = coded.tally(None).macro_f1(&counted);
        Bootstrap::default().estimate(value, outcomes.len(), |draw| {
            Ok(coded.tally(Some(draw)).macro_f1(&counted))
        })
    }
}

impl Metric for Matthews {
    fn name(&self) -> &'static str {
        "Matthews correlation"
    }

    fn value(&self, outcomes: &[&Outcome]) -> Result<f64> {
        Ok(Coded::of(self.name(), outcomes)?.tally(None).matthews())
    }

    fn better(&self) -> Better {
        Better::Higher
    }

    fn unit(&self) -> Unit {
        Unit::Number
    }

    fn measure(&self, outcomes: &[&Outcome]) -> Result<Estimate> {
        let coded = Coded::of(self.name(), outcomes)?;
        let value = coded.tally(None).matthews();
        Bootstrap::default().estimate(value, outcomes.len(), |draw| {
            Ok(coded.tally(Some(draw)).matthews())
        })
    }
}

/// The labels as numbers, so that a resample compares no strings.
struct Coded {
    labels: Vec<String>,
    pairs: Vec<(usize, usize)>,
}

impl Coded {
    fn of(metric: &str, outcomes: &[&Outcome]) -> Result<Self> {
        if outcomes.is_empty() {
            return Err(no_outcomes(metric));
        }
        let labels: BTreeSet<&str> = outcomes
            .iter()
            .flat_map(|outcome| [outcome.reference(), outcome.output.as_str()])
            .collect();
        let labels: Vec<String> = labels.into_iter().map(str::to_owned).collect();
        let number = |label: &str| {
            labels
                .binary_search_by(|known| known.as_str().cmp(label))
                .expect("every label was collected just above")
        };
        let pairs = outcomes
            .iter()
            .map(|outcome| (number(outcome.reference()), number(&outcome.output)))
            .collect();
        Ok(Self { labels, pairs })
    }

    /// The counts over a draw, or over all items.
    fn tally(&self, draw: Option<&[usize]>) -> Tally {
        let classes = self.labels.len();
        let mut tally = Tally {
            hits: vec![0; classes],
            given: vec![0; classes],
            present: vec![0; classes],
        };
        let mut add = |&(reference, output): &(usize, usize)| {
            tally.present[reference] += 1;
            tally.given[output] += 1;
            tally.hits[reference] += usize::from(reference == output);
        };
        match draw {
            Some(draw) => draw.iter().for_each(|&index| add(&self.pairs[index])),
            None => self.pairs.iter().for_each(add),
        }
        tally
    }
}

/// Per class: items right, items given the label, items that have it.
struct Tally {
    hits: Vec<usize>,
    given: Vec<usize>,
    present: Vec<usize>,
}

impl Tally {
    fn macro_f1(&self, counted: &[bool]) -> f64 {
        let mut sum = 0.0;
        let mut classes = 0;
        for (class, counted) in counted.iter().enumerate() {
            // A label that a resample left out is no class of it.
            if *counted && self.given[class] + self.present[class] > 0 {
                sum += f1(self.hits[class], self.given[class], self.present[class]);
                classes += 1;
            }
        }
        if classes == 0 {
            0.0
        } else {
            sum / f64::from(classes)
        }
    }

    fn matthews(&self) -> f64 {
        let n: f64 = self.present.iter().sum::<usize>() as f64;
        let hits: f64 = self.hits.iter().sum::<usize>() as f64;
        let dot = |a: &[usize], b: &[usize]| {
            a.iter()
                .zip(b)
                .map(|(&a, &b)| a as f64 * b as f64)
                .sum::<f64>()
        };
        let covariance = hits * n - dot(&self.given, &self.present);
        let scale =
            (n * n - dot(&self.given, &self.given)) * (n * n - dot(&self.present, &self.present));
        if scale == 0.0 {
            0.0
        } else {
            covariance / scale.sqrt()
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these values are exact")]
mod tests {
    use finetune_data::Origin;

    use super::*;

    fn outcomes(pairs: &[(&str, &str)]) -> Vec<Outcome> {
        pairs
            .iter()
            .zip(1..)
            .map(|((reference, output), place)| {
                Outcome::new(Origin::new("labels.csv", place), "", *reference, *output)
            })
            .collect()
    }

    #[test]
    fn one_class_only_has_no_correlation() {
        let outcomes = outcomes(&[("a", "a"), ("a", "a")]);
        let outcomes: Vec<_> = outcomes.iter().collect();
        assert_eq!(Matthews.value(&outcomes).unwrap(), 0.0);
        assert_eq!(MacroF1::default().value(&outcomes).unwrap(), 1.0);
    }

    #[test]
    fn a_label_never_given_has_no_precision() {
        let outcomes = outcomes(&[("a", "b"), ("b", "b"), ("c", "b")]);
        let confusion = Confusion::of(&outcomes.iter().collect::<Vec<_>>()).unwrap();
        let classes = confusion.classes();
        assert_eq!(classes[0].precision, None);
        assert_eq!(classes[0].recall.unwrap().value, 0.0);
        assert!((classes[1].precision.unwrap().value - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!(confusion.counts, [[0, 1, 0], [0, 1, 0], [0, 1, 0]]);
    }
}
