//! Power laws through learning curves: what is recovered, how often intervals hold the truth, and what is refused.

use finetune_eval::learning_curve::{Doubt, Fit, LearningCurve, Point, PowerLaw};
use finetune_eval::metric::{Better, Bootstrap, Unit};
use finetune_eval::{EvalError, Report};
use proptest::prelude::*;

fn curve(points: impl IntoIterator<Item = (u64, u64, f64)>) -> LearningCurve {
    let point = |(rows, seed, value)| Point { rows, seed, value };
    LearningCurve {
        metric: "loss".to_owned(),
        better: Better::Lower,
        unit: Unit::Number,
        items: 100,
        points: points.into_iter().map(point).collect(),
    }
}

/// A curve with one seed.
fn single(points: &[(u64, f64)]) -> LearningCurve {
    curve(points.iter().map(|&(rows, value)| (rows, 1, value)))
}

/// Numbers that look normal: sums of twelve of a fixed sequence.
struct Noise(u64);

impl Noise {
    fn part(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.part()).sum::<f64>() - 6.0
    }
}

/// In how many of 100 noisy curves the interval of each forecast holds the law: at 1, 2, 4 and 10 times the data.
fn covered(law: PowerLaw, sizes: u32, seeds: u64, noise: f64) -> [usize; 4] {
    let mut held = [0; 4];
    let mut random = Noise(7);
    for _ in 0..100 {
        let runs = (0..sizes).flat_map(|size| (0..seeds).map(move |seed| (100_u64 << size, seed)));
        let noisy = runs.map(|(rows, seed)| {
            (
                rows,
                seed,
                (law.at(rows as f64) + noise * random.normal()).max(0.0),
            )
        });
        let bootstrap = Bootstrap {
            resamples: 200,
            seed: 1,
        };
        let fit = curve(noisy.collect::<Vec<_>>())
            .fit_with(bootstrap)
            .expect("a fit");
        for (held, forecast) in held.iter_mut().zip(&fit.forecasts) {
            let interval = forecast.interval.expect("an interval");
            *held += usize::from(interval.contains(law.at(forecast.rows as f64)));
        }
    }
    held
}

#[test]
fn intervals_hold_the_truth() {
    let mut all = [0; 4];
    let (mut curves, mut worst) = (0, 100);
    for (sizes, seeds) in [(5, 1), (8, 1), (5, 3)] {
        for (exponent, floor) in [(0.2, 1.5), (0.4, 1.0), (0.4, 0.0), (0.8, 1.5)] {
            let scale = 100_f64.powf(exponent);
            let held = covered(
                PowerLaw {
                    floor,
                    scale,
                    exponent,
                },
                sizes,
                seeds,
                0.01,
            );
            all.iter_mut()
                .zip(held)
                .for_each(|(all, held)| *all += held);
            worst = worst.min(held.into_iter().min().unwrap_or_default());
            curves += 100;
        }
    }
    // At least 85 of 100 for each factor; where the true floor is the edge of what is allowed, a little less.
    assert!(
        all.iter().all(|held| held * 100 >= 88 * curves),
        "{all:?} of {curves}"
    );
    assert!(worst >= 80, "{worst} of 100");
}

#[test]
fn more_seeds_and_less_noise_give_narrower_intervals() {
    let width = |seeds: u64, noise: f64| {
        let mut random = Noise(3);
        let runs = [100, 200, 400, 800, 1600]
            .into_iter()
            .flat_map(|rows| (0..seeds).map(move |seed| (rows, seed)));
        let law = PowerLaw {
            floor: 1.0,
            scale: 9.0,
            exponent: 0.5,
        };
        let points: Vec<_> = runs
            .map(|(rows, seed)| (rows, seed, law.at(rows as f64) + noise * random.normal()))
            .collect();
        let interval = curve(points).fit().unwrap().forecasts[3].interval.unwrap();
        interval.high - interval.low
    };
    assert!(width(4, 0.01) < width(1, 0.01));
    assert!(width(4, 0.01) < width(4, 0.04));
}

#[test]
fn the_same_curve_gives_the_same_bytes() {
    let (mut runs, mut random) = (Vec::new(), Noise(5));
    for rows in [50, 100, 300, 900] {
        runs.extend((0..2).map(|seed| {
            (
                rows,
                seed,
                1.0 + 3.0 / f64::sqrt(rows as f64) + 0.01 * random.normal(),
            )
        }));
    }
    let bytes = |points: Vec<_>, threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| serde_json::to_string(&curve(points).fit().unwrap()).unwrap())
    };
    let first = bytes(runs.clone(), 1);
    assert_eq!(first, bytes(runs.clone(), 3));
    runs.reverse();
    assert_eq!(first, bytes(runs, 2));
}

fn refused(curve: &LearningCurve, part: &str) {
    match curve.fit() {
        Err(error @ EvalError::Setting { .. }) => {
            assert!(error.to_string().contains(part), "{error}");
        }
        other => panic!("expected a refusal with {part:?}, found {other:?}"),
    }
}

#[test]
fn what_is_no_curve_is_refused() {
    refused(&single(&[]), "found 0 different sizes");
    refused(&single(&[(100, 2.0)]), "found 1 different sizes");
    refused(
        &curve([(100, 1, 2.0), (100, 2, 2.1), (100, 3, 1.9)]),
        "found 1 different sizes",
    );
    refused(&single(&[(100, 2.0), (200, 1.5)]), "expected at least 3");
    refused(
        &single(&[(100, 2.0), (100, 2.0), (300, 1.0)]),
        "stands there twice",
    );
    refused(&single(&[(0, 2.0), (100, 2.0), (300, 1.0)]), "has no rows");
    for value in [f64::NAN, f64::INFINITY, -0.1, 1e200] {
        refused(
            &single(&[(100, 2.0), (200, value), (300, 1.0)]),
            "200 rows with seed 1 has the value",
        );
    }
    let shares = LearningCurve {
        better: Better::Higher,
        ..single(&[(1, 0.5), (2, 0.6), (3, 1.2)])
    };
    refused(&shares, "a share from 0 to 1");
    let few = Bootstrap {
        resamples: 1,
        seed: 1,
    };
    assert!(
        single(&[(1, 3.0), (2, 2.0), (3, 1.0)])
            .fit_with(few)
            .is_err()
    );
}

fn doubts(points: &[(u64, f64)]) -> Vec<Doubt> {
    single(points).fit().expect("a fit").doubts
}

#[test]
fn doubts_name_what_is_wrong() {
    let sound = |rows: u64| 1.5 + 8.0 * (rows as f64).powf(-0.4);
    let at = |sizes: &[u64]| {
        sizes
            .iter()
            .map(|&rows| (rows, sound(rows)))
            .collect::<Vec<_>>()
    };
    assert_eq!(doubts(&at(&[100, 200, 400, 800])), [Doubt::SingleSeed]);
    assert!(doubts(&at(&[100, 200, 400])).contains(&Doubt::FewSizes { sizes: 3 }));
    assert!(doubts(&at(&[100, 150, 200, 300])).contains(&Doubt::NarrowSpan { span: 3.0 }));

    // Nothing changes: the forecast is that value, and data does not help.
    let flat = single(&[(100, 2.0), (200, 2.0), (400, 2.0), (800, 2.0)])
        .fit()
        .unwrap();
    assert_eq!(flat.doubts, [Doubt::Flat, Doubt::SingleSeed]);
    assert!(
        flat.forecasts
            .iter()
            .all(|forecast| (forecast.value - 2.0).abs() < 1e-12)
    );
    // It becomes worse.
    let rising = doubts(&[(100, 1.0), (200, 1.2), (400, 1.4), (800, 1.7)]);
    assert_eq!(
        rising[..2],
        [
            Doubt::Flat,
            Doubt::NotMonotone {
                better: 100,
                worse: 800
            }
        ]
    );
    let bump = doubts(&[(100, 3.0), (200, 2.0), (400, 2.6), (800, 1.8)]);
    assert!(
        bump.contains(&Doubt::NotMonotone {
            better: 200,
            worse: 400
        }),
        "{bump:?}"
    );
    // A step is no power law.
    let step = doubts(&[(100, 3.0), (200, 1.0), (400, 1.0), (800, 1.0)]);
    assert!(
        step.iter()
            .any(|doubt| matches!(doubt, Doubt::ExponentAtEdge { exponent } if *exponent > 1.9)),
        "{step:?}"
    );
    let slow = doubts(&[(100, 4.0), (200, 3.9), (400, 3.7), (800, 3.3)]);
    assert!(
        slow.iter()
            .any(|doubt| matches!(doubt, Doubt::WideForecast { .. })),
        "{slow:?}"
    );
    assert!(
        slow.iter()
            .any(|doubt| matches!(doubt, Doubt::FloorUnknown { .. })),
        "{slow:?}"
    );
}

#[test]
fn a_rise_within_the_noise_of_the_seeds_is_none() {
    let noisy = |spread: f64| {
        let values = [(100, 3.0), (200, 2.5), (400, 2.2), (800, 2.25)];
        let runs = values.into_iter().flat_map(|(rows, value)| {
            [-1.0, 0.0, 1.0]
                .into_iter()
                .zip(0..)
                .map(move |(side, seed)| (rows, seed, value + side * spread))
        });
        curve(runs.collect::<Vec<_>>()).fit().unwrap().doubts
    };
    let rise = Doubt::NotMonotone {
        better: 400,
        worse: 800,
    };
    assert!(!noisy(0.1).contains(&rise));
    assert!(noisy(0.01).contains(&rise));
    assert!(!noisy(0.1).contains(&Doubt::SingleSeed));
}

#[test]
fn the_report_says_what_twice_the_data_would_give() {
    let curve = single(&[(100, 2.8), (200, 2.4), (400, 2.13), (800, 1.92)]);
    let report = Report::new("Curve").learning_curve(curve).summarise();
    let headline = &report.summary.headline;
    assert!(
        headline.starts_with("Twice the data would lower the loss from 1.9"),
        "{headline}"
    );
    assert!(
        headline.contains("with caution: ") && headline.contains("one seed only"),
        "{headline}"
    );
    let (table, page) = (report.to_string(), report.to_html().unwrap());
    for part in [
        "training rows",
        "2× 1,600",
        "10× 8,000",
        "100 held-out items",
        "rows^−",
    ] {
        assert!(table.contains(part), "the table lacks {part}: {table}");
        assert!(page.contains(part), "the page lacks {part}");
    }
    assert_eq!(Report::from_json(&report.to_json()).unwrap(), report);

    let shares = [(100, 0.5), (200, 0.6), (400, 0.68), (800, 0.74)];
    let accuracy = LearningCurve {
        metric: "accuracy".into(),
        better: Better::Higher,
        unit: Unit::Share,
        ..single(&shares)
    };
    let text = Report::new("Curve").learning_curve(accuracy).to_string();
    assert!(
        text.contains("Twice the data would raise the accuracy from 74.")
            && text.contains("1 − accuracy ="),
        "{text}"
    );
}

#[test]
fn a_report_without_a_fit_shows_the_runs_and_says_why() {
    let report = Report::new("Curve")
        .learning_curve(single(&[(100, 2.8), (200, 2.4)]))
        .summarise();
    let (table, page) = (report.to_string(), report.to_html().unwrap());
    for part in ["No law was fitted", "expected at least 3", "2.800"] {
        assert!(table.contains(part), "the table lacks {part}: {table}");
        assert!(page.contains(part), "the page lacks {part}");
    }
}

/// The law is found again, to the precision of its values.
fn same(law: PowerLaw, fit: &Fit) -> Result<(), TestCaseError> {
    let near =
        |found: f64, expected: f64| (found - expected).abs() <= 1e-5 * (1.0 + expected.abs());
    prop_assert!(
        near(fit.law.exponent, law.exponent),
        "{:?} for {law:?}",
        fit.law
    );
    prop_assert!(near(fit.law.floor, law.floor), "{:?} for {law:?}", fit.law);
    prop_assert!(near(
        fit.forecasts[3].value,
        law.at(fit.forecasts[3].rows as f64)
    ));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn noiseless_curves_are_recovered(
        floor in 0.0_f64..5.0, reducible in 0.2_f64..10.0, exponent in 0.05_f64..1.8, first in 20_u64..2000, sizes in 3_usize..9,
    ) {
        let law = PowerLaw { floor, scale: reducible * (first as f64).powf(exponent), exponent };
        let points: Vec<_> = (0..sizes).map(|size| (first << size, law.at((first << size) as f64))).collect();
        same(law, &single(&points).fit().unwrap())?;
    }

    #[test]
    fn whatever_the_values_the_figures_are_finite(
        values in prop::collection::btree_map(1_u64..1_000_000, 0.0_f64..1e3, 3..9), seeds in 1_u64..4,
    ) {
        let runs = values.iter().flat_map(|(&rows, &value)| (0..seeds).map(move |seed| (rows, seed, value * (1.0 + seed as f64))));
        let curve = curve(runs.collect::<Vec<_>>());
        let fit = curve.fit_with(Bootstrap { resamples: 20, seed: 1 }).unwrap();
        prop_assert!(fit.law.floor >= 0.0 && fit.law.scale >= 0.0 && fit.law.scale.is_finite());
        for forecast in &fit.forecasts {
            prop_assert!(forecast.value.is_finite() && forecast.value >= 0.0);
            let interval = forecast.interval.map_or(0.0, |interval| interval.high - interval.low);
            prop_assert!(interval.is_finite() && interval >= 0.0);
        }
        // More data never forecasts a worse value.
        prop_assert!(fit.forecasts.windows(2).all(|pair| pair[1].value <= pair[0].value));
    }
}
