//! A bound on scores and logits (Gemma 2): nearly the number itself near zero, never beyond the bound.

use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

/// `cap · tanh(x / cap)`.
pub fn bound<const D: usize>(x: Tensor<D>, cap: f64) -> Tensor<D> {
    (x / cap).tanh() * cap
}

/// The same on a backend.
pub(super) fn forward<B: Backend>(x: FloatTensor<B>, cap: f64) -> FloatTensor<B> {
    let share = B::float_tanh(B::float_mul_scalar(x, (1.0 / cap).into()));
    B::float_mul_scalar(share, cap.into())
}

/// The gradient of `x` from that of the bounded numbers: `1 - tanh²(x / cap)` of it. What was hidden after it was
/// bounded may be any number; it counts as the bound.
pub(super) fn backward<B: Backend>(
    gradient: FloatTensor<B>,
    bounded: FloatTensor<B>,
    cap: f64,
) -> FloatTensor<B> {
    let share = B::float_mul_scalar(bounded, (1.0 / cap).into());
    let share = B::float_clamp(share, (-1.0).into(), 1.0.into());
    let rest = B::float_mul(gradient.clone(), B::float_mul(share.clone(), share));
    B::float_sub(gradient, rest)
}
