//! Bars with their intervals: a metric over the models.

use super::{
    Page,
    canvas::{Anchor, Canvas, width_of},
    scale::{Scale, step, tick, ticks},
};
use crate::{
    Estimate,
    metric::Unit,
    report::figures::{interval, value},
};

/// A bar.
pub(in crate::report) struct Bar<'a> {
    /// Its name.
    pub(in crate::report) label: &'a str,
    /// The style class of its colour.
    pub(in crate::report) class: String,
    /// Its length and interval; none is said in words.
    pub(in crate::report) estimate: Option<Estimate>,
}

/// Where things stand on the page.
struct Layout {
    /// The left and right end of the bars.
    bars: (f64, f64),
    /// The height of a row, and where in it the bar's middle and the base line of the text stand.
    row: f64,
    rows: usize,
    bar: f64,
    text: f64,
    thick: f64,
}

impl Layout {
    fn of(page: Page, bars: &[Bar<'_>]) -> Self {
        let width = page.width();
        match page {
            Page::Wide => {
                let label = bars
                    .iter()
                    .map(|bar| width_of(bar.label))
                    .fold(90.0, f64::max)
                    .min(230.0)
                    + 20.0;
                Self {
                    bars: (label, width - 168.0),
                    row: 34.0,
                    rows: bars.len(),
                    bar: 17.0,
                    text: 21.5,
                    thick: 16.0,
                }
            }
            Page::Narrow => Self {
                bars: (0.0, width - 1.0),
                row: 48.0,
                rows: bars.len(),
                bar: 32.0,
                text: 15.0,
                thick: 13.0,
            },
        }
    }

    /// A line from top to bottom; where the names stand above their bars, only beside the bars.
    fn upright(&self, canvas: &mut Canvas, class: &str, x: f64) {
        if self.bars.0 > 0.0 {
            return canvas.line(class, (x, 0.0), (x, self.row * self.rows as f64 + 4.0));
        }
        for row in 0..self.rows {
            let middle = self.row * row as f64 + self.bar;
            canvas.line(class, (x, middle - 10.0), (x, middle + 10.0));
        }
    }
}

/// The chart.
pub(in crate::report) fn bars(
    id: &str,
    page: Page,
    name: &str,
    unit: Unit,
    bars: &[Bar<'_>],
) -> String {
    let layout = Layout::of(page, bars);
    let (left, right) = layout.bars;
    let bottom = layout.row * bars.len() as f64 + 4.0;
    let mut canvas = Canvas::new(page.width(), bottom + 20.0);
    let (low, high) = range(bars, unit);
    let scale = Scale::new((low, high), (left, right));
    let step = step(low, high, page.pick(5, 4));
    for value in ticks(low, high, page.pick(5, 4)) {
        layout.upright(&mut canvas, "grid", scale.at(value));
        let text = match unit {
            Unit::Share => format!("{}%", tick(value * 100.0, step * 100.0)),
            Unit::Number => tick(value, step),
        };
        let at = scale
            .at(value)
            .clamp(width_of(&text) / 2.0, page.width() - width_of(&text) / 2.0);
        canvas.text("tick", (at, bottom + 16.0), Anchor::Middle, &text);
    }
    for (index, bar) in bars.iter().enumerate() {
        draw(
            &mut canvas,
            page,
            &layout,
            scale,
            (bar, unit),
            index as f64 * layout.row,
        );
    }
    layout.upright(&mut canvas, "axis", scale.at(low.max(0.0)));
    canvas.finish(id, page, name, &described(bars, unit))
}

fn draw(
    canvas: &mut Canvas,
    page: Page,
    layout: &Layout,
    scale: Scale,
    (bar, unit): (&Bar<'_>, Unit),
    top: f64,
) {
    let (left, right) = layout.bars;
    let (middle, line) = (top + layout.bar, top + layout.text);
    match page {
        Page::Wide => canvas.label(
            "name",
            (left - 12.0, line),
            Anchor::End,
            left - 14.0,
            bar.label,
        ),
        Page::Narrow => canvas.label("name", (0.0, line), Anchor::Start, 190.0, bar.label),
    }
    let Some(estimate) = bar.estimate else {
        return canvas.text(
            "tick",
            (left + 8.0, middle + 4.5),
            Anchor::Start,
            "not measured",
        );
    };
    let (zero, end) = (scale.at(0.0), scale.at(estimate.value));
    let (start, width) = (zero.min(end), (end - zero).abs());
    canvas.rectangle(
        &format!("bar {}", bar.class),
        (start, middle - layout.thick / 2.0),
        (width, layout.thick),
        2.0,
    );
    if let Some(interval) = estimate.interval {
        let (from, to) = (scale.at(interval.low), scale.at(interval.high));
        canvas.line("whisker-edge", (from, middle), (to, middle));
        canvas.line("whisker", (from, middle), (to, middle));
        for end in [from, to] {
            canvas.line("whisker", (end, middle - 4.0), (end, middle + 4.0));
        }
    }
    let (value, interval) = (value(estimate.value, unit), interval(estimate, unit));
    match page {
        Page::Wide => {
            canvas.text("value", (page.width() - 98.0, line), Anchor::End, &value);
            canvas.text("tick", (page.width(), line), Anchor::End, &interval);
        }
        Page::Narrow => {
            canvas.text("tick", (right, line), Anchor::End, &interval);
            canvas.text(
                "value",
                (right - width_of(&interval) - 8.0, line),
                Anchor::End,
                &value,
            );
        }
    }
}

/// The range of the axis: from 0 (or the lowest value below it) to the end of the longest interval.
fn range(bars: &[Bar<'_>], unit: Unit) -> (f64, f64) {
    let ends = bars
        .iter()
        .filter_map(|bar| bar.estimate)
        .flat_map(|estimate| {
            let interval = estimate.interval;
            [
                Some(estimate.value),
                interval.map(|interval| interval.low),
                interval.map(|interval| interval.high),
            ]
        });
    let (low, high) = ends
        .flatten()
        .filter(|end| end.is_finite())
        .fold((0.0, 0.0), |(low, high): (f64, f64), end| {
            (low.min(end), high.max(end))
        });
    match unit {
        // Shares are seen against the whole, unless all of them are small.
        Unit::Share if high > 0.4 => (low, 1.0),
        Unit::Share if high <= 0.0 => (low, 0.1),
        _ if high <= low => (low, low + 1.0),
        _ => (low, high * 1.04),
    }
}

/// The chart in words.
fn described(bars: &[Bar<'_>], unit: Unit) -> String {
    let part = |bar: &Bar<'_>| match bar.estimate {
        None => format!("{}: not measured", bar.label),
        Some(estimate) => {
            let interval = interval(estimate, unit);
            let interval = if interval.is_empty() {
                interval
            } else {
                format!(", interval {interval}")
            };
            format!("{}: {}{interval}", bar.label, value(estimate.value, unit))
        }
    };
    bars.iter().map(part).collect::<Vec<_>>().join("; ")
}
