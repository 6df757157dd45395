//! The figures of groups.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Figure, bare, filter};
use crate::Interval;
use crate::metric::Unit;
use crate::suite::definition::Aggregate;
use crate::suite::grade::key;

/// The figures of a group: the mean of its tasks' figures, by their numbers of items or not, with the harness's pooled
/// standard error.
pub(super) fn pooled(
    metric: &Aggregate,
    tasks: &[String],
    results: &BTreeMap<String, BTreeMap<String, Figure>>,
) -> Vec<(String, Figure)> {
    let figures = |task: &String| results.get(task).into_iter().flatten();
    let wanted: Option<Vec<&str>> = match &metric.filter_list {
        None | Some(Value::Null) => None,
        Some(Value::Array(names)) => Some(names.iter().filter_map(Value::as_str).collect()),
        Some(name) => name.as_str().map(|name| vec![name]),
    };
    let names: BTreeSet<&str> = if let Some(names) = &wanted {
        names.iter().copied().collect()
    } else {
        let all = tasks.iter().flat_map(figures);
        let named = all.filter(|(key, _)| bare(key) == metric.metric);
        named.map(|(key, _)| filter(key)).collect()
    };
    let one = |name: &str| {
        let key = key(&metric.metric, name);
        let parts: Vec<&Figure> = tasks
            .iter()
            .filter_map(|task| results.get(task)?.get(&key))
            .collect();
        let first = parts.first()?;
        let (value, stderr) = if metric.weight_by_size {
            by_size(&parts)
        } else {
            evenly(&parts)
        };
        let figure = Figure {
            value,
            stderr,
            n: parts.iter().map(|part| part.n).sum(),
            interval: stderr.map(|error| interval(value, error, first.unit)),
            better: first.better,
            unit: first.unit,
        };
        Some((key, figure))
    };
    names.into_iter().filter_map(one).collect()
}

fn interval(value: f64, error: f64, unit: Unit) -> Interval {
    let interval = Interval::normal(value, error);
    match unit {
        Unit::Share => interval.within(0.0, 1.0),
        Unit::Number => interval,
    }
}

fn by_size(parts: &[&Figure]) -> (f64, Option<f64>) {
    let total: f64 = parts.iter().map(|part| part.n as f64).sum();
    let value = parts
        .iter()
        .map(|part| part.value * part.n as f64)
        .sum::<f64>()
        / total;
    let spread = |part: &&Figure| {
        let n = part.n as f64;
        part.stderr.map(|error| (n - 1.0) * error * error * n)
    };
    let spread: Option<f64> = parts.iter().map(spread).sum();
    let variance = spread.map(|spread| spread / (total - parts.len() as f64) / total);
    (value, variance.map(f64::sqrt))
}

fn evenly(parts: &[&Figure]) -> (f64, Option<f64>) {
    let count = parts.len() as f64;
    let value = parts.iter().map(|part| part.value).sum::<f64>() / count;
    let squares: Option<f64> = parts
        .iter()
        .map(|part| part.stderr.map(|error| error * error))
        .sum();
    (value, squares.map(|squares| squares.sqrt() / count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::Better;

    fn figure(value: f64, stderr: f64, n: usize) -> Figure {
        Figure {
            value,
            stderr: Some(stderr),
            n,
            interval: None,
            better: Better::Higher,
            unit: Unit::Share,
        }
    }

    #[test]
    fn groups_are_pooled_as_in_the_harness() {
        let parts = [figure(0.5, 0.1, 26), figure(0.75, 0.05, 76)];
        let parts: Vec<_> = parts.iter().collect();
        // lm_eval.api.metrics: aggregate_subtask_metrics, pooled_sample_stderr, unweighted_mean_stderr
        for ((value, error), expected) in [(by_size(&parts), BY_SIZE), (evenly(&parts), EVENLY)] {
            assert!(
                (value - expected.0).abs() < 1e-12 && (error.unwrap() - expected.1).abs() < 1e-12,
                "{value} {error:?}"
            );
        }
    }

    const BY_SIZE: (f64, f64) = (0.686_274_509_803_921_6, 0.045_103_367_119_209_585);
    const EVENLY: (f64, f64) = (0.625, 0.055_901_699_437_494_75);
}
