//! The bootstrap over items.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Estimate, Interval, deviation, mean, no_outcomes};
use crate::{EvalError, Result};

/// Resampling of the items with replacement (Efron 1979): the error is the standard deviation of the replicates, the
/// interval their 2.5 and 97.5 percentiles.
///
/// Replicate `i` draws from a generator seeded by `(seed, i)` alone, so the result is the same for any number of
/// threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// How many replicates are drawn; at least 2.
    pub resamples: usize,
    /// The seed.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            resamples: 1000,
            seed: 1234,
        }
    }
}

impl Bootstrap {
    /// The estimate of a statistic with the given `value` over `count` items. `statistic` gets the indices of a draw.
    ///
    /// With one item there is nothing to resample: the error and interval are `None`.
    ///
    /// # Errors
    /// [`EvalError::NoOutcomes`] if `count` is 0, [`EvalError::Setting`] for fewer than two resamples, and whatever
    /// `statistic` returns.
    pub fn estimate(
        self,
        value: f64,
        count: usize,
        statistic: impl Fn(&[usize]) -> Result<f64> + Sync,
    ) -> Result<Estimate> {
        if count == 0 {
            return Err(no_outcomes("bootstrap"));
        }
        if count == 1 {
            return Ok(Estimate::bare(value, count));
        }
        let mut replicates = self.replicates(count, statistic)?;
        let error = deviation(&replicates, mean(&replicates));
        replicates.sort_by(f64::total_cmp);
        let interval = Interval {
            low: percentile(&replicates, 0.025),
            high: percentile(&replicates, 0.975),
        };
        Ok(Estimate {
            value,
            error,
            interval: Some(interval),
            count,
        })
    }

    /// Refuses too few resamples.
    pub(crate) fn check(self) -> Result<()> {
        if self.resamples < 2 {
            return Err(EvalError::Setting {
                what: "bootstrap".into(),
                reason: format!("{} resamples; expected at least 2", self.resamples),
            });
        }
        Ok(())
    }

    /// The replicates, in order.
    fn replicates(
        self,
        count: usize,
        statistic: impl Fn(&[usize]) -> Result<f64> + Sync,
    ) -> Result<Vec<f64>> {
        self.check()?;
        (0..self.resamples as u64)
            .into_par_iter()
            .map_init(
                || vec![0; count],
                |draw, replicate| {
                    let mut random = SplitMix::new(self.seed, replicate);
                    draw.fill_with(|| random.below(count));
                    statistic(draw)
                },
            )
            .collect()
    }
}

/// The percentile of sorted values with linear interpolation (numpy's default).
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * part
}

/// `SplitMix64` (Steele, Lea and Flood 2014): enough for resampling, and a stream per replicate costs nothing.
pub(crate) struct SplitMix(u64);

impl SplitMix {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut mixed = Self(seed);
        let base = mixed.next();
        let mut mixed = Self(base ^ stream.wrapping_mul(0xd134_2543_de82_ef95));
        mixed.next();
        mixed
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An index below `count`; the bias of the multiplication is below `count / 2⁶⁴`.
    fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// A standard normal number (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        // In (0, 1]: the logarithm is finite.
        let mut part = || ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        let (radius, angle) = ((-2.0 * part().ln()).sqrt(), part());
        radius * (std::f64::consts::TAU * angle).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores() -> Vec<f64> {
        (0..200).map(|index| f64::from(index % 7) / 7.0).collect()
    }

    fn estimate(threads: usize) -> Estimate {
        let scores = scores();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            Bootstrap::default()
                .estimate(mean(&scores), scores.len(), |draw| {
                    Ok(draw.iter().map(|&index| scores[index]).sum::<f64>() / draw.len() as f64)
                })
                .unwrap()
        })
    }

    #[test]
    fn agrees_with_the_formula_for_a_mean() {
        let exact = Estimate::of_mean(&scores()).unwrap();
        let drawn = estimate(1);
        assert!((drawn.error.unwrap() / exact.error.unwrap() - 1.0).abs() < 0.06);
        assert!((drawn.interval.unwrap().low - exact.interval.unwrap().low).abs() < 0.005);
    }

    #[test]
    fn is_the_same_for_any_number_of_threads() {
        assert_eq!(estimate(1), estimate(3));
    }

    #[test]
    fn refuses_nothing_and_too_few() {
        assert!(matches!(
            Bootstrap::default().estimate(0.0, 0, |_| Ok(0.0)),
            Err(EvalError::NoOutcomes { .. })
        ));
        let few = Bootstrap {
            resamples: 1,
            seed: 0,
        };
        assert!(matches!(
            few.estimate(0.0, 5, |_| Ok(0.0)),
            Err(EvalError::Setting { .. })
        ));
        assert_eq!(
            Bootstrap::default()
                .estimate(0.5, 1, |_| Ok(0.5))
                .unwrap()
                .error,
            None
        );
    }

    #[test]
    fn percentiles_are_numpys() {
        let sorted: Vec<_> = (0..11).map(f64::from).collect();
        assert!((percentile(&sorted, 0.025) - 0.25).abs() < 1e-12);
        assert!((percentile(&sorted, 0.975) - 9.75).abs() < 1e-12);
    }
}
