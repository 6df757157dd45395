//! One block: attention, feed-forward, and what stands around them.

use burn::module::Module;
use burn::tensor::Tensor;

use super::attention::Pass;
use super::{Attention, FeedForward, Init, LinearVisitor, Norm, site};
use crate::blueprint::{Blueprint, Residual};
use crate::generate::cache::LayerCache;
use crate::noise::Noise;
use crate::op;

/// Attention and feed-forward, each with a norm, each added to what came in.
#[derive(Module, Debug)]
pub struct Block {
    /// The norm that belongs to the attention.
    pub attention_norm: Norm,
    /// How tokens look at each other.
    pub attention: Attention,
    /// The norm that belongs to the feed-forward part.
    pub feed_forward_norm: Norm,
    /// What happens to each token alone.
    pub feed_forward: FeedForward,
    #[module(skip)]
    residual: Residual,
    dropout: f64,
}

impl Block {
    /// A block with random weights; `number` counts from 0.
    pub fn new(init: &Init, plan: &Blueprint, number: usize) -> Self {
        let width = plan.width;
        let attention = init.at("attention");
        Self {
            attention_norm: Norm::new(&init.at("attention_norm"), width, plan.norm),
            attention: Attention::new(
                &attention,
                width,
                &plan.attention,
                number,
                plan.dropout.attention,
            ),
            feed_forward_norm: Norm::new(&init.at("feed_forward_norm"), width, plan.norm),
            feed_forward: FeedForward::new(&init.at("feed_forward"), width, &plan.feed_forward),
            residual: plan.residual,
            dropout: plan.dropout.residual,
        }
    }

    /// # Shapes
    /// `[batch * length, width]` to the same.
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        pass: &Pass,
        noise: Noise,
        cache: Option<LayerCache<'_>>,
    ) -> Tensor<2> {
        let attend = |x| {
            let seen = self.attention.forward(x, pass, noise, cache);
            op::dropout(seen, self.dropout, noise.site(site::AFTER_ATTENTION))
        };
        let feed = |x| {
            let fed = self.feed_forward.forward(x, noise);
            op::dropout(fed, self.dropout, noise.site(site::AFTER_FEED_FORWARD))
        };
        match self.residual {
            Residual::PreNorm => {
                let x = x.clone() + attend(self.attention_norm.forward(x));
                x.clone() + feed(self.feed_forward_norm.forward(x))
            }
            Residual::PostNorm => {
                let x = self.attention_norm.forward(x.clone() + attend(x));
                self.feed_forward_norm.forward(x.clone() + feed(x))
            }
        }
    }

    pub(crate) fn linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) {
        self.attention.linears(&format!("{path}.attention"), visit);
        self.feed_forward
            .linears(&format!("{path}.feed_forward"), visit);
    }
}
