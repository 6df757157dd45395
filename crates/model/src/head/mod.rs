//! Whole models: a trunk with a head.

mod causal;
mod classifier;
mod discriminator;
mod masked;
mod pooler;
mod seq2seq;
mod token_classifier;
mod trunk;

use std::fmt;

use burn::module::Module;

use crate::part::LinearVisitor;

pub use causal::CausalLm;
pub use classifier::Classifier;
pub use discriminator::Discriminator;
pub use masked::MaskedLm;
pub use seq2seq::{Apart, Seq2Seq};
pub use token_classifier::TokenClassifier;
pub use trunk::Trunk;

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Head {
    /// The next token.
    Causal,
    /// The class of a text.
    Classifier,
    /// The class of every token.
    TokenClassifier,
    /// Hidden tokens.
    Masked,
    /// Nothing: the hidden states themselves.
    Trunk,
    /// One text from another.
    Seq2Seq,
    /// Which tokens were replaced.
    Discriminator,
}

impl Head {
    /// Whether the head is made for a task of one's own: pretrained trunks come without it.
    pub fn is_for_a_task(self) -> bool {
        matches!(self, Self::Classifier | Self::TokenClassifier)
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Causal => "causal",
            Self::Classifier => "classifier",
            Self::TokenClassifier => "token-classifier",
            Self::Masked => "masked",
            Self::Seq2Seq => "seq2seq",
            Self::Discriminator => "discriminator",
            Self::Trunk => "trunk",
        })
    }
}

/// A model that a [`crate::checkpoint::Checkpoint`] can save.
///
/// It says which head the model has, so that the right names are written, and lets adapters find its linear layers.
/// What a model computes is not part of it: every head answers its own question.
pub trait Network: Module {
    /// What the model predicts.
    const HEAD: Head;
    /// The path of the layer that makes the output, where it is a layer of its own. Adapters of "all linear" layers
    /// leave it out.
    const OUTPUT: &'static str = "head";

    /// Visits every linear layer with its path, such as `stack.blocks.0.attention.query`.
    fn linears(&mut self, visit: &mut LinearVisitor<'_>);
}
