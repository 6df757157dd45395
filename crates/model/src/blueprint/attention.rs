//! How tokens look at each other.

use super::{Each, Norm};

/// How tokens look at each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Number of query heads.
    pub heads: usize,
    /// Number of key and value heads; divides `heads`.
    pub groups: usize,
    /// Features of a head.
    pub head_width: usize,
    /// Which projections have a bias.
    pub bias: AttentionBias,
    /// What the scores are multiplied by.
    pub scale: Scale,
    /// What happens to queries and keys before they meet.
    pub norm: QueryKeyNorm,
    /// A bound `c` on the scores, as `c · tanh(score / c)`, where there is one.
    pub cap: Option<f64>,
    /// How many places a token sees, itself included; `None`: all.
    pub window: Each<Option<usize>>,
}

/// Normalisation of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QueryKeyNorm {
    /// None.
    None,
    /// Each head by itself, with weights that the heads share.
    Heads(Norm),
    /// All heads together.
    Whole(Norm),
}

/// Which projections of an attention have a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionBias {
    /// None of them.
    None,
    /// Query, key and value.
    Inputs,
    /// Query, key, value and output.
    All,
}

impl AttentionBias {
    /// Whether query, key and value have one.
    pub fn of_inputs(self) -> bool {
        self != Self::None
    }

    /// Whether the output has one.
    pub fn of_output(self) -> bool {
        self == Self::All
    }
}

/// What attention scores are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// The same in every block.
    Same(f64),
    /// Divided by the number of the block, counted from 1.
    ByDepth(f64),
}

impl Scale {
    /// The factor of one block, counted from 0.
    pub fn of(self, block: usize) -> f64 {
        match self {
            Self::Same(factor) => factor,
            Self::ByDepth(factor) => factor / (block + 1) as f64,
        }
    }
}
