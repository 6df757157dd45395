//! The points of curves.

use crate::report::Training;

/// The most points of a drawn curve; a longer one is averaged in groups.
const POINTS: usize = 400;

/// The points with a finite value.
pub(super) fn finite(points: impl Iterator<Item = (u64, Option<f64>)>) -> Vec<(f64, f64)> {
    points
        .filter_map(|(step, value)| Some((step as f64, value.filter(|value| value.is_finite())?)))
        .collect()
}

/// At most [`POINTS`] points: the means of equal groups.
pub(super) fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let group = points.len().div_ceil(POINTS).max(1);
    let mean = |part: &[(f64, f64)]| {
        let n = part.len() as f64;
        (
            part.iter().map(|point| point.0).sum::<f64>() / n,
            part.iter().map(|point| point.1).sum::<f64>() / n,
        )
    };
    points.chunks(group).map(mean).collect()
}

/// The mean over a window of about a twentieth of the points around each, so that the curve does not lag behind.
pub(super) fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let reach = points.len() / 40;
    (0..points.len())
        .map(|at| {
            let window = &points[at.saturating_sub(reach)..(at + reach + 1).min(points.len())];
            (
                points[at].0,
                window.iter().map(|point| point.1).sum::<f64>() / window.len() as f64,
            )
        })
        .collect()
}

/// The steps at which whole epochs end, if they are few enough to be marked; the end of the run is none.
pub(super) fn epochs(training: &Training) -> Vec<(u64, f64)> {
    let mut found = Vec::new();
    let last = training.steps.last().map_or(0, |point| point.step);
    let mut before = 0.0;
    for point in &training.steps {
        let Some(epoch) = point.epoch.filter(|epoch| epoch.is_finite()) else {
            continue;
        };
        if (epoch + 1e-9).floor() > before && point.step < last {
            found.push(((epoch + 1e-9).floor() as u64, point.step as f64));
        }
        before = (epoch + 1e-9).floor().max(before);
    }
    if found.len() > 12 { Vec::new() } else { found }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::TrainingPoint;

    /// A run of three epochs.
    fn thirds(steps: u64) -> Training {
        let point = |step| TrainingPoint {
            step,
            epoch: Some(step as f64 * 3.0 / steps as f64),
            ..TrainingPoint::default()
        };
        Training {
            steps: (1..=steps).map(point).collect(),
            ..Training::default()
        }
    }

    #[test]
    fn marks_whole_epochs() {
        assert_eq!(epochs(&thirds(300)), [(1, 100.0), (2, 200.0)]);
        assert_eq!(epochs(&Training::default()), []);
    }

    #[test]
    fn smoothing_keeps_a_constant() {
        let flat: Vec<_> = (0..300).map(|step| (f64::from(step), 2.5)).collect();
        assert!(
            smoothed(&flat)
                .iter()
                .all(|point| (point.1 - 2.5).abs() < 1e-12)
        );
        assert_eq!(smoothed(&flat[..1]), [(0.0, 2.5)]);
    }
}
