//! Dropout whose pattern is a function of the place, not of a generator's state.

use std::ops::Range;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::composed;
use crate::noise::Noise;

/// Inverted dropout: each element is zeroed with probability `rate`, the others are divided by `1 - rate`.
/// Element `i` (row-major) is decided by `noise.uniform(i)`. Without noise or with rate 0 `x` comes back.
///
/// # Shapes
///
/// `x` and the result: `[rows, width]`.
///
/// # Panics
///
/// If `rate` is not in `[0, 1)`.
pub fn dropout(x: Tensor<2>, rate: f64, noise: Noise) -> Tensor<2> {
    check(rate);
    if !noise.is_on() || rate == 0.0 || x.shape().num_elements() == 0 {
        return x;
    }
    Tensor::from_dispatch(Dispatch::drop_out(x.into_dispatch(), rate, noise))
}

pub(super) fn check(rate: f64) {
    assert!(
        (0.0..1.0).contains(&rate),
        "dropout rate {rate} is not in [0, 1)"
    );
}

/// What the elements of `range` are multiplied with.
pub(super) fn factors(range: Range<u64>, rate: f64, noise: Noise) -> Vec<f32> {
    let scale = (1.0 / (1.0 - rate)) as f32;
    let rate = rate as f32;
    range
        .map(|i| if noise.uniform(i) < rate { 0.0 } else { scale })
        .collect()
}

/// What a backend does.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda")),
)]
pub(super) trait DropoutOps: Backend {
    /// The differentiable operation; also takes a gradient of the result to one of x.
    #[fusion(default)]
    fn drop_out(x: FloatTensor<Self>, rate: f64, noise: Noise) -> FloatTensor<Self> {
        drop_out::<Self>(x, rate, noise)
    }
}

composed::on_other_backends!(DropoutOps);

pub(super) fn drop_out<B: Backend>(x: FloatTensor<B>, rate: f64, noise: Noise) -> FloatTensor<B> {
    let shape = x.shape();
    let factors = factors(0..shape.num_elements() as u64, rate, noise);
    let factors = B::float_from_data(TensorData::new(factors, shape), &x.device());
    let factors = composed::cast_like::<B>(factors, &x);
    B::float_mul(x, factors)
}

#[derive(Debug)]
struct Drop;

impl<B: Backend + DropoutOps> Backward<B, 1> for Drop {
    type State = (f64, Noise);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (rate, noise) = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::drop_out(gradient, rate, noise));
        }
    }
}

impl<B: Backend + DropoutOps, C: CheckpointStrategy> DropoutOps for Autodiff<B, C> {
    fn drop_out(x: FloatTensor<Self>, rate: f64, noise: Noise) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Drop.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                prepared.finish((rate, noise), B::drop_out(x, rate, noise))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::drop_out(x, rate, noise)),
        }
    }
}
