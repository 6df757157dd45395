//! The projection between hidden states and classes that some heads have.

use burn::tensor::Tensor;

use crate::blueprint::Pooler;
use crate::noise::Noise;
use crate::op;
use crate::part::{Init, Linear, Norm};

/// The layers of a pooler, where there is one, with random weights.
pub(super) fn layers(
    init: &Init,
    width: usize,
    plan: Option<Pooler>,
) -> (Option<Linear>, Option<Norm>) {
    let linear = |plan: Pooler| Linear::new(&init.at("pooler"), width, width, plan.bias);
    let norm = |plan| Norm::new(&init.at("norm"), width, plan);
    (plan.map(linear), plan.and_then(|plan| plan.norm).map(norm))
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
    let (Some(linear), Some(plan)) = (linear, plan) else {
        return x;
    };
    let x = op::dropout(x, plan.dropout, noise.site(3));
    let x = op::activate(linear.forward(x, noise.site(0)), plan.activation);
    Norm::maybe(norm, x)
}
