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
    /// A normalisation that multiplies by one and adds nothing.
    pub fn new(init: &Init, width: usize, plan: blueprint::Norm) -> Self {
        let bias = (plan.kind == NormKind::Layer).then(|| init.constant("bias", [width], 0.0));
        let one = match plan.kind {
            NormKind::RmsFromOne => 0.0,
            NormKind::Rms | NormKind::Layer | NormKind::LayerWithoutBias => 1.0,
        };
        Self {
            weight: init.constant("weight", [width], one),
            bias,
            plan,
        }
    }

    /// Number of features; computes no lazy value.
    pub fn width(&self) -> usize {
        self.weight.lazy_shape()[0]
    }

    /// The same where there is a norm, over every run of as many features as it has weights.
    ///
    /// # Shapes
    /// `[rows, features]` to the same; the features are a multiple of the width.
    pub(crate) fn maybe(norm: Option<&Self>, x: Tensor<2>) -> Tensor<2> {
        let Some(norm) = norm else {
            return x;
        };
        let [rows, features] = x.dims();
        let width = norm.width();
        let x = norm.forward(x.reshape([rows * features / width, width]));
        x.reshape([rows, features])
    }

    /// # Shapes
    /// `[rows, width]` to `[rows, width]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self.plan.kind {
            NormKind::Rms => op::rms_norm(x, self.weight.val(), self.plan.eps),
            NormKind::RmsFromOne => op::rms_norm(x, self.weight.val() + 1.0, self.plan.eps),
            NormKind::Layer | NormKind::LayerWithoutBias => {
                let bias = self.bias.as_ref().map(Param::val);
                op::layer_norm(x, self.weight.val(), bias, self.plan.eps)
            }
        }
    }
}
