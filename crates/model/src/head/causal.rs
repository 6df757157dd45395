//! The next token.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use super::{Head, Network};
use crate::blueprint::{Blueprint, CausalHead};
use crate::generate::cache::Cache;
use crate::noise::Noise;
use crate::op;
use crate::part::{Embeddings, Init, Linear, LinearVisitor, Stack, site};
use crate::tokens::{Targets, Tokens, int_tensor};

/// A language model that predicts the next token.
#[derive(Module, Debug)]
pub struct CausalLm {
    /// Token ids to hidden states.
    pub embeddings: Embeddings,
    /// The blocks.
    pub stack: Stack,
    /// Hidden states to the vocabulary; `None` when that is the embedding of the tokens.
    pub head: Option<Linear>,
    cap: Option<f64>,
}

impl CausalLm {
    /// A model with random weights.
    pub fn new(init: &Init, plan: &Blueprint, head: CausalHead) -> Self {
        let vocabulary = plan.embedding.vocabulary;
        let linear = || Linear::new(&init.at("head"), plan.width, vocabulary, false);
        Self {
            embeddings: Embeddings::new(&init.at("embeddings"), plan),
            stack: Stack::new(&init.at("stack"), plan),
            head: (!head.tied).then(linear),
            cap: head.cap,
        }
    }

    /// Where the parameters lie.
    pub fn device(&self) -> Device {
        self.embeddings.tokens.weight.lazy_device()
    }

    /// The longest text that the positions allow, in tokens; `None` when the arithmetic has no limit.
    pub fn longest(&self) -> Option<usize> {
        self.embeddings.longest()
    }

    /// Hidden states after the last norm.
    ///
    /// # Arguments
    /// - `cache`: keys and values of what was read before; those of `tokens` are added
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch * length, width]`.
    pub fn hidden(&self, tokens: &Tokens, noise: Noise, cache: Option<&mut Cache>) -> Tensor<2> {
        let x = self.embeddings.forward(tokens, noise);
        self.stack.forward(x, tokens, noise, cache)
    }

    /// Unnormalised log-probabilities of every token of the vocabulary.
    ///
    /// For generation; a loss asks [`Self::log_probs`], which never holds the logits of a whole batch.
    ///
    /// # Shapes
    /// `[rows, width]` to `[rows, vocabulary]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let logits = match &self.head {
            Some(head) => head.forward(hidden, Noise::off()),
            None => op::linear(hidden, self.embeddings.tokens.transposed(), None),
        };
        match self.cap {
            Some(cap) => op::bound(logits, cap),
            None => logits,
        }
    }

    /// The log-probability of each target, in the order of the targets.
    ///
    /// # Shapes
    /// `[targets]`.
    ///
    /// # Panics
    /// When there is no target, or a place lies outside the batch.
    pub fn log_probs(&self, tokens: &Tokens, targets: &Targets, noise: Noise) -> Tensor<1> {
        let hidden = self.hidden(tokens, noise, None);
        self.log_probs_of(gather(hidden, &targets.places), &targets.ids, noise)
    }

    /// The log-probability of one id for each hidden state.
    ///
    /// # Shapes
    /// Hidden states `[targets, width]` to `[targets]`.
    pub fn log_probs_of(&self, hidden: Tensor<2>, ids: &[u32], noise: Noise) -> Tensor<1> {
        let ids = ids_tensor(ids, &hidden);
        if let Some(head) = &self.head {
            return head.log_probs(hidden, ids, self.cap, noise.site(site::HEAD));
        }
        let weight = self.embeddings.tokens.transposed();
        op::log_probs(hidden, weight, None, ids, self.cap)
    }
}

impl Network for CausalLm {
    const HEAD: Head = Head::Causal;

    fn linears(&mut self, visit: &mut LinearVisitor<'_>) {
        self.embeddings.linears("embeddings", visit);
        self.stack.linears("stack", visit);
        if let Some(head) = &mut self.head {
            visit("head", head);
        }
    }
}

/// The rows of `hidden` at the given places.
pub(super) fn gather(hidden: Tensor<2>, places: &[u32]) -> Tensor<2> {
    assert!(!places.is_empty(), "at least one target is needed");
    let of = ids_tensor(places, &hidden);
    // As an embedding: its gradient is a deterministic scatter.
    op::embed(hidden, of)
}

pub(super) fn ids_tensor(ids: &[u32], like: &Tensor<2>) -> Tensor<1, Int> {
    let ids: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
    let count = ids.len();
    int_tensor(ids, [count], &like.device())
}
