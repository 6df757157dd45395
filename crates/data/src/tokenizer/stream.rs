//! Text that is written while its tokens are made.

use crate::error::Result;

use super::Tokenizer;

/// Turns ids that come one by one into text, holding back what is not yet whole characters.
///
/// Joined, what it gives is what [`Tokenizer::decode`] gives for all ids at once.
#[derive(Debug, Clone)]
pub struct Stream<'a> {
    tokenizer: &'a Tokenizer,
    ids: Vec<u32>,
    /// Ids before this one only give those after it their context (the space before a word, for instance).
    context: usize,
    /// Ids before this one have been given out.
    done: usize,
}

impl<'a> Stream<'a> {
    pub(super) fn new(tokenizer: &'a Tokenizer) -> Self {
        Self {
            tokenizer,
            ids: Vec::new(),
            context: 0,
            done: 0,
        }
    }

    /// Takes the next id. `None` while the text so far ends within a character.
    ///
    /// # Errors
    ///
    /// What the decoder says.
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.ids.push(id);
        self.take(false)
    }

    /// What was held back, at the end.
    ///
    /// # Errors
    ///
    /// What the decoder says.
    pub fn finish(mut self) -> Result<Option<String>> {
        self.take(true)
    }

    fn take(&mut self, last: bool) -> Result<Option<String>> {
        let before = self.tokenizer.decode(&self.ids[self.context..self.done])?;
        let with = self.tokenizer.decode(&self.ids[self.context..])?;
        let partial = with.ends_with('\u{FFFD}') && !last;
        if partial || with.len() <= before.len() {
            return Ok(None);
        }
        let Some(new) = with.strip_prefix(before.as_str()) else {
            // The decoder changed its mind about what is out already; wait for more.
            return Ok(None);
        };
        let new = new.to_owned();
        self.context = self.done;
        self.done = self.ids.len();
        Ok(Some(new))
    }
}
