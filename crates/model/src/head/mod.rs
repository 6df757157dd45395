//! Whole models: a trunk with a head.

mod causal;
mod classifier;
mod masked;
mod trunk;

use std::fmt;

use burn::module::Module;

use crate::part::LinearVisitor;

pub use causal::CausalLm;
pub use classifier::Classifier;
pub use masked::MaskedLm;
pub use trunk::{Pooling, Trunk};

/// What a model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Head {
    /// The next token.
    Causal,
    /// The class of a text.
    Classifier,
    /// Hidden tokens.
    Masked,
    /// Nothing: the hidden states themselves.
    Trunk,
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Causal => "causal",
            Self::Classifier => "classifier",
            Self::Masked => "masked",
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
