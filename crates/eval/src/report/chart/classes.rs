//! Error classes before and after: a disc per model on a common scale.

use super::{
    Page,
    canvas::{Anchor, Canvas, width_of},
    scale::{Scale, step, tick, ticks},
};
use crate::report::figures::share;

/// Where in a row the discs stand on a narrow page.
const TRACK: f64 = 32.0;

/// A class with its share per model.
pub(in crate::report) struct ClassRow<'a> {
    /// Its name.
    pub(in crate::report) name: &'a str,
    /// Whether more of it is better: the class of right answers.
    pub(in crate::report) good: bool,
    /// The share per model.
    pub(in crate::report) shares: Vec<Option<f64>>,
}

/// The chart. `models` are names with the style class of their colour.
pub(in crate::report) fn classes(
    id: &str,
    page: Page,
    models: &[(&str, String)],
    rows: &[ClassRow<'_>],
) -> String {
    let names = rows
        .iter()
        .map(|row| width_of(row.name))
        .fold(60.0, f64::max);
    let left = match page {
        Page::Wide => names.min(220.0) + 24.0,
        Page::Narrow => 8.0,
    };
    let right = page.width() - page.pick(150.0, 8.0);
    let (head, row_height) = (page.pick(10.0, 6.0), page.pick(36.0, 50.0));
    let bottom = head + row_height * rows.len() as f64;
    let mut canvas = Canvas::new(page.width(), bottom + 22.0);
    let high = rows
        .iter()
        .flat_map(|row| &row.shares)
        .flatten()
        .fold(0.05, |high: f64, share| high.max(*share));
    let high = (high * 1.05).min(1.0);
    let scale = Scale::new((0.0, high), (left, right));
    let count = page.pick(5, 4);
    for value in ticks(0.0, high, count) {
        let x = scale.at(value);
        match page {
            Page::Wide => canvas.line("grid", (x, 0.0), (x, bottom)),
            // The names stand above: the lines only cross the discs' tracks.
            Page::Narrow => (0..rows.len()).for_each(|row| {
                let middle = head + row as f64 * row_height + TRACK;
                canvas.line("grid", (x, middle - 7.0), (x, middle + 7.0));
            }),
        }
        let text = format!("{}%", tick(value * 100.0, step(0.0, high, count) * 100.0));
        let at = scale
            .at(value)
            .clamp(width_of(&text) / 2.0, page.width() - width_of(&text) / 2.0);
        canvas.text("tick", (at, bottom + 16.0), Anchor::Middle, &text);
    }
    for (index, row) in rows.iter().enumerate() {
        draw(
            &mut canvas,
            page,
            (left, right),
            scale,
            (models, row),
            head + index as f64 * row_height,
        );
    }
    canvas.finish(
        id,
        page,
        "Error classes per model",
        &described(models, rows),
    )
}

fn draw(
    canvas: &mut Canvas,
    page: Page,
    (left, right): (f64, f64),
    scale: Scale,
    (models, row): (&[(&str, String)], &ClassRow<'_>),
    top: f64,
) {
    let line = top + page.pick(22.5, 14.0);
    let middle = top + page.pick(18.0, TRACK);
    let name = if row.good { "name strong" } else { "name" };
    match page {
        Page::Wide => canvas.label(
            name,
            (left - 18.0, line),
            Anchor::End,
            left - 20.0,
            row.name,
        ),
        Page::Narrow => canvas.label(name, (0.0, line), Anchor::Start, 190.0, row.name),
    }
    let known: Vec<f64> = row.shares.iter().filter_map(|share| *share).collect();
    canvas.line("track", (left, middle), (right, middle));
    if let (Some(first), Some(last)) = (known.first(), known.last())
        && (scale.at(*last) - scale.at(*first)).abs() > 12.0
    {
        arrow(
            canvas,
            (scale.at(*first), scale.at(*last), middle),
            (last > first) == row.good,
        );
    }
    for ((_, class), share) in models.iter().zip(&row.shares) {
        if let Some(share) = share {
            let radius = if class == "c0" { 6.5 } else { 5.0 };
            canvas.disc(&format!("dot {class}"), (scale.at(*share), middle), radius);
        }
    }
    let figures = match (known.first(), known.last()) {
        (Some(first), Some(last)) if known.len() > 1 => {
            format!("{} → {}", share(*first), share(*last))
        }
        (Some(only), _) => share(*only),
        _ => "not analysed".to_owned(),
    };
    canvas.text("value", (page.width(), line), Anchor::End, &figures);
}

/// A line from before to after with a head, beside the disc of the end.
fn arrow(canvas: &mut Canvas, (from, to, y): (f64, f64, f64), better: bool) {
    let class = if better { "arrow good" } else { "arrow bad" };
    let back = if to > from { -1.0 } else { 1.0 };
    canvas.line(class, (from, y), (to + back * 8.0, y));
}

/// The chart in words.
fn described(models: &[(&str, String)], rows: &[ClassRow<'_>]) -> String {
    let row = |row: &ClassRow<'_>| {
        let shares: Vec<_> = models
            .iter()
            .zip(&row.shares)
            .filter_map(|((model, _), value)| {
                value.map(|value| format!("{} for {model}", share(value)))
            })
            .collect();
        format!("{}: {}", row.name, shares.join(", "))
    };
    rows.iter().map(row).collect::<Vec<_>>().join("; ")
}
