//! A log of a run, one JSON object per line.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Result, TrainError};
use crate::event::{Event, Observer, Step, Validation};

/// Writes a line per step and per validation.
///
/// ```text
/// {"event":"step","step":1,"epoch":0.25,"loss":3.41,"learning_rate":0.0003,"gradient_norm":1.2,"targets":512,"tokens":600,"seconds":0.8}
/// {"event":"validation","step":4,"epoch":1.0,"loss":3.2,"targets":900,"seconds":3.4}
/// ```
///
/// `loss` is the mean per target in nats, `seconds` the time of the whole run so far. All but `seconds` (always the
/// last field; [`JsonLines::without_seconds`] leaves it out) is the same for every run with the same configuration and
/// data, killed and resumed or not: a resumed run cuts the file back to where its checkpoint was. A new run starts the
/// file anew. A number that is not finite is written as `null`.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    seconds: bool,
    file: Option<File>,
    /// The first failure since the last save: an observer cannot fail while the run goes on, a checkpoint can.
    failure: Option<TrainError>,
}

impl JsonLines {
    /// A log at `path`, usually `metrics.jsonl` in the run's folder. The file is opened when the run begins.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            seconds: true,
            file: None,
            failure: None,
        }
    }

    /// Leaves the time out, so that equal runs write equal bytes.
    pub fn without_seconds(mut self) -> Self {
        self.seconds = false;
        self
    }

    fn write(&mut self, line: &Value) {
        let Some(file) = &mut self.file else { return };
        // Every line is there to be read at once, and whole, by whoever watches the run.
        let written = file.write_all(format!("{line}\n").as_bytes());
        self.keep(written, "write");
    }

    fn keep(&mut self, result: std::io::Result<()>, action: &'static str) {
        if let Err(source) = result {
            let error = TrainError::io(&self.path, action, source);
            self.failure.get_or_insert(error);
        }
    }

    fn step(&self, step: &Step) -> Value {
        let mut line = json!({
            "event": "step",
            "step": step.step,
            "epoch": step.epoch,
            "loss": step.loss,
            "learning_rate": step.learning_rate,
            "gradient_norm": step.gradient_norm,
            "targets": step.targets,
            "tokens": step.tokens,
        });
        self.time(&mut line, step.elapsed);
        line
    }

    fn validation(&self, validation: &Validation) -> Value {
        let mut line = json!({
            "event": "validation",
            "step": validation.step,
            "epoch": validation.epoch,
            "loss": validation.loss,
            "targets": validation.targets,
        });
        self.time(&mut line, validation.elapsed);
        line
    }

    fn time(&self, line: &mut Value, seconds: f64) {
        if self.seconds {
            line["seconds"] = json!((seconds * 1e3).round() / 1e3);
        }
    }

    fn open(&self, length: u64) -> std::io::Result<File> {
        if let Some(parent) = self.path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&self.path)?;
        file.set_len(length)?;
        file.seek(SeekFrom::End(0))?;
        Ok(file)
    }
}

impl<M> Observer<M> for JsonLines {
    fn on(&mut self, event: &Event<'_>, _model: &M) -> ControlFlow<()> {
        match event {
            Event::Stepped(step) => self.write(&self.step(step)),
            Event::Validated(validation) => self.write(&self.validation(validation)),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn name(&self) -> &'static str {
        "json-lines"
    }

    fn save(&mut self) -> Result<Value> {
        if let Some(file) = &self.file {
            let synced = file.sync_all();
            self.keep(synced, "write");
        }
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        let length = std::fs::metadata(&self.path)
            .map_err(|source| TrainError::io(&self.path, "read", source))?
            .len();
        Ok(json!({ "bytes": length }))
    }

    fn restore(&mut self, saved: Option<&Value>) -> Result<()> {
        let length = saved.and_then(|saved| saved["bytes"].as_u64()).unwrap_or(0);
        // A log that is shorter than it was is not padded with zeros; what is left of it stays.
        let present = std::fs::metadata(&self.path).map_or(0, |data| data.len());
        let file = self
            .open(length.min(present))
            .map_err(|source| TrainError::io(&self.path, "open", source))?;
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64) -> Step {
        Step {
            step,
            steps: 9,
            epoch: 0.5,
            loss: 2.25,
            learning_rate: 1e-3,
            gradient_norm: 1.5,
            targets: 7,
            tokens: 9,
            seconds: 0.1,
            elapsed: 1.23456,
        }
    }

    fn tell(log: &mut JsonLines, number: u64) {
        let event = step(number);
        assert!(Observer::<()>::on(log, &Event::Stepped(&event), &()).is_continue());
    }

    fn restore(log: &mut JsonLines, saved: Option<&Value>) {
        Observer::<()>::restore(log, saved).unwrap();
    }

    #[test]
    fn a_line_holds_the_step() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/metrics.jsonl");
        let mut log = JsonLines::new(&path);
        restore(&mut log, None);
        tell(&mut log, 1);
        Observer::<()>::save(&mut log).unwrap();
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            "{\"event\":\"step\",\"step\":1,\"epoch\":0.5,\"loss\":2.25,\"learning_rate\":0.001,\
             \"gradient_norm\":1.5,\"targets\":7,\"tokens\":9,\"seconds\":1.235}\n"
        );
    }

    #[test]
    fn a_resumed_log_is_cut_and_a_new_one_starts_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut log = JsonLines::new(&path).without_seconds();
        restore(&mut log, None);
        tell(&mut log, 1);
        tell(&mut log, 2);
        let saved = Observer::<()>::save(&mut log).unwrap();
        let upto = std::fs::read_to_string(&path).unwrap();
        tell(&mut log, 3);
        Observer::<()>::save(&mut log).unwrap();
        // A torn line, as a kill leaves it.
        std::fs::write(&path, upto.clone() + "{\"event\":\"st").unwrap();
        let mut log = JsonLines::new(&path).without_seconds();
        restore(&mut log, Some(&saved));
        tell(&mut log, 3);
        Observer::<()>::save(&mut log).unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        assert!(lines.starts_with(&upto));
        assert_eq!(lines.lines().count(), 3);
        restore(&mut log, None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[cfg(unix)]
    #[test]
    fn a_write_that_fails_is_told_at_the_next_checkpoint() {
        let mut log = JsonLines::new("/dev/full");
        log.file = Some(OpenOptions::new().write(true).open("/dev/full").unwrap());
        tell(&mut log, 1);
        let error = Observer::<()>::save(&mut log).unwrap_err();
        assert!(matches!(error, TrainError::DiskFull { .. }), "{error}");
    }
}
