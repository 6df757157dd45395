//! One text from another.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::causal::{gather, ids_tensor};
use super::{Head, Network};
use crate::blueprint::{Blueprint, Seq2SeqHead};
use crate::generate::cache::Cache;
use crate::noise::Noise;
use crate::op;
use crate::part::{Embeddings, Init, Linear, LinearVisitor, Memory, Stack, site};
use crate::tokens::{Targets, Tokens};

/// A model that reads a text with an encoder and writes another with a decoder that looks at what the encoder found.
///
/// Encoder, decoder and last projection share one embedding of the tokens; what a checkpoint keeps apart is a parameter
/// of its own.
#[derive(Module, Debug)]
pub struct Seq2Seq {
    /// Token ids to hidden states, for all that has no embedding of its own.
    pub embeddings: Embeddings,
    /// The encoder's own embedding, where it is another one.
    pub encoder_embeddings: Option<Embeddings>,
    /// The encoder's blocks.
    pub stack: Stack,
    /// The decoder's own embedding, where it is another one.
    pub decoder_embeddings: Option<Embeddings>,
    /// The decoder's blocks.
    pub decoder: Stack,
    /// Hidden states to the vocabulary; `None` when that is the embedding of the tokens.
    pub head: Option<Linear>,
    scale: f64,
    start: Option<u32>,
}

/// Which parameters of a [`Seq2Seq`] are apart from the embedding that it shares otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Apart {
    /// The encoder's embedding.
    pub encoder: bool,
    /// The decoder's embedding.
    pub decoder: bool,
    /// The projection to the vocabulary.
    pub head: bool,
}

impl Seq2Seq {
    /// A model with random weights; `plan` is that of the encoder.
    pub fn new(init: &Init, plan: &Blueprint, head: Seq2SeqHead, apart: Apart) -> Self {
        let embeddings = |name: &str| Embeddings::new(&init.at(name), plan);
        let vocabulary = plan.embedding.vocabulary;
        let linear = || Linear::new(&init.at("head"), plan.width, vocabulary, false);
        Self {
            embeddings: embeddings("embeddings"),
            encoder_embeddings: apart.encoder.then(|| embeddings("encoder_embeddings")),
            stack: Stack::new(&init.at("stack"), plan),
            decoder_embeddings: apart.decoder.then(|| embeddings("decoder_embeddings")),
            decoder: Stack::decoder(&init.at("decoder"), &plan.decoder(head.depth)),
            head: apart.head.then(linear),
            scale: head.scale,
            start: head.start,
        }
    }

    /// Where the parameters lie.
    pub fn device(&self) -> Device {
        self.embeddings.tokens.weight.lazy_device()
    }

    /// The token that stands before every answer, where the configuration names it.
    pub fn start(&self) -> Option<u32> {
        self.start
    }

    /// The longest text that the positions allow, in tokens; `None` when the arithmetic has no limit.
    pub fn longest(&self) -> Option<usize> {
        self.embeddings.longest()
    }

    /// The encoder's hidden states after the last norm.
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch * length, width]`.
    pub fn encode(&self, tokens: &Tokens, noise: Noise) -> Tensor<2> {
        let embeddings = self.encoder_embeddings.as_ref();
        let x = embeddings
            .unwrap_or(&self.embeddings)
            .forward(tokens, noise);
        self.stack.forward(x, tokens, noise, None)
    }

    /// What the decoder sees of a text: made once, then used for every token of the answer.
    ///
    /// # Arguments
    /// - `tokens`: the text, one document in each row
    ///
    /// # Panics
    /// When a row holds several documents.
    pub fn memory(&self, tokens: &Tokens, noise: Noise) -> Memory {
        assert!(
            tokens.spans.iter().all(|row| row.len() <= 1),
            "an encoder's rows hold one document each; packed rows cannot be told apart by a decoder"
        );
        let hidden = self.encode(tokens, noise);
        let noise = noise.site(site::DECODER);
        self.decoder.memory(&hidden, tokens, noise)
    }

    /// The decoder's hidden states, ready for the vocabulary.
    ///
    /// # Arguments
    /// - `tokens`: the answer so far, with the start token before it
    /// - `cache`: keys and values of what the decoder read before; those of `tokens` are added
    ///
    /// # Shapes
    /// Tokens `[batch, length]` to `[batch * length, width]`.
    pub fn decode(
        &self,
        tokens: &Tokens,
        memory: &Memory,
        noise: Noise,
        cache: Option<&mut Cache>,
    ) -> Tensor<2> {
        let noise = noise.site(site::DECODER);
        let embeddings = self.decoder_embeddings.as_ref();
        let x = embeddings
            .unwrap_or(&self.embeddings)
            .forward(tokens, noise);
        let x = self
            .decoder
            .forward_with(x, tokens, noise, cache, Some(memory));
        // Exactly 1 is no multiplication.
        if self.scale.to_bits() == 1f64.to_bits() {
            x
        } else {
            x * self.scale
        }
    }

    /// Unnormalised log-probabilities of every token of the vocabulary.
    ///
    /// For generation; a loss asks [`Self::log_probs`], which never holds the logits of a whole batch.
    ///
    /// # Shapes
    /// `[rows, width]` to `[rows, vocabulary]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.head {
            Some(head) => head.forward(hidden, Noise::off()),
            None => op::linear(hidden, self.embeddings.tokens.transposed(), None),
        }
    }

    /// The log-probability of each target, in the order of the targets.
    ///
    /// # Arguments
    /// - `source`: what the encoder reads
    /// - `answer`: what the decoder reads, the start token before it
    /// - `targets`: places in `answer`; a place predicts the token after it
    ///
    /// # Shapes
    /// `[targets]`.
    ///
    /// # Panics
    /// When there is no target, a place lies outside the batch, or a row of the source holds several documents.
    pub fn log_probs(
        &self,
        source: &Tokens,
        answer: &Tokens,
        targets: &Targets,
        noise: Noise,
    ) -> Tensor<1> {
        let memory = self.memory(source, noise);
        let hidden = self.decode(answer, &memory, noise, None);
        let hidden = gather(hidden, &targets.places);
        let ids = ids_tensor(&targets.ids, &hidden);
        if let Some(head) = &self.head {
            return head.log_probs(hidden, ids, None, noise.site(site::HEAD));
        }
        let weight = self.embeddings.tokens.transposed();
        op::log_probs(hidden, weight, None, ids, None)
    }
}

impl Network for Seq2Seq {
    const HEAD: Head = Head::Seq2Seq;

    fn linears(&mut self, visit: &mut LinearVisitor<'_>) {
        self.stack.linears("stack", visit);
        self.decoder.linears("decoder", visit);
        if let Some(head) = &mut self.head {
            visit("head", head);
        }
    }
}
