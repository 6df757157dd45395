//! A run that broke off and was resumed ends with the same bytes as one that did not.
#![allow(clippy::unwrap_used)]

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Tensor;
use finetune_model::{Noise, weights};
use finetune_train::{
    Event, JsonLines, Outcome, Result, Schedule, TrainConfig, TrainError, Trained, Trainer,
};
use support::{Data, Rows, Tiny, bytes};

/// More than 4,194,304 elements: from there on burn's own sums depend on the number of threads.
const BIG: (usize, usize) = (17_000, 256);
const SMALL: (usize, usize) = (30, 8);

fn objective(model: &Tiny, batch: &Rows, noise: Noise) -> Tensor<1> {
    model.loss(batch, noise)
}

fn config() -> TrainConfig {
    let mut config = TrainConfig {
        steps: Some(7),
        accumulate: 2,
        schedule: Schedule {
            peak: 1e-2,
            warmup: 2.0,
            ..Schedule::default()
        },
        ..TrainConfig::default()
    };
    config.optimizer.weight_decay = 0.1;
    config.validation.every = Some(2);
    config.checkpoint.every = Some(3);
    config
}

fn data(vocabulary: usize) -> (Data, Data) {
    let train = Data::new(&[40, 3, 17, 8, 25], vocabulary);
    let held_out = Data {
        seed: 5,
        ..Data::new(&[30, 10], vocabulary)
    };
    (train, held_out)
}

/// Interrupts when an event is seen.
type Until = fn(&Event<'_>) -> bool;

fn never(_: &Event<'_>) -> bool {
    false
}

fn run(
    folder: &Path,
    config: TrainConfig,
    size: (usize, usize),
    until: Until,
) -> Result<Trained<Tiny>> {
    let (train, held_out) = data(size.0);
    run_on(folder, config, size, until, &train, &held_out)
}

fn run_on(
    folder: &Path,
    config: TrainConfig,
    size: (usize, usize),
    until: Until,
    train: &Data,
    held_out: &Data,
) -> Result<Trained<Tiny>> {
    let flag = Arc::new(AtomicBool::new(false));
    Trainer::new(config)
        .folder(folder)
        .resume()
        .stop_flag(flag.clone())
        .observe(JsonLines::new(folder.join("metrics.jsonl")).without_seconds())
        .observe(move |event: &Event<'_>, _: &Tiny| {
            if until(event) {
                flag.store(true, Ordering::SeqCst);
            }
            ControlFlow::Continue(())
        })
        .fit(Tiny::new(size.0, size.1), &objective, train, Some(held_out))
}

/// What must be equal at the end of a run: weights and moments on the disk, the log, the returned model.
fn result(folder: &Path, trained: &Trained<Tiny>) -> BTreeMap<String, Vec<u8>> {
    let mut all = bytes(&trained.model);
    let last = folder.join(format!("step-{}", trained.summary.step));
    for path in [
        last.join("weights.safetensors"),
        last.join("moments.safetensors"),
        folder.join("metrics.jsonl"),
    ] {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        all.insert(name, std::fs::read(path).unwrap());
    }
    all.insert(
        "best".to_owned(),
        format!("{:?} {}", trained.best(), trained.step).into_bytes(),
    );
    all
}

fn same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>, what: &str) {
    assert!(one.keys().eq(other.keys()));
    for (name, bytes) in one {
        assert!(*bytes == other[name], "{what}: {name} differs");
    }
}

fn straight(size: (usize, usize)) -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let trained = run(folder.path(), config(), size, never).unwrap();
    assert_eq!(trained.outcome(), Outcome::Completed);
    result(folder.path(), &trained)
}

fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(work)
}

#[test]
fn resumed_is_straight_for_any_number_of_threads() {
    let expected = with_threads(1, || straight(BIG));
    same(&with_threads(2, || straight(BIG)), &expected, "2 threads");
    let resumed = with_threads(8, || {
        let folder = tempfile::tempdir().unwrap();
        // In the middle of an epoch, and of the interval between checkpoints.
        let first = run(
            folder.path(),
            config(),
            BIG,
            |event| matches!(event, Event::Stepped(step) if step.step == 4),
        );
        assert_eq!(first.unwrap().outcome(), Outcome::Interrupted);
        let trained = run(folder.path(), config(), BIG, never).unwrap();
        result(folder.path(), &trained)
    });
    same(&resumed, &expected, "8 threads, resumed");
}

#[test]
fn a_run_may_break_off_after_every_step() {
    let expected = straight(SMALL);
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    let trained = loop {
        let trained = run(folder.path(), config(), SMALL, |event| {
            matches!(event, Event::Stepped(_))
        })
        .unwrap();
        count += 1;
        if trained.outcome() == Outcome::Completed {
            break trained;
        }
    };
    // The flag was raised at the last step too, before its validation.
    assert_eq!(count, 8);
    same(
        &result(folder.path(), &trained),
        &expected,
        "broken off after every step",
    );
}

#[test]
fn a_damaged_checkpoint_is_set_aside_and_the_end_is_the_same() {
    let expected = straight(SMALL);
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        config(),
        SMALL,
        |event| matches!(event, Event::Stepped(step) if step.step == 5),
    )
    .unwrap();
    let path = folder.path().join("step-5/weights.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let trained = run(folder.path(), config(), SMALL, never).unwrap();
    assert!(folder.path().join("corrupt-step-5").is_dir());
    same(
        &result(folder.path(), &trained),
        &expected,
        "after a damage",
    );
}

#[test]
fn a_finished_run_returns_its_model_without_work() {
    let folder = tempfile::tempdir().unwrap();
    let first = run(folder.path(), config(), SMALL, never).unwrap();
    let expected = result(folder.path(), &first);
    let (train, held_out) = data(SMALL.0);
    let again = run_on(folder.path(), config(), SMALL, never, &train, &held_out).unwrap();
    assert_eq!(
        train.built.load(Ordering::SeqCst) + held_out.built.load(Ordering::SeqCst),
        0
    );
    assert_eq!(again.outcome(), Outcome::Completed);
    same(&result(folder.path(), &again), &expected, "asked again");
}

#[test]
fn resuming_reads_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        config(),
        SMALL,
        |event| matches!(event, Event::Stepped(step) if step.step == 4),
    )
    .unwrap();
    let (train, held_out) = data(SMALL.0);
    run_on(folder.path(), config(), SMALL, never, &train, &held_out).unwrap();
    // Windows of 2, 2 and 1 micro-batches; step 5 is the second window of the second epoch.
    assert_eq!(train.built.load(Ordering::SeqCst), 2 + 1 + 2);
}

#[test]
fn another_run_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        config(),
        SMALL,
        |event| matches!(event, Event::Stepped(step) if step.step == 4),
    )
    .unwrap();
    let field = |result: Result<Trained<Tiny>>| match result {
        Err(TrainError::ResumeMismatch { field, .. }) => field,
        other => panic!("{:?}", other.map(|trained| trained.summary)),
    };
    let mut other = config();
    other.optimizer.weight_decay = 0.2;
    assert_eq!(
        field(run(folder.path(), other, SMALL, never)),
        "optimizer.weight_decay"
    );
    let (train, held_out) = data(SMALL.0);
    let changed = Data {
        seed: 12,
        ..train.clone()
    };
    assert_eq!(
        field(run_on(
            folder.path(),
            config(),
            SMALL,
            never,
            &changed,
            &held_out
        )),
        "training data"
    );
    assert_eq!(
        field(run_on(
            folder.path(),
            config(),
            SMALL,
            never,
            &train,
            &changed
        )),
        "validation data"
    );
    let mut more_often = config();
    more_often.checkpoint.every = Some(1);
    run(folder.path(), more_often, SMALL, never).unwrap();
}

#[test]
fn another_model_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        config(),
        SMALL,
        |event| matches!(event, Event::Stepped(step) if step.step == 4),
    )
    .unwrap();
    let error = run(folder.path(), config(), (30, 9), never)
        .unwrap_err()
        .to_string();
    assert!(error.contains("weights do not fit the model"), "{error}");
    assert!(
        error.contains("table (found [30, 8], expected [30, 9])"),
        "{error}"
    );
}

#[test]
fn frozen_weights_are_not_saved_but_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let (train, held_out) = data(SMALL.0);
    let fit = |shift: f32, steps| {
        let config = TrainConfig {
            steps: Some(4),
            ..config()
        };
        let mut model = Tiny::new(SMALL.0, SMALL.1);
        model.table = model
            .table
            .map(|table| (table + shift).detach().require_grad());
        let model = weights::set_trainable(model, &mut |path| path != "table");
        let flag = Arc::new(AtomicBool::new(false));
        let raised = flag.clone();
        Trainer::new(config)
            .folder(folder.path())
            .resume()
            .stop_flag(flag)
            .observe(move |event: &Event<'_>, _: &Tiny| {
                if matches!(event, Event::Stepped(step) if step.step == steps) {
                    raised.store(true, Ordering::SeqCst);
                }
                ControlFlow::Continue(())
            })
            .fit(model, &objective, &train, Some(&held_out))
    };
    fit(0.0, 2).unwrap();
    let saved = std::fs::read(folder.path().join("step-2/weights.safetensors")).unwrap();
    let text = String::from_utf8_lossy(&saved);
    assert!(text.contains("\"out\"") && !text.contains("\"table\""));
    let error = fit(0.5, 9).unwrap_err();
    assert!(
        matches!(&error, TrainError::ResumeMismatch { field, .. } if field == "frozen weights"),
        "{error}"
    );
    assert_eq!(fit(0.0, 9).unwrap().outcome(), Outcome::Completed);
}

#[test]
fn a_folder_with_a_run_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    run(
        folder.path(),
        config(),
        SMALL,
        |event| matches!(event, Event::Stepped(step) if step.step == 4),
    )
    .unwrap();
    let (train, _) = data(SMALL.0);
    let error = Trainer::new(config())
        .folder(folder.path())
        .fit(Tiny::new(SMALL.0, SMALL.1), &objective, &train, None)
        .unwrap_err();
    assert!(
        matches!(error, TrainError::RunExists { step: 4, .. }),
        "{error}"
    );
}

#[test]
fn a_folder_in_use_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let seen = Rc::new(RefCell::new(String::new()));
    let told = seen.clone();
    let (train, held_out) = data(SMALL.0);
    Trainer::new(config())
        .folder(folder.path())
        .observe(move |event: &Event<'_>, _: &Tiny| {
            if matches!(event, Event::Stepped(step) if step.step == 1) {
                let second = run(&path, config(), SMALL, never);
                *told.borrow_mut() = second.unwrap_err().to_string();
            }
            ControlFlow::Continue(())
        })
        .fit(
            Tiny::new(SMALL.0, SMALL.1),
            &objective,
            &train,
            Some(&held_out),
        )
        .unwrap();
    assert!(
        seen.borrow()
            .contains(&format!("in use by process {}", std::process::id())),
        "{}",
        seen.borrow()
    );
}

#[test]
fn early_stopping_survives_a_resumption() {
    let mut config = config();
    config.steps = Some(40);
    config.schedule = Schedule::constant(3.0);
    config.validation.patience = Some(3);
    let straight = tempfile::tempdir().unwrap();
    let whole = run(straight.path(), config.clone(), SMALL, never).unwrap();
    assert_eq!(whole.outcome(), Outcome::Stopped);
    let expected = result(straight.path(), &whole);
    let folder = tempfile::tempdir().unwrap();
    let trained = loop {
        let trained = run(folder.path(), config.clone(), SMALL, |event| {
            matches!(event, Event::Stepped(_))
        })
        .unwrap();
        if trained.outcome() != Outcome::Interrupted {
            break trained;
        }
    };
    assert_eq!(trained.outcome(), Outcome::Stopped);
    same(&result(folder.path(), &trained), &expected, "stopped early");
}
