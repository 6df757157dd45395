//! Which tokens were replaced.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};

use super::causal::gather;
use super::{Head, Network};
use crate::blueprint::{Blueprint, DiscriminatorHead};
use crate::noise::Noise;
use crate::op::{self, Activation};
use crate::part::{Embeddings, Init, Linear, LinearVisitor, Stack, site};
use crate::tokens::{Targets, Tokens};

/// A model that predicts of every token whether another one stood in its place (Clark et al. 2020).
#[derive(Module, Debug)]
pub struct Discriminator {
    /// Token ids to hidden states.
    pub embeddings: Embeddings,
    /// The blocks.
    pub stack: Stack,
    /// Width to width.
    pub transform: Linear,
    /// Width to one number.
    pub head: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Discriminator {
    /// A model with random weights.
    pub fn new(init: &Init, plan: &Blueprint, head: DiscriminatorHead) -> Self {
        let width = plan.width;
        Self {
            embeddings: Embeddings::new(&init.at("embeddings"), plan),
            stack: Stack::new(&init.at("stack"), plan),
            transform: Linear::new(&init.at("transform"), width, width, true),
            head: Linear::new(&init.at("head"), width, 1, true),
            activation: head.activation,
        }
    }

    /// The logarithm of the odds that a token was replaced.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to the same.
    pub fn logits(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        let x = self.hidden(tokens, noise);
        self.odds(x, noise)
            .reshape([tokens.batch(), tokens.length()])
    }

    /// The log-probability of each target, in the order of the targets. A place is one that is judged, and an id is 1
    /// where the token was replaced and 0 where it was not.
    ///
    /// # Shapes
    /// `[targets]`.
    ///
    /// # Panics
    /// When there is no target, or a place lies outside the batch.
    pub fn log_probs(&self, tokens: &Tokens, targets: &Targets, noise: Noise) -> Tensor<1> {
        let hidden = gather(self.hidden(tokens, noise), &targets.places);
        let signs = targets
            .ids
            .iter()
            .map(|id| if *id == 0 { -1.0 } else { 1.0 });
        let signs = TensorData::new(signs.collect::<Vec<f32>>(), [targets.len(), 1]);
        let signs = Tensor::from_data(signs, (&hidden.device(), hidden.dtype()));
        let odds = self.odds(hidden, noise) * signs;
        log_sigmoid(odds).reshape([targets.len()])
    }

    fn hidden(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        let x = self.embeddings.forward(tokens, noise);
        self.stack.forward(x, tokens, noise, None)
    }

    /// `[rows, width]` to `[rows, 1]`.
    fn odds(&self, x: Tensor<2>, noise: Noise) -> Tensor<2> {
        let noise = noise.site(site::HEAD);
        let x = self.transform.forward(x, noise.site(0));
        let x = op::activate(x, self.activation);
        self.head.forward(x, noise.site(1))
    }
}

impl Network for Discriminator {
    const HEAD: Head = Head::Discriminator;
    // PEFT knows no output here, and adapts both layers.
    const OUTPUT: &'static str = "";

    fn linears(&mut self, visit: &mut LinearVisitor<'_>) {
        self.embeddings.linears("embeddings", visit);
        self.stack.linears("stack", visit);
        visit("transform", &mut self.transform);
        visit("head", &mut self.head);
    }
}

/// `-log(1 + exp(-x))` without overflow: `min(x, 0) - log(1 + exp(-|x|))`.
fn log_sigmoid(x: Tensor<2>) -> Tensor<2> {
    let tail = x.clone().abs().neg().exp().log1p();
    x.clamp_max(0.0) - tail
}
