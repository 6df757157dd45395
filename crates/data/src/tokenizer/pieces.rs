//! Pieces of a row to ids.

use crate::encode::Encoded;
use crate::error::{DataError, Place, Result};
use crate::template::{Piece, Source};

use super::stretch::Stretch;
use super::{Tokenizer, guarded};

/// The longest run of one kind of white space, in bytes. Beyond a million, patterns give up without a word.
const SPACE: usize = 100_000;

/// The ids of pieces, and what was seen on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The tokens.
    pub(crate) encoded: Encoded,
    /// How many control tokens stand in the record's text and were encoded as text.
    pub(crate) hits: usize,
}

impl Tokenizer {
    /// The ids of a text of a record: control tokens are not recognized, and nothing is put before or after it.
    ///
    /// # Errors
    ///
    /// [`DataError::TextTooLong`], [`DataError::UnknownToken`] for a character that the vocabulary cannot write, or
    /// what the tokenizer says.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encode_pieces(&[Piece::text(text)])?.ids)
    }

    /// The tokens of a rendered row. The texts of the pieces are joined and tokenized once; a token is learned if one
    /// of its bytes lies in a learned piece, as in transformers: the first word of an answer is learned even if it is
    /// one token with the space that the prompt ends with. Control tokens come from the template's pieces only.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`]; and [`DataError::TokenizerInvalid`] if an answer shall end and there is no EOS token.
    pub fn encode_pieces(&self, pieces: &[Piece]) -> Result<Encoded> {
        Ok(self.count_pieces(pieces)?.encoded)
    }

    /// As [`Tokenizer::encode_pieces`], with the number of control tokens in the record's text.
    pub(crate) fn count_pieces(&self, pieces: &[Piece]) -> Result<Counted> {
        let mut counted = Counted::default();
        let mut stretch = Stretch::default();
        for piece in pieces {
            match piece.source {
                Source::Begin => {
                    self.flush(&mut stretch, &mut counted)?;
                    for id in self.prefix() {
                        counted.encoded.push(id, piece.learn, 0);
                    }
                }
                Source::End => {
                    let (id, token) = self.end_token()?;
                    stretch.fix(id, &token, piece.learn);
                }
                Source::Template | Source::Text => {
                    stretch.add(&piece.text, piece.learn, piece.source == Source::Template);
                }
            }
        }
        self.flush(&mut stretch, &mut counted)?;
        Ok(counted)
    }

    fn end_token(&self) -> Result<(u32, String)> {
        let id = self.inner.eos.ok_or_else(|| DataError::TokenizerInvalid {
            place: Place::file(&self.inner.path),
            message: "it has no EOS token, with which an answer ends; set eos_token in tokenizer_config.json".to_owned(),
        })?;
        Ok((id, self.token(id).unwrap_or_else(|| "</s>".to_owned())))
    }

    fn flush(&self, stretch: &mut Stretch, counted: &mut Counted) -> Result<()> {
        let stretch = std::mem::take(stretch);
        if stretch.text.is_empty() {
            return Ok(());
        }
        self.fits(&stretch.text)?;
        let mut hits = 0;
        let encoding = guarded(&self.inner.path, || {
            self.inner.encoding(&stretch, &mut hits)
        })?;
        counted.hits += hits;
        for (&id, &(start, end)) in encoding.get_ids().iter().zip(encoding.get_offsets()) {
            counted
                .encoded
                .push(id, stretch.is_learned(&(start..end)), 0);
        }
        Ok(())
    }

    /// # Errors
    ///
    /// If a text is too long for the crates that take it apart.
    fn fits(&self, text: &str) -> Result<()> {
        if text.len() > self.text_limit {
            return Err(DataError::TextTooLong {
                place: Place::default(),
                found: text.len(),
                limit: self.text_limit,
            });
        }
        if text.len() <= SPACE {
            return Ok(());
        }
        let (mut run, mut last) = (0_usize, '\0');
        for character in text.chars() {
            run = if character == last && character.is_whitespace() {
                run + 1
            } else {
                0
            };
            last = character;
            if run > SPACE {
                return Err(DataError::LimitExceeded {
                    place: Place::default(),
                    what: "a run of white space",
                    found: run as u64,
                    limit: SPACE as u64,
                    hint: "Shorten it",
                });
            }
        }
        Ok(())
    }
}

impl Encoded {
    pub(super) fn push(&mut self, id: u32, learn: bool, kind: u32) {
        self.ids.push(id);
        self.learn.push(learn);
        self.kinds.push(kind);
    }

    pub(super) fn extend(&mut self, tokens: &[(u32, u32)]) {
        for &(id, kind) in tokens {
            self.push(id, false, kind);
        }
    }

    pub(super) fn extend_from(&mut self, ids: Vec<u32>, kind: u32) {
        for id in ids {
            self.push(id, false, kind);
        }
    }
}
