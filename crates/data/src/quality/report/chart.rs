//! Bars of the plots in a report: their places, so that the page only draws.

use serde::Serialize;

use super::super::length::Histogram;

/// A plot of bars, for a drawing 640 wide.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Chart {
    title: String,
    height: f64,
    bars: Vec<Bar>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Bar {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    label: Caption,
    value: Caption,
}

/// A caption at a place; `anchor` says whether the place is its start, middle or end.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Caption {
    x: f64,
    y: f64,
    anchor: &'static str,
    text: String,
}

/// The width of the drawing.
const WIDTH: f64 = 640.0;
/// Where bars that lie begin, and how long the longest is.
const LEFT: f64 = 240.0;
const LONGEST: f64 = 320.0;
/// The height of a bar that lies, with the gap to the next.
const LINE: f64 = 24.0;
/// The height of the highest bar that stands, and the room for a text above and below.
const HIGHEST: f64 = 150.0;
const TEXT: f64 = 20.0;

impl Chart {
    /// A bar that lies for each value; at most 21, the rest in one.
    pub(crate) fn lying(title: &str, values: impl IntoIterator<Item = (String, u64)>) -> Self {
        const MOST: usize = 21;
        let mut values: Vec<(String, u64)> = values.into_iter().collect();
        if values.len() > MOST {
            let rest = values.split_off(MOST - 1);
            let sum = rest.iter().map(|(_, value)| value).sum();
            values.push(("all others".into(), sum));
        }
        let most = greatest(&values);
        let bar = |(place, (label, value)): (usize, (String, u64))| {
            let (y, width) = (place as f64 * LINE, length(value, most, LONGEST));
            let text = |x, anchor, text| Caption {
                x,
                y: y + 13.0,
                anchor,
                text,
            };
            Bar {
                x: LEFT,
                y,
                width,
                height: LINE - 6.0,
                label: text(LEFT - 8.0, "end", label),
                value: text(LEFT + width + 6.0, "start", value.to_string()),
            }
        };
        let bars: Vec<Bar> = values.into_iter().enumerate().map(bar).collect();
        Self {
            title: title.into(),
            height: bars.len() as f64 * LINE,
            bars,
        }
    }

    /// A bar that stands for each bin of a histogram, from the first that has rows; its label is the bin's least length.
    pub(crate) fn standing(title: &str, histogram: &Histogram) -> Self {
        let empty = histogram.bins.iter().take_while(|count| **count == 0);
        let bins = histogram.bins.iter().enumerate().skip(empty.count());
        let values: Vec<(String, u64)> = bins.map(|(bin, &count)| (least(bin), count)).collect();
        let most = greatest(&values);
        let step = (WIDTH / values.len().max(1) as f64).min(80.0);
        let bar = |(place, (label, value)): (usize, (String, u64))| {
            let (x, height) = ((place as f64 * step).round(), length(value, most, HIGHEST));
            let text = |y, text| Caption {
                x: x + (step / 2.0).round(),
                y,
                anchor: "middle",
                text,
            };
            let y = TEXT + HIGHEST - height;
            Bar {
                x: x + 2.0,
                y,
                width: step.round() - 4.0,
                height,
                label: text(TEXT + HIGHEST + 15.0, label),
                value: text(y - 4.0, value.to_string()),
            }
        };
        Self {
            title: title.into(),
            height: TEXT + HIGHEST + TEXT,
            bars: values.into_iter().enumerate().map(bar).collect(),
        }
    }
}

/// The length of a bar; what is not nothing can be seen.
fn length(value: u64, most: u64, longest: f64) -> f64 {
    let least = if value == 0 { 0.0 } else { 1.0 };
    (value as f64 / most as f64 * longest).round().max(least)
}

fn greatest(values: &[(String, u64)]) -> u64 {
    values
        .iter()
        .map(|(_, value)| *value)
        .max()
        .unwrap_or(0)
        .max(1)
}

/// The least length of a bin: `64` for 64 to 127, `8k` for 8,192 to 16,383.
fn least(bin: usize) -> String {
    match Histogram::bounds(bin).0 {
        least @ 0..1_024 => least.to_string(),
        least @ 1_024..1_048_576 => format!("{}k", least >> 10),
        least => format!("{}M", least >> 20),
    }
}
