//! Bars of the plots in a report: their places, so that the page only draws.

use serde::Serialize;

use super::length::Histogram;

/// A plot of bars, for a drawing 640 wide.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Chart {
    title: String,
    height: f64,
    bars: Vec<Bar>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Bar {
    label: String,
    value: u64,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The width of the drawing.
const WIDTH: f64 = 640.0;
/// Where bars that lie begin, and how long the longest is.
const LEFT: f64 = 220.0;
const LONGEST: f64 = 340.0;
/// The height of a bar that lies, with the gap to the next.
const LINE: f64 = 24.0;
/// The height of the highest bar that stands, and where it begins.
const HIGHEST: f64 = 150.0;
const TOP: f64 = 20.0;

impl Chart {
    /// A bar that lies for each value; at most 20, the rest in one.
    pub(crate) fn lying(title: &str, values: impl IntoIterator<Item = (String, u64)>) -> Self {
        const MOST: usize = 20;
        let mut values: Vec<(String, u64)> = values.into_iter().collect();
        if values.len() > MOST {
            let rest = values.split_off(MOST - 1);
            values.push((
                "all others".into(),
                rest.iter().map(|(_, value)| value).sum(),
            ));
        }
        let most = greatest(&values);
        let bars = values
            .into_iter()
            .enumerate()
            .map(|(place, (label, value))| Bar {
                label,
                value,
                x: LEFT,
                y: place as f64 * LINE,
                width: (value as f64 / most * LONGEST).round(),
                height: LINE - 6.0,
            });
        let bars: Vec<Bar> = bars.collect();
        Self {
            title: title.into(),
            height: bars.len() as f64 * LINE,
            bars,
        }
    }

    /// A bar that stands for each bin of a histogram, from the first that has rows.
    pub(crate) fn standing(title: &str, histogram: &Histogram) -> Self {
        let empty = histogram.bins.iter().take_while(|count| **count == 0);
        let first = empty.count();
        let bins = histogram.bins.iter().enumerate().skip(first);
        let values: Vec<(String, u64)> = bins.map(|(bin, &count)| (bounds(bin), count)).collect();
        let (most, step) = (greatest(&values), WIDTH / values.len().max(1) as f64);
        let step = step.min(80.0);
        let bars = values
            .into_iter()
            .enumerate()
            .map(|(place, (label, value))| {
                let height = (value as f64 / most * HIGHEST).round();
                Bar {
                    label,
                    value,
                    x: (place as f64 * step).round() + 2.0,
                    y: TOP + HIGHEST - height,
                    width: step.round() - 4.0,
                    height,
                }
            });
        Self {
            title: title.into(),
            height: TOP + HIGHEST + TOP,
            bars: bars.collect(),
        }
    }
}

fn greatest(values: &[(String, u64)]) -> f64 {
    values
        .iter()
        .map(|(_, value)| *value)
        .max()
        .unwrap_or(0)
        .max(1) as f64
}

/// The least length of a bin: `64` for 64 to 127, `8k` for 8,192 to 16,383.
fn bounds(bin: usize) -> String {
    match Histogram::bounds(bin).0 {
        least @ 0..1_024 => least.to_string(),
        least @ 1_024..1_048_576 => format!("{}k", least >> 10),
        least => format!("{}M", least >> 20),
    }
}
