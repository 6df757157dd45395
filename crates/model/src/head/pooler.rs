//! The hidden state that stands for a text, and what some heads do to it before the projection to the classes.

use burn::tensor::{Tensor, TensorData};

use super::causal::gather;
use crate::blueprint::{Place, Pooler, Projection};
use crate::noise::Noise;
use crate::op;
use crate::part::{Init, Linear, Norm};
use crate::tokens::Tokens;

/// The hidden state that stands for each row.
///
/// # Shapes
/// `[batch * length, width]` to `[batch, width]`.
pub(super) fn standing(x: Tensor<2>, tokens: &Tokens, place: Place) -> Tensor<2> {
    match place {
        Place::First => gather(x, &tokens.first_places()),
        Place::Last => gather(x, &tokens.last_places()),
        Place::End => gather(x, &tokens.end_places()),
        Place::Mean => mean(x, tokens, tokens.shares(true)),
        Place::MeanOfPlaces => mean(x, tokens, tokens.shares(false)),
    }
}

/// The mean of the hidden states of each row, each with its share.
///
/// # Shapes
/// `[batch * length, width]` to `[batch, width]`.
fn mean(x: Tensor<2>, tokens: &Tokens, shares: Vec<f32>) -> Tensor<2> {
    let (batch, length, width) = (tokens.batch(), tokens.length(), x.dims()[1]);
    let shares = TensorData::new(shares, [batch, 1, length]);
    let shares: Tensor<3> = Tensor::from_data(shares, (&x.device(), x.dtype()));
    let means = shares.matmul(x.reshape([batch, length, width]));
    means.reshape([batch, width])
}

/// The layers of a pooler, where there is one, with random weights.
pub(super) fn layers(
    init: &Init,
    width: usize,
    plan: Option<Pooler>,
) -> (Option<Linear>, Option<Norm>) {
    let linear = |plan: Pooler| {
        let new = |bias| Some(Linear::new(&init.at("pooler"), width, width, bias));
        match plan.projection {
            Projection::None => None,
            Projection::Bare => new(false),
            Projection::Biased => new(true),
        }
    };
    let norm = |plan| Norm::new(&init.at("norm"), width, plan);
    (
        plan.and_then(linear),
        plan.and_then(|plan| plan.norm).map(norm),
    )
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
