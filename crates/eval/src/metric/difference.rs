//! The paired difference between two runs over the same items.

use serde::{Deserialize, Serialize};

use super::{Better, Bootstrap, Estimate, Metric};
use crate::{EvalError, Outcome, Result, text::excerpt};

/// How a metric changed between two runs over the same items.
///
/// Pairing removes what the items have in common (some questions are harder than others), so the error is smaller than
/// that of two independent runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// The metric's name.
    pub metric: String,
    /// The value before.
    pub before: f64,
    /// The value after.
    pub after: f64,
    /// `after − before`, with its error, interval and the number of pairs.
    pub change: Estimate,
    /// How many items became better; 0 for a metric that has no per-item values.
    pub better: usize,
    /// How many items became worse; 0 for a metric that has no per-item values.
    pub worse: usize,
    /// The two-sided p-value of the exact sign test over the items that changed; none if none did, or if the metric has
    /// no per-item values.
    pub p_value: Option<f64>,
}

impl Difference {
    /// The change of `metric` from `before` to `after`, which hold the same items in the same order.
    ///
    /// # Errors
    /// [`EvalError::Unmatched`] if they do not hold the same items; else whatever the metric returns.
    pub fn of(metric: &dyn Metric, before: &[Outcome], after: &[Outcome]) -> Result<Self> {
        same_items("before", before.iter(), "after", after.iter())?;
        let (before, after): (Vec<_>, Vec<_>) = (before.iter().collect(), after.iter().collect());
        let values = (metric.value(&before)?, metric.value(&after)?);
        match (metric.items(&before)?, metric.items(&after)?) {
            (Some(old), Some(new)) => Self::of_items(metric, values, &old, &new),
            _ => Self::of_corpus(metric, values, &before, &after),
        }
    }

    fn of_items(
        metric: &dyn Metric,
        (before, after): (f64, f64),
        old: &[f64],
        new: &[f64],
    ) -> Result<Self> {
        let changes: Vec<f64> = old.iter().zip(new).map(|(old, new)| new - old).collect();
        let mut change =
            Estimate::of_mean(&changes).ok_or_else(|| super::no_outcomes(metric.name()))?;
        // Differences of shares lie in [−1, 1]; Wilson's interval does not fit them.
        change.interval = change
            .error
            .map(|error| super::Interval::normal(change.value, error));
        let (up, down) = (
            changes.iter().filter(|c| **c > 0.0).count(),
            changes.iter().filter(|c| **c < 0.0).count(),
        );
        let (better, worse) = match metric.better() {
            Better::Higher => (up, down),
            Better::Lower => (down, up),
        };
        let metric = metric.name().to_owned();
        Ok(Self {
            metric,
            before,
            after,
            change,
            better,
            worse,
            p_value: sign_test(better, worse),
        })
    }

    /// A metric without per-item values: both runs are resampled with the same draws.
    fn of_corpus(
        metric: &dyn Metric,
        (before, after): (f64, f64),
        old: &[&Outcome],
        new: &[&Outcome],
    ) -> Result<Self> {
        let drawn = |outcomes: &[&Outcome], draw: &[usize]| {
            metric.value(
                &draw
                    .iter()
                    .map(|&index| outcomes[index])
                    .collect::<Vec<_>>(),
            )
        };
        let change = Bootstrap::default().estimate(after - before, old.len(), |draw| {
            Ok(drawn(new, draw)? - drawn(old, draw)?)
        })?;
        Ok(Self {
            metric: metric.name().to_owned(),
            before,
            after,
            change,
            better: 0,
            worse: 0,
            p_value: None,
        })
    }

    /// Whether the interval of the change leaves out zero.
    pub fn is_clear(&self) -> bool {
        self.change
            .interval
            .is_some_and(|interval| !interval.contains(0.0))
    }
}

/// Checks that both runs hold the same items in the same order.
pub(crate) fn same_items<'a>(
    before: &str,
    old: impl ExactSizeIterator<Item = &'a Outcome>,
    after: &str,
    new: impl ExactSizeIterator<Item = &'a Outcome>,
) -> Result<()> {
    let unmatched = |detail| EvalError::Unmatched {
        before: before.to_owned(),
        after: after.to_owned(),
        detail,
    };
    if old.len() != new.len() {
        return Err(unmatched(format!(
            "{} items and {} items",
            old.len(),
            new.len()
        )));
    }
    for (number, (old, new)) in (1..).zip(old.zip(new)) {
        if old.origin != new.origin || old.input != new.input {
            return Err(unmatched(format!(
                "item {number} is {} {:?} in one and {} {:?} in the other",
                old.origin,
                excerpt(&old.input),
                new.origin,
                excerpt(&new.input)
            )));
        }
    }
    Ok(())
}

/// The two-sided p-value of the exact sign test: how likely is a split at least as uneven as `a : b` if both directions
/// were equally likely? `None` if nothing changed.
///
/// ```
/// assert_eq!(finetune_eval::metric::sign_test(5, 0), Some(0.0625));
/// ```
pub fn sign_test(a: usize, b: usize) -> Option<f64> {
    let n = a + b;
    if n == 0 {
        return None;
    }
    let less = a.min(b);
    // Σ_{k ≤ less} C(n, k) / 2ⁿ, in logarithms so that large n do not overflow.
    let mut term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = term.exp();
    for k in 1..=less {
        term += ((n - k + 1) as f64).ln() - (k as f64).ln();
        tail += term.exp();
    }
    Some((2.0 * tail).min(1.0))
}

#[cfg(test)]
mod tests {
    use finetune_data::Origin;

    use super::*;
    use crate::metric::{MacroF1, Mean};

    fn run(scores: &[f64]) -> Vec<Outcome> {
        scores
            .iter()
            .zip(1..)
            .map(|(&score, place)| {
                let label = if score > 0.5 { "yes" } else { "no" };
                Outcome::new(Origin::new("q.jsonl", place), "q", "yes", label)
                    .with_score("f1", score)
            })
            .collect()
    }

    #[test]
    fn pairs_items() {
        let metric = Mean::new("token F1", "f1");
        let difference = Difference::of(
            &metric,
            &run(&[0.0, 0.2, 1.0, 0.4]),
            &run(&[1.0, 0.6, 0.5, 0.4]),
        )
        .unwrap();
        assert!((difference.change.value - 0.225).abs() < 1e-12);
        // numpy: np.std([1, .4, -.5, 0], ddof=1) / 2
        assert!((difference.change.error.unwrap() - 0.317_214_438_511_238_04).abs() < 1e-9);
        assert_eq!((difference.better, difference.worse), (2, 1));
        assert!(!difference.is_clear());
    }

    #[test]
    fn resamples_pairs_for_a_corpus_metric() {
        let old: Vec<f64> = (0..60)
            .map(|index| f64::from(u8::from(index % 3 == 0)))
            .collect();
        let new: Vec<f64> = (0..60)
            .map(|index| f64::from(u8::from(index % 3 != 1)))
            .collect();
        let difference = Difference::of(&MacroF1::default(), &run(&old), &run(&new)).unwrap();
        assert!(difference.change.value > 0.0 && difference.is_clear());
        assert_eq!(
            difference,
            Difference::of(&MacroF1::default(), &run(&old), &run(&new)).unwrap()
        );
        let none = Difference::of(&MacroF1::default(), &run(&old), &run(&old)).unwrap();
        assert_eq!((none.change.value, none.change.error), (0.0, Some(0.0)));
    }

    #[test]
    fn refuses_different_items() {
        let metric = Mean::new("token F1", "f1");
        let error = Difference::of(&metric, &run(&[0.0]), &run(&[0.0, 1.0])).unwrap_err();
        assert!(error.to_string().contains("1 items and 2 items"), "{error}");
        let mut other = run(&[0.0]);
        other[0].input = "another".into();
        let error = Difference::of(&metric, &run(&[0.0]), &other).unwrap_err();
        assert!(error.to_string().contains("another"), "{error}");
    }

    #[test]
    fn the_sign_test_is_exact() {
        // scipy.stats.binomtest(k, n, 0.5).pvalue
        for (a, b, p) in [
            (8, 2, 0.109_375),
            (3, 3, 1.0),
            (60, 40, 0.056_887_933_640_980_03),
        ] {
            assert!((sign_test(a, b).unwrap() - p).abs() < 1e-9, "{a} {b}");
        }
        assert_eq!(sign_test(0, 0), None);
        assert!(sign_test(6000, 4000).unwrap() < 1e-80);
    }
}
