//! A learning curve: the runs, the law through them with its interval, and where it leads.

use super::{
    Page,
    canvas::{Anchor, Canvas, r, width_of},
    scale::{Scale, step, tick, ticks},
};
use crate::{
    learning_curve::{Fit, Forecast, LARGEST, LearningCurve},
    metric::{Better, Unit, mean},
    report::{
        figures::value,
        learning::{heading, shown},
    },
};

/// Where the plot begins, below the name of its scale.
const TOP: f64 = 28.0;
/// How many pieces the law is drawn in.
const PIECES: u32 = 48;

/// The chart; none for a curve without runs. Without a fit only the runs are drawn.
pub(in crate::report) fn learning(
    id: &str,
    page: Page,
    curve: &LearningCurve,
    fit: Option<&Fit>,
) -> Option<String> {
    let mut points = curve.points.clone();
    points.sort_by_key(|point| (point.rows, point.seed));
    let runs: Vec<(f64, f64)> = points
        .iter()
        .filter(|point| point.rows > 0 && point.value.abs() <= LARGEST)
        .map(|point| (point.rows as f64, point.value))
        .collect();
    let sizes = || runs.iter().map(|run| run.0);
    let (first, largest) = (sizes().reduce(f64::min)?, sizes().reduce(f64::max)?);
    let end = fit
        .and_then(|fit| fit.forecasts.last())
        .map_or(largest, |last| last.rows as f64);
    let law = fit.map_or_else(Vec::new, |fit| sampled(fit, first, end));
    let plot = Plot::new(page, curve, &runs, &law, (first, end));
    let mut canvas = Canvas::new(page.width(), plot.bottom + 44.0);
    plot.axes(&mut canvas, curve);
    if let Some(fit) = fit {
        plot.law(&mut canvas, fit, &law, largest);
    }
    for &(rows, value) in &runs {
        canvas.disc("dot small c1", plot.place(rows, value), 3.5);
    }
    for size in runs.chunk_by(|one, next| one.0 >= next.0) {
        let values: Vec<f64> = size.iter().map(|run| run.1).collect();
        canvas.disc("dot c0", plot.place(size[0].0, mean(&values)), 5.0);
    }
    let name = format!("{} over the number of training rows", curve.metric);
    Some(canvas.finish(id, page, &name, &described(curve, fit)))
}

/// The law at evenly spread places of the logarithmic scale.
fn sampled(fit: &Fit, first: f64, end: f64) -> Vec<Forecast> {
    let at = |piece| first * (end / first).powf(f64::from(piece) / f64::from(PIECES));
    (0..=PIECES)
        .map(|piece| fit.at(at(piece).round() as u64))
        .collect()
}

/// Where things stand.
struct Plot {
    page: Page,
    unit: Unit,
    left: f64,
    right: f64,
    bottom: f64,
    rows: (f64, f64),
    values: (f64, f64),
    x: Scale,
    y: Scale,
}

impl Plot {
    fn new(
        page: Page,
        curve: &LearningCurve,
        runs: &[(f64, f64)],
        law: &[Forecast],
        rows: (f64, f64),
    ) -> Self {
        let (left, right) = (page.pick(56.0, 46.0), page.width() - page.pick(92.0, 64.0));
        let bottom = page.pick(300.0, 230.0);
        let seen = runs
            .iter()
            .map(|run| run.1)
            .chain(law.iter().map(|forecast| forecast.value));
        let (low, high) = seen.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
            (low.min(y), high.max(y))
        });
        let height = (high - low).max(high.abs() * 0.02).max(1e-6);
        // A wide interval is cut, so that it does not press the curve flat.
        let ends = law.iter().filter_map(|forecast| forecast.interval);
        let (from, to) = ends.fold((low, high), |(low, high), i| {
            (low.min(i.low), high.max(i.high))
        });
        let from = from.max(low - 0.6 * height) - 0.05 * height;
        let to = to.min(high + 0.6 * height) + 0.05 * height;
        let from = if low >= 0.0 { from.max(0.0) } else { from };
        let values = (
            from,
            if curve.better == Better::Higher {
                to.min(1.0)
            } else {
                to
            },
        );
        Self {
            page,
            unit: curve.unit,
            left,
            right,
            bottom,
            rows,
            values,
            x: Scale::new((rows.0.ln(), rows.1.ln()), (left + 10.0, right - 6.0)),
            y: Scale::new(values, (bottom, TOP)),
        }
    }

    fn place(&self, rows: f64, value: f64) -> (f64, f64) {
        (self.x.at(rows.ln()), self.y.at(value))
    }

    fn axes(&self, canvas: &mut Canvas, curve: &LearningCurve) {
        canvas.label(
            "tick",
            (0.0, 12.0),
            Anchor::Start,
            self.page.width(),
            &heading(curve),
        );
        let (low, high) = self.values;
        let distance = step(low, high, 5);
        for value in ticks(low, high, 5) {
            let y = self.y.at(value);
            canvas.line("grid", (self.left, y), (self.right, y));
            let text = match self.unit {
                Unit::Share => format!("{}%", tick(value * 100.0, distance * 100.0)),
                Unit::Number => tick(value, distance),
            };
            canvas.text("tick", (self.left - 8.0, y + 4.5), Anchor::End, &text);
        }
        canvas.line("axis", (self.left, self.bottom), (self.right, self.bottom));
        let mut taken = f64::NEG_INFINITY;
        for rows in powers(self.rows) {
            let (x, text) = (self.x.at(rows.ln()), shown(rows as u64));
            let half = width_of(&text) / 2.0;
            if x - half > taken + 10.0 && x + half <= self.page.width() {
                canvas.line("axis", (x, self.bottom), (x, self.bottom + 4.0));
                canvas.text("tick", (x, self.bottom + 18.0), Anchor::Middle, &text);
                taken = x + half;
            }
        }
        let middle = f64::midpoint(self.left, self.right);
        canvas.text(
            "tick",
            (middle, self.bottom + 38.0),
            Anchor::Middle,
            "training rows",
        );
    }

    /// The law with its interval: drawn through to the largest size, dashed from there on.
    fn law(&self, canvas: &mut Canvas, fit: &Fit, law: &[Forecast], largest: f64) {
        let place = |forecast: &Forecast, value| self.place(forecast.rows as f64, value);
        let ends = |end: fn(crate::Interval) -> f64| {
            law.iter()
                .filter_map(move |f| Some(place(f, end(f.interval?))))
                .collect::<Vec<_>>()
        };
        let (low, mut high) = (ends(|i| i.low), ends(|i| i.high));
        high.reverse();
        let outline: Vec<String> = low
            .iter()
            .chain(&high)
            .map(|(x, y)| format!("{} {}", r(*x), r(*y)))
            .collect();
        if !outline.is_empty() {
            canvas.path("range c0", &format!("M{}Z", outline.join("L")), None);
        }
        let now = self.x.at(largest.ln());
        canvas.line("grid dashed", (now, TOP), (now, self.bottom));
        let placed = |law: &mut dyn Iterator<Item = Forecast>| {
            law.map(|f| place(&f, f.value)).collect::<Vec<_>>()
        };
        let here = fit.at(largest as u64);
        let within = law
            .iter()
            .filter(|f| (f.rows as f64) < largest)
            .copied()
            .chain([here]);
        let beyond = [here]
            .into_iter()
            .chain(law.iter().filter(|f| f.rows as f64 > largest).copied());
        canvas.curve("curve c0", &placed(&mut { within }));
        canvas.curve("curve ahead c0", &placed(&mut { beyond }));
        self.forecasts(canvas, fit, now);
    }

    /// The forecasts as rings with their factors, and the last one's value at its end.
    fn forecasts(&self, canvas: &mut Canvas, fit: &Fit, now: f64) {
        let Some((here, ahead)) = fit.forecasts.split_first() else {
            return;
        };
        for forecast in ahead {
            let (x, y) = self.place(forecast.rows as f64, forecast.value);
            canvas.disc("ring c0", (x, y), 4.0);
            let factor = format!("{}×", (forecast.rows as f64 / here.rows as f64).round());
            canvas.text("tick", (x, y - 10.0), Anchor::Middle, &factor);
        }
        if self.page == Page::Wide {
            canvas.text("tick", (now - 6.0, TOP + 11.0), Anchor::End, "trained on");
            canvas.text("tick", (now + 6.0, TOP + 11.0), Anchor::Start, "forecast");
        }
        if let Some(last) = ahead.last() {
            let (x, y) = self.place(last.rows as f64, last.value);
            canvas.text(
                "value",
                (x + 10.0, y + 4.5),
                Anchor::Start,
                &value(last.value, self.unit),
            );
        }
    }
}

/// 1, 2 and 5 times the powers of ten in a range.
fn powers((low, high): (f64, f64)) -> Vec<f64> {
    let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
    let all = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(decade)));
    all.filter(|rows| (low..=high).contains(rows)).collect()
}

/// The chart in words.
fn described(curve: &LearningCurve, fit: Option<&Fit>) -> String {
    let mut points = curve.points.clone();
    points.sort_by_key(|point| (point.rows, point.seed));
    let runs = points.iter().map(|point| {
        format!(
            "{} rows: {}",
            shown(point.rows),
            value(point.value, curve.unit)
        )
    });
    let ahead = fit.map_or(&[][..], |fit| fit.forecasts.get(1..).unwrap_or_default());
    let ahead = ahead.iter().map(|f| {
        format!(
            "forecast for {} rows: {}",
            shown(f.rows),
            value(f.value, curve.unit)
        )
    });
    runs.chain(ahead).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learning_curve::Point;

    fn curve(points: &[(u64, f64)]) -> LearningCurve {
        let point = |&(rows, value)| Point {
            rows,
            seed: 0,
            value,
        };
        LearningCurve {
            metric: "loss".to_owned(),
            better: Better::Lower,
            unit: Unit::Number,
            items: 10,
            points: points.iter().map(point).collect(),
        }
    }

    #[test]
    fn draws_what_there_is() {
        assert_eq!(learning("l", Page::Wide, &curve(&[]), None), None);
        for points in [
            &[(100, 3.0)][..],
            &[(100, 3.0), (100, 3.0)],
            &[(0, 1.0), (5, f64::NAN), (7, 2.0), (8, 1e308), (9, -1.0)],
            &[(1, 3.0), (10, 2.0), (100, 1.5), (1000, 1.2)],
            &[(1, 0.0), (2, 0.0), (u64::MAX, 0.0)],
            &[(100, 1.0), (200, 3.0), (400, 1.5), (401, 7.0)],
        ] {
            let curve = curve(points);
            let fit = curve.fit().ok();
            for page in [Page::Wide, Page::Narrow] {
                let svg = learning("l", page, &curve, fit.as_ref()).unwrap();
                assert!(
                    !svg.contains("NaN") && !svg.contains("inf"),
                    "{points:?}: {svg}"
                );
                assert_eq!(svg.contains("curve ahead"), fit.is_some());
            }
        }
    }

    #[test]
    fn rows_are_marked_at_round_numbers() {
        assert_eq!(powers((60.0, 1100.0)), [100.0, 200.0, 500.0, 1000.0]);
        assert!(powers((3.0, 3.0)).is_empty());
    }
}
