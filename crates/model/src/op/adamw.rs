//! One step of AdamW.

use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

use super::composed;

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

/// One step of AdamW (Loshchilov & Hutter 2019) by PyTorch's rule.
///
/// ```text
/// p ← p (1 − rate·decay)
/// m ← m + (1 − beta1)(g − m)            v ← beta2·v + (1 − beta2) g²
/// p ← p − rate/(1 − beta1ᵗ) · m / (√v / √(1 − beta2ᵗ) + epsilon)
/// ```
///
/// The arithmetic and the moments are f32; a parameter or gradient in half precision is converted. Nothing is
/// differentiable. Give the tensors away (hold no clone), and on the CPU they are updated in place.
///
/// # Shapes
///
/// All `[n]`; returns the parameter, the first and the second moment.
///
/// # Panics
///
/// If the lengths differ.
pub fn adamw(
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    first: Tensor<1>,
    second: Tensor<1>,
    step: AdamWStep,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let shape = parameter.dims();
    for (name, other) in [
        ("gradient", &gradient),
        ("first moment", &first),
        ("second moment", &second),
    ] {
        assert_eq!(other.dims(), shape, "the {name} does not fit the parameter");
    }
    if shape == [0] {
        return (parameter, first, second);
    }
    let (parameter, first, second) = Dispatch::adamw_step(
        parameter.into_dispatch(),
        gradient.into_dispatch(),
        first.into_dispatch(),
        second.into_dispatch(),
        step,
    );
    (
        Tensor::from_dispatch(parameter),
        Tensor::from_dispatch(first),
        Tensor::from_dispatch(second),
    )
}

/// The factors of the element-wise rule, computed in f64 as PyTorch does.
#[derive(Clone, Copy)]
pub(super) struct Factors {
    pub(super) shrink: f64,
    pub(super) first: f64,
    pub(super) beta2: f64,
    pub(super) second: f64,
    pub(super) root: f64,
    pub(super) epsilon: f64,
    pub(super) size: f64,
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

/// What a backend does.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda")),
)]
pub(super) trait AdamWOps: Backend {
    /// The step: parameter, first and second moment.
    #[fusion(default)]
    fn adamw_step(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        adamw_step::<Self>(&parameter, gradient, first, second, step)
    }
}

composed::on_other_backends!(AdamWOps);

pub(super) fn adamw_step<B: Backend>(
    parameter: &FloatTensor<B>,
    gradient: FloatTensor<B>,
    first: FloatTensor<B>,
    second: FloatTensor<B>,
    step: AdamWStep,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let f = Factors::from(step);
    let gradient = composed::widen::<B>(gradient);
    let towards = B::float_sub(gradient.clone(), first.clone());
    let first = B::float_add(first, B::float_mul_scalar(towards, f.first.into()));
    let square = B::float_mul(
        B::float_mul_scalar(gradient.clone(), f.second.into()),
        gradient,
    );
    let second = B::float_add(B::float_mul_scalar(second, f.beta2.into()), square);
    let scale = B::float_div_scalar(B::float_sqrt(second.clone()), f.root.into());
    let scale = B::float_add_scalar(scale, f.epsilon.into());
    let change = B::float_div(B::float_mul_scalar(first.clone(), (-f.size).into()), scale);
    let kept = B::float_mul_scalar(composed::widen::<B>(parameter.clone()), f.shrink.into());
    let moved = composed::cast_like::<B>(B::float_add(kept, change), parameter);
    (moved, first, second)
}

impl<B: Backend + AdamWOps, C: CheckpointStrategy> AdamWOps for Autodiff<B, C> {
    fn adamw_step(
        parameter: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (parameter, first, second) = B::adamw_step(
            parameter.into_primitive(),
            gradient.into_primitive(),
            first.into_primitive(),
            second.into_primitive(),
            step,
        );
        let leaf = FloatTensor::<Self>::new;
        (leaf(parameter), leaf(first), leaf(second))
    }
}
