//! The metrics.

use serde::Serialize;

use super::{Cell, Drawn, cell, name};
use crate::{
    metric::Better,
    report::{
        Change, MetricRow, Report, Tone,
        chart::{Bar, Page, bars, colour},
        figures::{change, change_interval, counted, grouped, p_value},
    },
};

#[derive(Serialize)]
pub(super) struct MetricView<'a> {
    name: &'a str,
    aside: String,
    chart: Drawn,
    change: Option<ChangeView>,
    cells: Vec<Option<Cell>>,
}

#[derive(Serialize)]
struct ChangeView {
    tone: Tone,
    value: String,
    detail: String,
}

pub(super) fn metric<'a>(report: &'a Report, index: usize, row: &'a MetricRow) -> MetricView<'a> {
    let columns = report.models.len();
    let bar = |column: usize| Bar {
        label: name(report, column),
        class: colour(column, columns),
        estimate: row.values.get(column).copied().flatten(),
    };
    let all: Vec<_> = (0..columns).map(bar).collect();
    let draw = |page| bars(&format!("metric-{index}"), page, &row.name, row.unit, &all);
    let count = all
        .iter()
        .filter_map(|bar| bar.estimate)
        .map(|estimate| estimate.count)
        .max()
        .unwrap_or(0);
    let better = match row.better {
        Better::Higher => "higher is better",
        Better::Lower => "lower is better",
    };
    let task = if row.task.is_empty() {
        String::new()
    } else {
        format!("{} · ", row.task)
    };
    MetricView {
        name: &row.name,
        aside: format!("{task}{better} · {}", counted(count, "item")),
        chart: Drawn {
            wide: draw(Page::Wide),
            narrow: draw(Page::Narrow),
        },
        change: row
            .change
            .as_ref()
            .map(|compared| changed(report, row, compared)),
        cells: all
            .iter()
            .map(|bar| bar.estimate.map(|estimate| cell(estimate, row.unit)))
            .collect(),
    }
}

fn changed(report: &Report, row: &MetricRow, compared: &Change) -> ChangeView {
    let difference = &compared.difference;
    let better = (difference.change.value > 0.0) == (row.better == Better::Higher);
    let tone = match (difference.is_clear(), better) {
        (false, _) => Tone::Plain,
        (true, true) => Tone::Good,
        (true, false) => Tone::Bad,
    };
    let (to, from) = (name(report, compared.to), name(report, compared.from));
    let interval = change_interval(difference.change, row.unit);
    let interval = interval.map_or_else(String::new, |text| format!(" (95% interval {text})"));
    let (up, down) = (difference.better as i64, difference.worse as i64);
    let items = if up + down > 0 {
        format!("; {} items better, {} worse", grouped(up), grouped(down))
    } else {
        String::new()
    };
    let test = difference
        .p_value
        .map_or_else(String::new, |p| format!(", sign test {}", p_value(p)));
    let detail = format!("for {to} against {from}{interval}{items}{test}.");
    ChangeView {
        tone,
        value: change(difference.change.value, row.unit),
        detail,
    }
}
