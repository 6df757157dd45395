//! A run that is killed at random points and resumed ends with the same bytes as one that is not.
//!
//! The test starts its own binary again as a child that trains, and kills it. `CHAOS_SEED=n` repeats a series.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::ops::ControlFlow;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use finetune_model::Noise;
use finetune_train::{Event, JsonLines, Schedule, TrainConfig, Trainer};
use support::{Data, Rows, Tiny};

/// The child's folder.
const FOLDER: &str = "FINETUNE_KILL_FOLDER";
const STEPS: u64 = 24;
const KILLS: usize = 10;

/// Does nothing, unless this process is a child.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    train(Path::new(&folder));
}

fn train(folder: &Path) {
    let mut config = TrainConfig {
        steps: Some(STEPS),
        accumulate: 2,
        schedule: Schedule {
            peak: 1e-2,
            warmup: 3.0,
            ..Schedule::default()
        },
        ..TrainConfig::default()
    };
    config.optimizer.weight_decay = 0.1;
    config.validation.every = Some(5);
    config.checkpoint.every = Some(2);
    // More than 4,194,304 elements, see `resume.rs`.
    let (vocabulary, width) = (17_000, 256);
    let train = Data::new(&[40, 3, 17, 8, 25], vocabulary);
    let held_out = Data {
        seed: 5,
        ..Data::new(&[30, 10], vocabulary)
    };
    let objective = |model: &Tiny, batch: &Rows, noise: Noise| model.loss(batch, noise);
    let trained = Trainer::new(config)
        .folder(folder)
        .resume()
        .stop_on_signal()
        .unwrap()
        .observe(JsonLines::new(folder.join("metrics.jsonl")).without_seconds())
        .observe(|event: &Event<'_>, _: &Tiny| {
            match event {
                Event::Stepped(step) => say(&format!("step {}", step.step)),
                Event::Saved(saved) => say(&format!("saved {}", saved.step)),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .fit(
            Tiny::new(vocabulary, width),
            &objective,
            &train,
            Some(&held_out),
        )
        .unwrap();
    say(&format!("outcome {:?}", trained.outcome()));
}

/// A line that the parent waits for. The parent may be gone.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "\n@{line}");
}

fn start(folder: &Path) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let said = lines
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix('@').map(str::to_owned));
    (child, said)
}

/// Lets a child run to its end.
fn finish(folder: &Path) -> (ExitStatus, Vec<String>) {
    let (mut child, said) = start(folder);
    let said = said.collect();
    (child.wait().unwrap(), said)
}

/// What a run leaves.
fn left(folder: &Path) -> Vec<Vec<u8>> {
    let last = folder.join(format!("step-{STEPS}"));
    [
        last.join("weights.safetensors"),
        last.join("moments.safetensors"),
        folder.join("metrics.jsonl"),
    ]
    .into_iter()
    .map(|path| std::fs::read(path).unwrap())
    .collect()
}

fn straight() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let (status, said) = finish(folder.path());
    assert!(status.success(), "{said:?}");
    left(folder.path())
}

fn seed() -> u64 {
    let seed = std::env::var("CHAOS_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()));
    println!("CHAOS_SEED={seed}");
    seed
}

#[test]
fn killed_runs_end_with_the_same_bytes() {
    let expected = straight();
    let noise = Noise::new(seed(), 0, 0);
    let (mut kills, mut swept, mut draws) = (0, 0, 0..);
    while kills < KILLS {
        let folder = tempfile::tempdir().unwrap();
        loop {
            let mut random = || noise.uniform(draws.next().unwrap());
            if kills == KILLS {
                let (status, said) = finish(folder.path());
                assert!(status.success(), "{said:?}");
            } else {
                // After a few words of the child, and some time that may end anywhere: in a pass, the optimizer, a save.
                let (mut child, mut said) = start(folder.path());
                let _ = said.nth((random() * 5.0) as usize);
                std::thread::sleep(Duration::from_secs_f32(random() * 0.3));
                child.kill().unwrap();
                let status = child.wait().unwrap();
                if status.signal().is_some() {
                    kills += 1;
                    swept += usize::from(has_half_written(folder.path()));
                    continue;
                }
                assert!(status.success());
            }
            assert!(left(folder.path()) == expected, "after {kills} kills");
            assert!(!has_half_written(folder.path()));
            break;
        }
    }
    println!("{kills} kills, {swept} of them in a save");
}

fn has_half_written(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|entries| {
        entries
            .flatten()
            .any(|entry| entry.file_name().to_string_lossy().starts_with("tmp-"))
    })
}

#[test]
fn a_signal_saves_and_ends() {
    let expected = straight();
    let folder = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT", "-HUP"] {
        let (mut child, mut said) = start(folder.path());
        assert!(said.any(|line| line.starts_with("step")), "no step");
        let sent = Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
        let rest: Vec<String> = said.collect();
        assert!(child.wait().unwrap().success(), "{signal}: {rest:?}");
        assert_eq!(
            rest.last().map(String::as_str),
            Some("outcome Interrupted"),
            "{signal}"
        );
        // At most the running step and one more.
        let steps = rest.iter().filter(|line| line.starts_with("step")).count();
        assert!(steps <= 2, "{signal}: {rest:?}");
    }
    let (status, said) = finish(folder.path());
    assert!(status.success(), "{said:?}");
    assert!(left(folder.path()) == expected);
}
