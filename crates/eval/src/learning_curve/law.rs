//! The power law with an irreducible part, and how it is fitted.

use serde::{Deserialize, Serialize};

/// The exponents that are tried. Measured ones lie between 0.05 and 1 (Hestness et al. 2017, arXiv:1712.00409); a fit at
/// an end of this range says that the curve is none of this form.
pub(super) const EXPONENTS: (f64, f64) = (0.02, 2.0);

/// The exponents of the first search, evenly spread in their logarithm.
const GRID: usize = 64;

/// `value(rows) = floor + scale · rows^−exponent`: an error that falls with the number of training rows towards a part
/// that no number of rows removes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PowerLaw {
    /// The irreducible part, at least 0.
    pub floor: f64,
    /// The reducible part at one row, at least 0.
    pub scale: f64,
    /// How fast the reducible part falls, above 0.
    pub exponent: f64,
}

/// A size with the mean of its values and the weight of that mean (one over its variance, up to a common factor).
#[derive(Clone, Copy, Debug)]
pub(super) struct Weighted {
    pub(super) rows: f64,
    pub(super) value: f64,
    pub(super) weight: f64,
}

impl PowerLaw {
    /// The error after training on `rows` rows.
    pub fn at(&self, rows: f64) -> f64 {
        self.floor + self.scale * rows.powf(-self.exponent)
    }

    /// The law with the least weighted squares: the exponent by a search over a grid and then by golden section, floor
    /// and scale for each exponent by least squares under `floor ≥ 0` and `scale ≥ 0`.
    ///
    /// Among equally good exponents the smallest is taken. The slice holds at least one size.
    pub(super) fn fit(points: &[Weighted]) -> Self {
        let (low, high) = EXPONENTS;
        let step = (high / low).ln() / (GRID - 1) as f64;
        let exponent = |place: f64| (low * (place * step).exp()).min(high);
        let last = (GRID - 1) as f64;
        let cost = |place: f64| Line::fit(points, exponent(place)).squares;
        let mut best = (0.0, cost(0.0));
        for place in (1..GRID).map(|place| place as f64) {
            let squares = cost(place);
            if squares < best.1 {
                best = (place, squares);
            }
        }
        let around = ((best.0 - 1.0).max(0.0), (best.0 + 1.0).min(last));
        let found = golden(around, cost);
        let place = if cost(found) < best.1 { found } else { best.0 };
        Line::fit(points, exponent(place)).law(exponent(place))
    }
}

/// The place of a minimum between two ends, by golden section (Kiefer 1953), to the last few bits.
fn golden((mut low, mut high): (f64, f64), cost: impl Fn(f64) -> f64) -> f64 {
    let ratio = (5_f64.sqrt() - 1.0) / 2.0;
    let (mut left, mut right) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_left, mut at_right) = (cost(left), cost(right));
    while high - low > 1e-10 {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - ratio * (high - low);
            at_left = cost(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + ratio * (high - low);
            at_right = cost(right);
        }
    }
    f64::midpoint(low, high)
}

/// The best floor and scale for a given exponent. The reducible part is counted at the smallest size, where it is of the
/// size of the values, whatever the exponent.
struct Line {
    floor: f64,
    reducible: f64,
    smallest: f64,
    squares: f64,
}

impl Line {
    fn fit(points: &[Weighted], exponent: f64) -> Self {
        let smallest = points.iter().map(|p| p.rows).fold(f64::INFINITY, f64::min);
        let x: Vec<f64> = points
            .iter()
            .map(|p| (p.rows / smallest).powf(-exponent))
            .collect();
        let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
            points
                .iter()
                .zip(&x)
                .map(|(p, &x)| p.weight * of(x, p.value))
                .sum()
        };
        let total = sum(&|_, _| 1.0);
        let (mean_x, mean_y) = (sum(&|x, _| x) / total, sum(&|_, y| y) / total);
        let spread = sum(&|x, _| (x - mean_x).powi(2));
        let slope = if spread > 0.0 {
            sum(&|x, y| (x - mean_x) * (y - mean_y)) / spread
        } else {
            0.0
        };
        let (floor, reducible) = if slope <= 0.0 {
            // The values do not fall: a constant is the nearest that the law allows.
            (mean_y.max(0.0), 0.0)
        } else if mean_y >= slope * mean_x {
            (mean_y - slope * mean_x, slope)
        } else {
            // The line would end below 0: the nearest one ends at 0.
            (0.0, (sum(&|x, y| x * y) / sum(&|x, _| x * x)).max(0.0))
        };
        Self {
            floor,
            reducible,
            smallest,
            squares: sum(&|x, y| (y - floor - reducible * x).powi(2)),
        }
    }

    fn law(&self, exponent: f64) -> PowerLaw {
        PowerLaw {
            floor: self.floor,
            scale: self.reducible * self.smallest.powf(exponent),
            exponent,
        }
    }
}
