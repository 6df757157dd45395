//! How long a text is, in tokens or characters.

use text_splitter::TryChunkSizer;

use crate::error::{DataError, Result};
use crate::tokenizer::Tokenizer;

/// A text with more bytes per token than this is longer than allowed, whatever the tokenizer would say. Words have 4
/// to 5; without a bound, a search in a long text would tokenize the whole of it at every step.
const BYTES_PER_TOKEN: usize = 64;

/// A unit of length, with the greatest length of a chunk.
#[derive(Debug, Clone)]
pub(super) struct Measure {
    pub(super) limit: usize,
    unit: Unit,
}

#[derive(Debug, Clone)]
enum Unit {
    Characters,
    Tokens(Tokenizer),
}

impl Measure {
    pub(super) fn tokens(tokenizer: &Tokenizer, limit: usize) -> Self {
        let unit = Unit::Tokens(tokenizer.clone());
        Self { limit, unit }
    }

    pub(super) fn characters(limit: usize) -> Self {
        let unit = Unit::Characters;
        Self { limit, unit }
    }

    /// The same unit with another limit.
    pub(super) fn limited(&self, limit: usize) -> Self {
        let unit = self.unit.clone();
        Self { limit, unit }
    }

    /// Whether a text is no longer than a chunk may be.
    pub(super) fn fits(&self, text: &str) -> Result<bool> {
        Ok(self.length(text)? <= self.limit)
    }

    /// The length, or something greater than the limit for a text that is surely longer.
    pub(super) fn length(&self, text: &str) -> Result<usize> {
        match &self.unit {
            Unit::Characters => Ok(text.chars().count()),
            Unit::Tokens(_) if text.len() / BYTES_PER_TOKEN > self.limit => {
                Ok(text.len() / BYTES_PER_TOKEN)
            }
            Unit::Tokens(tokenizer) => Ok(tokenizer.encode(text)?.len()),
        }
    }
}

impl TryChunkSizer for Measure {
    type Error = DataError;

    fn try_size(&self, text: &str) -> Result<usize> {
        self.length(text)
    }
}
