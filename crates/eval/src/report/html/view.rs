//! What the page's template is given: texts as they are shown, and drawn charts.

use serde::Serialize;

use crate::{
    Estimate, Flow,
    analysis::RIGHT,
    metric::{Better, Unit},
    report::{
        Change, Entry, ErrorRow, Example, ExampleGroup, MetricRow, Output, Report, Section, Tone,
        chart::{Bar, ClassRow, Page, bars, classes, colour, curves, river},
        figures::{change, change_interval, counted, grouped, interval, p_value, share, value},
    },
    text::shorten,
};

/// How much of an answer is shown, in characters.
const ANSWER: usize = 1200;
/// How many pieces of evidence are named under an answer.
const EVIDENCE: usize = 4;

/// The whole page.
#[derive(Serialize)]
pub(super) struct View<'a> {
    title: &'a str,
    subtitle: &'a str,
    headline: &'a str,
    points: &'a [String],
    figures: &'a [crate::report::KeyFigure],
    models: Vec<ModelView<'a>>,
    metrics: Vec<MetricView<'a>>,
    examples: Vec<GroupView<'a>>,
    errors: Option<ErrorsView<'a>>,
    flow: Option<FlowView<'a>>,
    training: Option<TrainingView<'a>>,
    data: &'a [Entry],
    configuration: &'a [Section],
    reproduce: &'a [String],
    notes: &'a [String],
    style: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct ModelView<'a> {
    name: &'a str,
    detail: &'a str,
    class: String,
}

/// A chart, drawn for both pages.
#[derive(Serialize)]
struct Drawn {
    wide: String,
    narrow: String,
}

#[derive(Serialize)]
struct MetricView<'a> {
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

/// A figure in a table.
#[derive(Serialize)]
struct Cell {
    value: String,
    interval: String,
    error: String,
    count: String,
}

#[derive(Serialize)]
struct GroupView<'a> {
    title: &'a str,
    note: &'a str,
    items: Vec<ExampleView<'a>>,
}

#[derive(Serialize)]
struct ExampleView<'a> {
    origin: &'a str,
    input: &'a str,
    reference: &'a str,
    outputs: Vec<OutputView<'a>>,
}

#[derive(Serialize)]
struct OutputView<'a> {
    model: &'a str,
    class: String,
    parts: Vec<Part<'a>>,
    rest: String,
    classes: &'a [String],
    right: bool,
    details: String,
}

/// A piece of an answer, marked where there is evidence in it.
#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
    mark: Option<String>,
}

#[derive(Serialize)]
struct ErrorsView<'a> {
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
struct FlowView<'a> {
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

#[derive(Serialize)]
struct TrainingView<'a> {
    note: &'a str,
    chart: Option<Drawn>,
}

/// The view of a report.
pub(super) fn of(report: &Report) -> View<'_> {
    let columns = report.models.len();
    let models = report
        .models
        .iter()
        .enumerate()
        .map(|(column, model)| ModelView {
            name: &model.name,
            detail: &model.detail,
            class: colour(column, columns),
        });
    View {
        title: &report.title,
        subtitle: &report.subtitle,
        headline: &report.summary.headline,
        points: &report.summary.points,
        figures: &report.summary.figures,
        models: models.collect(),
        metrics: report
            .metrics
            .iter()
            .enumerate()
            .map(|(index, row)| metric(report, index, row))
            .collect(),
        examples: report
            .examples
            .iter()
            .map(|group| examples(report, group))
            .collect(),
        errors: (!report.errors.is_empty()).then(|| errors(report)),
        flow: report.flow.as_ref().map(flow),
        training: report.training.as_ref().map(|training| TrainingView {
            note: &training.note,
            chart: drawn(|page| curves("training", page, training)),
        }),
        data: &report.data,
        configuration: &report.configuration,
        reproduce: &report.reproduce,
        notes: &report.notes,
        style: include_str!("../page/page.css"),
        version: env!("CARGO_PKG_VERSION"),
    }
}

/// Draws a chart for both pages.
fn drawn(draw: impl Fn(Page) -> Option<String>) -> Option<Drawn> {
    Some(Drawn {
        wide: draw(Page::Wide)?,
        narrow: draw(Page::Narrow)?,
    })
}

/// The name of a column.
fn name(report: &Report, column: usize) -> &str {
    report
        .models
        .get(column)
        .map_or("another model", |model| &model.name)
}

fn metric<'a>(report: &'a Report, index: usize, row: &'a MetricRow) -> MetricView<'a> {
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

fn cell(estimate: Estimate, unit: Unit) -> Cell {
    Cell {
        value: value(estimate.value, unit),
        interval: interval(estimate, unit),
        error: estimate
            .error
            .map_or_else(String::new, |error| value(error, unit)),
        count: grouped(estimate.count as i64),
    }
}

fn examples<'a>(report: &'a Report, group: &'a ExampleGroup) -> GroupView<'a> {
    let items = group
        .items
        .iter()
        .map(|example| example_view(report, example))
        .collect();
    GroupView {
        title: &group.title,
        note: &group.note,
        items,
    }
}

fn example_view<'a>(report: &'a Report, example: &'a Example) -> ExampleView<'a> {
    let columns = report.models.len();
    let output = |output: &'a Output| {
        let end = output
            .text
            .char_indices()
            .nth(ANSWER)
            .map_or(output.text.len(), |(end, _)| end);
        let left = output.text[end..].chars().count();
        OutputView {
            model: name(report, output.model),
            class: colour(output.model, columns),
            parts: parts(output, end),
            rest: if left == 0 {
                String::new()
            } else {
                counted(left, "more character")
            },
            classes: &output.classes,
            right: output.classes.is_empty() && output.similarity.is_some(),
            details: details(output),
        }
    };
    ExampleView {
        origin: &example.origin,
        input: &example.input,
        reference: &example.reference,
        outputs: example.outputs.iter().map(output).collect(),
    }
}

/// The first `end` bytes of an answer, cut at the spans of its evidence. Spans that overlap an earlier one or do not
/// fit the text are passed over.
fn parts(output: &Output, end: usize) -> Vec<Part<'_>> {
    let mut spans: Vec<_> = output
        .marks
        .iter()
        .filter_map(|mark| Some((mark.span.clone()?, mark.detail.as_str())))
        .collect();
    spans.sort_by_key(|(span, _)| (span.start, span.end));
    let mut found = Vec::new();
    let mut at = 0;
    for (span, detail) in spans {
        let (start, stop) = (span.start, span.end.min(end));
        if start < at || start >= stop {
            continue;
        }
        let (Some(before), Some(marked)) =
            (output.text.get(at..start), output.text.get(start..stop))
        else {
            continue;
        };
        found.push(Part {
            text: before,
            mark: None,
        });
        found.push(Part {
            text: marked,
            mark: Some(detail.to_owned()),
        });
        at = stop;
    }
    found.push(Part {
        text: output.text.get(at..end).unwrap_or_default(),
        mark: None,
    });
    found.retain(|part| !part.text.is_empty());
    found
}

/// The evidence in words.
fn details(output: &Output) -> String {
    let mut shown: Vec<_> = output
        .marks
        .iter()
        .take(EVIDENCE)
        .map(|mark| shorten(&mark.detail, 120))
        .collect();
    if output.marks.len() > EVIDENCE {
        shown.push(format!("{} more", output.marks.len() - EVIDENCE));
    }
    shown.join(" · ")
}

fn errors(report: &Report) -> ErrorsView<'_> {
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

fn flow(flow: &Flow) -> FlowView<'_> {
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
