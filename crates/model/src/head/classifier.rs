//! The class of a text.

use burn::module::Module;
use burn::tensor::Tensor;

use super::causal::gather;
use super::pooler::{self, pooled};
use super::{Head, Network};
use crate::blueprint::{self, Again, Blueprint, ClassifierHead, Place};
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
    /// The blocks that read the text once more, where the family does so.
    pub decoder: Option<Stack>,
    /// One more projection of the hidden state that stands for the text.
    pub pooler: Option<Linear>,
    /// The norm after it.
    pub norm: Option<Norm>,
    /// Width to classes.
    pub head: Linear,
    #[module(skip)]
    again: Option<Again>,
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
        let decoder =
            |again: Again| Stack::decoder(&init.at("decoder"), &plan.decoder(again.depth));
        Self {
            embeddings: Embeddings::new(&init.at("embeddings"), plan),
            stack: Stack::new(&init.at("stack"), plan),
            decoder: head.again.map(decoder),
            pooler,
            norm,
            head: Linear::new(&init.at("head"), width, head.labels, head.bias),
            again: head.again,
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
        let mut x = match (&self.decoder, self.again) {
            (Some(decoder), Some(again)) => gather(
                self.read_again(&x, tokens, (decoder, again), noise),
                &tokens.ends(again.end),
            ),
            _ => pooler::standing(x, tokens, self.place),
        };
        let noise = noise.site(site::HEAD);
        let layers = (self.pooler.as_ref(), self.norm.as_ref());
        x = pooled(x, layers, self.pooling, noise);
        x = op::dropout(x, self.dropout, noise.site(1));
        self.head.forward(x, noise.site(2))
    }

    /// The decoder's hidden states.
    ///
    /// # Shapes
    /// The encoder's, `[batch * length, width]`, to the same.
    fn read_again(
        &self,
        encoded: &Tensor<2>,
        tokens: &Tokens,
        (decoder, again): (&Stack, Again),
        noise: Noise,
    ) -> Tensor<2> {
        let noise = noise.site(site::DECODER);
        let memory = decoder.memory(encoded, tokens, noise);
        let later = tokens.behind(again.start);
        let x = self.embeddings.forward(&later, noise);
        decoder.forward_with(x, &later, noise, None, Some(&memory))
    }
}

impl Network for Classifier {
    const HEAD: Head = Head::Classifier;

    fn linears(&mut self, visit: &mut LinearVisitor<'_>) {
        self.embeddings.linears("embeddings", visit);
        self.stack.linears("stack", visit);
        if let Some(decoder) = &mut self.decoder {
            decoder.linears("decoder", visit);
        }
        if let Some(pooler) = &mut self.pooler {
            visit("pooler", pooler);
        }
        visit("head", &mut self.head);
    }
}
