//! The class of every token.

use burn::module::Module;
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;

use super::causal::{gather, ids_tensor};
use super::pooler::{self, pooled};
use super::{Head, Network};
use crate::blueprint::{self, Blueprint, TokenClassifierHead};
use crate::noise::Noise;
use crate::op;
use crate::part::{Embeddings, Init, Linear, LinearVisitor, Norm, Stack, site};
use crate::tokens::{Targets, Tokens};

/// A model that predicts the class of every token.
#[derive(Module, Debug)]
pub struct TokenClassifier {
    /// Token ids to hidden states.
    pub embeddings: Embeddings,
    /// The blocks.
    pub stack: Stack,
    /// One more projection of the hidden states.
    pub pooler: Option<Linear>,
    /// The norm after it.
    pub norm: Option<Norm>,
    /// Width to classes.
    pub head: Linear,
    #[module(skip)]
    pooling: Option<blueprint::Pooler>,
    dropout: f64,
}

impl TokenClassifier {
    /// A model with random weights.
    pub fn new(init: &Init, plan: &Blueprint, head: TokenClassifierHead) -> Self {
        let width = plan.width;
        let (pooler, norm) = pooler::layers(init, width, head.pooler);
        Self {
            embeddings: Embeddings::new(&init.at("embeddings"), plan),
            stack: Stack::new(&init.at("stack"), plan),
            pooler,
            norm,
            head: Linear::new(&init.at("head"), width, head.labels, head.bias),
            pooling: head.pooler,
            dropout: head.dropout,
        }
    }

    /// Unnormalised log-probabilities of the classes of every token.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch * length, labels]`.
    pub fn logits(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        self.classes(self.hidden(tokens, noise), noise)
    }

    /// The log-probability of each target's class, in the order of the targets. A place is one whose class is known,
    /// and an id the number of that class.
    ///
    /// # Shapes
    /// `[targets]`.
    ///
    /// # Panics
    /// When there is no target, or a place lies outside the batch.
    pub fn log_probs(&self, tokens: &Tokens, targets: &Targets, noise: Noise) -> Tensor<1> {
        let hidden = gather(self.hidden(tokens, noise), &targets.places);
        let ids = ids_tensor(&targets.ids, &hidden).reshape([targets.len(), 1]);
        let logits = self.classes(hidden, noise);
        log_softmax(logits, 1)
            .gather(1, ids)
            .reshape([targets.len()])
    }

    fn hidden(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        let x = self.embeddings.forward(tokens, noise);
        self.stack.forward(x, tokens, noise, None)
    }

    fn classes(&self, x: Tensor<2>, noise: Noise) -> Tensor<2> {
        let noise = noise.site(site::HEAD);
        let layers = (self.pooler.as_ref(), self.norm.as_ref());
        let x = pooled(x, layers, self.pooling, noise);
        let x = op::dropout(x, self.dropout, noise.site(1));
        self.head.forward(x, noise.site(2))
    }
}

impl Network for TokenClassifier {
    const HEAD: Head = Head::TokenClassifier;

    fn linears(&mut self, visit: &mut LinearVisitor<'_>) {
        self.embeddings.linears("embeddings", visit);
        self.stack.linears("stack", visit);
        if let Some(pooler) = &mut self.pooler {
            visit("pooler", pooler);
        }
        visit("head", &mut self.head);
    }
}
