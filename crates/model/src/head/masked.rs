//! Hidden tokens.

use burn::module::{Module, Param};
use burn::tensor::Tensor;

use super::causal::{gather, ids_tensor};
use super::{Head, Network};
use crate::blueprint::{Blueprint, MaskedHead};
use crate::noise::Noise;
use crate::op::{self, Activation};
use crate::part::{Embeddings, Init, Linear, LinearVisitor, Norm, Stack, site};
use crate::tokens::{Targets, Tokens};

/// A model that predicts tokens from both sides.
#[derive(Module, Debug)]
pub struct MaskedLm {
    /// Token ids to hidden states.
    pub embeddings: Embeddings,
    /// The blocks.
    pub stack: Stack,
    /// Width to the width of the embedding, before the vocabulary.
    pub transform: Linear,
    /// The norm after it.
    pub norm: Norm,
    /// To the vocabulary; `None` when that is the embedding of the tokens.
    pub decoder: Option<Linear>,
    /// `[vocabulary]`, where the decoder is the embedding and there is a bias.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    activation: Activation,
}

impl MaskedLm {
    /// A model with random weights.
    pub fn new(init: &Init, plan: &Blueprint, head: MaskedHead) -> Self {
        let vocabulary = plan.embedding.vocabulary;
        // As wide as the embedding, so that the two can be one.
        let width = plan.embedding.width.unwrap_or(plan.width);
        let decoder = || Linear::new(&init.at("decoder"), width, vocabulary, head.bias);
        let transform = init.at("transform");
        Self {
            embeddings: Embeddings::new(&init.at("embeddings"), plan),
            stack: Stack::new(&init.at("stack"), plan),
            transform: Linear::new(&transform, plan.width, width, head.transform_bias),
            norm: Norm::new(&init.at("norm"), width, plan.norm),
            decoder: (!head.tied).then(decoder),
            bias: (head.tied && head.bias).then(|| init.constant("bias", [vocabulary], 0.0)),
            activation: head.activation,
        }
    }

    /// Hidden states, ready for the vocabulary.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch * length, width of the embedding]`.
    pub fn hidden(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        let x = self.embeddings.forward(tokens, noise);
        let x = self.stack.forward(x, tokens, noise, None);
        self.transformed(x, noise)
    }

    /// Unnormalised log-probabilities of every token of the vocabulary.
    ///
    /// # Shapes
    /// `[rows, width of the embedding]` to `[rows, vocabulary]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.decoder {
            Some(decoder) => decoder.forward(hidden, Noise::off()),
            None => op::linear(
                hidden,
                self.embeddings.tokens.transposed(),
                self.bias.as_ref().map(Param::val),
            ),
        }
    }

    /// The log-probability of each target, in the order of the targets. A place predicts itself.
    ///
    /// # Shapes
    /// `[targets]`.
    ///
    /// # Panics
    /// When there is no target, or a place lies outside the batch.
    pub fn log_probs(&self, tokens: &Tokens, targets: &Targets, noise: Noise) -> Tensor<1> {
        let x = self.embeddings.forward(tokens, noise);
        let x = self.stack.forward(x, tokens, noise, None);
        let hidden = self.transformed(gather(x, &targets.places), noise);
        let ids = ids_tensor(&targets.ids, &hidden);
        match &self.decoder {
            Some(decoder) => decoder.log_probs(hidden, ids, None, noise.site(site::HEAD).site(1)),
            None => op::log_probs(
                hidden,
                self.embeddings.tokens.transposed(),
                self.bias.as_ref().map(Param::val),
                ids,
                None,
            ),
        }
    }

    fn transformed(&self, x: Tensor<2>, noise: Noise) -> Tensor<2> {
        let x = self.transform.forward(x, noise.site(site::HEAD).site(0));
        self.norm.forward(op::activate(x, self.activation))
    }
}

impl Network for MaskedLm {
    const HEAD: Head = Head::Masked;
    const OUTPUT: &'static str = "decoder";

    fn linears(&mut self, visit: &mut LinearVisitor<'_>) {
        self.embeddings.linears("embeddings", visit);
        self.stack.linears("stack", visit);
        visit("transform", &mut self.transform);
        if let Some(decoder) = &mut self.decoder {
            visit("decoder", decoder);
        }
    }
}
