//! A learning curve in words and figures.

use super::{
    KeyFigure, Report, Tone,
    figures::{arrow, grouped, value},
};
use crate::{
    EvalError, Result,
    learning_curve::{Fit, Forecast, LearningCurve},
    metric::{Better, mean},
};

/// A size, measured or forecast, as it is shown.
pub(super) struct Line {
    /// The number of rows, with its factor where it is a forecast.
    pub(super) rows: String,
    /// The mean of the measured values; empty for a forecast.
    pub(super) measured: String,
    /// The number of seeds; empty for a forecast.
    pub(super) seeds: String,
    /// The law's value.
    pub(super) law: String,
    /// The interval of the law's value.
    pub(super) interval: String,
}

impl Report {
    /// Sets the learning curve: what more data would give. Its fit is made when the report is shown.
    pub fn learning_curve(mut self, curve: LearningCurve) -> Self {
        self.learning_curve = Some(curve);
        self
    }

    /// What twice the data would give, as a sentence and a figure.
    pub(super) fn learned(&self, figures: &mut Vec<KeyFigure>) -> Option<String> {
        let curve = self.learning_curve.as_ref()?;
        let fit = match curve.fit() {
            Ok(fit) => fit,
            Err(error) => return Some(unfitted(&error)),
        };
        if let [now, twice, ..] = fit.forecasts[..] {
            figures.push(KeyFigure {
                label: format!("{} at twice the data", curve.metric),
                value: value(twice.value, curve.unit),
                detail: format!(
                    "{} now{}",
                    value(now.value, curve.unit),
                    bounds(curve, twice, "; ")
                ),
                tone: Tone::Plain,
            });
        }
        Some(format!("{} {}", verdict(curve, &fit), trust(&fit)))
    }
}

/// What twice the data would give: `Twice the data would lower the loss from 1.92 to about 1.85 (1.80 to 1.90).`
pub(super) fn verdict(curve: &LearningCurve, fit: &Fit) -> String {
    let verb = match curve.better {
        Better::Lower => "lower",
        Better::Higher => "raise",
    };
    let [now, twice, ..] = fit.forecasts[..] else {
        return String::new();
    };
    if fit.law.scale == 0.0 {
        return format!("More data would not {verb} the {}.", curve.metric);
    }
    format!(
        "Twice the data would {verb} the {} from {} to about {}{}.",
        curve.metric,
        value(now.value, curve.unit),
        value(twice.value, curve.unit),
        bounds(curve, twice, " (") + if twice.interval.is_some() { ")" } else { "" }
    )
}

/// What the forecast is worth, with the reasons.
pub(super) fn trust(fit: &Fit) -> String {
    let reasons: Vec<String> = fit.doubts.iter().map(ToString::to_string).collect();
    let reasons = reasons.join("; ");
    if fit.is_trusted() {
        "Nothing speaks against this forecast.".to_owned()
    } else if fit.doubts.iter().any(|doubt| doubt.is_grave()) {
        format!("This forecast is not to be trusted: {reasons}.")
    } else {
        format!("This forecast is to be read with caution: {reasons}.")
    }
}

/// What is said where there is no fit.
pub(super) fn unfitted(error: &EvalError) -> String {
    format!("No law was fitted: {error}.")
}

/// The law as a formula of the value.
pub(super) fn formula(curve: &LearningCurve, fit: &Fit) -> String {
    let shown = |figure| super::figures::number(figure);
    let law = format!(
        "{} + {} · rows^−{}",
        shown(fit.law.floor),
        shown(fit.law.scale),
        shown(fit.law.exponent)
    );
    let law = match curve.better {
        Better::Lower => format!("{} = {law}", curve.metric),
        Better::Higher => format!("1 − {} = {law}", curve.metric),
    };
    let part = |name, interval: Option<crate::Interval>| {
        interval.map(|i| format!("{name} {} to {}", shown(i.low), shown(i.high)))
    };
    let parts: Vec<_> = [part("floor", fit.floor), part("exponent", fit.exponent)]
        .into_iter()
        .flatten()
        .collect();
    if parts.is_empty() {
        law
    } else {
        format!("{law} (95% intervals: {})", parts.join(", "))
    }
}

/// The sizes that were measured and, with a fit, those that are forecast.
pub(super) fn lines(curve: &LearningCurve, fit: Result<&Fit, &EvalError>) -> Vec<Line> {
    let law = |rows| {
        fit.map_or_else(
            |_| Default::default(),
            |fit| {
                let forecast = fit.at(rows);
                (
                    value(forecast.value, curve.unit),
                    bounds(curve, forecast, ""),
                )
            },
        )
    };
    let measured = curve.sizes().into_iter().map(|rows| {
        let runs = curve.points.iter().filter(|point| point.rows == rows);
        let values: Vec<f64> = runs.map(|point| point.value).collect();
        let (law, interval) = law(rows);
        Line {
            rows: shown(rows),
            measured: value(mean(&values), curve.unit),
            seeds: shown(values.len() as u64),
            law,
            interval,
        }
    });
    let largest = curve.sizes().last().copied().unwrap_or(1);
    let ahead = fit
        .map_or(&[][..], |fit| fit.forecasts.get(1..).unwrap_or_default())
        .iter()
        .map(|forecast| Line {
            rows: format!(
                "{}× {}",
                (forecast.rows as f64 / largest as f64).round(),
                shown(forecast.rows)
            ),
            measured: String::new(),
            seeds: String::new(),
            law: value(forecast.value, curve.unit),
            interval: bounds(curve, *forecast, ""),
        });
    measured.chain(ahead).collect()
}

/// The metric with its arrow.
pub(super) fn heading(curve: &LearningCurve) -> String {
    format!("{} {}", curve.metric, arrow(curve.better))
}

/// A number of rows.
pub(super) fn shown(rows: u64) -> String {
    grouped(i64::try_from(rows).unwrap_or(i64::MAX))
}

/// The interval of a forecast after a mark; nothing where there is none.
fn bounds(curve: &LearningCurve, forecast: Forecast, mark: &str) -> String {
    let shown = |figure| value(figure, curve.unit);
    forecast.interval.map_or_else(String::new, |i| {
        format!("{mark}{} to {}", shown(i.low), shown(i.high))
    })
}
