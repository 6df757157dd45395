//! Between a run and its checkpoints.

use burn::module::Module;
use burn::tensor::Device;

use super::run::Run;
use super::tensors::{check_moments, frozen, moments_from, moments_of, weights_of, with_weights};
use crate::batch::{Batch, Batches};
use crate::error::{Result, TrainError};
use crate::event::{Event, Outcome, Saved};
use crate::objective::Objective;
use crate::resume::{Contents, Identity, Loaded};

impl<M, B, O, T> Run<'_, M, B, O, T>
where
    M: Module,
    B: Batch,
    O: Objective<M, B>,
    T: Batches<B> + ?Sized,
{
    /// Writes a checkpoint of the run as it is and deletes older ones.
    pub(super) fn save(&mut self) -> Result<()> {
        // Without a folder too: what an observer could not write is told here.
        self.state.observers = self.save_observers()?;
        self.state.seconds = self.elapsed();
        let moments = self.optimizer.state();
        self.state.updates = moments
            .iter()
            .map(|(path, moments)| (path.clone(), moments.updates))
            .collect();
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let path = folder.save(Contents {
            state: self.state.clone(),
            weights: weights_of(self.model()),
            moments: moments_of(moments),
        })?;
        let best = self.state.best.filter(|_| self.config.validation.keep_best);
        folder.prune(self.config.checkpoint.keep, best.map(|best| best.step))?;
        self.saved = Some(self.state.step);
        let saved = Saved::new(self.state.step, &path);
        self.tell(&Event::Saved(&saved));
        Ok(())
    }

    /// Puts the run where a checkpoint was.
    pub(super) fn restore(&mut self, loaded: Loaded) -> Result<()> {
        let device = self.device();
        let moments = moments_from(loaded.moments, &loaded.state.updates, &device)?;
        let model = self
            .model
            .take()
            .expect("the model is back after every step");
        self.model = Some(with_weights(model, loaded.weights)?);
        check_moments(self.model(), &moments)?;
        self.optimizer.restore(moments);
        self.state = loaded.state;
        Ok(())
    }

    /// What makes this run the same as a saved one.
    pub(super) fn identity(&self) -> Result<Identity> {
        let validation = self
            .validation
            .map(Batches::fingerprint)
            .unwrap_or_default();
        Ok(Identity::new(
            &self.config,
            self.train.fingerprint(),
            validation,
            frozen(self.model())?,
            &format!("{:?}", self.device()),
        ))
    }

    pub(super) fn restore_observers(&mut self) -> Result<()> {
        let mut saved = self.state.observers.clone();
        for observer in &mut self.observers {
            // By name, and in order where several have the same.
            let at = saved.iter().position(|(name, _)| name == observer.name());
            let state = at.map(|at| saved.remove(at).1);
            observer.restore(state.as_ref())?;
        }
        Ok(())
    }

    /// The model to return and the step it is from.
    pub(super) fn take_model(&mut self) -> Result<(M, u64)> {
        let model = self
            .model
            .take()
            .expect("the model is back after every step");
        let last = self.state.step;
        let wanted =
            self.config.validation.keep_best && self.state.outcome != Some(Outcome::Interrupted);
        let Some(best) = self.state.best.filter(|best| wanted && best.step != last) else {
            return Ok((model, last));
        };
        if let Some(kept) = self.best.take() {
            return Ok((kept, best.step));
        }
        let Some(folder) = &self.folder else {
            return Ok((model, last));
        };
        match folder.load(best.step, &mut |_| {}) {
            Ok(loaded) => Ok((with_weights(model, loaded.weights)?, best.step)),
            Err(error @ TrainError::CheckpointInvalid { .. }) => {
                let warning = format!("{error}; the best model is lost, this is the last one");
                self.model = Some(model);
                self.tell(&Event::Warned(&warning));
                Ok((self.model.take().expect("it was just put there"), last))
            }
            Err(error) => Err(error),
        }
    }

    fn save_observers(&mut self) -> Result<Vec<(String, serde_json::Value)>> {
        let each = self.observers.iter_mut();
        each.map(|observer| Ok((observer.name().to_owned(), observer.save()?)))
            .collect()
    }

    fn device(&self) -> Device {
        let device = self
            .model()
            .devices()
            .into_iter()
            .next()
            .unwrap_or_default();
        device.without_autodiff()
    }
}
