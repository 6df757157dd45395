//! The error classes and what became of them.

use serde::Serialize;

use super::{Cell, Drawn, drawn, name};
use crate::{
    Estimate, Flow,
    analysis::RIGHT,
    metric::Unit,
    report::{
        ErrorRow, Report,
        chart::{ClassRow, Page, classes, colour, river},
        figures::{counted, grouped, interval, p_value, share},
    },
};

#[derive(Serialize)]
pub(super) struct ErrorsView<'a> {
    note: String,
    chart: Drawn,
    rows: Vec<ErrorRowView<'a>>,
}

#[derive(Serialize)]
struct ErrorRowView<'a> {
    name: &'a str,
    meaning: &'a str,
    cells: Vec<Option<Cell>>,
}

#[derive(Serialize)]
pub(super) struct FlowView<'a> {
    note: String,
    chart: Option<Drawn>,
    classes: Vec<&'a str>,
    rows: Vec<FlowRow<'a>>,
}

#[derive(Serialize)]
struct FlowRow<'a> {
    name: &'a str,
    cells: Vec<FlowCell>,
}

#[derive(Serialize)]
struct FlowCell {
    count: String,
    same: bool,
}

pub(super) fn errors(report: &Report) -> ErrorsView<'_> {
    let columns = report.models.len();
    let rows: Vec<_> = report
        .errors
        .iter()
        .map(|row| ClassRow {
            name: &row.name,
            good: row.name == RIGHT,
            shares: (0..columns)
                .map(|column| Some(row.shares.get(column).copied()??.value))
                .collect(),
        })
        .collect();
    let models: Vec<_> = (0..columns)
        .map(|column| (name(report, column), colour(column, columns)))
        .collect();
    let count = report
        .errors
        .iter()
        .flat_map(|row| &row.shares)
        .flatten()
        .map(|share| share.count)
        .max();
    let draw = |page| classes("errors", page, &models, &rows);
    ErrorsView {
        note: format!(
            "The share of {} for which a class holds; several may hold for one.",
            counted(count.unwrap_or(0), "answer")
        ),
        chart: Drawn {
            wide: draw(Page::Wide),
            narrow: draw(Page::Narrow),
        },
        rows: report
            .errors
            .iter()
            .map(|row| error_row(row, columns))
            .collect(),
    }
}

fn error_row(row: &ErrorRow, columns: usize) -> ErrorRowView<'_> {
    let shown = |estimate: Estimate| Cell {
        value: share(estimate.value),
        interval: interval(estimate, Unit::Share),
        error: String::new(),
        count: format!(
            "{} of {}",
            grouped((estimate.value * estimate.count as f64).round() as i64),
            grouped(estimate.count as i64)
        ),
    };
    let cells = (0..columns)
        .map(|column| row.shares.get(column).copied().flatten().map(shown))
        .collect();
    ErrorRowView {
        name: &row.name,
        meaning: &row.meaning,
        cells,
    }
}

pub(super) fn flow(flow: &Flow) -> FlowView<'_> {
    let all = || 0..flow.classes.len();
    let used: Vec<usize> = all()
        .filter(|&class| all().any(|other| flow.count(class, other) + flow.count(other, class) > 0))
        .collect();
    let test = flow
        .p_value
        .map_or_else(String::new, |p| format!(" (sign test, {})", p_value(p)));
    let cell = |from: usize, to: usize| FlowCell {
        count: match flow.count(from, to) {
            0 => "·".to_owned(),
            count => grouped(count as i64),
        },
        same: from == to,
    };
    FlowView {
        note: format!(
            "The main error class of every answer, from {} (left) to {} (right): {} became right, {} became wrong{test}. \
             Green ribbons end right, red ones were right and are not any more.",
            flow.before,
            flow.after,
            grouped(flow.fixed as i64),
            grouped(flow.broken as i64)
        ),
        chart: drawn(|page| river("flow", page, flow)),
        classes: used
            .iter()
            .map(|&class| flow.classes[class].as_str())
            .collect(),
        rows: used
            .iter()
            .map(|&from| FlowRow {
                name: &flow.classes[from],
                cells: used.iter().map(|&to| cell(from, to)).collect(),
            })
            .collect(),
    }
}
