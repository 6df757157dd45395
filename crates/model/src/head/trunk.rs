//! Hidden states without a head, and one vector for a text.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::causal::gather;
use super::{Head, Network};
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

/// How the hidden states of a row become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean over the text; padding does not count.
    Mean,
    /// The one of the first or the last token.
    At(Place),
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
    pub fn pooled(&self, tokens: &Tokens, pooling: Pooling, noise: Noise) -> Tensor<2> {
        let x = self.hidden(tokens, noise);
        match pooling {
            Pooling::Mean => mean(x, tokens),
            Pooling::At(Place::First) => gather(x, &tokens.first_places()),
            Pooling::At(Place::Last) => gather(x, &tokens.last_places()),
        }
    }

    /// One vector of length 1 for every row, so that a product of two is the cosine of the angle between them.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch, width]`.
    pub fn embed(&self, tokens: &Tokens, pooling: Pooling, noise: Noise) -> Tensor<2> {
        let x = self.pooled(tokens, pooling, noise);
        let length = x.clone().square().sum_dim(1).sqrt();
        // As torch's `normalize`: a vector of zeros stays one.
        x / length.clamp_min(1e-12)
    }
}

/// The mean over the places of text; zeros where a row has none.
fn mean(x: Tensor<2>, tokens: &Tokens) -> Tensor<2> {
    let [_, width] = x.dims();
    let (batch, length) = (tokens.batch(), tokens.length());
    let mut shares = vec![0.0_f32; batch * length];
    for (row, shares) in tokens.spans.iter().zip(shares.chunks_mut(length)) {
        let count: u32 = row.iter().map(|span| span.end - span.start).sum();
        for span in row {
            shares[span.start as usize..span.end as usize].fill(1.0 / count as f32);
        }
    }
    let shares = TensorData::new(shares, [batch, length, 1]);
    let shares: Tensor<3> = Tensor::from_data(shares, (&x.device(), x.dtype()));
    (x.reshape([batch, length, width]) * shares)
        .sum_dim(1)
        .reshape([batch, width])
}

impl Network for Trunk {
    const HEAD: Head = Head::Trunk;

    fn linears(&mut self, visit: &mut LinearVisitor<'_>) {
        self.embeddings.linears("embeddings", visit);
        self.stack.linears("stack", visit);
    }
}
