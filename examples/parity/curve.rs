//! Some steps of training on one batch.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use finetune::burn::tensor::Tensor;
use finetune::model::{Network, Noise};
use finetune::prelude::*;
use finetune::train::{Decay, Event, Result as TrainResult, Schedule};

use super::Flags;
use super::given::Given;

/// The loss before each step, and the model after the last.
pub(super) fn curve<M: Network + 'static>(
    flags: &Flags,
    steps: u64,
    model: M,
    given: &Given,
    loss: impl Fn(&M, &Given, Noise) -> Tensor<1>,
) -> TrainResult<(Vec<f32>, M)> {
    let mut config = TrainConfig {
        steps: Some(steps),
        ..TrainConfig::default()
    };
    config.schedule = Schedule {
        peak: flags.learning_rate,
        decay: Decay::Constant,
        ..Schedule::default()
    };
    config.optimizer.weight_decay = flags.weight_decay;
    config.optimizer.clip = flags.clip;
    let losses = Arc::new(Mutex::new(Vec::new()));
    let seen = losses.clone();
    let watch = move |event: &Event<'_>, _: &M| {
        if let (Event::Stepped(step), Ok(mut seen)) = (event, seen.lock()) {
            seen.push(step.loss as f32);
        }
        ControlFlow::Continue(())
    };
    let trained =
        Trainer::new(config)
            .observe(watch)
            .fit(model, &loss, &Again(given.clone()), None)?;
    let losses = losses
        .lock()
        .map(|losses| losses.clone())
        .unwrap_or_default();
    Ok((losses, trained.model))
}

/// The same batch in every epoch.
struct Again(Given);

impl Batches<Given> for Again {
    fn per_epoch(&self, _: u64) -> u64 {
        1
    }

    fn epoch(&self, _: u64, from: u64) -> Box<dyn Iterator<Item = TrainResult<Given>> + '_> {
        Box::new(std::iter::once(Ok(self.0.clone())).skip(from as usize))
    }
}
