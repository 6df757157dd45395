//! Stops a run that no longer improves.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use crate::error::{Result, TrainError};
use crate::event::{Event, Observer};

/// Ends a run after some validations in a row without a new lowest loss.
///
/// The run itself keeps the best model; see [`ValidationConfig::keep_best`](crate::ValidationConfig::keep_best).
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStopping {
    patience: u64,
    margin: f64,
    lowest: f64,
    waited: u64,
}

impl EarlyStopping {
    /// Stops after `patience` validations in a row whose loss is not below the lowest one by more than `margin` (nats
    /// per target).
    pub fn new(patience: u64, margin: f64) -> Self {
        Self {
            patience: patience.max(1),
            margin,
            lowest: f64::INFINITY,
            waited: 0,
        }
    }
}

impl<M> Observer<M> for EarlyStopping {
    fn on(&mut self, event: &Event<'_>, _model: &M) -> ControlFlow<()> {
        let Event::Validated(validation) = event else {
            return ControlFlow::Continue(());
        };
        if validation.loss < self.lowest - self.margin {
            self.lowest = validation.loss;
            self.waited = 0;
            return ControlFlow::Continue(());
        }
        self.waited += 1;
        if self.waited >= self.patience {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn name(&self) -> &'static str {
        "early-stopping"
    }

    fn save(&mut self) -> Result<Value> {
        // Bits, because a decimal number may come back from JSON with another last digit.
        Ok(json!({"lowest": self.lowest.to_bits(), "waited": self.waited}))
    }

    fn restore(&mut self, saved: Option<&Value>) -> Result<()> {
        let Some(saved) = saved else {
            return Ok(());
        };
        let number = |field: &str| {
            saved[field].as_u64().ok_or_else(|| TrainError::Observer {
                name: "early-stopping".to_owned(),
                why: format!("the checkpoint holds {saved} for it; expected a number `{field}`"),
            })
        };
        self.lowest = f64::from_bits(number("lowest")?);
        self.waited = number("waited")?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Validation;

    fn validated(observer: &mut EarlyStopping, loss: f64) -> bool {
        let validation = Validation {
            step: 1,
            epoch: 1.0,
            loss,
            targets: 1,
            best: false,
            seconds: 0.0,
            elapsed: 0.0,
        };
        Observer::<()>::on(observer, &Event::Validated(&validation), &()).is_break()
    }

    #[test]
    fn patience_counts_validations_without_a_new_lowest_loss() {
        let mut observer = EarlyStopping::new(2, 0.1);
        let stops: Vec<bool> = [3.0, 2.95, 2.8, 2.75, 2.71]
            .into_iter()
            .map(|loss| validated(&mut observer, loss))
            .collect();
        assert_eq!(stops, [false, false, false, false, true]);
    }

    #[test]
    fn its_state_survives_a_checkpoint() {
        let mut observer = EarlyStopping::new(2, 0.0);
        assert!(!validated(&mut observer, 0.1 + 0.2));
        assert!(!validated(&mut observer, 5.0));
        let saved = Observer::<()>::save(&mut observer).unwrap();
        let saved = serde_json::from_str(&saved.to_string()).unwrap();
        let mut resumed = EarlyStopping::new(2, 0.0);
        Observer::<()>::restore(&mut resumed, Some(&saved)).unwrap();
        assert_eq!(resumed, observer);
        assert!(validated(&mut resumed, 0.1 + 0.2));
    }
}
