//! What has been read of the rows of a batch.

use burn::tensor::Tensor;

use super::cache::Cache;
use super::within::Within;
use crate::blueprint::Reading;
use crate::error::Result;
use crate::head::CausalLm;
use crate::noise::Noise;
use crate::tokens::{Side, Tokens};

/// The texts that a batch continues, as far as the model has read them.
pub(super) enum Reader {
    /// Each token is read once.
    Before {
        /// What is read next.
        tokens: Tokens,
        /// What was read.
        cache: Cache,
    },
    /// Tokens are read again as the text grows.
    Within(Within),
}

impl Reader {
    /// # Arguments
    /// - `room`: how many tokens will be added at most
    pub(super) fn new(model: &CausalLm, texts: Vec<Vec<u32>>, room: usize) -> Result<Self> {
        if model.reading() != Reading::Before {
            return Ok(Self::Within(Within::new(texts)));
        }
        let rows: Vec<Vec<Vec<u32>>> = texts.into_iter().map(|text| vec![text]).collect();
        let tokens = Tokens::new(&rows, None, Side::Left, 0, &model.device())?;
        let cache = Cache::with_room(tokens.length() + room);
        Ok(Self::Before { tokens, cache })
    }

    /// The logits of what comes after each row, `[rows, vocabulary]`.
    pub(super) fn logits(&mut self, model: &CausalLm) -> Result<Tensor<2>> {
        let (tokens, cache) = match self {
            Self::Within(within) => return within.logits(model),
            Self::Before { tokens, cache } => (tokens, cache),
        };
        let hidden = model.hidden(tokens, Noise::off(), Some(cache));
        let [_, width] = hidden.dims();
        let (batch, length) = (tokens.batch(), tokens.length());
        let last: Tensor<2> = hidden
            .reshape([batch, length, width])
            .narrow(1, length - 1, 1)
            .reshape([batch, width]);
        Ok(model.logits(last))
    }

    /// Keeps the given rows.
    pub(super) fn select(&mut self, rows: &[u32]) {
        match self {
            Self::Within(within) => within.select(rows),
            Self::Before { tokens, cache } => {
                cache.select(rows);
                *tokens = tokens.select(rows);
            }
        }
    }

    /// Adds a token to each row.
    pub(super) fn extend(&mut self, ids: &[u32]) -> Result<()> {
        match self {
            Self::Within(within) => within.extend(ids),
            Self::Before { tokens, .. } => *tokens = tokens.next(ids)?,
        }
        Ok(())
    }
}
