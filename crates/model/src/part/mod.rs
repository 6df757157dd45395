//! The parts of a trunk: modules that hold parameters and no state between calls.
//!
//! Hidden states are flat, `[rows, width]` with `rows = batch * length`; only attention sees batches and heads.

pub mod attention;
pub mod block;
pub mod distance;
pub mod embeddings;
pub mod feed_forward;
pub mod init;
pub mod linear;
pub mod norm;
pub mod position;
pub mod relative;
pub mod stack;

pub use attention::Attention;
pub use block::{Across, Block};
pub use distance::Distances;
pub use embeddings::{Embedding, Embeddings};
pub use feed_forward::FeedForward;
pub use init::Init;
pub use linear::{Linear, Lora};
pub use norm::Norm;
pub use position::Angles;
pub use relative::Relative;
pub use stack::{Memory, Stack};

/// Visits linear layers by path; see [`crate::head::Network::linears`].
pub type LinearVisitor<'a> = dyn FnMut(&str, &mut Linear) + 'a;

/// Numbers of the places that draw noise inside a block or an embedding, so that no two share a stream.
pub(crate) mod site {
    pub(crate) const QUERY: u64 = 0;
    pub(crate) const KEY: u64 = 1;
    pub(crate) const VALUE: u64 = 2;
    pub(crate) const OUTPUT: u64 = 3;
    pub(crate) const PROBABILITIES: u64 = 4;
    pub(crate) const AFTER_ATTENTION: u64 = 5;
    pub(crate) const GATE: u64 = 6;
    pub(crate) const UP: u64 = 7;
    pub(crate) const DOWN: u64 = 8;
    pub(crate) const AFTER_FEED_FORWARD: u64 = 9;
    /// Before the feed-forward part's last projection.
    pub(crate) const INNER: u64 = 10;
    /// All of what looks at another text.
    pub(crate) const ACROSS: u64 = 11;
    /// The projection of distances.
    pub(crate) const DISTANCE: u64 = 12;
    /// All of these once more, for a second stream.
    pub(crate) const SECOND: u64 = 13;
    /// Everything before the first block; blocks are numbered from 0.
    pub(crate) const EMBEDDINGS: u64 = 1 << 32;
    /// Everything after the last block.
    pub(crate) const HEAD: u64 = (1 << 32) + 1;
    /// After the last block and its norm.
    pub(crate) const LAST: u64 = (1 << 32) + 2;
    /// All of a decoder that stands beside an encoder.
    pub(crate) const DECODER: u64 = (1 << 32) + 3;
    /// What the blocks share about distances.
    pub(crate) const OFFSETS: u64 = (1 << 32) + 4;
    /// What a second stream begins with.
    pub(crate) const OPENED: u64 = (1 << 32) + 5;
}
