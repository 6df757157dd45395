//! Sums whose bits do not depend on the number of threads.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Slice, Tensor};

use super::composed;

/// The sum of all elements, the same bits for any number of threads and any length.
///
/// # Shapes
///
/// `x`: `[n]`, result: `[1]`, in f32 at least.
pub fn sum(x: Tensor<1>) -> Tensor<1> {
    total(x, false)
}

/// The sum of the squares of all elements, the same bits for any number of threads and any size.
///
/// # Shapes
///
/// `x`: any, result: `[1]`, in f32 at least.
pub fn square_sum<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    total(x, true)
}

fn total<const D: usize>(x: Tensor<D>, squared: bool) -> Tensor<1> {
    if x.shape().num_elements() == 0 {
        return Tensor::zeros([1], &x.device());
    }
    Tensor::from_dispatch(Dispatch::total(x.into_dispatch(), squared))
}

/// What a backend does.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda")),
)]
pub(super) trait SumOps: Backend {
    /// The differentiable sum of elements or of their squares.
    #[fusion(default)]
    fn total(x: FloatTensor<Self>, squared: bool) -> FloatTensor<Self> {
        total_in_blocks::<Self>(x, squared)
    }
}

composed::on_other_backends!(SumOps);

/// Elements that are added in one go; fixed, so that the tree of additions depends on nothing but the length.
const BLOCK: usize = 4096;

pub(super) fn total_in_blocks<B: Backend>(x: FloatTensor<B>, squared: bool) -> FloatTensor<B> {
    let x = composed::widen::<B>(x);
    let mut n = x.shape().num_elements();
    let mut x = B::float_reshape(x, Shape::new([n]));
    if squared {
        x = B::float_mul(x.clone(), x);
    }
    while n > BLOCK {
        let blocks = n / BLOCK;
        let whole = blocks * BLOCK;
        let head = B::float_slice(x.clone(), &[Slice::from(0..whole)]);
        let head = B::float_reshape(head, Shape::new([blocks, BLOCK]));
        let mut sums = B::float_reshape(B::float_sum_dim(head, 1), Shape::new([blocks]));
        if whole < n {
            let rest = B::float_sum_dim(B::float_slice(x, &[Slice::from(whole..n)]), 0);
            sums = B::float_cat(vec![sums, rest], 0);
        }
        x = sums;
        n = x.shape().num_elements();
    }
    B::float_sum_dim(x, 0)
}

#[derive(Debug)]
struct Total;

impl<B: Backend + SumOps> Backward<B, 1> for Total {
    type State = (Option<FloatTensor<B>>, FloatLike);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (squared, like) = ops.state;
        let [node] = ops.parents;
        let Some(node) = node else { return };
        let ones = Shape::from(vec![1; like.shape.num_dims()]);
        let gradient = B::float_cast(B::float_reshape(gradient, ones), like.dtype.into());
        let gradient = match squared {
            Some(x) => B::float_mul(x, B::float_mul_scalar(gradient, 2.0.into())),
            None => B::float_expand(gradient, like.shape),
        };
        grads.register::<B>(node.id, gradient);
    }
}

/// The form of a tensor.
#[derive(Clone, Debug)]
struct FloatLike {
    shape: Shape,
    dtype: burn::tensor::DType,
}

impl<B: Backend + SumOps, C: CheckpointStrategy> SumOps for Autodiff<B, C> {
    fn total(x: FloatTensor<Self>, squared: bool) -> FloatTensor<Self> {
        let like = FloatLike {
            shape: x.shape(),
            dtype: x.dtype(),
        };
        let (x, node) = x.into_parts();
        match Total.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let kept = squared.then(|| x.clone());
                prepared.finish((kept, like), B::total(x, squared))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::total(x, squared)),
        }
    }
}
