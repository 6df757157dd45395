//! What happens to each token alone.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Init, Linear, LinearVisitor, site};
use crate::blueprint::{Blueprint, FeedForwardKind};
use crate::noise::Noise;
use crate::op;

/// Two projections with a function between them, or three where one of them is a gate.
#[derive(Module, Debug)]
pub struct FeedForward {
    /// Width to inner width, through the activation, where the part is gated.
    pub gate: Option<Linear>,
    /// Width to inner width.
    pub up: Linear,
    /// Inner width to width.
    pub down: Linear,
    #[module(skip)]
    activation: op::Activation,
    dropout: f64,
}

impl FeedForward {
    /// A part with random weights.
    pub fn new(init: &Init, plan: &Blueprint) -> Self {
        let (width, dropout, plan) = (plan.width, plan.dropout.inner, &plan.feed_forward);
        let gated = plan.kind == FeedForwardKind::Gated;
        let linear = |init: &Init, input, output| Linear::new(init, input, output, plan.bias);
        Self {
            gate: gated.then(|| linear(&init.at("gate"), width, plan.inner)),
            up: linear(&init.at("up"), width, plan.inner),
            down: linear(&init.at_residual("down"), plan.inner, width),
            activation: plan.activation,
            dropout,
        }
    }

    /// # Shapes
    /// `[rows, width]` to `[rows, width]`.
    pub fn forward(&self, x: Tensor<2>, noise: Noise) -> Tensor<2> {
        let inner = match &self.gate {
            Some(gate) => {
                let gate = gate.forward(x.clone(), noise.site(site::GATE));
                let up = self.up.forward(x, noise.site(site::UP));
                op::gate(gate, up, self.activation)
            }
            None => op::activate(self.up.forward(x, noise.site(site::UP)), self.activation),
        };
        let inner = op::dropout(inner, self.dropout, noise.site(site::INNER));
        self.down.forward(inner, noise.site(site::DOWN))
    }

    pub(crate) fn linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) {
        if let Some(gate) = &mut self.gate {
            visit(&format!("{path}.gate"), gate);
        }
        visit(&format!("{path}.up"), &mut self.up);
        visit(&format!("{path}.down"), &mut self.down);
    }
}
