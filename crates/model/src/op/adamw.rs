//! One step of AdamW.

use burn::tensor::Tensor;

/// The numbers of one AdamW step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWStep {
    /// Learning rate of this step.
    pub rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay.
    pub decay: f64,
    /// The number of this step, from 1.
    pub step: u64,
}

/// The factors of the element-wise rule, computed in f64 as PyTorch does.
struct Factors {
    shrink: f64,
    first: f64,
    beta2: f64,
    second: f64,
    root: f64,
    epsilon: f64,
    size: f64,
}

impl From<AdamWStep> for Factors {
    fn from(s: AdamWStep) -> Self {
        let correction1 = 1.0 - s.beta1.powf(s.step as f64);
        let correction2 = 1.0 - s.beta2.powf(s.step as f64);
        Self {
            shrink: 1.0 - s.rate * s.decay,
            first: 1.0 - s.beta1,
            beta2: s.beta2,
            second: 1.0 - s.beta2,
            root: correction2.sqrt(),
            epsilon: s.epsilon,
            size: s.rate / correction1,
        }
    }
}

/// One step of AdamW (Loshchilov & Hutter 2019) by PyTorch's rule.
///
/// ```text
/// p ← p (1 − rate·decay)
/// m ← m + (1 − beta1)(g − m)            v ← beta2·v + (1 − beta2) g²
/// p ← p − rate/(1 − beta1ᵗ) · m / (√v / √(1 − beta2ᵗ) + epsilon)
/// ```
///
/// # Shapes
///
/// All `[n]`; returns the parameter, the first and the second moment. Give the tensors away (hold no clone) and they
/// are updated in place.
pub fn adamw(
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    first: Tensor<1>,
    second: Tensor<1>,
    step: AdamWStep,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let f = Factors::from(step);
    let first = first.clone() + (gradient.clone() - first) * f.first;
    let second = second * f.beta2 + gradient.clone() * gradient * f.second;
    let scale = second.clone().sqrt() / f.root + f.epsilon;
    let parameter = parameter * f.shrink - first.clone() / scale * f.size;
    (parameter, first, second)
}
