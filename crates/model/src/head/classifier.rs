//! The class of a text.

use burn::module::Module;
use burn::tensor::Tensor;

use super::pooler::{self, pooled};
use super::{Head, Network};
use crate::blueprint::{self, Blueprint, ClassifierHead, Place};
use crate::noise::Noise;
use crate::op;
use crate::part::{Embeddings, Init, Linear, LinearVisitor, Norm, Stack, site};
use crate::tokens::Tokens;

/// A model that predicts the class of a text, or a number when it has one class.
#[derive(Module, Debug)]
pub struct Classifier {
    /// Token ids to hidden states.
    pub embeddings: Embeddings,
    /// The blocks.
    pub stack: Stack,
    /// One more projection of the hidden state that stands for the text.
    pub pooler: Option<Linear>,
    /// The norm after it.
    pub norm: Option<Norm>,
    /// Width to classes.
    pub head: Linear,
    #[module(skip)]
    place: Place,
    #[module(skip)]
    pooling: Option<blueprint::Pooler>,
    dropout: f64,
}

impl Classifier {
    /// A model with random weights.
    pub fn new(init: &Init, plan: &Blueprint, head: ClassifierHead) -> Self {
        let width = plan.width;
        let (pooler, norm) = pooler::layers(init, width, head.pooler);
        Self {
            embeddings: Embeddings::new(&init.at("embeddings"), plan),
            stack: Stack::new(&init.at("stack"), plan),
            pooler,
            norm,
            head: Linear::new(&init.at("head"), width, head.labels, head.bias),
            place: head.place,
            pooling: head.pooler,
            dropout: head.dropout,
        }
    }

    /// Unnormalised log-probabilities of the classes.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch, labels]`.
    pub fn logits(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        let x = self.embeddings.forward(tokens, noise);
        let x = self.stack.forward(x, tokens, noise, None);
        let mut x = pooler::standing(x, tokens, self.place);
        let noise = noise.site(site::HEAD);
        let layers = (self.pooler.as_ref(), self.norm.as_ref());
        x = pooled(x, layers, self.pooling, noise);
        x = op::dropout(x, self.dropout, noise.site(1));
        self.head.forward(x, noise.site(2))
    }
}

impl Network for Classifier {
    const HEAD: Head = Head::Classifier;

    fn linears(&mut self, visit: &mut LinearVisitor<'_>) {
        self.embeddings.linears("embeddings", visit);
        self.stack.linears("stack", visit);
        if let Some(pooler) = &mut self.pooler {
            visit("pooler", pooler);
        }
        visit("head", &mut self.head);
    }
}
