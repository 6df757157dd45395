//! Rotary position embedding.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Slice, Tensor};

use super::composed;

/// Rotates the first features of each head by the angles of its position (Su et al. 2021), pairing feature `i` with
/// feature `i + rotated/2` as Hugging Face checkpoints do. The remaining features pass unchanged.
///
/// `cos` and `sin` get no gradient.
///
/// # Shapes
///
/// `x`: `[batch, length, heads, width]`, `cos` and `sin`: `[batch·length, rotated/2]`, result as `x`.
///
/// # Panics
///
/// If `cos` and `sin` do not fit `x`.
pub fn rotate(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let [batch, length, heads, width] = x.dims();
    let angles = cos.dims();
    assert_eq!(angles, sin.dims(), "cos and sin differ in shape");
    assert!(
        angles[0] == batch * length && 2 * angles[1] <= width,
        "angles {angles:?} do not fit {:?}: expected [batch·length, at most width/2]",
        [batch, length, heads, width]
    );
    if angles[0] * angles[1] * heads == 0 {
        return x;
    }
    Tensor::from_dispatch(Dispatch::rotate(
        x.into_dispatch(),
        cos.into_dispatch(),
        sin.into_dispatch(),
    ))
}

/// What a backend does.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda")),
)]
pub(super) trait RotaryOps: Backend {
    /// The differentiable operation.
    #[fusion(default)]
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        Self::turn(x, cos, sin, false)
    }

    /// Turns by the angles, or back by them.
    #[fusion(default)]
    fn turn(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
        back: bool,
    ) -> FloatTensor<Self> {
        turn::<Self>(&x, cos, sin, back)
    }
}

composed::on_other_backends!(RotaryOps);

pub(super) fn turn<B: Backend>(
    x: &FloatTensor<B>,
    cos: FloatTensor<B>,
    sin: FloatTensor<B>,
    back: bool,
) -> FloatTensor<B> {
    let [batch, length, heads, width] = x.shape().dims();
    let half = cos.shape()[1];
    let angles = Shape::new([batch, length, 1, half]);
    let cos = B::float_reshape(composed::widen::<B>(cos), angles.clone());
    let sin = B::float_reshape(composed::widen::<B>(sin), angles);
    let sin = if back { B::float_neg(sin) } else { sin };
    let features = |start: usize, end: usize| {
        let ranges = [0..batch, 0..length, 0..heads, start..end];
        B::float_slice(x.clone(), &ranges.map(Slice::from))
    };
    let first = composed::widen::<B>(features(0, half));
    let second = composed::widen::<B>(features(half, 2 * half));
    let turned_first = B::float_sub(
        B::float_mul(first.clone(), cos.clone()),
        B::float_mul(second.clone(), sin.clone()),
    );
    let turned_second = B::float_add(B::float_mul(second, cos), B::float_mul(first, sin));
    let mut parts = vec![
        composed::cast_like::<B>(turned_first, x),
        composed::cast_like::<B>(turned_second, x),
    ];
    if 2 * half < width {
        parts.push(features(2 * half, width));
    }
    B::float_cat(parts, 3)
}

#[derive(Debug)]
struct Rotate;

impl<B: Backend + RotaryOps> Backward<B, 1> for Rotate {
    type State = (FloatTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (cos, sin) = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::turn(gradient, cos, sin, true));
        }
    }
}

impl<B: Backend + RotaryOps, C: CheckpointStrategy> RotaryOps for Autodiff<B, C> {
    fn rotate(
        x: FloatTensor<Self>,
        cos: FloatTensor<Self>,
        sin: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        let (cos, sin) = (cos.into_primitive(), sin.into_primitive());
        match Rotate.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::turn(x, cos.clone(), sin.clone(), false);
                prepared.finish((cos, sin), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::turn(x, cos, sin, false)),
        }
    }
}
