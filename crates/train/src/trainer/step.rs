//! One optimizer step over a window of micro-batches.

use std::collections::BTreeSet;
use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;
use finetune_data::Origin;
use finetune_model::{Noise, weights};

use super::run::Run;
use crate::batch::{Batch, Batches};
use crate::error::{Result, TrainError};
use crate::event::{Event, Step};
use crate::objective::Objective;
use crate::optimizer::{self, Gradients};

/// What the micro-batches of a step add up to.
struct Window<B> {
    /// Kept to name the rows when a number is not finite.
    batches: Vec<B>,
    gradients: Gradients,
    /// The sum of the losses of each micro-batch, on the device.
    losses: Vec<Tensor<1>>,
    targets: usize,
    tokens: usize,
}

impl<B: Batch> Window<B> {
    fn origins(&self) -> Vec<Origin> {
        self.batches.iter().flat_map(Batch::origins).collect()
    }
}

impl<M, B, O, T> Run<'_, M, B, O, T>
where
    M: Module,
    B: Batch,
    O: Objective<M, B>,
    T: Batches<B> + ?Sized,
{
    /// Does a step.
    ///
    /// # Returns
    ///
    /// How many micro-batches came.
    pub(super) fn step(&mut self, batches: &mut dyn Iterator<Item = Result<B>>) -> Result<u64> {
        let begun = Instant::now();
        let window = self.gather(batches)?;
        let taken = window.batches.len() as u64;
        if taken == 0 {
            return Ok(0);
        }
        let number = self.state.step + 1;
        if window.targets == 0 {
            return Err(TrainError::NoTargets {
                step: number,
                origins: window.origins(),
            });
        }
        let loss = mean_loss(&window, number)?;
        let norm = mean_norm(&window, number)?;
        if self.state.step == 0 {
            self.all_have_gradients(&window.gradients)?;
        }
        let learning_rate = self.config.schedule.rate(self.state.step, self.steps);
        self.apply(
            window.gradients,
            self.optimizer.clip(norm) / window.targets as f64,
            learning_rate,
        );
        self.state.step = number;
        self.state.tokens += window.tokens as u64;
        self.state.targets += window.targets as u64;
        self.loss = Some(loss);
        let step = Step {
            step: number,
            steps: self.steps,
            epoch: self.epochs_after(taken),
            loss,
            learning_rate,
            gradient_norm: norm,
            targets: window.targets,
            tokens: window.tokens,
            seconds: begun.elapsed().as_secs_f64(),
            elapsed: self.elapsed(),
        };
        self.tell(&Event::Stepped(&step));
        Ok(taken)
    }

    /// Forward and backward passes. The sums of losses and gradients are neither scaled nor divided.
    fn gather(&self, batches: &mut dyn Iterator<Item = Result<B>>) -> Result<Window<B>> {
        let mut window = Window {
            batches: Vec::new(),
            gradients: Gradients::new(),
            losses: Vec::new(),
            targets: 0,
            tokens: 0,
        };
        let model = self.model();
        for (micro, batch) in batches.enumerate() {
            let batch = batch?;
            let noise = Noise::new(self.config.seed, self.state.step, micro as u64);
            window.tokens += batch.tokens();
            window.targets += batch.targets();
            // A micro-batch without targets adds nothing; the objective may not know what to do with it.
            if batch.targets() > 0 {
                let loss = self.objective.loss(model, &batch, noise);
                window.losses.push(loss.clone().without_autodiff());
                if loss.is_tracked() {
                    let gradients = weights::gradients(model, &mut loss.backward());
                    optimizer::accumulate(&mut window.gradients, gradients);
                }
            }
            window.batches.push(batch);
        }
        Ok(window)
    }

    fn apply(&mut self, gradients: Gradients, scale: f64, rate: f64) {
        let model = self
            .model
            .take()
            .expect("the model is back after every step");
        self.model = Some(self.optimizer.step(model, gradients, scale, rate));
    }

    /// Refuses a model of which a part is trained that the loss does not depend on.
    fn all_have_gradients(&self, gradients: &Gradients) -> Result<()> {
        let have: BTreeSet<&String> = gradients.keys().collect();
        let paths: Vec<String> = weights::parameters(self.model())
            .into_iter()
            .filter(|parameter| parameter.trainable && !have.contains(&parameter.path))
            .map(|parameter| parameter.path)
            .collect();
        if paths.is_empty() {
            Ok(())
        } else {
            Err(TrainError::NoGradient { paths })
        }
    }

    /// Epochs seen after some more micro-batches.
    fn epochs_after(&self, taken: u64) -> f64 {
        let count = self.train.per_epoch(self.state.epoch).max(1);
        self.state.epoch as f64 + (self.state.cursor + taken) as f64 / count as f64
    }
}

/// The loss per target. When it is not finite the rows of the first micro-batch that is not are named.
fn mean_loss<B: Batch>(window: &Window<B>, step: u64) -> Result<f64> {
    let losses = optimizer::read(Tensor::cat(window.losses.clone(), 0), "loss")?;
    let batches = window.batches.iter().filter(|batch| batch.targets() > 0);
    for (loss, batch) in losses.iter().zip(batches) {
        if !loss.is_finite() {
            return Err(TrainError::NonFinite {
                step,
                what: "loss",
                value: *loss,
                origins: batch.origins(),
            });
        }
    }
    Ok(losses.iter().sum::<f64>() / window.targets as f64)
}

/// The norm of the gradient of the mean loss, before clipping.
fn mean_norm<B: Batch>(window: &Window<B>, step: u64) -> Result<f64> {
    let norm = optimizer::norm(&window.gradients)? / window.targets as f64;
    if norm.is_finite() {
        return Ok(norm);
    }
    Err(TrainError::NonFinite {
        step,
        what: "gradient norm",
        value: norm,
        origins: window.origins(),
    })
}
