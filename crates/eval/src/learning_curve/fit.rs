//! A fitted curve: its law, how sure that is, and what more data would give.

use rayon::prelude::*;
use serde::Serialize;

use super::{
    Doubt, LearningCurve, PowerLaw, doubt,
    law::Weighted,
    sizes::{Size, sizes},
};
use crate::{
    Interval, Result,
    metric::{Bootstrap, SplitMix, percentile},
};

/// How many times the largest size the curve is continued to.
const FACTORS: [u64; 3] = [2, 4, 10];

/// The weight, in degrees of freedom, of the common variance against that of a size's own seeds. The variance of two or
/// three seeds is itself so unsure that it must not weigh a size by itself (Smyth 2004, moderated variances).
const COMMON: f64 = 4.0;

/// The fewest sizes at which three parameters can be told.
pub(super) const PARAMETERS: usize = 3;

/// A power law through a learning curve.
///
/// The law is that of the *error*: the value itself where less is better, `1 − value` where more is. Everything else
/// here is in the metric's own terms.
///
/// Intervals are a parametric bootstrap: each replicate is the law with noise added, fitted anew. The size of the noise
/// comes from the distances of the means to the law and, with several seeds, from the seeds; as it rests on few values,
/// each replicate draws it too, from its inverse χ² distribution. So the intervals are about as wide as those of
/// Student's t, and with a single seed at four sizes they are wide indeed. They hold what chance in training does, not
/// what other held-out items would change, which moves all values alike.
#[derive(Clone, Debug, Serialize)]
pub struct Fit {
    /// The law of the error.
    pub law: PowerLaw,
    /// The 95 % interval of the law's floor; none where the noise is unknown.
    pub floor: Option<Interval>,
    /// The 95 % interval of the law's exponent; none where the noise is unknown.
    pub exponent: Option<Interval>,
    /// The value at the largest size, and at 2, 4 and 10 times as many rows.
    pub forecasts: Vec<Forecast>,
    /// Why the fit should not be trusted; empty if nothing speaks against it.
    pub doubts: Vec<Doubt>,
    /// Whether more is better.
    #[serde(skip)]
    grows: bool,
    /// The laws of the replicates; none where the noise is unknown.
    #[serde(skip)]
    replicates: Vec<PowerLaw>,
}

/// What the law says of a number of rows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Forecast {
    /// The number of training rows.
    pub rows: u64,
    /// The expected value.
    pub value: f64,
    /// The 95 % interval of the expected value (a single run scatters more); none where the noise is unknown.
    pub interval: Option<Interval>,
}

impl Fit {
    /// The fit of a curve that was checked.
    pub(super) fn of(curve: &LearningCurve, bootstrap: Bootstrap) -> Result<Self> {
        bootstrap.check()?;
        let sizes = sizes(curve);
        let weighted = weighted(&sizes);
        let law = PowerLaw::fit(&weighted);
        let replicates = match Noise::of(&sizes, &weighted, law) {
            Some(noise) => replicates(&weighted, law, noise, bootstrap),
            None => Vec::new(),
        };
        let mut fit = Self {
            law,
            floor: None,
            exponent: None,
            forecasts: Vec::new(),
            doubts: Vec::new(),
            grows: curve.grows(),
            replicates,
        };
        fit.floor = fit.spread(|law| law.floor);
        fit.exponent = fit.spread(|law| law.exponent);
        let largest = curve.largest();
        fit.forecasts = [1]
            .iter()
            .chain(&FACTORS)
            .map(|factor| fit.at(largest.saturating_mul(*factor)))
            .collect();
        fit.doubts = doubt::doubts(&sizes, &fit);
        Ok(fit)
    }

    /// What the law says of `rows` training rows.
    pub fn at(&self, rows: u64) -> Forecast {
        let value = |law: PowerLaw| {
            let error = law.at(rows as f64);
            if self.grows { 1.0 - error } else { error }
        };
        Forecast {
            rows,
            value: value(self.law),
            interval: self.spread(value),
        }
    }

    /// Whether nothing speaks against the fit.
    pub fn is_trusted(&self) -> bool {
        self.doubts.is_empty()
    }

    /// The 2.5 and 97.5 percentiles of a figure over the replicates.
    fn spread(&self, figure: impl Fn(PowerLaw) -> f64) -> Option<Interval> {
        let mut figures: Vec<f64> = self.replicates.iter().map(|&law| figure(law)).collect();
        figures.sort_by(f64::total_cmp);
        (!figures.is_empty()).then(|| Interval {
            low: percentile(&figures, 0.025),
            high: percentile(&figures, 0.975),
        })
    }
}

/// The means of the sizes with their weights: the number of seeds over the moderated variance, which is 1 where no seeds
/// tell one.
fn weighted(sizes: &[Size]) -> Vec<Weighted> {
    let common = common_variance(sizes);
    let variance = |size: &Size| {
        let Some(common) = common else { return 1.0 };
        let own = (size.errors.len() - 1) as f64;
        (COMMON * common + own * size.variance().unwrap_or(common)) / (COMMON + own)
    };
    let one = |size: &Size| Weighted {
        rows: size.rows as f64,
        value: size.mean(),
        weight: size.errors.len() as f64 / variance(size),
    };
    sizes.iter().map(one).collect()
}

/// The variance between seeds, pooled over the sizes; none if no size has two seeds with different values.
fn common_variance(sizes: &[Size]) -> Option<f64> {
    let freedom = seed_freedom(sizes);
    let squares: f64 = sizes
        .iter()
        .filter_map(|size| Some(size.variance()? * (size.errors.len() - 1) as f64))
        .sum();
    (freedom > 0 && squares > 0.0).then(|| squares / freedom as f64)
}

/// The degrees of freedom that the seeds give.
fn seed_freedom(sizes: &[Size]) -> usize {
    sizes.iter().map(|size| size.errors.len() - 1).sum()
}

/// The noise of the means: the factor of their variances `1 / weight`, and the degrees of freedom that it rests on.
#[derive(Clone, Copy, Debug)]
struct Noise {
    factor: f64,
    freedom: usize,
}

impl Noise {
    /// The noise around a law; none where nothing tells it. Distances from the law that are larger than the seeds explain
    /// count as noise too: all seeds share the choice of rows.
    fn of(sizes: &[Size], weighted: &[Weighted], law: PowerLaw) -> Option<Self> {
        let free = weighted.len() - PARAMETERS;
        let squares: f64 = weighted
            .iter()
            .map(|p| p.weight * (p.value - law.at(p.rows)).powi(2))
            .sum();
        let around = (free > 0).then(|| squares / free as f64);
        let (factor, freedom) = match (common_variance(sizes), around) {
            (Some(_), around) => (around.unwrap_or(1.0).max(1.0), seed_freedom(sizes) + free),
            (None, Some(around)) => (around, free),
            (None, None) => return None,
        };
        Some(Self { factor, freedom })
    }
}

/// The laws of the replicates. Each draws from a generator of its own, so they are the same for any number of threads.
fn replicates(
    weighted: &[Weighted],
    law: PowerLaw,
    noise: Noise,
    bootstrap: Bootstrap,
) -> Vec<PowerLaw> {
    let replicate = |number: u64| {
        let mut random = SplitMix::new(bootstrap.seed, number);
        let square: f64 = (0..noise.freedom).map(|_| random.normal().powi(2)).sum();
        let factor = noise.factor * noise.freedom as f64 / square.max(f64::MIN_POSITIVE);
        let drawn = |point: &Weighted| Weighted {
            value: law.at(point.rows) + (factor / point.weight).sqrt() * random.normal(),
            ..*point
        };
        let drawn: Vec<Weighted> = weighted.iter().map(drawn).collect();
        PowerLaw::fit(&drawn)
    };
    (0..bootstrap.resamples as u64)
        .into_par_iter()
        .map(replicate)
        .collect()
}
