//! Loss and learning rate over the steps of training.

use super::{
    Page,
    canvas::{Anchor, Canvas},
    scale::{Scale, step, tick, ticks},
    series::{epochs, finite, smoothed, thinned},
};
use crate::report::{Training, figures::number};

/// Where the plot begins, below the name of its scale.
const TOP: f64 = 28.0;

/// The chart: the loss above, the learning rate below, over the same steps.
pub(in crate::report) fn curves(id: &str, page: Page, training: &Training) -> Option<String> {
    let losses: Vec<(f64, f64)> =
        finite(training.steps.iter().map(|point| (point.step, point.loss)));
    let rates: Vec<(f64, f64)> = finite(
        training
            .steps
            .iter()
            .map(|point| (point.step, point.learning_rate)),
    );
    let validations: Vec<(f64, f64)> = finite(
        training
            .validations
            .iter()
            .map(|point| (point.step, point.loss)),
    );
    if losses.is_empty() && validations.is_empty() {
        return None;
    }
    let raw = thinned(&losses);
    let smooth = smoothed(&raw);
    let plot = Plot::new(page, &raw, &smooth, &validations, !rates.is_empty());
    let mut canvas = Canvas::new(page.width(), plot.height);
    plot.axes(&mut canvas, training);
    if raw.len() > 20 {
        canvas.curve("curve raw c1", &plot.placed(&raw));
    }
    canvas.curve("curve c1", &plot.placed(&smooth));
    canvas.curve("curve c0", &plot.placed(&validations));
    if validations.len() <= 60 {
        for &place in &plot.placed(&validations) {
            canvas.disc("dot small c0", place, 3.5);
        }
    }
    plot.labels(&mut canvas, &smooth, &validations);
    plot.rate(&mut canvas, &thinned(&rates));
    let last = |points: &[(f64, f64)]| {
        points
            .last()
            .map_or_else(|| "none".to_owned(), |point| number(point.1))
    };
    let description = format!(
        "Loss in nats per target. Training: {} at the first step, {} at the end, smoothed. Validation: {} at the end.",
        losses
            .first()
            .map_or_else(|| "none".to_owned(), |point| number(point.1)),
        last(&smooth),
        last(&validations)
    );
    Some(canvas.finish(
        id,
        page,
        "Loss and learning rate over the steps of training",
        &description,
    ))
}

/// Where things stand.
struct Plot {
    page: Page,
    height: f64,
    left: f64,
    right: f64,
    bottom: f64,
    steps: (f64, f64),
    losses: (f64, f64),
    x: Scale,
    y: Scale,
}

impl Plot {
    fn new(
        page: Page,
        raw: &[(f64, f64)],
        smooth: &[(f64, f64)],
        validations: &[(f64, f64)],
        with_rate: bool,
    ) -> Self {
        let (left, right) = (
            page.pick(46.0, 34.0),
            page.width() - page.pick(132.0, 106.0),
        );
        let bottom = page.pick(290.0, 220.0);
        let all = || raw.iter().chain(validations);
        let steps = (
            all()
                .map(|point| point.0)
                .fold(f64::INFINITY, f64::min)
                .min(1.0),
            end(all().map(|p| p.0)),
        );
        // A few wild steps must not press the curve flat: the raw losses count only up to their 98th percentile.
        let mut sorted: Vec<f64> = raw.iter().map(|point| point.1).collect();
        sorted.sort_by(f64::total_cmp);
        let cut = sorted
            .get(sorted.len().saturating_sub(1) * 98 / 100)
            .copied();
        let seen = smooth
            .iter()
            .chain(validations)
            .map(|point| point.1)
            .chain(cut);
        let (low, high) = seen.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
            (low.min(y), high.max(y))
        });
        let low = sorted.first().map_or(low, |first| low.min(*first));
        let margin = (high - low).max(1e-3) * 0.06;
        let losses = (
            (low - margin).max(if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY }),
            high + margin,
        );
        Self {
            page,
            height: bottom + if with_rate { 122.0 } else { 30.0 },
            left,
            right,
            bottom,
            steps,
            losses,
            x: Scale::new(steps, (left, right)),
            y: Scale::new(losses, (bottom, TOP)),
        }
    }

    fn placed(&self, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
        points
            .iter()
            .map(|point| (self.x.at(point.0), self.y.at(point.1)))
            .collect()
    }

    fn axes(&self, canvas: &mut Canvas, training: &Training) {
        canvas.text(
            "tick",
            (0.0, 12.0),
            Anchor::Start,
            "loss per target, in nats",
        );
        let (low, high) = self.losses;
        let distance = step(low, high, 5);
        for value in ticks(low, high, 5) {
            let y = self.y.at(value);
            canvas.line("grid", (self.left, y), (self.right, y));
            canvas.text(
                "tick",
                (self.left - 8.0, y + 4.5),
                Anchor::End,
                &tick(value, distance),
            );
        }
        for (epoch, at) in epochs(training) {
            canvas.line(
                "grid dashed",
                (self.x.at(at), TOP),
                (self.x.at(at), self.bottom),
            );
            if self.page == Page::Wide {
                canvas.text(
                    "tick",
                    (self.x.at(at) - 5.0, TOP + 11.0),
                    Anchor::End,
                    &format!("epoch {epoch}"),
                );
            }
        }
        canvas.line("axis", (self.left, self.bottom), (self.right, self.bottom));
        let count = self.page.pick(7, 4);
        let distance = step(self.steps.0, self.steps.1, count);
        for value in ticks(self.steps.0, self.steps.1, count) {
            canvas.text(
                "tick",
                (self.x.at(value), self.bottom + 18.0),
                Anchor::Middle,
                &tick(value, distance),
            );
        }
        canvas.text(
            "tick",
            (self.right + 14.0, self.bottom + 18.0),
            Anchor::Start,
            "step",
        );
    }

    /// The names at the ends of the curves, moved apart where they would touch.
    fn labels(&self, canvas: &mut Canvas, smooth: &[(f64, f64)], validations: &[(f64, f64)]) {
        let mut labels = Vec::new();
        for (points, name, class) in [
            (smooth, "training", "c1"),
            (validations, "validation", "c0"),
        ] {
            if let Some(last) = points.last() {
                labels.push((self.y.at(last.1), name, class, number(last.1)));
            }
        }
        labels.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let [first, second] = labels.as_mut_slice() {
            let overlap = 34.0 - (second.0 - first.0);
            if overlap > 0.0 {
                first.0 -= overlap / 2.0;
                second.0 += overlap / 2.0;
            }
        }
        let down = labels
            .last()
            .map_or(0.0, |label| (label.0 + 16.0 - self.bottom).max(0.0));
        for (y, name, class, value) in labels {
            let x = self.right + 10.0;
            canvas.text(
                &format!("curve-name {class}"),
                (x, y - down),
                Anchor::Start,
                name,
            );
            canvas.text("value", (x, y - down + 16.0), Anchor::Start, &value);
        }
    }

    /// The learning rate below the loss.
    fn rate(&self, canvas: &mut Canvas, rates: &[(f64, f64)]) {
        let peak = end(rates.iter().map(|point| point.1));
        if rates.is_empty() || peak <= 0.0 {
            return;
        }
        let (top, bottom) = (self.bottom + 46.0, self.bottom + 112.0);
        let y = Scale::new((0.0, peak), (bottom, top));
        canvas.line("grid", (self.left, top), (self.right, top));
        canvas.line("axis", (self.left, bottom), (self.right, bottom));
        let points: Vec<_> = rates
            .iter()
            .map(|point| (self.x.at(point.0), y.at(point.1)))
            .collect();
        canvas.curve("curve c1", &points);
        let x = self.right + 10.0;
        canvas.text(
            "curve-name c1",
            (x, top + 14.0),
            Anchor::Start,
            "learning rate",
        );
        canvas.text("value", (x, top + 30.0), Anchor::Start, &rate(peak));
        canvas.text("tick", (x, top + 46.0), Anchor::Start, "at its peak");
    }
}

/// A learning rate: `2e-3`, `1.5e-4`.
fn rate(value: f64) -> String {
    let text = format!("{value:.2e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    format!(
        "{}e{power}",
        digits.trim_end_matches('0').trim_end_matches('.')
    )
}

/// The largest value, 0 if there is none.
fn end(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{TrainingPoint, ValidationPoint};

    fn training(steps: u64) -> Training {
        let point = |step| TrainingPoint {
            step,
            epoch: Some(step as f64 * 3.0 / steps as f64),
            loss: Some(3.0 / (step as f64).sqrt()),
            learning_rate: Some(1e-3),
            ..TrainingPoint::default()
        };
        Training {
            steps: (1..=steps).map(point).collect(),
            validations: vec![ValidationPoint {
                step: steps,
                loss: Some(0.5),
            }],
            ..Training::default()
        }
    }

    #[test]
    fn long_runs_stay_small() {
        let svg = curves("t", Page::Wide, &training(100_000)).unwrap();
        assert!(svg.len() < 30_000, "{}", svg.len());
    }

    #[test]
    fn draws_what_there_is() {
        assert_eq!(curves("t", Page::Wide, &Training::default()), None);
        for steps in [1, 2, 30] {
            let svg = curves("t", Page::Narrow, &training(steps)).unwrap();
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn rates_are_short() {
        assert_eq!(
            [rate(2e-3), rate(1.5e-4), rate(3e-5)],
            ["2e-3", "1.5e-4", "3e-5"]
        );
    }
}
