//! The projection between hidden states and classes that some heads have.

use burn::tensor::Tensor;

use crate::blueprint::{Pooler, Projection};
use crate::noise::Noise;
use crate::op;
use crate::part::{Init, Linear, Norm};

/// The layers of a pooler, where there are any, with random weights.
pub(super) fn layers(
    init: &Init,
    width: usize,
    plan: Option<Pooler>,
) -> (Option<Linear>, Option<Norm>) {
    let Some(plan) = plan else {
        return (None, None);
    };
    let linear = |bias| Linear::new(&init.at("pooler"), width, width, bias);
    let linear = match plan.projection {
        Projection::None => None,
        Projection::Plain => Some(linear(false)),
        Projection::Biased => Some(linear(true)),
    };
    let norm = |plan| Norm::new(&init.at("norm"), width, plan);
    (linear, plan.norm.map(norm))
}

/// What a pooler makes of hidden states; without one they stay as they are.
///
/// # Shapes
/// `[rows, width]` to the same.
pub(super) fn pooled(
    x: Tensor<2>,
    (linear, norm): (Option<&Linear>, Option<&Norm>),
    plan: Option<Pooler>,
    noise: Noise,
) -> Tensor<2> {
    let Some(plan) = plan else {
        return x;
    };
    let mut x = op::dropout(x, plan.dropout, noise.site(3));
    if let Some(linear) = linear {
        x = linear.forward(x, noise.site(0));
    }
    if let Some(activation) = plan.activation {
        x = op::activate(x, activation);
    }
    Norm::maybe(norm, x)
}
