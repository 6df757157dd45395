//! A run from its start, or from a checkpoint, to its end.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use finetune_model::weights;

use super::{Trained, Trainer};
use crate::batch::{Batch, Batches};
use crate::config::TrainConfig;
use crate::error::{Result, TrainError};
use crate::event::{Event, Observer, Outcome, Start, Summary};
use crate::objective::Objective;
use crate::optimizer::AdamW;
use crate::resume::{RunFolder, State};

/// Everything a run holds while it goes on.
pub(super) struct Run<'a, M, B, O, T: ?Sized> {
    pub(super) config: TrainConfig,
    pub(super) observers: Vec<Box<dyn Observer<M>>>,
    stop: Vec<Arc<AtomicBool>>,
    resume: bool,
    pub(super) objective: &'a O,
    pub(super) train: &'a T,
    pub(super) validation: Option<&'a T>,
    /// All steps.
    pub(super) steps: u64,
    /// Taken out while the optimizer replaces it.
    pub(super) model: Option<M>,
    pub(super) optimizer: AdamW,
    pub(super) state: State,
    pub(super) folder: Option<RunFolder>,
    /// The best model, where there is no folder to keep it in.
    pub(super) best: Option<M>,
    /// The mean loss of the last step.
    pub(super) loss: Option<f64>,
    /// Whether an observer wants the run to end.
    pub(super) stopped: bool,
    /// The step of the newest checkpoint, as far as this process knows.
    pub(super) saved: Option<u64>,
    /// When this process began, and the seconds of the processes before it.
    begun: Instant,
    before: f64,
    batch: std::marker::PhantomData<B>,
}

impl<'a, M, B, O, T> Run<'a, M, B, O, T>
where
    M: Module,
    B: Batch,
    O: Objective<M, B>,
    T: Batches<B> + ?Sized,
{
    pub(super) fn new(
        trainer: Trainer<M>,
        model: M,
        objective: &'a O,
        train: &'a T,
        validation: Option<&'a T>,
        steps: u64,
    ) -> Result<Self> {
        let path = trainer.folder;
        let mut run = Self {
            optimizer: AdamW::new(trainer.config.optimizer.clone()),
            config: trainer.config,
            observers: trainer.observers,
            stop: trainer.stop,
            resume: trainer.resume,
            objective,
            train,
            validation,
            steps,
            model: Some(model),
            state: State::default(),
            folder: None,
            best: None,
            loss: None,
            stopped: false,
            saved: None,
            begun: Instant::now(),
            before: 0.0,
            batch: std::marker::PhantomData,
        };
        let warnings = match path {
            Some(path) => run.open(path)?,
            None => Vec::new(),
        };
        run.before = run.state.seconds;
        run.restore_observers()?;
        for warning in warnings {
            run.tell(&Event::Warned(&warning));
        }
        Ok(run)
    }

    /// Takes the folder and goes back to its newest checkpoint.
    fn open(&mut self, path: PathBuf) -> Result<Vec<String>> {
        let identity = self.identity()?;
        let folder = RunFolder::open(&path, identity)?;
        let mut warnings: Vec<String> = folder
            .lock_warning()
            .map(str::to_owned)
            .into_iter()
            .collect();
        if !self.resume
            && let Some(step) = folder.newest_step()?
        {
            return Err(TrainError::RunExists { path, step });
        }
        let loaded = folder.newest(&mut |warning| warnings.push(warning))?;
        self.folder = Some(folder);
        if let Some(loaded) = loaded {
            self.saved = Some(loaded.state.step);
            self.restore(loaded)?;
        }
        Ok(warnings)
    }

    /// The whole run.
    pub(super) fn go(mut self) -> Result<Trained<M>> {
        self.start();
        if self
            .state
            .outcome
            .is_none_or(|outcome| outcome == Outcome::Interrupted)
        {
            self.state.outcome = None;
            let outcome = self.work()?;
            self.finish(outcome)?;
        }
        let summary = self.summary();
        self.tell(&Event::Finished(&summary));
        let (model, step) = self.take_model()?;
        Ok(Trained {
            model: model.valid(),
            step,
            summary,
        })
    }

    fn start(&mut self) {
        let parameters = weights::parameters(self.model());
        let count = |trainable: bool| {
            let counted = parameters
                .iter()
                .filter(|parameter| parameter.trainable || !trainable);
            counted
                .map(|parameter| parameter.shape.iter().product::<usize>())
                .sum()
        };
        let start = Start {
            steps: self.steps,
            done: self.state.step,
            batches: self.train.per_epoch(0),
            trainable: count(true),
            parameters: count(false),
            folder: self.folder.as_ref().map(|folder| folder.path().to_owned()),
        };
        self.tell(&Event::Started(&start));
    }

    /// Steps until the end, an observer's wish or a signal.
    fn work(&mut self) -> Result<Outcome> {
        // A validation that a signal prevented, or the one before the first step.
        if self.validate_if_due()? {
            self.save()?;
        }
        while self.state.step < self.steps {
            if let Some(outcome) = self.wish() {
                return Ok(outcome);
            }
            self.epoch()?;
        }
        // All steps are done, but a signal prevented the last validation.
        let interrupted = self.interrupted() && self.validation_is_due();
        Ok(if interrupted {
            Outcome::Interrupted
        } else {
            Outcome::Completed
        })
    }

    /// What is left of the running epoch.
    fn epoch(&mut self) -> Result<()> {
        let (train, epoch) = (self.train, self.state.epoch);
        let count = train.per_epoch(epoch);
        let mut batches = train.epoch(epoch, self.state.cursor);
        while self.state.cursor < count && self.state.step < self.steps {
            let size = self.config.accumulate.min(count - self.state.cursor);
            let mut window = batches.by_ref().take(size as usize);
            let taken = self.step(&mut window)?;
            self.state.cursor += taken;
            if taken < size {
                return Err(TrainError::EpochTooShort {
                    epoch,
                    found: self.state.cursor,
                    expected: count,
                });
            }
            if self.state.cursor == count {
                self.state.epoch += 1;
                self.state.cursor = 0;
            }
            self.after_step()?;
            if self.state.epoch > epoch || self.wish().is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Validation and checkpoint, where they are due.
    fn after_step(&mut self) -> Result<()> {
        let improved = self.validate_if_due()?;
        let last = self.state.step == self.steps;
        let regular = self
            .config
            .checkpoint
            .every
            .is_some_and(|every| self.state.step.is_multiple_of(every));
        // The last one is saved by `finish`, with the outcome in it.
        if (regular || improved) && !last && self.wish().is_none() {
            self.save()?;
        }
        Ok(())
    }

    fn finish(&mut self, outcome: Outcome) -> Result<()> {
        self.state.outcome = Some(outcome);
        self.save()
    }

    /// Whether someone wants the run to end.
    pub(super) fn wish(&self) -> Option<Outcome> {
        // An observer's wish goes first: it is for good, and a resumed run would not hear it again.
        if self.stopped {
            return Some(Outcome::Stopped);
        }
        self.interrupted().then_some(Outcome::Interrupted)
    }

    /// Whether a signal or a flag asks the run to end.
    pub(super) fn interrupted(&self) -> bool {
        self.stop.iter().any(|flag| flag.load(Ordering::SeqCst))
    }

    pub(super) fn model(&self) -> &M {
        self.model
            .as_ref()
            .expect("the model is back after every step")
    }

    /// Tells all observers.
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        let model = self
            .model
            .as_ref()
            .expect("the model is back after every step");
        for observer in &mut self.observers {
            if observer.on(event, model) == ControlFlow::Break(()) {
                self.stopped = true;
            }
        }
    }

    /// Seconds over all resumptions.
    pub(super) fn elapsed(&self) -> f64 {
        self.before + self.begun.elapsed().as_secs_f64()
    }

    /// Epochs seen, with the part of the running one.
    pub(super) fn epochs(&self) -> f64 {
        let count = self.train.per_epoch(self.state.epoch).max(1);
        self.state.epoch as f64 + self.state.cursor as f64 / count as f64
    }

    fn summary(&self) -> Summary {
        Summary {
            outcome: self.state.outcome.unwrap_or(Outcome::Completed),
            step: self.state.step,
            epoch: self.epochs(),
            tokens: self.state.tokens,
            targets: self.state.targets,
            loss: self.loss,
            best: self.state.best.map(Into::into),
            seconds: self.elapsed(),
        }
    }
}
