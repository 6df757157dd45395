//! The runs of a curve by their size.

use super::LearningCurve;
use crate::metric::{deviation, mean};

/// The errors of all seeds at a size.
#[derive(Clone, Debug)]
pub(super) struct Size {
    pub(super) rows: u64,
    pub(super) errors: Vec<f64>,
}

/// The sizes of a curve, the smallest first.
pub(super) fn sizes(curve: &LearningCurve) -> Vec<Size> {
    let mut points: Vec<_> = curve.points.iter().collect();
    points.sort_by_key(|point| (point.rows, point.seed));
    points
        .chunk_by(|a, b| a.rows == b.rows)
        .map(|runs| Size {
            rows: runs[0].rows,
            errors: runs.iter().map(|run| curve.error_of(run.value)).collect(),
        })
        .collect()
}

impl Size {
    pub(super) fn mean(&self) -> f64 {
        mean(&self.errors)
    }

    /// The variance between the seeds; none for a single one.
    pub(super) fn variance(&self) -> Option<f64> {
        deviation(&self.errors, self.mean()).map(|deviation| deviation.powi(2))
    }
}
