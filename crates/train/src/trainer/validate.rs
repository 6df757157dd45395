//! Measuring the model on data that it does not learn.

use std::time::Instant;

use burn::module::Module;
use finetune_model::Noise;

use super::run::Run;
use crate::batch::{Batch, Batches};
use crate::error::{Result, TrainError};
use crate::event::{Event, Validation};
use crate::objective::Objective;
use crate::optimizer;
use crate::resume::SavedBest;

impl<M, B, O, T> Run<'_, M, B, O, T>
where
    M: Module,
    B: Batch,
    O: Objective<M, B>,
    T: Batches<B> + ?Sized,
{
    /// Whether the model as it is should be measured and was not.
    pub(super) fn validation_is_due(&self) -> bool {
        let state = &self.state;
        if self.validation.is_none() || state.validated == Some(state.step) {
            return false;
        }
        if state.step == 0 {
            return self.config.validation.first;
        }
        let regular = match self.config.validation.every {
            Some(every) => state.step.is_multiple_of(every),
            None => state.cursor == 0,
        };
        regular || state.step == self.steps
    }

    /// Measures the model, if that is due.
    ///
    /// # Returns
    ///
    /// Whether it is the best so far and should be kept.
    pub(super) fn validate_if_due(&mut self) -> Result<bool> {
        if !self.validation_is_due() {
            return Ok(false);
        }
        let begun = Instant::now();
        let Some((loss, targets)) = self.measure()? else {
            return Ok(false);
        };
        let step = self.state.step;
        let best = self.state.best.is_none_or(|best| loss < best.loss());
        self.state.validated = Some(step);
        if best {
            self.state.best = Some(SavedBest::new(step, loss));
            self.keep_best();
        }
        let validation = Validation {
            step,
            epoch: self.epochs(),
            loss,
            targets,
            best,
            seconds: begun.elapsed().as_secs_f64(),
            elapsed: self.elapsed(),
        };
        self.tell(&Event::Validated(&validation));
        Ok(best && self.config.validation.keep_best)
    }

    /// The mean loss per target and the number of targets; nothing when a signal came in between.
    fn measure(&self) -> Result<Option<(f64, usize)>> {
        let Some(data) = self.validation else {
            return Ok(None);
        };
        // Outside autodiff nothing is kept for a backward pass that never comes.
        let model = self.model().valid();
        let (mut sum, mut targets) = (0.0, 0);
        for batch in data.epoch(0, 0) {
            let batch = batch?;
            if self.interrupted() {
                return Ok(None);
            }
            if batch.targets() == 0 {
                continue;
            }
            let loss = self.objective.loss(&model, &batch, Noise::off());
            let loss: f64 = optimizer::read(loss.without_autodiff(), "validation loss")?
                .iter()
                .sum();
            if !loss.is_finite() {
                return Err(TrainError::NonFinite {
                    step: self.state.step,
                    what: "validation loss",
                    value: loss,
                    origins: batch.origins(),
                });
            }
            sum += loss;
            targets += batch.targets();
        }
        if targets == 0 {
            return Err(TrainError::NoRows);
        }
        Ok(Some((sum / targets as f64, targets)))
    }

    /// Keeps the model in memory, where there is no folder that a checkpoint could keep it in.
    fn keep_best(&mut self) {
        if self.config.validation.keep_best && self.folder.is_none() {
            self.best = Some(self.model().clone());
        }
    }
}
