//! The affine map of rows.

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{DType, Shape, Tensor};

use super::composed;

/// `x · weight + bias`.
///
/// A weight that is not tracked gets no gradient, and `x` is not kept for it. A quantized weight is left to burn.
///
/// # Shapes
///
/// `x`: `[rows, in]`, `weight`: `[in, out]` (a transposed view is fine), `bias`: `[out]`, result: `[rows, out]`.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    if let DType::QFloat(_) = weight.dtype() {
        return burn::tensor::module::linear(x, weight, bias);
    }
    let [rows, width] = x.dims();
    let [inner, outer] = weight.dims();
    assert_eq!(
        width, inner,
        "x is [{rows}, {width}], the weight [{inner}, {outer}]"
    );
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [outer], "one bias for each of {outer} columns");
    }
    if rows * inner * outer == 0 {
        return burn::tensor::module::linear(x, weight, bias);
    }
    let biased = bias.is_some();
    let bias = bias.unwrap_or_else(|| composed::placeholder(&weight));
    Tensor::from_dispatch(Dispatch::affine(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        biased,
    ))
}

/// What a backend does. `bias` is a placeholder unless `biased`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda")),
)]
pub(super) trait LinearOps: Backend {
    /// The differentiable operation.
    #[fusion(default)]
    fn affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        biased: bool,
    ) -> FloatTensor<Self> {
        affine::<Self>(x, weight, bias, biased)
    }

    /// The gradient of x.
    #[fusion(default)]
    fn affine_for_x(gradient: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        for_x::<Self>(gradient, weight)
    }

    /// The gradient of the weight; `transposed` says how the weight lies in memory.
    #[fusion(default)]
    fn affine_for_weight(
        gradient: FloatTensor<Self>,
        x: FloatTensor<Self>,
        transposed: bool,
    ) -> FloatTensor<Self> {
        let _ = transposed;
        for_weight::<Self>(gradient, x)
    }

    /// The gradient of the bias.
    #[fusion(default)]
    fn affine_for_bias(gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        for_bias::<Self>(gradient)
    }

    /// Whether the matrix lies in memory as its transpose, if that is known and matters.
    #[fusion(default)]
    fn affine_transposed(weight: &FloatTensor<Self>) -> bool {
        let _ = weight;
        false
    }
}

composed::on_other_backends!(LinearOps);

pub(super) fn affine<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    biased: bool,
) -> FloatTensor<B> {
    let y = B::float_matmul(x, weight);
    if biased {
        B::float_add(y, composed::row::<B>(bias))
    } else {
        y
    }
}

pub(super) fn for_x<B: Backend>(
    gradient: FloatTensor<B>,
    weight: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_matmul(gradient, B::float_transpose(weight))
}

pub(super) fn for_weight<B: Backend>(
    gradient: FloatTensor<B>,
    x: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_matmul(B::float_transpose(x), gradient)
}

pub(super) fn for_bias<B: Backend>(gradient: FloatTensor<B>) -> FloatTensor<B> {
    let width = gradient.shape()[1];
    B::float_reshape(B::float_sum_dim(gradient, 0), Shape::new([width]))
}

#[derive(Debug)]
struct Linear;

#[derive(Clone, Debug)]
struct State<B: Backend> {
    /// Kept if the weight is tracked.
    x: Option<FloatTensor<B>>,
    /// Kept if x is tracked.
    weight: Option<FloatTensor<B>>,
    transposed: bool,
}

impl<B: Backend + LinearOps> Backward<B, 3> for Linear {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [x, weight, bias] = ops.parents;
        let s = ops.state;
        if let (Some(node), Some(kept)) = (x, s.weight) {
            grads.register::<B>(node.id, B::affine_for_x(gradient.clone(), kept));
        }
        if let (Some(node), Some(kept)) = (weight, s.x) {
            let gradient = B::affine_for_weight(gradient.clone(), kept, s.transposed);
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = bias {
            grads.register::<B>(node.id, B::affine_for_bias(gradient));
        }
    }
}

impl<B: Backend + LinearOps, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn affine(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        biased: bool,
    ) -> FloatTensor<Self> {
        let (x_tracked, weight_tracked) = (x.is_tracked(), weight.is_tracked());
        let (x, x_node) = x.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let (bias, bias_node) = bias.into_parts();
        match Linear
            .prepare::<C>([x_node, weight_node, bias_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let state = State {
                    transposed: B::affine_transposed(&weight),
                    x: weight_tracked.then(|| x.clone()),
                    weight: x_tracked.then(|| weight.clone()),
                };
                prepared.finish(state, B::affine(x, weight, bias, biased))
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::affine(x, weight, bias, biased)),
        }
    }
}
