//! Rows of a table.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{IndexingUpdateOp, Int, Shape, Tensor};

use super::composed;

/// The rows of `weight` named by `ids`. On the CPU the gradient adds the rows of equal ids in the order of `ids`.
///
/// # Shapes
///
/// `weight`: `[vocabulary, width]`, `ids`: `[rows]`, result: `[rows, width]`.
///
/// # Panics
///
/// On the CPU if an id is not below `vocabulary`.
pub fn embed(weight: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    if ids.dims()[0] == 0 {
        let width = weight.dims()[1];
        return Tensor::zeros([0, width], (&weight.device(), weight.dtype()));
    }
    Tensor::from_dispatch(Dispatch::embed(weight.into_dispatch(), ids.into_dispatch()))
}

/// What a backend does.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda")),
)]
pub(super) trait EmbedOps: Backend {
    /// The differentiable operation.
    #[fusion(default)]
    fn embed(weight: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        Self::float_select(weight, 0, ids)
    }

    /// The gradient of the table of `vocabulary` rows.
    #[fusion(default)]
    fn embed_backward(
        gradient: FloatTensor<Self>,
        ids: IntTensor<Self>,
        vocabulary: usize,
    ) -> FloatTensor<Self> {
        backward::<Self>(gradient, ids, vocabulary)
    }
}

composed::on_other_backends!(EmbedOps);

pub(super) fn backward<B: Backend>(
    gradient: FloatTensor<B>,
    ids: IntTensor<B>,
    vocabulary: usize,
) -> FloatTensor<B> {
    let shape = Shape::new([vocabulary, gradient.shape()[1]]);
    let zeros = B::float_zeros(shape, &gradient.device(), gradient.dtype().into());
    B::float_select_assign(zeros, 0, ids, gradient, IndexingUpdateOp::Add)
}

#[derive(Debug)]
struct Embed;

impl<B: Backend + EmbedOps> Backward<B, 1> for Embed {
    type State = (IntTensor<B>, usize);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (ids, vocabulary) = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::embed_backward(gradient, ids, vocabulary));
        }
    }
}

impl<B: Backend + EmbedOps, C: CheckpointStrategy> EmbedOps for Autodiff<B, C> {
    fn embed(weight: FloatTensor<Self>, ids: IntTensor<Self>) -> FloatTensor<Self> {
        let vocabulary = weight.shape()[0];
        let (weight, node) = weight.into_parts();
        match Embed.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::embed(weight, ids.clone());
                prepared.finish((ids, vocabulary), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::embed(weight, ids)),
        }
    }
}
