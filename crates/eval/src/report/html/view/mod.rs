//! What the page's template is given: texts as they are shown, and drawn charts.

mod errors;
mod examples;
mod labels;
mod learning;
mod metrics;

use serde::Serialize;

use crate::{
    Estimate,
    metric::Unit,
    report::{
        Entry, KeyFigure, Report, Section,
        chart::{Page, colour, curves},
        figures::{grouped, interval, value},
    },
};

use errors::{ErrorsView, FlowView};
use examples::GroupView;
use labels::ConfusionView;
use learning::LearningView;
use metrics::MetricView;

/// The whole page.
#[derive(Serialize)]
pub(super) struct View<'a> {
    title: &'a str,
    subtitle: &'a str,
    headline: &'a str,
    points: &'a [String],
    figures: &'a [KeyFigure],
    models: Vec<ModelView<'a>>,
    metrics: Vec<MetricView<'a>>,
    examples: Vec<GroupView<'a>>,
    errors: Option<ErrorsView<'a>>,
    flow: Option<FlowView<'a>>,
    confusion: Option<ConfusionView<'a>>,
    learning: Option<LearningView>,
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

/// A figure in a table.
#[derive(Serialize)]
struct Cell {
    value: String,
    interval: String,
    error: String,
    count: String,
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
            .map(|(index, row)| metrics::metric(report, index, row))
            .collect(),
        examples: report
            .examples
            .iter()
            .map(|group| examples::examples(report, group))
            .collect(),
        errors: (!report.errors.is_empty()).then(|| errors::errors(report)),
        flow: report.flow.as_ref().map(errors::flow),
        confusion: report.confusion.as_ref().map(labels::confusion),
        learning: report.learning_curve.as_ref().map(learning::learning),
        training: report.training.as_ref().map(|training| TrainingView {
            note: &training.note,
            chart: drawn(|page| curves("training", page, training)),
        }),
        data: &report.data,
        configuration: &report.configuration,
        reproduce: &report.reproduce,
        notes: &report.notes,
        style: include_str!("../../page/page.css"),
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
