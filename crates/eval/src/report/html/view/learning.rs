//! What more data would give.

use serde::Serialize;

use super::{Drawn, drawn};
use crate::{
    learning_curve::LearningCurve,
    report::{
        chart,
        figures::counted,
        learning::{formula, heading, lines, trust, unfitted, verdict},
    },
};

#[derive(Serialize)]
pub(super) struct LearningView {
    note: String,
    verdict: String,
    trust: String,
    chart: Option<Drawn>,
    law: String,
    metric: String,
    rows: Vec<LineView>,
}

#[derive(Serialize)]
struct LineView {
    rows: String,
    measured: String,
    seeds: String,
    law: String,
    interval: String,
}

pub(super) fn learning(curve: &LearningCurve) -> LearningView {
    let fit = curve.fit();
    let rows = lines(curve, fit.as_ref());
    LearningView {
        note: format!(
            "The {} after training on growing parts of the same data, each measured on the same {}.",
            curve.metric,
            counted(curve.items, "held-out item")
        ),
        verdict: fit
            .as_ref()
            .map_or_else(|_| String::new(), |fit| verdict(curve, fit)),
        trust: fit.as_ref().map_or_else(unfitted, trust),
        chart: drawn(|page| chart::learning("learning", page, curve, fit.as_ref().ok())),
        law: fit
            .as_ref()
            .map_or_else(|_| String::new(), |fit| formula(curve, fit)),
        metric: heading(curve),
        rows: rows
            .into_iter()
            .map(|line| LineView {
                rows: line.rows,
                measured: line.measured,
                seeds: line.seeds,
                law: line.law,
                interval: line.interval,
            })
            .collect(),
    }
}
