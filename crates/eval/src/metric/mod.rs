//! Metrics: each a value with its standard error, its interval and the number of items behind it.
//!
//! | metric | per item | error |
//! |---|---|---|
//! | [`Mean`] of a score (exact match, token F1, ROUGE-L, accuracy) | yes | `s/√n`; Wilson's interval where all scores are 0 or 1 |
//! | [`Perplexity`], [`BitsPerByte`] | no: a ratio of sums over the corpus | linearised ratio (delta method) |
//! | [`MacroF1`], [`MicroF1`], [`Matthews`] | no | bootstrap over the items |
//!
//! All intervals are at 95 %. All sums run in the order of the items, and the bootstrap draws from a generator that is
//! seeded per resample, so every figure is the same for any number of threads.

mod bleu;
mod bootstrap;
mod chrf;
mod difference;
mod label;
mod likelihood;
mod mean;
mod rouge;
pub(crate) mod several;
mod words;

use serde::{Deserialize, Serialize};

pub(crate) use bleu::BleuCounts;
pub use bleu::{Words, bleu};
pub use bootstrap::Bootstrap;
pub(crate) use bootstrap::{SplitMix, percentile};
pub(crate) use chrf::ChrfCounts;
pub use chrf::chrf;
pub(crate) use difference::same_items;
pub use difference::{Difference, sign_test};
pub use label::{ClassFigures, Confusion, MacroF1, Matthews, of_labels};
pub use likelihood::{BitsPerByte, Perplexity};
pub use mean::Mean;
pub use rouge::{Overlap, rouge_l, rouge_lsum, rouge_n};
pub use several::{MicroF1, of_several};
pub use words::{Normalization, exact_match, token_f1};

use crate::{EvalError, Outcome, Result};

/// The standard normal quantile of a two-sided 95 % interval.
pub(crate) const Z: f64 = 1.959_963_984_540_054;

/// A figure: a value, how sure it is, and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard error; none where it cannot be estimated (a single item).
    #[serde(default)]
    pub error: Option<f64>,
    /// Its 95 % interval; none where it cannot be estimated.
    #[serde(default)]
    pub interval: Option<Interval>,
    /// The number of items.
    pub count: usize,
}

/// A closed interval at 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

/// Which way a metric improves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// More is better: accuracy.
    Higher,
    /// Less is better: perplexity.
    Lower,
}

/// How a metric's value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share of 1, written in per cent.
    Share,
    /// A plain number.
    Number,
}

/// A figure over outcomes.
///
/// Only [`name`](Metric::name) and [`value`](Metric::value) must be written: the error and the interval then come from
/// a [`Bootstrap`] over the items. A metric that is the mean of a per-item score is a [`Mean`].
pub trait Metric: Send + Sync {
    /// Its name, as it stands in reports.
    fn name(&self) -> &str;

    /// The value over these outcomes.
    ///
    /// # Errors
    /// [`EvalError::NoOutcomes`] for an empty slice; [`EvalError::MissingScore`] if an outcome lacks what it needs.
    fn value(&self, outcomes: &[&Outcome]) -> Result<f64>;

    /// Which way it improves.
    fn better(&self) -> Better {
        Better::Higher
    }

    /// How its value is written.
    fn unit(&self) -> Unit {
        Unit::Share
    }

    /// The per-item values whose mean it is, if it is a mean.
    ///
    /// # Errors
    /// As [`value`](Metric::value).
    fn items(&self, _outcomes: &[&Outcome]) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }

    /// The value with its error, interval and count.
    ///
    /// # Errors
    /// As [`value`](Metric::value).
    fn measure(&self, outcomes: &[&Outcome]) -> Result<Estimate> {
        if let Some(items) = self.items(outcomes)? {
            return Estimate::of_mean(&items).ok_or_else(|| no_outcomes(self.name()));
        }
        let value = self.value(outcomes)?;
        Bootstrap::default().estimate(value, outcomes.len(), |draw| {
            let drawn: Vec<_> = draw.iter().map(|&index| outcomes[index]).collect();
            self.value(&drawn)
        })
    }
}

/// The error for a metric over nothing.
pub(crate) fn no_outcomes(metric: &str) -> EvalError {
    EvalError::NoOutcomes {
        metric: metric.to_owned(),
    }
}

impl Estimate {
    /// A value without error or interval.
    pub fn bare(value: f64, count: usize) -> Self {
        Self {
            value,
            error: None,
            interval: None,
            count,
        }
    }

    /// The mean of per-item scores with `error = s/√n`, `s` the sample standard deviation. `None` for no scores.
    ///
    /// Where every score is 0 or 1, the interval is Wilson's (1927), which stays honest at 0 of n and n of n; else it is
    /// the normal one, cut to \[0, 1\] where all scores lie in it.
    ///
    /// ```
    /// use finetune_eval::Estimate;
    ///
    /// let nothing_right = Estimate::of_mean(&[0.0; 100]).unwrap();
    /// assert!(nothing_right.interval.unwrap().high > 0.03);
    /// ```
    pub fn of_mean(scores: &[f64]) -> Option<Self> {
        if scores.is_empty() {
            return None;
        }
        let count = scores.len();
        let value = mean(scores);
        let error = deviation(scores, value).map(|deviation| deviation / (count as f64).sqrt());
        let interval = if scores.iter().all(|&score| [0.0, 1.0].contains(&score)) {
            Some(Interval::of_share(value, count))
        } else {
            let bounded = scores.iter().all(|score| (0.0..=1.0).contains(score));
            error.map(|error| {
                let whole = Interval::normal(value, error);
                if bounded {
                    whole.within(0.0, 1.0)
                } else {
                    whole
                }
            })
        };
        Some(Self {
            value,
            error,
            interval,
            count,
        })
    }

    /// The share `hits / count` with its standard error and Wilson's interval. `None` if `count` is 0.
    pub fn of_share(hits: usize, count: usize) -> Option<Self> {
        if count == 0 {
            return None;
        }
        let n = count as f64;
        let value = hits as f64 / n;
        let error = (count > 1).then(|| (value * (1.0 - value) / (n - 1.0)).sqrt());
        Some(Self {
            value,
            error,
            interval: Some(Interval::of_share(value, count)),
            count,
        })
    }
}

impl Interval {
    /// `value ± 1.96·error`.
    pub fn normal(value: f64, error: f64) -> Self {
        Self {
            low: value - Z * error,
            high: value + Z * error,
        }
    }

    /// Wilson's score interval of a share over `count` items.
    pub fn of_share(share: f64, count: usize) -> Self {
        let n = count as f64;
        let scale = 1.0 + Z * Z / n;
        let centre = (share + Z * Z / (2.0 * n)) / scale;
        let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        Self {
            low: (centre - half).min(share),
            high: (centre + half).max(share),
        }
        .within(0.0, 1.0)
    }

    /// The interval cut to `[low, high]`.
    pub fn within(self, low: f64, high: f64) -> Self {
        Self {
            low: self.low.clamp(low, high),
            high: self.high.clamp(low, high),
        }
    }

    /// Whether `value` lies in it.
    pub fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The mean, summed in order. The slice is not empty.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample standard deviation around `centre`; `None` for fewer than two values.
pub(crate) fn deviation(values: &[f64], centre: f64) -> Option<f64> {
    (values.len() > 1).then(|| {
        let squares: f64 = values.iter().map(|value| (value - centre).powi(2)).sum();
        (squares / (values.len() as f64 - 1.0)).sqrt()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mean_carries_its_error_and_count() {
        let estimate = Estimate::of_mean(&[0.0, 0.5, 1.0, 0.25]).unwrap();
        assert_eq!(estimate.count, 4);
        assert!((estimate.value - 0.4375).abs() < 1e-15);
        // numpy: np.std([0, .5, 1, .25], ddof=1) / 2
        assert!((estimate.error.unwrap() - 0.213_478_140_957_491_62).abs() < 1e-12);
        assert_eq!(Estimate::of_mean(&[]), None);
        assert_eq!(Estimate::of_mean(&[0.3]).unwrap().error, None);
    }

    #[test]
    fn wilson_agrees_with_statsmodels() {
        // statsmodels.stats.proportion.proportion_confint(k, n, method="wilson")
        for (hits, count, low, high) in [
            (0, 100, 0.0, 0.036_993_498_206_985_68),
            (5, 10, 0.236_593_090_512_564_5, 0.763_406_909_487_435_5),
            (100, 100, 0.963_006_501_793_014_3, 1.0),
        ] {
            let interval = Estimate::of_share(hits, count).unwrap().interval.unwrap();
            assert!(
                (interval.low - low).abs() < 1e-9,
                "{hits}/{count}: {interval:?}"
            );
            assert!(
                (interval.high - high).abs() < 1e-9,
                "{hits}/{count}: {interval:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_value(scores in prop::collection::vec(0.0_f64..=1.0, 1..40)) {
            let estimate = Estimate::of_mean(&scores).unwrap();
            if let Some(interval) = estimate.interval {
                prop_assert!(interval.low <= estimate.value + 1e-12 && estimate.value <= interval.high + 1e-12);
                prop_assert!(interval.low >= 0.0 && interval.high <= 1.0);
            }
        }

        #[test]
        fn a_share_is_the_mean_of_zeros_and_ones(count in 2_usize..200, share in 0.0_f64..=1.0) {
            let hits = (share * count as f64) as usize;
            let scores: Vec<_> = (0..count).map(|index| f64::from(u8::from(index < hits))).collect();
            let (a, b) = (Estimate::of_share(hits, count).unwrap(), Estimate::of_mean(&scores).unwrap());
            prop_assert!((a.value - b.value).abs() < 1e-12);
            prop_assert!((a.error.unwrap() - b.error.unwrap()).abs() < 1e-12);
            prop_assert_eq!(a.interval.unwrap(), b.interval.unwrap());
        }
    }
}
