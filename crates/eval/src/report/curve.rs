//! How training went: the log of a run.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{EvalError, Result, text::excerpt};

/// The curves of a training run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Training {
    /// What was trained, in a line.
    pub note: String,
    /// One per logged step, in their order.
    pub steps: Vec<TrainingPoint>,
    /// One per measurement on the validation data, in their order.
    pub validations: Vec<ValidationPoint>,
}

/// A training step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingPoint {
    /// Its number, from 1.
    pub step: u64,
    /// Epochs seen after it.
    pub epoch: Option<f64>,
    /// The mean loss per target, in nats; none where it was not finite.
    pub loss: Option<f64>,
    /// The learning rate.
    pub learning_rate: Option<f64>,
    /// The norm of the gradient before clipping.
    pub gradient_norm: Option<f64>,
    /// Seconds of the run so far.
    pub seconds: Option<f64>,
}

/// A measurement on the validation data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationPoint {
    /// Steps done before it.
    pub step: u64,
    /// The mean loss per target, in nats; none where it was not finite.
    pub loss: Option<f64>,
}

impl Training {
    /// Reads a run's `metrics.jsonl`.
    ///
    /// # Errors
    /// [`EvalError::Io`] if it cannot be read, and as [`parse`](Training::parse).
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| EvalError::Io {
            path: path.to_owned(),
            source,
        })?;
        Self::parse_file(&text, Some(path))
    }

    /// Reads the text of a `metrics.jsonl`: a JSON object per line, with `event` (`step` or `validation`), `step`,
    /// `loss`, and for steps `epoch`, `learning_rate`, `gradient_norm`, `seconds`. Other events and fields are passed
    /// over, and a last line without an end, which a killed run leaves, if it is broken.
    ///
    /// # Errors
    /// [`EvalError::Format`] with line and column for a line that is not a JSON object or has no `step`, and for a log
    /// without steps.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_file(text, None)
    }

    fn parse_file(text: &str, path: Option<&Path>) -> Result<Self> {
        let mut training = Self::default();
        let fault = |line, column, reason| {
            let path = Some(
                path.unwrap_or_else(|| Path::new("metrics.jsonl"))
                    .to_owned(),
            );
            EvalError::Format {
                path,
                line,
                column,
                reason,
            }
        };
        let mut lines = (1..).zip(text.lines()).peekable();
        while let Some((number, line)) = lines.next() {
            if line.trim().is_empty() {
                continue;
            }
            let value: Value = match serde_json::from_str(line) {
                Ok(value) => value,
                Err(_) if lines.peek().is_none() && !text.ends_with('\n') => break,
                Err(error) => {
                    return Err(fault(
                        number,
                        error.column(),
                        format!("{error}; found {:?}", excerpt(line)),
                    ));
                }
            };
            training
                .add(&value)
                .map_err(|reason| fault(number, 0, reason))?;
        }
        if training.steps.is_empty() && training.validations.is_empty() {
            return Err(fault(
                1,
                0,
                "the log holds no step; expected lines with \"event\":\"step\"".to_owned(),
            ));
        }
        Ok(training)
    }

    fn add(&mut self, line: &Value) -> Result<(), String> {
        let event = line["event"].as_str().unwrap_or("step");
        if !matches!(event, "step" | "validation") {
            return Ok(());
        }
        let step = line["step"].as_u64().ok_or_else(|| {
            format!(
                "expected an object with a whole number \"step\"; found {:?}",
                excerpt(&line.to_string())
            )
        })?;
        let loss = line["loss"].as_f64();
        if event == "validation" {
            self.validations.push(ValidationPoint { step, loss });
        } else {
            self.steps.push(TrainingPoint {
                step,
                epoch: line["epoch"].as_f64(),
                loss,
                learning_rate: line["learning_rate"].as_f64(),
                gradient_norm: line["gradient_norm"].as_f64(),
                seconds: line["seconds"].as_f64(),
            });
        }
        Ok(())
    }

    /// The validation point with the lowest loss; the first of equal ones.
    pub fn best(&self) -> Option<ValidationPoint> {
        let measured = self
            .validations
            .iter()
            .filter(|point| point.loss.is_some_and(f64::is_finite));
        measured.copied().min_by(|a, b| {
            a.loss
                .unwrap_or_default()
                .total_cmp(&b.loss.unwrap_or_default())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_log_of_a_run() {
        let training = Training::parse(concat!(
            "{\"event\":\"step\",\"step\":1,\"epoch\":0.25,\"loss\":3.41,\"learning_rate\":0.0003,",
            "\"gradient_norm\":1.2,\"targets\":512,\"tokens\":600,\"seconds\":0.8}\n",
            "\n",
            "{\"event\":\"step\",\"step\":2,\"epoch\":0.5,\"loss\":null,\"learning_rate\":0.0002}\n",
            "{\"event\":\"validation\",\"step\":2,\"epoch\":0.5,\"loss\":3.2,\"targets\":900,\"seconds\":3.4}\n",
            "{\"event\":\"saved\",\"step\":2}\n",
            "{\"event\":\"step\",\"st",
        ))
        .unwrap();
        assert_eq!(training.steps.len(), 2);
        assert_eq!(training.steps[0].learning_rate, Some(0.0003));
        assert_eq!(training.steps[1].loss, None);
        assert_eq!(
            training.best(),
            Some(ValidationPoint {
                step: 2,
                loss: Some(3.2)
            })
        );
    }

    #[test]
    fn names_the_line_of_a_fault() {
        let check = |text: &str, expected: &str| {
            let error = Training::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(
            "{\"step\":1,\"loss\":1}\n{\"step\":2,\n{}\n",
            "metrics.jsonl:2:1",
        );
        check(
            "{\"loss\":1}\n",
            "metrics.jsonl:1: expected an object with a whole number \"step\"",
        );
        check("", "no step");
    }
}
