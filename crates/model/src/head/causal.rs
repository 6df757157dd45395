//! The next token.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::{Head, Network};
use crate::blueprint::{Blueprint, CausalHead, Predicts};
use crate::generate::cache::Cache;
use crate::noise::Noise;
use crate::op;
use crate::part::stack::{Kept, Second, View};
use crate::part::{Embeddings, Init, Linear, LinearVisitor, Stack, site};
use crate::tokens::{Order, Targets, Tokens, int_tensor};

/// A language model that predicts the next token.
#[derive(Module, Debug)]
pub struct CausalLm {
    /// Token ids to hidden states.
    pub embeddings: Embeddings,
    /// The blocks.
    pub stack: Stack,
    /// Hidden states to the vocabulary; `None` when that is the embedding of the tokens.
    pub head: Option<Linear>,
    /// Added to the logits where the head is the embedding, `[vocabulary]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Where the second stream begins at every place, `[1, 1, width]`, in models that have one.
    pub open: Option<Param<Tensor<3>>>,
    cap: Option<f64>,
    dropout: f64,
    #[module(skip)]
    predicts: Predicts,
}

impl CausalLm {
    /// A model with random weights.
    pub fn new(init: &Init, plan: &Blueprint, head: CausalHead) -> Self {
        let vocabulary = plan.embedding.vocabulary;
        let linear = || Linear::new(&init.at("head"), plan.width, vocabulary, head.bias);
        let own_bias = head.tied && head.bias;
        let open = head.predicts != Predicts::Next;
        Self {
            embeddings: Embeddings::new(&init.at("embeddings"), plan),
            stack: Stack::new(&init.at("stack"), plan),
            head: (!head.tied).then(linear),
            bias: own_bias.then(|| init.constant("bias", [vocabulary], 0.0)),
            open: open.then(|| init.vectors("open", [1, 1, plan.width])),
            cap: head.cap,
            dropout: plan.dropout.embedding,
            predicts: head.predicts,
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

    /// Which token the hidden state of a place predicts.
    pub fn predicts(&self) -> Predicts {
        self.predicts
    }

    /// Whether it reads documents with [branches](Tokens::branched): every causal model whose attention is told
    /// positions by their place in the text alone, and not by distances in the row or by how long the text becomes.
    pub fn takes_branches(&self) -> bool {
        self.predicts == Predicts::Next && self.stack.takes_branches()
    }

    /// Hidden states after the last norm; that of a place knows what comes after it.
    ///
    /// Where the model reads with a second stream this is that of the place after it, in the order of the text: each
    /// place is asked without seeing itself and what follows. (The reference has no such pass; what it computes is
    /// [`Self::ordered`].)
    ///
    /// # Arguments
    /// - `cache`: keys and values of what was read before; those of `tokens` are added
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch * length, width]`.
    ///
    /// # Panics
    /// When a cache is given to a model with a second stream, whose first stream would have seen other things; when
    /// tokens with branches are given to a model that does not [take](Self::takes_branches) them, or with a cache.
    pub fn hidden(&self, tokens: &Tokens, noise: Noise, cache: Option<&mut Cache>) -> Tensor<2> {
        if self.open.is_none() {
            let x = self.embeddings.forward(tokens, noise);
            return self.stack.forward(x, tokens, noise, cache);
        }
        assert!(
            cache.is_none(),
            "a model with a second stream reads whole texts"
        );
        let view = View {
            forwards: true,
            ..View::default()
        };
        let x = self.asked(
            &tokens.with_open_place(),
            &view,
            noise,
            &mut Kept::default(),
        );
        let (batch, length, width) = (tokens.batch(), tokens.length(), x.dims()[1]);
        let x = x.reshape([batch, length + 1, width]);
        x.narrow(1, 1, length).reshape([batch * length, width])
    }

    /// Hidden states as transformers has them for XLNet: those of the predictions that an order asks for, or of every
    /// place, which then saw itself, where it asks for none.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch * predictions, width]` or `[batch * length, width]`.
    ///
    /// # Panics
    /// When the model has no second stream, or the order is that of other tokens.
    pub fn ordered(&self, tokens: &Tokens, order: &Order, noise: Noise) -> Tensor<2> {
        let (hidden, asked) = order.parts(tokens);
        let view = View {
            hidden,
            ..View::default()
        };
        let x = self.embeddings.forward(tokens, noise);
        let Some(asked) = asked else {
            let x = self.stack.viewed(x, (tokens, &view), noise);
            // What nothing is asked with has a gradient of zero.
            let [_, width] = x.dims();
            return x + self.beginning().reshape([1, width]) * 0.0;
        };
        let rows = asked.dims()[0] * asked.dims()[1];
        let second = Second {
            x: self.opened(rows, noise),
            asked: Some(asked.cast(x.dtype())),
        };
        let kept = &mut Kept::default();
        self.stack.asked(x, second, (tokens, &view), noise, kept)
    }

    /// The hidden states of the second stream at every place.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch * length, width]`.
    pub(crate) fn asked(
        &self,
        tokens: &Tokens,
        view: &View,
        noise: Noise,
        kept: &mut Kept,
    ) -> Tensor<2> {
        let x = self.embeddings.forward(tokens, noise);
        let second = Second {
            x: self.opened(tokens.batch() * tokens.length(), noise),
            asked: None,
        };
        self.stack.asked(x, second, (tokens, view), noise, kept)
    }

    /// Rows of what the second stream begins with.
    fn opened(&self, rows: usize, noise: Noise) -> Tensor<2> {
        let open = self.beginning();
        let width = open.dims()[2];
        let x = open.reshape([1, width]).expand([rows, width]);
        op::dropout(x, self.dropout, noise.site(site::OPENED))
    }

    fn beginning(&self) -> Tensor<3> {
        let open = self.open.as_ref();
        open.expect("only models with a second stream are asked")
            .val()
    }

    /// Unnormalised log-probabilities of every token of the vocabulary.
    ///
    /// For generation; a loss asks [`Self::log_probs`], which never holds the logits of a whole batch.
    ///
    /// # Shapes
    /// `[rows, width]` to `[rows, vocabulary]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let logits = if let Some(head) = &self.head {
            head.forward(hidden, Noise::off())
        } else {
            let bias = self.bias.as_ref().map(Param::val);
            op::linear(hidden, self.embeddings.tokens.transposed(), bias)
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

    /// The same for hidden states that are [ordered](Self::ordered): each target is that of its own row.
    ///
    /// # Arguments
    /// - `targets`: their places are rows of the hidden states
    ///
    /// # Shapes
    /// `[targets]`.
    ///
    /// # Panics
    /// When there is no target or no such row, and as [`Self::ordered`].
    pub fn ordered_log_probs(
        &self,
        tokens: &Tokens,
        order: &Order,
        targets: &Targets,
        noise: Noise,
    ) -> Tensor<1> {
        let hidden = self.ordered(tokens, order, noise);
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
        let bias = self.bias.as_ref().map(Param::val);
        op::log_probs(hidden, weight, bias, ids, self.cap)
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
