//! Normalisation over the features of a token.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::Init;
use crate::blueprint::{self, NormKind};
use crate::op;

/// A normalisation with learned weights.
#[derive(Module, Debug)]
pub struct Norm {
    /// `[width]`.
    pub weight: Param<Tensor<1>>,
    /// `[width]`, where the formula has one.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    plan: blueprint::Norm,
}

impl Norm {
    /// A normalisation with weights of one and a bias of zero.
    pub fn new(init: &Init, width: usize, plan: blueprint::Norm) -> Self {
        let bias = (plan.kind == NormKind::Layer).then(|| init.constant("bias", [width], 0.0));
        Self {
            weight: init.constant("weight", [width], 1.0),
            bias,
            plan,
        }
    }

    /// # Shapes
    /// `[rows, width]` to `[rows, width]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self.plan.kind {
            NormKind::Rms => op::rms_norm(x, self.weight.val(), self.plan.eps),
            NormKind::Layer => {
                let bias = self.bias.as_ref().map(Param::val);
                op::layer_norm(x, self.weight.val(), bias, self.plan.eps)
            }
        }
    }
}
