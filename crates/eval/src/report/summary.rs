//! What a reader should know after ten seconds, from the figures.

use super::{
    KeyFigure, MetricRow, Report, Tone,
    figures::{change, change_interval, counted, grouped, p_value, share, value},
};
use crate::{analysis::RIGHT, metric::Better};

impl Report {
    /// Writes the summary from the figures: the main metric (the first) of the last model against the best of the
    /// others, the share of right answers, what was fixed and what broke, the most frequent error that is left, what
    /// more data would give, and the course of training. What the summary holds already stays.
    pub fn summarise(mut self) -> Self {
        let (mut headline, mut figures) = self.main_result();
        let mut points = Vec::new();
        self.answers(&mut figures, &mut points);
        self.flowed(&mut figures, &mut points);
        match self.learned(&mut figures) {
            Some(learned) if headline.is_empty() => headline = learned,
            learned => points.extend(learned),
        }
        self.trained(&mut figures, &mut points);
        if self.summary.headline.is_empty() {
            self.summary.headline = headline;
        }
        if self.summary.points.is_empty() {
            self.summary.points = points;
        }
        if self.summary.figures.is_empty() {
            self.summary.figures = figures;
        }
        self
    }

    /// The main metric as a sentence and a figure.
    fn main_result(&self) -> (String, Vec<KeyFigure>) {
        let Some(row) = self
            .metrics
            .iter()
            .find(|row| row.values.last().is_some_and(Option::is_some))
        else {
            return (String::new(), Vec::new());
        };
        let Some(last) = row.values.last().copied().flatten() else {
            return (String::new(), Vec::new());
        };
        let name = |column: usize| {
            self.models
                .get(column)
                .map_or("another model", |model| model.name.as_str())
        };
        let now = value(last.value, row.unit);
        let items = counted(last.count, "item");
        let Some(compared) = &row.change else {
            let headline = format!(
                "{} has {now} {} over {items}.",
                name(self.models.len() - 1),
                row.name
            );
            let detail = format!("over {items}");
            return (
                headline,
                vec![KeyFigure {
                    label: row.name.clone(),
                    value: now,
                    detail,
                    tone: Tone::Plain,
                }],
            );
        };
        let difference = &compared.difference;
        let before = value(difference.before, row.unit);
        let size = change(difference.change.value, row.unit);
        let interval = change_interval(difference.change, row.unit)
            .map_or_else(String::new, |interval| format!(", 95% interval {interval}"));
        let tone = tone(row, difference.change.value, difference.is_clear());
        let (to, from) = (name(compared.to), name(compared.from));
        let verdict = match tone {
            Tone::Good => format!("{to} is better than {from}"),
            Tone::Bad => format!("{to} is worse than {from}"),
            Tone::Plain => format!("{to} is not clearly different from {from}"),
        };
        let headline = format!(
            "{}: {} {now} against {before} ({size}{interval}), over {items}.",
            capital(&verdict),
            row.name
        );
        let detail = format!("{before} for {from}; {size}");
        (
            headline,
            vec![KeyFigure {
                label: row.name.clone(),
                value: now,
                detail,
                tone,
            }],
        )
    }

    /// How many answers are right, and what is wrong with the rest.
    fn answers(&self, figures: &mut Vec<KeyFigure>, points: &mut Vec<String>) {
        let Some(now) = self
            .errors
            .iter()
            .find(|row| row.name == RIGHT)
            .and_then(|row| *row.shares.last()?)
        else {
            return;
        };
        let right = (now.value * now.count as f64).round() as usize;
        figures.push(KeyFigure {
            label: "answers without an error".to_owned(),
            value: format!("{} of {}", grouped(right as i64), grouped(now.count as i64)),
            detail: format!("{} of all", share(now.value)),
            tone: Tone::Plain,
        });
        let worst = self
            .errors
            .iter()
            .filter(|row| row.name != RIGHT)
            .filter_map(|row| Some((row, (*row.shares.last()?)?)))
            .max_by(|(_, a), (_, b)| a.value.total_cmp(&b.value));
        if let Some((row, left)) = worst.filter(|(_, left)| left.value > 0.0) {
            points.push(format!(
                "{} of the answers still have an error; the most frequent is “{}” with {}.",
                share(1.0 - now.value),
                row.name,
                share(left.value)
            ));
        }
    }

    /// What was fixed and what broke.
    fn flowed(&self, figures: &mut Vec<KeyFigure>, points: &mut Vec<String>) {
        let Some(flow) = &self.flow else { return };
        let test = flow
            .p_value
            .map_or_else(String::new, |p| format!(" (sign test, {})", p_value(p)));
        points.push(format!(
            "From {} to {}, {} became right and {} became wrong{test}.",
            flow.before,
            flow.after,
            counted(flow.fixed, "answer"),
            grouped(flow.broken as i64)
        ));
        let tone = match flow.fixed.cmp(&flow.broken) {
            _ if flow.p_value.is_none_or(|p| p > 0.05) => Tone::Plain,
            std::cmp::Ordering::Less => Tone::Bad,
            _ => Tone::Good,
        };
        figures.push(KeyFigure {
            label: "answers fixed".to_owned(),
            value: grouped(flow.fixed as i64),
            detail: format!(
                "{} broken, against {}",
                grouped(flow.broken as i64),
                flow.before
            ),
            tone,
        });
    }

    /// The course of training.
    fn trained(&self, figures: &mut Vec<KeyFigure>, points: &mut Vec<String>) {
        let Some(training) = &self.training else {
            return;
        };
        let first = training.validations.first().and_then(|point| point.loss);
        if let (Some(first), Some(best)) = (first, training.best()) {
            let low = best.loss.unwrap_or_default();
            figures.push(KeyFigure {
                label: "validation loss".to_owned(),
                value: format!("{low:.3}"),
                detail: format!(
                    "from {first:.3}, lowest at step {}",
                    grouped(best.step as i64)
                ),
                tone: Tone::Plain,
            });
        }
        if let (Some(best), Some(last)) = (training.best(), training.validations.last())
            && let (Some(low), Some(end)) = (best.loss, last.loss)
            && end > low * 1.05
        {
            points.push(format!(
                "Validation loss rose from {low:.3} at step {} to {end:.3} at the end: the model began to overfit.",
                grouped(best.step as i64)
            ));
        }
    }
}

fn tone(row: &MetricRow, change: f64, clear: bool) -> Tone {
    if !clear {
        return Tone::Plain;
    }
    let up = change > 0.0;
    if up == (row.better == Better::Higher) {
        Tone::Good
    } else {
        Tone::Bad
    }
}

/// The sentence with a capital at its start, unless it begins with the path of a model.
fn capital(sentence: &str) -> String {
    let first = sentence.split_whitespace().next().unwrap_or_default();
    if first.contains(['/', '\\']) {
        return sentence.to_owned();
    }
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(chars).collect()
    })
}
