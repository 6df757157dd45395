//! `AdamW` over a module, with its state by parameter path.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use finetune_model::op::{AdamWStep, adamw, square_sum};
use finetune_model::weights;

use crate::config::OptimizerConfig;
use crate::error::{Result, TrainError};

/// Gradients by parameter path, each flattened to `[n]`, in f32 and outside autodiff.
pub type Gradients = BTreeMap<String, Tensor<1>>;

/// `AdamW` by torch's rule (Loshchilov & Hutter 2019): weight decay apart from the gradient and only on tensors of rank
/// 2 and more, moments in f32, and gradients clipped by the norm of all of them together.
///
/// The state is keyed by the path of each parameter, never by burn's ids, which differ from process to process. A
/// parameter without a gradient is left alone, as torch does, and its own count of updates does not advance.
#[derive(Clone, Debug)]
pub struct AdamW {
    config: OptimizerConfig,
    state: BTreeMap<String, Moments>,
}

/// What [`AdamW`] remembers of one parameter.
#[derive(Clone, Debug)]
pub(crate) struct Moments {
    /// Running mean of the gradient, `[n]`, f32.
    pub(crate) first: Tensor<1>,
    /// Running mean of the squared gradient, `[n]`, f32.
    pub(crate) second: Tensor<1>,
    /// How often the parameter was updated.
    pub(crate) updates: u64,
}

impl AdamW {
    /// An optimizer that has seen no step.
    pub fn new(config: OptimizerConfig) -> Self {
        Self {
            config,
            state: BTreeMap::new(),
        }
    }

    /// Updates every trainable parameter that has a gradient.
    ///
    /// # Arguments
    ///
    /// - `gradients`: of the loss to minimise, up to `scale`
    /// - `scale`: a factor for all of them: one over the number of targets, times [`AdamW::clip`]
    /// - `rate`: the learning rate of this step
    pub fn step<M: Module>(
        &mut self,
        module: M,
        mut gradients: Gradients,
        scale: f64,
        rate: f64,
    ) -> M {
        let decays = self.decays(&module);
        weights::update(module, &mut |path, value| match gradients.remove(path) {
            None => value,
            Some(gradient) => {
                let decay = decays.get(path).copied().unwrap_or(0.0);
                self.update(path, value, gradient * scale, rate, decay)
            }
        })
    }

    /// The factor that brings a gradient of this norm under the clip: `min(1, clip / (norm + 1e-6))`, as torch's
    /// `clip_grad_norm_`.
    pub fn clip(&self, norm: f64) -> f64 {
        if self.config.clip > 0.0 {
            (self.config.clip / (norm + 1e-6)).min(1.0)
        } else {
            1.0
        }
    }

    pub(crate) fn state(&self) -> &BTreeMap<String, Moments> {
        &self.state
    }

    pub(crate) fn restore(&mut self, state: BTreeMap<String, Moments>) {
        self.state = state;
    }

    /// The weight decay of each parameter: none for norms and biases.
    fn decays<M: Module>(&self, module: &M) -> BTreeMap<String, f64> {
        let decay = |rank| {
            if rank >= 2 {
                self.config.weight_decay
            } else {
                0.0
            }
        };
        weights::declared(module)
            .into_iter()
            .map(|parameter| (parameter.path, decay(parameter.shape.len())))
            .collect()
    }

    fn update(
        &mut self,
        path: &str,
        value: Tensor<1>,
        gradient: Tensor<1>,
        rate: f64,
        decay: f64,
    ) -> Tensor<1> {
        let moments = self.state.remove(path).unwrap_or_else(|| Moments {
            first: gradient.zeros_like(),
            second: gradient.zeros_like(),
            updates: 0,
        });
        let updates = moments.updates + 1;
        let step = AdamWStep {
            rate,
            beta1: self.config.beta1,
            beta2: self.config.beta2,
            epsilon: self.config.epsilon,
            decay,
            step: updates,
        };
        let dtype = value.dtype();
        let value = value.cast(DType::F32);
        let (value, first, second) = adamw(value, gradient, moments.first, moments.second, step);
        let moments = Moments {
            first,
            second,
            updates,
        };
        self.state.insert(path.to_owned(), moments);
        value.cast(dtype)
    }
}

/// Adds gradients to what was gathered before. Sums, not means: the loop divides once per step.
pub fn accumulate(sum: &mut Gradients, gradients: Gradients) {
    for (path, gradient) in gradients {
        let gradient = gradient.cast(DType::F32);
        let total = match sum.remove(&path) {
            Some(before) => before + gradient,
            None => gradient,
        };
        sum.insert(path, total);
    }
}

/// The L2 norm of all gradients together; the same bits for any number of threads.
///
/// # Errors
///
/// When the device fails.
pub fn norm(gradients: &Gradients) -> Result<f64> {
    if gradients.is_empty() {
        return Ok(0.0);
    }
    let squares = gradients
        .values()
        .map(|gradient| square_sum(gradient.clone()))
        .collect();
    let squares = read(Tensor::cat(squares, 0), "gradient norm")?;
    Ok(squares.into_iter().sum::<f64>().sqrt())
}

/// A tensor's numbers on the host.
pub(crate) fn read(tensor: Tensor<1>, what: &str) -> Result<Vec<f64>> {
    let data = tensor.try_into_data().map_err(|error| TrainError::Device {
        what: what.to_owned(),
        why: error.to_string(),
    })?;
    Ok(data.iter::<f64>().collect())
}
