//! How much would more data give? A learning curve, its power law, and what that is worth.
//!
//! Train on growing parts of the same data, measure each model on the same held-out rows, and hand over the figures:
//!
//! ```
//! use finetune_eval::learning_curve::{LearningCurve, Point};
//! use finetune_eval::metric::{Better, Unit};
//!
//! let loss = |rows: u64| 1.5 + 8.0 * (rows as f64).powf(-0.4);
//! let points = [100, 200, 400, 800, 1600].map(|rows| Point { rows, seed: 1, value: loss(rows) });
//! let curve = LearningCurve {
//!     metric: "validation loss".into(),
//!     better: Better::Lower,
//!     unit: Unit::Number,
//!     items: 250,
//!     points: points.into(),
//! };
//! let fit = curve.fit()?;
//! assert!((fit.law.exponent - 0.4).abs() < 1e-4);
//! assert!((fit.at(16_000).value - loss(16_000)).abs() < 1e-4);
//! println!("not to be trusted: {:?}", fit.doubts);
//! # Ok::<(), finetune_eval::EvalError>(())
//! ```
//!
//! [`Report::learning_curve`](crate::Report::learning_curve) draws it and puts it into a sentence.

mod doubt;
mod fit;
mod law;
mod sizes;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use doubt::Doubt;
pub use fit::{Fit, Forecast};
pub use law::PowerLaw;

use crate::{
    EvalError, Result,
    metric::{Better, Bootstrap, Unit},
};

/// The largest value that is taken: the squares of such values still add up.
pub(crate) const LARGEST: f64 = 1e100;

/// A metric after training on growing parts of the same data, measured on the same held-out items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningCurve {
    /// The metric: `validation loss`.
    pub metric: String,
    /// Which way it improves.
    pub better: Better,
    /// How its value is written.
    pub unit: Unit,
    /// The number of held-out items behind each value.
    pub items: usize,
    /// The runs, in any order.
    pub points: Vec<Point>,
}

/// A run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// The number of rows that were trained on, at least 1.
    pub rows: u64,
    /// The seed of the run.
    pub seed: u64,
    /// The metric's value: a loss or an error rate of at least 0, or a share in \[0, 1\] where more is better.
    pub value: f64,
}

impl LearningCurve {
    /// Fits a power law with an irreducible part, with the usual [`Bootstrap`].
    ///
    /// # Errors
    /// As [`fit_with`](LearningCurve::fit_with).
    pub fn fit(&self) -> Result<Fit> {
        self.fit_with(Bootstrap::default())
    }

    /// Fits a power law with an irreducible part: `floor + scale · rows^−exponent`.
    ///
    /// # Errors
    /// [`EvalError::Setting`] for fewer than three different sizes, a size of 0, a size and seed that stand there twice,
    /// a value that is not finite or out of its range, and fewer than two resamples.
    pub fn fit_with(&self, bootstrap: Bootstrap) -> Result<Fit> {
        self.check()?;
        Fit::of(self, bootstrap)
    }

    fn check(&self) -> Result<()> {
        let fault = |reason: String| {
            Err(EvalError::Setting {
                what: format!(
                    "the learning curve of {}",
                    crate::text::excerpt(&self.metric)
                ),
                reason,
            })
        };
        let mut seen = BTreeSet::new();
        for Point { rows, seed, value } in &self.points {
            let run = format!("the run over {rows} rows with seed {seed}");
            if *rows == 0 {
                return fault(format!("{run} has no rows; a power law begins at 1 row"));
            }
            if !seen.insert((rows, seed)) {
                return fault(format!(
                    "{run} stands there twice; expected one value for each size and seed"
                ));
            }
            let (most, range) = if self.grows() {
                (1.0, "a share from 0 to 1".to_owned())
            } else {
                (LARGEST, format!("a number from 0 to {LARGEST:e}"))
            };
            if !(0.0..=most).contains(value) {
                return fault(format!("{run} has the value {value}; expected {range}"));
            }
        }
        let sizes = self.sizes();
        if sizes.len() < fit::PARAMETERS {
            return fault(format!(
                "found {} different sizes {sizes:?}; expected at least {}, which the floor, scale and exponent need",
                sizes.len(),
                fit::PARAMETERS
            ));
        }
        Ok(())
    }

    /// The different sizes, the smallest first.
    pub fn sizes(&self) -> Vec<u64> {
        let sizes: BTreeSet<u64> = self.points.iter().map(|point| point.rows).collect();
        sizes.into_iter().collect()
    }

    /// The largest size, 0 if there is no run.
    fn largest(&self) -> u64 {
        self.points
            .iter()
            .map(|point| point.rows)
            .max()
            .unwrap_or(0)
    }

    fn grows(&self) -> bool {
        self.better == Better::Higher
    }

    /// What the power law falls with.
    fn error_of(&self, value: f64) -> f64 {
        if self.grows() { 1.0 - value } else { value }
    }
}
