//! Hidden states without a head, and one vector for a text.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Head, Network, pooler};
use crate::blueprint::{Blueprint, Place};
use crate::noise::Noise;
use crate::part::{Embeddings, Init, LinearVisitor, Stack};
use crate::tokens::Tokens;

/// The part that all models of a family share: token ids to hidden states.
#[derive(Module, Debug)]
pub struct Trunk {
    /// Token ids to hidden states.
    pub embeddings: Embeddings,
    /// The blocks.
    pub stack: Stack,
}

impl Trunk {
    /// A trunk with random weights.
    pub fn new(init: &Init, plan: &Blueprint) -> Self {
        Self {
            embeddings: Embeddings::new(&init.at("embeddings"), plan),
            stack: Stack::new(&init.at("stack"), plan),
        }
    }

    /// Hidden states after the last norm.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch * length, width]`.
    pub fn hidden(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        let x = self.embeddings.forward(tokens, noise);
        self.stack.forward(x, tokens, noise, None)
    }

    /// One vector for every row.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch, width]`.
    pub fn pooled(&self, tokens: &Tokens, place: Place, noise: Noise) -> Tensor<2> {
        pooler::standing(self.hidden(tokens, noise), tokens, place)
    }

    /// One vector of length 1 for every row, so that a product of two is the cosine of the angle between them.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch, width]`.
    pub fn embed(&self, tokens: &Tokens, place: Place, noise: Noise) -> Tensor<2> {
        let x = self.pooled(tokens, place, noise);
        let length = x.clone().square().sum_dim(1).sqrt();
        // As torch's `normalize`: a vector of zeros stays one.
        x / length.clamp_min(1e-12)
    }
}

impl Network for Trunk {
    const HEAD: Head = Head::Trunk;

    fn linears(&mut self, visit: &mut LinearVisitor<'_>) {
        self.embeddings.linears("embeddings", visit);
        self.stack.linears("stack", visit);
    }
}
