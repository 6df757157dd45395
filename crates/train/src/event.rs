//! What a run tells while it goes on.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::Result;

/// Something that happened in a run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins, or goes on after a resumption.
    Started(&'a Start),
    /// An optimizer step was done.
    Stepped(&'a Step),
    /// The model was measured on the validation data.
    Validated(&'a Validation),
    /// A checkpoint is on the disk.
    Saved(&'a Saved),
    /// Something is not as it should be, and the run goes on.
    Warned(&'a str),
    /// The run is over.
    Finished(&'a Summary),
}

/// The shape of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Optimizer steps in all.
    pub steps: u64,
    /// Steps that were done before; 0 for a new run.
    pub done: u64,
    /// Micro-batches of the first epoch.
    pub batches: u64,
    /// Numbers that are trained.
    pub trainable: usize,
    /// Numbers in all of the model.
    pub parameters: usize,
    /// Where the run is kept.
    pub folder: Option<PathBuf>,
}

/// An optimizer step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Its number, from 1.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Epochs seen after it, with the part of the running one.
    pub epoch: f64,
    /// The mean loss per target before the step, in nats for a cross-entropy.
    pub loss: f64,
    /// The learning rate that was used.
    pub learning_rate: f64,
    /// The global L2 norm of the gradient before clipping.
    pub gradient_norm: f64,
    /// Targets of the step.
    pub targets: usize,
    /// Tokens of the step, without padding.
    pub tokens: usize,
    /// Seconds that it took.
    pub seconds: f64,
    /// Seconds of the whole run so far, over all resumptions.
    pub elapsed: f64,
}

/// A measurement on the validation data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validation {
    /// Steps done before it.
    pub step: u64,
    /// Epochs seen before it.
    pub epoch: f64,
    /// The mean loss per target.
    pub loss: f64,
    /// Targets of the validation data.
    pub targets: usize,
    /// Whether it is the lowest so far.
    pub best: bool,
    /// Seconds that it took.
    pub seconds: f64,
    /// Seconds of the whole run so far, over all resumptions.
    pub elapsed: f64,
}

/// A checkpoint that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// Steps done before it.
    pub step: u64,
    /// Its folder.
    pub folder: PathBuf,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Why it ended.
    pub outcome: Outcome,
    /// Steps done.
    pub step: u64,
    /// Epochs seen.
    pub epoch: f64,
    /// Tokens seen, without padding.
    pub tokens: u64,
    /// Targets seen.
    pub targets: u64,
    /// The mean loss per target of the last step; none when no step was done in this process.
    pub loss: Option<f64>,
    /// The lowest validation loss.
    pub best: Option<Best>,
    /// Seconds over all resumptions.
    pub seconds: f64,
}

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// All steps were done.
    Completed,
    /// An observer ended it, early stopping for one.
    Stopped,
    /// A signal ended it. It can be resumed.
    Interrupted,
}

/// The lowest validation loss of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// Steps done before it was measured.
    pub step: u64,
    /// The mean loss per target.
    pub loss: f64,
}

/// Sees a run and may end it. It never changes it: what it gets is read-only, and a run with other observers ends with
/// the same weights.
///
/// Closures are observers too:
///
/// ```
/// use std::ops::ControlFlow;
/// use finetune_train::{Event, Observer};
///
/// fn takes<M>(_: impl Observer<M>) {}
/// takes::<()>(|event: &Event<'_>, _model: &()| match event {
///     Event::Stepped(step) if step.loss < 0.1 => ControlFlow::Break(()),
///     _ => ControlFlow::Continue(()),
/// });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not observe the training of `{M}`",
    note = "implement `Observer<{M}>`, or pass a closure `|event: &Event<'_>, model: &{M}| -> ControlFlow<()>`"
)]
pub trait Observer<M> {
    /// Called for every event. `Break` ends the run after the running step, with a last checkpoint; it may be called
    /// a few times more until then.
    ///
    /// `model` is the model in training; use `model.valid()` to run it.
    fn on(&mut self, event: &Event<'_>, model: &M) -> ControlFlow<()>;

    /// The name under which a checkpoint keeps this observer's state, and under which errors are reported.
    fn name(&self) -> &'static str {
        "observer"
    }

    /// Called before a checkpoint: makes what was written durable, and returns what must be known to go on from here.
    ///
    /// # Errors
    ///
    /// When it cannot be made durable. The run ends, with its older checkpoints intact.
    fn save(&mut self) -> Result<Value> {
        Ok(Value::Null)
    }

    /// Called once before the run begins, with what [`Observer::save`] returned for the checkpoint that the run goes
    /// on from, or nothing for a new run.
    ///
    /// # Errors
    ///
    /// When the observer cannot go on from there.
    fn restore(&mut self, saved: Option<&Value>) -> Result<()> {
        let _ = saved;
        Ok(())
    }
}

impl<M, F> Observer<M> for F
where
    F: FnMut(&Event<'_>, &M) -> ControlFlow<()>,
{
    fn on(&mut self, event: &Event<'_>, model: &M) -> ControlFlow<()> {
        self(event, model)
    }
}

impl Saved {
    pub(crate) fn new(step: u64, folder: &Path) -> Self {
        Self {
            step,
            folder: folder.to_owned(),
        }
    }
}
