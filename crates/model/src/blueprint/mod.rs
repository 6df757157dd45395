//! What a trunk is made of: the numbers that a family's `config.json` leads to.
//!
//! One trunk serves every family. What only some families know is a variant that owns its fields, so that no field is
//! ever without meaning; a family that needs more adds a variant.

mod attention;
mod heads;
mod position;

use std::ops::Range;

use crate::op::Activation;

pub use attention::{Attention, AttentionBias, QueryKeyNorm, Scale};
pub use heads::{
    Again, CausalHead, ClassifierHead, DiscriminatorHead, Heads, MaskedHead, Place, Pooler,
    Predicts, Projection, Recall, Seq2SeqHead, TokenClassifierHead,
};
pub use position::{Distance, Position, Relative, Rotary, Scaling};

/// The plan of a trunk: embeddings and a stack of blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// Features of the hidden state.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Who sees whom.
    pub direction: Direction,
    /// What turns token ids into hidden states.
    pub embedding: Embedding,
    /// How a token knows where it stands.
    pub position: Position,
    /// How tokens look at each other.
    pub attention: Attention,
    /// What happens to each token alone.
    pub feed_forward: FeedForward,
    /// The kind of normalisation.
    pub norm: Norm,
    /// Where the normalisation stands in a block.
    pub residual: Residual,
    /// How much is dropped while training.
    pub dropout: Dropout,
}

impl Blueprint {
    /// The longest text that the positions allow; `None` when the arithmetic has no limit.
    pub fn longest(&self) -> Option<usize> {
        match self.position {
            Position::Learned { length, first } => Some(length.saturating_sub(first)),
            Position::Rotary(_)
            | Position::Alibi
            | Position::Distance(_)
            | Position::Relative(_) => None,
        }
    }

    /// The same plan for a decoder beside this encoder.
    pub fn decoder(&self, depth: usize) -> Self {
        Self {
            depth,
            direction: Direction::Causal,
            ..self.clone()
        }
    }

    /// The numbers of the blocks.
    pub fn blocks(&self) -> Range<usize> {
        0..self.depth
    }

    /// How many numbers the parameters of the trunk are, without allocating any; used to refuse what is absurd.
    pub fn parameters(&self) -> u128 {
        let (width, depth) = (self.width as u128, self.depth as u128);
        let attention = &self.attention;
        let queries = (attention.heads * attention.head_width) as u128;
        let keys = (attention.groups * attention.head_width) as u128;
        let distances = match self.position {
            Position::Relative(_) => width * queries,
            _ => 0,
        };
        let matrices = match self.feed_forward.kind {
            FeedForwardKind::Plain => 2,
            FeedForwardKind::Gated => 3,
        };
        let block = 2 * width * (queries + keys)
            + distances
            + matrices * width * self.feed_forward.inner as u128;
        let rows = self.embedding.vocabulary
            + self.embedding.kinds.unwrap_or(0)
            + self.longest().unwrap_or(0);
        depth * block + width * rows as u128
    }
}

/// Who sees whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// A token sees itself and what stands before it.
    Causal,
    /// A token sees its whole document.
    Both,
}

/// What turns token ids into hidden states.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// Number of token ids.
    pub vocabulary: usize,
    /// Number of segments that are told apart (the two texts of a pair), for families that know them.
    pub kinds: Option<usize>,
    /// Features of these vectors where they are not those of the hidden state: a projection leads from one to the
    /// other.
    pub width: Option<usize>,
    /// What the tokens' vectors are multiplied by, for families whose reference does so.
    pub scale: Option<f64>,
    /// Whether the sum of the embeddings is normalised.
    pub norm: bool,
    /// The token whose vector is not trained by being read, for families whose reference says so. (It is trained as an
    /// output where the head is the embedding.)
    pub padding: Option<usize>,
}

/// The same in every block, or one value per block.
#[derive(Debug, Clone, PartialEq)]
pub enum Each<T> {
    /// The same in every block.
    Same(T),
    /// One value per block, from the first on.
    Own(Vec<T>),
}

impl<T> Each<T> {
    /// The value of one block, counted from 0.
    ///
    /// # Panics
    /// When the values are fewer than the blocks.
    pub fn of(&self, block: usize) -> &T {
        match self {
            Self::Same(value) => value,
            Self::Own(values) => &values[block],
        }
    }
}

/// What happens to each token alone.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedForward {
    /// Features between the two projections.
    pub inner: usize,
    /// The function between them.
    pub activation: Activation,
    /// How it is applied.
    pub kind: FeedForwardKind,
    /// Whether the projections have a bias.
    pub bias: bool,
}

/// The shape of a feed-forward part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedForwardKind {
    /// `down(activation(up(x)))`.
    Plain,
    /// `down(activation(gate(x)) · up(x))`.
    Gated,
}

/// A normalisation over the features of a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Norm {
    /// The formula.
    pub kind: NormKind,
    /// Added to the mean square or the variance.
    pub eps: f64,
}

/// The formula of a normalisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormKind {
    /// `x / sqrt(mean(x²) + eps) · weight` (Zhang & Sennrich 2019).
    Rms,
    /// The same with `1 + weight` (Gemma).
    RmsFromOne,
    /// `(x - mean) / sqrt(variance + eps) · weight + bias` (Ba et al. 2016).
    Layer,
    /// The same without the bias.
    LayerWithoutBias,
}

/// Where the normalisation stands in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// `x + part(norm(x))`, and one more norm after the last block.
    PreNorm,
    /// The same, but the first block's attention takes `x` as it comes: the embeddings are normalised already.
    PreNormFromSecond,
    /// `norm(x + part(x))`.
    PostNorm,
    /// `x + attention(norm(x)) + feed_forward(norm'(x))`, and one more norm after the last block.
    Parallel,
    /// `n + part(n)` with `n = norm(x)`, and one more norm after the last block.
    NormedStream,
    /// `x + norm(part(x))`, and one more norm after the last block.
    OutputNorm,
    /// `x + norm'(part(norm(x)))`, and one more norm after the last block.
    Sandwich,
}

impl Residual {
    /// Whether a norm follows the last block.
    pub fn ends_with_norm(self) -> bool {
        self != Self::PostNorm
    }
}

/// Rates of dropout, each in `0..1`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Dropout {
    /// On the embeddings, and on the sines and cosines of relative positions.
    pub embedding: f64,
    /// On the attention's probabilities.
    pub attention: f64,
    /// On what attention adds to the residual stream.
    pub attended: f64,
    /// On what the feed-forward part adds to it.
    pub fed: f64,
    /// Inside the feed-forward part, before its last projection.
    pub inner: f64,
    /// On what comes out of the last block and the norm after it.
    pub last: f64,
}

/// The spread of new random weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Spread {
    /// The same for every layer of a kind.
    Fixed {
        /// Standard deviation of weights.
        weights: f64,
        /// Standard deviation of the projections that write into the residual stream.
        residual: f64,
    },
    /// By the size of what comes in, for attention that does not scale its scores (Raffel et al. 2020).
    ByInput {
        /// Standard deviation of embeddings. A projection has this divided by the root of its input's features, that
        /// of queries also by the root of a head's.
        factor: f64,
    },
}

impl Spread {
    /// The same for all weights.
    pub fn even(weights: f64) -> Self {
        Self::Fixed {
            weights,
            residual: weights,
        }
    }
}
