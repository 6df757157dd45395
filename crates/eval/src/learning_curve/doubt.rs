//! Why a fit should not be trusted.

use std::fmt;

use serde::Serialize;

use super::{Fit, law::EXPONENTS, sizes::Size};

/// The fewest sizes that leave something over to see whether the law holds.
const SIZES: usize = 4;
/// How many times the smallest size the largest should be.
const SPAN: f64 = 4.0;
/// By what part of the curve's height a value may rise with more data where no seeds tell the noise.
const RISE: f64 = 0.1;

/// A reason not to trust a fit. `Display` says it as a clause.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Doubt {
    /// The values do not improve with more data.
    Flat,
    /// A larger size is worse than a smaller one by more than the noise.
    NotMonotone {
        /// The smaller size.
        better: u64,
        /// The larger size.
        worse: u64,
    },
    /// There are fewer than four sizes.
    FewSizes {
        /// How many there are.
        sizes: usize,
    },
    /// The largest size is less than four times the smallest.
    NarrowSpan {
        /// How many times it is.
        span: f64,
    },
    /// The best exponent is an end of the range that is searched.
    ExponentAtEdge {
        /// The exponent.
        exponent: f64,
    },
    /// The interval of the floor is wider than the curve is high: how far data can lead is not known.
    FloorUnknown {
        /// The width of the interval.
        width: f64,
        /// The height of the curve.
        height: f64,
    },
    /// The interval at ten times the data is wider than the curve is high.
    WideForecast {
        /// The width of the interval.
        width: f64,
        /// The height of the curve.
        height: f64,
    },
    /// Every size was trained with one seed only.
    SingleSeed,
}

impl Doubt {
    /// Whether the forecasts are worth nothing with it. The others, a single seed and an unknown floor, call for
    /// caution: the intervals hold what they cost.
    pub fn is_grave(self) -> bool {
        !matches!(self, Self::SingleSeed | Self::FloorUnknown { .. })
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flat => f.write_str("the values do not improve with more data"),
            Self::NotMonotone { better, worse } => {
                write!(f, "{worse} rows gave a worse value than {better}, by more than the noise")
            }
            Self::FewSizes { sizes } => {
                write!(f, "{sizes} sizes cannot show whether the law holds; train on at least {SIZES}")
            }
            Self::NarrowSpan { span } => write!(
                f,
                "the largest size is only {span:.1} times the smallest; let it be at least {SPAN} times"
            ),
            Self::ExponentAtEdge { exponent } => write!(
                f,
                "the exponent {exponent:.2} is at the edge of what is searched, so the curve is of another form"
            ),
            Self::FloorUnknown { .. } => {
                f.write_str("how far more data can lead at most is not known: the interval of the floor is wider than the curve is high")
            }
            Self::WideForecast { .. } => {
                f.write_str("the interval at 10 times the data is wider than the whole curve is high")
            }
            Self::SingleSeed => f.write_str("each size was trained with one seed only"),
        }
    }
}

/// All doubts about a fit whose forecasts are made, the grave ones first.
pub(super) fn doubts(sizes: &[Size], fit: &Fit) -> Vec<Doubt> {
    let mut found = Vec::new();
    let span = match sizes {
        [first, .., last] => last.rows as f64 / first.rows as f64,
        _ => 1.0,
    };
    let (low, high) = extent(sizes);
    let height = high - low;
    let wider = |interval: Option<crate::Interval>| {
        let width = interval.map_or(0.0, |interval| interval.high - interval.low);
        (width > height).then_some(width)
    };
    if fit.law.scale == 0.0 {
        found.push(Doubt::Flat);
    }
    found.extend(not_monotone(sizes, height));
    if sizes.len() < SIZES {
        found.push(Doubt::FewSizes { sizes: sizes.len() });
    }
    if span < SPAN {
        found.push(Doubt::NarrowSpan { span });
    }
    let exponent = fit.law.exponent;
    if fit.law.scale > 0.0 && !(EXPONENTS.0 * 1.01..EXPONENTS.1 * 0.99).contains(&exponent) {
        found.push(Doubt::ExponentAtEdge { exponent });
    }
    if let Some(width) = wider(fit.forecasts.last().and_then(|last| last.interval)) {
        found.push(Doubt::WideForecast { width, height });
    }
    if let Some(width) = wider(fit.floor) {
        found.push(Doubt::FloorUnknown { width, height });
    }
    if sizes.iter().all(|size| size.errors.len() == 1) {
        found.push(Doubt::SingleSeed);
    }
    found
}

/// The lowest and the highest mean.
fn extent(sizes: &[Size]) -> (f64, f64) {
    sizes
        .iter()
        .map(Size::mean)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), mean| {
            (low.min(mean), high.max(mean))
        })
}

/// The worst rise between a size and a larger one, if it is beyond twice its standard error or, without seeds, a tenth
/// of the curve's height.
fn not_monotone(sizes: &[Size], height: f64) -> Option<Doubt> {
    let error = |size: &Size| {
        size.variance()
            .map(|variance| variance / size.errors.len() as f64)
    };
    let mut best = sizes.first()?;
    let mut found: Option<(f64, Doubt)> = None;
    for size in sizes {
        let rise = size.mean() - best.mean();
        let allowed = match (error(best), error(size)) {
            (Some(one), Some(other)) => 2.0 * (one + other).sqrt(),
            _ => RISE * height,
        };
        if rise > allowed && found.is_none_or(|(worst, _)| rise > worst) {
            let (better, worse) = (best.rows, size.rows);
            found = Some((rise, Doubt::NotMonotone { better, worse }));
        }
        if rise < 0.0 {
            best = size;
        }
    }
    found.map(|(_, doubt)| doubt)
}
