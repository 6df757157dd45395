//! Normalisation of rows.
// The macro that routes to backends reads the types in the signatures: no aliases.
#![allow(clippy::type_complexity)]

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor};

use super::composed;

/// Root-mean-square norm: `x / sqrt(mean(x²) + eps) · weight` for each row (Zhang & Sennrich 2019).
///
/// # Shapes
///
/// `x`: `[rows, width]`, `weight`: `[width]`, result: `[rows, width]`.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let rule = Rule {
        centred: false,
        biased: false,
        eps,
    };
    norm(x, weight, None, rule)
}

/// Layer norm: `(x - mean) / sqrt(variance + eps) · weight + bias` for each row, with the biased variance
/// (Ba et al. 2016).
///
/// # Shapes
///
/// `x`: `[rows, width]`, `weight` and `bias`: `[width]`, result: `[rows, width]`.
///
/// # Panics
///
/// If the shapes do not fit.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Option<Tensor<1>>, eps: f64) -> Tensor<2> {
    let rule = Rule {
        centred: true,
        biased: bias.is_some(),
        eps,
    };
    norm(x, weight, bias, rule)
}

fn norm(x: Tensor<2>, weight: Tensor<1>, bias: Option<Tensor<1>>, rule: Rule) -> Tensor<2> {
    let [rows, width] = x.dims();
    assert_eq!(
        weight.dims(),
        [width],
        "one weight for each of {width} columns"
    );
    if let Some(bias) = &bias {
        assert_eq!(bias.dims(), [width], "one bias for each of {width} columns");
    }
    if rows == 0 {
        return x;
    }
    let bias = bias.unwrap_or_else(|| composed::placeholder(&weight));
    Tensor::from_dispatch(Dispatch::norm(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        rule,
    ))
}

/// Which norm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// Subtract the mean.
    pub(super) centred: bool,
    /// Add a bias; otherwise the bias is a placeholder.
    pub(super) biased: bool,
    pub(super) eps: f64,
}

/// What a backend does. With `mean` and `scale` (`[rows, 1]` each) the normalised rows are `(x - mean) · scale`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda")),
)]
pub(super) trait NormOps: Backend {
    /// The differentiable operation.
    #[fusion(default)]
    fn norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        rule: Rule,
    ) -> FloatTensor<Self> {
        Self::norm_forward(x, weight, bias, rule).0
    }

    /// The result, `mean` (of any content if not centred) and `scale`.
    #[fusion(default)]
    fn norm_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        rule: Rule,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        forward::<Self>(&x, weight, bias, rule)
    }

    /// The gradient of x, and those of weight and bias where `needed`.
    #[fusion(default)]
    fn norm_backward(
        gradient: FloatTensor<Self>,
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        rule: Rule,
        needed: [bool; 2],
    ) -> (
        FloatTensor<Self>,
        Option<FloatTensor<Self>>,
        Option<FloatTensor<Self>>,
    ) {
        backward::<Self>(gradient, &x, &weight, mean, scale, rule, needed)
    }
}

composed::on_other_backends!(NormOps);

pub(super) fn forward<B: Backend>(
    x: &FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    rule: Rule,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let wide = composed::widen::<B>(x.clone());
    let (centred, mean) = if rule.centred {
        let mean = B::float_mean_dim(wide.clone(), 1);
        (B::float_sub(wide, mean.clone()), Some(mean))
    } else {
        (wide, None)
    };
    let square = B::float_mul(centred.clone(), centred.clone());
    let square = B::float_add_scalar(B::float_mean_dim(square, 1), rule.eps.into());
    let scale = B::float_recip(B::float_sqrt(square));
    let y = composed::cast_like::<B>(B::float_mul(centred, scale.clone()), x);
    let y = B::float_mul(y, composed::row::<B>(weight));
    let y = if rule.biased {
        B::float_add(y, composed::row::<B>(bias))
    } else {
        y
    };
    (y, mean.unwrap_or_else(|| scale.clone()), scale)
}

pub(super) fn backward<B: Backend>(
    gradient: FloatTensor<B>,
    x: &FloatTensor<B>,
    weight: &FloatTensor<B>,
    mean: FloatTensor<B>,
    scale: FloatTensor<B>,
    rule: Rule,
    [for_weight, for_bias]: [bool; 2],
) -> (
    FloatTensor<B>,
    Option<FloatTensor<B>>,
    Option<FloatTensor<B>>,
) {
    let wide = composed::widen::<B>(x.clone());
    let wide = if rule.centred {
        B::float_sub(wide, mean)
    } else {
        wide
    };
    let normal = B::float_mul(wide, scale.clone());
    let gradient = composed::widen::<B>(gradient);
    let columns = |x: FloatTensor<B>| {
        let width = x.shape()[1];
        let total = B::float_reshape(B::float_sum_dim(x, 0), Shape::new([width]));
        composed::cast_like::<B>(total, weight)
    };
    let of_weight = for_weight.then(|| columns(B::float_mul(gradient.clone(), normal.clone())));
    let of_bias = for_bias.then(|| columns(gradient.clone()));
    let inner = B::float_mul(
        gradient,
        composed::row::<B>(composed::widen::<B>(weight.clone())),
    );
    let along = B::float_mean_dim(B::float_mul(inner.clone(), normal.clone()), 1);
    let mut of_x = B::float_sub(inner.clone(), B::float_mul(normal, along));
    if rule.centred {
        of_x = B::float_sub(of_x, B::float_mean_dim(inner, 1));
    }
    let of_x = composed::cast_like::<B>(B::float_mul(of_x, scale), x);
    (of_x, of_weight, of_bias)
}

#[derive(Debug)]
struct Norm;

#[derive(Clone, Debug)]
struct State<B: Backend> {
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    mean: FloatTensor<B>,
    scale: FloatTensor<B>,
    rule: Rule,
}

impl<B: Backend + NormOps> Backward<B, 3> for Norm {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [x, weight, bias] = ops.parents;
        let needed = [weight.is_some(), bias.is_some()];
        let s = ops.state;
        let (of_x, of_weight, of_bias) =
            B::norm_backward(gradient, s.x, s.weight, s.mean, s.scale, s.rule, needed);
        for (node, gradient) in [(x, Some(of_x)), (weight, of_weight), (bias, of_bias)] {
            if let (Some(node), Some(gradient)) = (node, gradient) {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Backend + NormOps, C: CheckpointStrategy> NormOps for Autodiff<B, C> {
    fn norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        rule: Rule,
    ) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let (bias, bias_node) = bias.into_parts();
        match Norm
            .prepare::<C>([x_node, weight_node, bias_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let (y, mean, scale) = B::norm_forward(x.clone(), weight.clone(), bias, rule);
                let state = State {
                    x,
                    weight,
                    mean,
                    scale,
                    rule,
                };
                prepared.finish(state, y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::norm(x, weight, bias, rule)),
        }
    }
}
