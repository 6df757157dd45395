//! The loop on a small model: what it computes, what it tells, and what it refuses.
// Numbers that must be the same to the last bit.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

mod support;

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::module::Module;
use burn::tensor::Tensor;
use finetune_model::{Noise, weights};
use finetune_train::{Batch, Event, Outcome, Schedule, TrainConfig, TrainError, Trained, Trainer};
use support::{Data, Rows, Tiny, bytes, values};

fn objective(model: &Tiny, batch: &Rows, noise: Noise) -> Tensor<1> {
    model.loss(batch, noise)
}

/// Without dropout, so that splits can be compared.
fn plain(model: &Tiny, batch: &Rows, _noise: Noise) -> Tensor<1> {
    model.loss(batch, Noise::off())
}

fn config(steps: u64) -> TrainConfig {
    TrainConfig {
        steps: Some(steps),
        schedule: Schedule::constant(1e-2),
        ..TrainConfig::default()
    }
}

fn fit(config: TrainConfig, data: &Data) -> Trained<Tiny> {
    Trainer::new(config)
        .fit(Tiny::new(30, 8), &objective, data, None)
        .unwrap()
}

fn close(one: &Tiny, other: &Tiny, tolerance: f32) {
    let other = values(other);
    for (path, one) in values(one) {
        for (a, b) in one.iter().zip(&other[&path]) {
            assert!((a - b).abs() <= tolerance, "{path}: {a} and {b}");
        }
    }
}

#[test]
fn the_loss_falls() {
    let mut losses = Vec::new();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let told = seen.clone();
    Trainer::new(config(60))
        .observe(move |event: &Event<'_>, _: &Tiny| {
            if let Event::Stepped(step) = event {
                told.borrow_mut().push(step.loss);
            }
            ControlFlow::Continue(())
        })
        .fit(Tiny::new(30, 8), &objective, &Data::new(&[16; 4], 30), None)
        .unwrap();
    losses.append(&mut seen.borrow_mut());
    assert_eq!(losses.len(), 60);
    assert!(losses[59] < 0.3 * losses[0], "{losses:?}");
}

#[test]
fn any_split_of_the_rows_gives_the_same_step() {
    let rows = 24;
    let run = |sizes: &[usize]| {
        let config = TrainConfig {
            accumulate: sizes.len() as u64,
            ..config(5)
        };
        Trainer::new(config)
            .fit(Tiny::new(30, 8), &plain, &Data::new(sizes, 30), None)
            .unwrap()
            .model
    };
    let whole = run(&[rows]);
    for sizes in [
        &[12, 12][..],
        &[1, 23],
        &[3, 0, 20, 1],
        &[1; 24],
        &[5, 4, 9, 6],
    ] {
        close(&run(sizes), &whole, 1e-6);
    }
}

#[test]
fn the_last_window_of_an_epoch_is_shorter() {
    let data = Data::new(&[4; 5], 30);
    let config = TrainConfig {
        steps: None,
        epochs: 2.0,
        accumulate: 2,
        ..config(0)
    };
    let trained = fit(config.clone(), &data);
    // 3 steps per epoch, and no gradient is carried over.
    assert_eq!((trained.summary.step, trained.summary.epoch), (6, 2.0));
    assert_eq!(trained.summary.tokens, 40);
    assert_eq!(trained.outcome(), Outcome::Completed);
    let half = fit(
        TrainConfig {
            epochs: 1.5,
            ..config
        },
        &data,
    );
    assert_eq!(half.summary.step, 5);
}

#[test]
fn dropout_follows_the_seed() {
    let data = Data::new(&[16; 2], 30);
    let run = |seed| fit(TrainConfig { seed, ..config(4) }, &data).model;
    assert_eq!(bytes(&run(1)), bytes(&run(1)));
    assert_ne!(bytes(&run(1)), bytes(&run(2)));
}

#[test]
fn observers_change_nothing_and_see_everything() {
    let data = Data::new(&[8; 3], 30);
    let alone = fit(config(6), &data).model;
    let seen = Rc::new(RefCell::new(Vec::new()));
    let told = seen.clone();
    let watched = Trainer::new(config(6))
        .observe(move |event: &Event<'_>, model: &Tiny| {
            let name = match event {
                Event::Started(start) => {
                    assert_eq!((start.steps, start.done, start.batches), (6, 0, 3));
                    assert_eq!(start.trainable, 30 * 8 + 8 + 8 * 5 + 5);
                    "started"
                }
                Event::Stepped(step) => {
                    assert_eq!(step.targets, 8);
                    assert!(step.gradient_norm > 0.0 && step.learning_rate == 1e-2);
                    "stepped"
                }
                Event::Validated(_) => "validated",
                Event::Finished(_) => "finished",
                _ => "other",
            };
            told.borrow_mut().push(name);
            let _ = model.valid();
            ControlFlow::Continue(())
        })
        .fit(Tiny::new(30, 8), &objective, &data, None)
        .unwrap()
        .model;
    assert_eq!(bytes(&alone), bytes(&watched));
    let mut expected = vec!["stepped"; 8];
    (expected[0], expected[7]) = ("started", "finished");
    assert_eq!(*seen.borrow(), expected);
}

#[test]
fn an_observer_may_stop_the_run() {
    let trained = Trainer::new(config(50))
        .observe(|event: &Event<'_>, _: &Tiny| match event {
            Event::Stepped(step) if step.step == 3 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .fit(Tiny::new(30, 8), &objective, &Data::new(&[8; 3], 30), None)
        .unwrap();
    assert_eq!((trained.outcome(), trained.step), (Outcome::Stopped, 3));
}

#[test]
fn a_flag_interrupts_after_the_running_step() {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = flag.clone();
    let trained = Trainer::new(config(50))
        .stop_flag(flag)
        .observe(move |event: &Event<'_>, _: &Tiny| {
            if matches!(event, Event::Stepped(step) if step.step == 4) {
                raised.store(true, Ordering::SeqCst);
            }
            ControlFlow::Continue(())
        })
        .fit(Tiny::new(30, 8), &objective, &Data::new(&[8; 3], 30), None)
        .unwrap();
    assert_eq!((trained.outcome(), trained.step), (Outcome::Interrupted, 4));
}

#[test]
fn the_best_model_is_returned_and_patience_ends_the_run() {
    // A rate that soon ruins the model: the best one comes early.
    let mut config = config(100);
    config.schedule = Schedule::constant(3.0);
    config.validation.every = Some(1);
    config.validation.patience = Some(4);
    let (train, held_out) = (
        Data::new(&[8; 3], 30),
        Data {
            seed: 99,
            ..Data::new(&[20], 30)
        },
    );
    let losses = Rc::new(RefCell::new(Vec::new()));
    let told = losses.clone();
    let trained = Trainer::new(config)
        .observe(move |event: &Event<'_>, _: &Tiny| {
            if let Event::Validated(validation) = event {
                told.borrow_mut().push((validation.step, validation.loss));
            }
            ControlFlow::Continue(())
        })
        .fit(Tiny::new(30, 8), &objective, &train, Some(&held_out))
        .unwrap();
    let losses = losses.borrow();
    assert_eq!(losses[0].0, 0, "measured before the first step");
    let (step, loss) = *losses.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(trained.outcome(), Outcome::Stopped);
    assert_eq!(trained.summary.step, step + 4);
    assert_eq!(trained.step, step);
    let best = trained.best().unwrap();
    assert_eq!((best.step, best.loss.to_bits()), (step, loss.to_bits()));
    // The returned model has that loss.
    let batch = finetune_train::Batches::epoch(&held_out, 0, 0)
        .next()
        .unwrap()
        .unwrap();
    let again = trained
        .model
        .loss(&batch, Noise::off())
        .into_scalar::<f32>();
    assert_eq!(f64::from(again) / 20.0, loss);
}

fn refusal(result: Result<Trained<Tiny>, TrainError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn a_loss_that_is_not_finite_names_its_rows() {
    let data = Data::new(&[2, 3, 2], 30);
    let config = TrainConfig {
        accumulate: 3,
        ..config(9)
    };
    let bad = |model: &Tiny, batch: &Rows, noise: Noise| {
        let loss = model.loss(batch, noise);
        if batch.targets() == 3 {
            (loss * -1.0).log()
        } else {
            loss
        }
    };
    let message = refusal(Trainer::new(config).fit(Tiny::new(30, 8), &bad, &data, None));
    assert!(message.starts_with("step 1: the loss is NaN"), "{message}");
    assert!(
        message.contains("data.jsonl:3, data.jsonl:4, data.jsonl:5."),
        "{message}"
    );
}

#[test]
fn a_gradient_that_is_not_finite_stops_before_the_step() {
    let data = Data::new(&[2, 1], 30);
    let folder = tempfile::tempdir().unwrap();
    let mut config = TrainConfig {
        accumulate: 2,
        ..config(9)
    };
    config.checkpoint.every = Some(1);
    let steps = Rc::new(RefCell::new(0));
    let count = steps.clone();
    // Finite losses whose gradient overflows from the third step on.
    let bad = move |model: &Tiny, batch: &Rows, noise: Noise| {
        let big = if *count.borrow() >= 2 { 1e25 } else { 1.0 };
        model.loss(batch, noise) * big
    };
    let told = steps.clone();
    let result = Trainer::new(config)
        .folder(folder.path())
        .observe(move |event: &Event<'_>, _: &Tiny| {
            if let Event::Stepped(step) = event {
                *told.borrow_mut() = step.step;
            }
            ControlFlow::Continue(())
        })
        .fit(Tiny::new(30, 8), &bad, &data, None);
    let message = refusal(result);
    assert!(
        message.contains("step 3: the gradient norm is inf"),
        "{message}"
    );
    assert!(
        message.contains("data.jsonl:1, data.jsonl:2, data.jsonl:3."),
        "{message}"
    );
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(left.iter().any(|name| name == "step-2") && !left.iter().any(|name| name == "step-3"));
}

#[test]
fn a_trained_tensor_without_gradient_is_named() {
    let data = Data::new(&[2], 30);
    let partial = |model: &Tiny, batch: &Rows, noise: Noise| {
        let model = Tiny {
            bias: model.bias.clone().map(Tensor::detach),
            ..model.clone()
        };
        model.loss(batch, noise)
    };
    let message = refusal(Trainer::new(config(3)).fit(Tiny::new(30, 8), &partial, &data, None));
    assert!(
        message.starts_with("1 trainable tensors have no gradient after the first step: bias;"),
        "{message}"
    );
}

#[test]
fn frozen_tensors_stay_and_a_frozen_model_is_refused() {
    let data = Data::new(&[8; 2], 30);
    let start = Tiny::new(30, 8);
    let model = weights::set_trainable(start.clone(), &mut |path| path == "out");
    let trained = Trainer::new(config(3))
        .fit(model, &objective, &data, None)
        .unwrap()
        .model;
    let (before, after) = (bytes(&start), bytes(&trained));
    for path in ["table", "scale", "bias", "out"] {
        assert_eq!(before[path] == after[path], path != "out", "{path}");
    }
    let frozen = weights::set_trainable(start, &mut |_| false);
    let message = refusal(Trainer::new(config(3)).fit(frozen, &objective, &data, None));
    assert!(message.contains("all 4 tensors are frozen"), "{message}");
}

#[test]
fn a_model_outside_autodiff_is_trained_too() {
    let data = Data::new(&[8; 2], 30);
    let inside = fit(config(3), &data).model;
    let outside = Trainer::new(config(3))
        .fit(Tiny::new(30, 8).valid(), &objective, &data, None)
        .unwrap()
        .model;
    assert_eq!(bytes(&inside), bytes(&outside));
}

#[test]
fn impossible_configurations_are_refused_before_any_work() {
    let data = Data::new(&[8; 2], 30);
    let mut long = config(10);
    long.schedule.warmup = 11.0;
    let message = refusal(Trainer::new(long).fit(Tiny::new(30, 8), &objective, &data, None));
    assert!(
        message
            .contains("schedule.warmup = 11 must not be longer than the run, which has 10 steps"),
        "{message}"
    );
    let message = refusal(Trainer::new(config(0)).fit(Tiny::new(30, 8), &objective, &data, None));
    assert!(message.contains("steps = 0"), "{message}");
    let message = refusal(Trainer::new(config(1)).fit(
        Tiny::new(30, 8),
        &objective,
        &Data::new(&[], 30),
        None,
    ));
    assert!(message.starts_with("no rows"), "{message}");
    let message = refusal(Trainer::new(config(1)).fit(
        Tiny::new(30, 8),
        &objective,
        &Data::new(&[0], 30),
        None,
    ));
    assert!(message.starts_with("step 1: no targets"), "{message}");
    assert_eq!(data.built.load(Ordering::SeqCst), 0);
}
