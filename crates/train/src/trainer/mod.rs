//! The loop. It names no model and no objective.

mod run;
mod save;
mod step;
mod tensors;
mod validate;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::module::Module;
use finetune_model::weights;

use crate::batch::{Batch, Batches};
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::event::{Best, Observer, Outcome, Summary};
use crate::objective::Objective;
use crate::observe::{EarlyStopping, JsonLines, Progress};
use crate::signal;
use run::Run;

/// Trains a model.
///
/// ```no_run
/// # use burn::module::Module;
/// # use finetune_train::{Batch, Batches, Objective, Result};
/// use finetune_train::{TrainConfig, Trainer};
///
/// # fn fit<M: Module, B: Batch, T: Batches<B>>(model: M, objective: impl Objective<M, B>, rows: T, held_out: T) -> Result<()> {
/// let trained = Trainer::in_terminal(TrainConfig::default(), "runs/first")?
///     .resume()
///     .fit(model, &objective, &rows, Some(&held_out))?
///     .finished()?;
/// println!("{:?} after {} steps", trained.summary.outcome, trained.summary.step);
/// # Ok(())
/// # }
/// ```
pub struct Trainer<M> {
    config: TrainConfig,
    folder: Option<PathBuf>,
    resume: bool,
    observers: Vec<Box<dyn Observer<M>>>,
    stop: Vec<Arc<AtomicBool>>,
}

/// What a run leaves.
#[derive(Debug)]
pub struct Trained<M> {
    /// The model, outside autodiff and ready to be used: the best one where
    /// [`ValidationConfig::keep_best`](crate::ValidationConfig::keep_best) is set and there was a validation, unless the
    /// run was interrupted; else the last one.
    pub model: M,
    /// The step after which the model was as it is returned.
    pub step: u64,
    /// How the run ended.
    pub summary: Summary,
}

impl<M> Trained<M> {
    /// Why the run ended.
    pub fn outcome(&self) -> Outcome {
        self.summary.outcome
    }

    /// The same, if the run came to its end.
    ///
    /// # Errors
    ///
    /// [`TrainError::Interrupted`] if a signal ended it: the model is half trained then, and the run can go on.
    pub fn finished(self) -> Result<Self> {
        match self.summary.outcome {
            Outcome::Interrupted => Err(TrainError::Interrupted {
                step: self.summary.step,
            }),
            Outcome::Completed | Outcome::Stopped => Ok(self),
        }
    }

    /// The lowest validation loss.
    pub fn best(&self) -> Option<Best> {
        self.summary.best
    }
}

impl<M: Module> Trainer<M> {
    /// A trainer that keeps nothing on the disk.
    pub fn new(config: TrainConfig) -> Self {
        Self {
            config,
            folder: None,
            resume: false,
            observers: Vec::new(),
            stop: Vec::new(),
        }
    }

    /// A trainer as a program in a terminal wants it: the run is kept in the folder, a bar shows how it goes, its figures
    /// are written to `metrics.jsonl` in the folder, and signals end it with a last checkpoint.
    ///
    /// # Errors
    ///
    /// As [`Trainer::stop_on_signal`].
    pub fn in_terminal(config: TrainConfig, folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        Self::new(config)
            .folder(folder)
            .observe(Progress::new())
            .observe(JsonLines::new(folder.join("metrics.jsonl")))
            .stop_on_signal()
    }

    /// Keeps the run in this folder: checkpoints, and a lock against a second process. It is made where it is missing.
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.folder = Some(path.into());
        self
    }

    /// Goes on where the folder's newest whole checkpoint is, or begins where there is none. Without this a folder that
    /// holds a run is refused.
    pub fn resume(mut self) -> Self {
        self.resume = true;
        self
    }

    /// [`Trainer::resume`], if a program was told to.
    pub fn resume_if(self, wanted: bool) -> Self {
        Self {
            resume: self.resume || wanted,
            ..self
        }
    }

    /// Adds an observer.
    pub fn observe(mut self, observer: impl Observer<M> + 'static) -> Self {
        self.observers.push(Box::new(observer));
        self
    }

    /// Ends the run after the running step when the flag is set, with a last checkpoint.
    pub fn stop_flag(mut self, flag: Arc<AtomicBool>) -> Self {
        self.stop.push(flag);
        self
    }

    /// Ends the run after the running step at SIGINT, SIGTERM or SIGHUP, with a last checkpoint and
    /// [`Outcome::Interrupted`]; a second signal ends the process at once, with the checkpoints intact.
    ///
    /// # Errors
    ///
    /// When the signals cannot be caught.
    pub fn stop_on_signal(self) -> Result<Self> {
        let flag = signal::flag()?;
        Ok(self.stop_flag(flag))
    }

    /// Trains.
    ///
    /// # Arguments
    ///
    /// - `model`: its parameters that require gradients are trained. A model outside autodiff is brought there, with
    ///   the parameters that were marked as trainable.
    /// - `objective`: what is minimised
    /// - `train`: the training data
    /// - `validation`: what is measured in between, with the same objective, without randomness
    ///
    /// # Errors
    ///
    /// When the configuration is invalid, the data or the model fail, a number is not finite, or the folder cannot be
    /// used. The weights of the last checkpoint are intact then.
    pub fn fit<B, T>(
        mut self,
        model: M,
        objective: &impl Objective<M, B>,
        train: &T,
        validation: Option<&T>,
    ) -> Result<Trained<M>>
    where
        B: Batch,
        T: Batches<B> + ?Sized,
    {
        self.config.validate()?;
        if let Some(patience) = self.config.validation.patience {
            let margin = self.config.validation.margin;
            self.observers
                .push(Box::new(EarlyStopping::new(patience, margin)));
        }
        let steps = self.steps(train)?;
        let model = trainable(model)?;
        Run::new(self, model, objective, train, validation, steps)?.go()
    }

    /// All optimizer steps of the run.
    fn steps<B>(&self, train: &(impl Batches<B> + ?Sized)) -> Result<u64> {
        let of = |epoch| train.per_epoch(epoch).div_ceil(self.config.accumulate);
        if of(0) == 0 {
            return Err(TrainError::NoRows);
        }
        let steps = self.config.steps.unwrap_or_else(|| {
            let whole = self.config.epochs.floor() as u64;
            let part = self.config.epochs - self.config.epochs.floor();
            let last = (part * of(whole) as f64).ceil() as u64;
            (0..whole).map(of).sum::<u64>() + last
        });
        let faults = self.config.schedule.faults_in(steps);
        if faults.is_empty() {
            Ok(steps)
        } else {
            Err(TrainError::ConfigInvalid { faults })
        }
    }
}

/// A model with at least one parameter to train, on an autodiff device.
fn trainable<M: Module>(model: M) -> Result<M> {
    let any = |model: &M| {
        weights::parameters(model)
            .iter()
            .any(|parameter| parameter.trainable)
    };
    if any(&model) {
        return Ok(model);
    }
    // Perhaps it only lies outside autodiff; its parameters remember whether they are trained.
    let model = model.train();
    if any(&model) {
        return Ok(model);
    }
    Err(TrainError::NothingToTrain {
        parameters: weights::declared(&model).len(),
    })
}
