//! A stretch of a row that is tokenized at once.
//!
//! The steps are those of the tokenizers crate (added tokens, normalizer, normalized added tokens, pre-tokenizer,
//! model), run here one by one, because that crate knows no difference between a template's text and a record's.

use std::ops::Range;

use tokenizers::normalizer::Range as Part;
use tokenizers::{
    Encoding, Model, NormalizedString, Normalizer, OffsetType, PreTokenizedString, PreTokenizer,
    Token,
};

use crate::error::{DataError, Place, quoted};

use super::Inner;
use super::added::{Found, Match};

/// A text that is tokenized at once, and who wrote which part of it.
#[derive(Default)]
pub(super) struct Stretch {
    pub(super) text: String,
    /// For each piece: where it ends, whether it is learned, whether the template wrote it.
    ends: Vec<(usize, bool, bool)>,
    /// Tokens that stand fast.
    fixed: Vec<Match>,
}

impl Stretch {
    pub(super) fn add(&mut self, text: &str, learn: bool, literal: bool) {
        if !text.is_empty() {
            self.text.push_str(text);
            self.ends.push((self.text.len(), learn, literal));
        }
    }

    pub(super) fn fix(&mut self, id: u32, token: &str, learn: bool) {
        let start = self.text.len();
        self.add(token, learn, true);
        self.fixed.push(Match {
            range: start..self.text.len(),
            id,
        });
    }

    /// The number of the piece in which a byte lies.
    fn piece(&self, byte: usize) -> usize {
        self.ends.partition_point(|(end, _, _)| *end <= byte)
    }

    /// The pieces in which a range lies.
    fn pieces(&self, range: &Range<usize>) -> &[(usize, bool, bool)] {
        let last = range.end.saturating_sub(1).max(range.start);
        let pieces = self.piece(range.start)..=self.piece(last);
        self.ends.get(pieces).unwrap_or(&[])
    }

    /// Whether one of these bytes is learned.
    pub(super) fn is_learned(&self, range: &Range<usize>) -> bool {
        self.pieces(range).iter().any(|(_, learn, _)| *learn)
    }

    /// Whether the template wrote all of these bytes.
    fn is_literal(&self, range: &Range<usize>) -> bool {
        let pieces = self.pieces(range);
        !pieces.is_empty() && pieces.iter().all(|(_, _, literal)| *literal)
    }

    /// The tokens that stand fast with those that were found beside them.
    fn with_fixed(&self, found: Vec<Match>) -> Vec<Match> {
        if self.fixed.is_empty() {
            return found;
        }
        let apart =
            |a: &Match, b: &Match| a.range.end <= b.range.start || b.range.end <= a.range.start;
        let mut tokens: Vec<Match> = found
            .into_iter()
            .filter(|token| self.fixed.iter().all(|fixed| apart(token, fixed)))
            .chain(self.fixed.iter().cloned())
            .collect();
        tokens.sort_by_key(|token| token.range.start);
        tokens
    }
}

impl Inner {
    pub(super) fn encoding(
        &self,
        stretch: &Stretch,
        hits: &mut usize,
    ) -> tokenizers::Result<Encoding> {
        let mut text = PreTokenizedString::from(stretch.text.as_str());
        let found = self
            .added
            .find(&stretch.text, |range| stretch.is_literal(&range));
        *hits += found.hits;
        let tokens = stretch.with_fixed(found.tokens);
        text.split(|_, whole| slices(whole, &tokens))?;
        let normalizer = self.tokenizer.get_normalizer();
        if normalizer.is_some() || self.added.has_normalized() {
            text.split(|_, mut slice| {
                if let Some(normalizer) = normalizer {
                    normalizer.normalize(&mut slice)?;
                }
                let Found { tokens, hits: more } =
                    self.added.find_normalized(slice.get(), |range| {
                        stretch.is_literal(&original(&slice, range))
                    });
                *hits += more;
                slices(slice, &tokens)
            })?;
        }
        if let Some(pre_tokenizer) = self.tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut text)?;
        }
        text.tokenize(|word| self.word(word, stretch))?;
        text.into_encoding(None, 0, OffsetType::Byte)
    }

    /// The tokens of a word, none of them a control token that the record wrote.
    fn word(&self, word: &NormalizedString, stretch: &Stretch) -> tokenizers::Result<Vec<Token>> {
        let model = self.tokenizer.get_model();
        let unknown = |range: Range<usize>| {
            let place = original(word, range);
            let text = stretch.text.get(place.clone()).unwrap_or_default();
            Box::new(DataError::UnknownToken {
                place: Place::default(),
                text: quoted(text),
                byte: place.start,
            })
        };
        let tokens = model.tokenize(word.get()).map_err(|error| {
            // The models have but one complaint about a text: that it is unknown, and no token is for that.
            if self.unknown.is_none() {
                unknown(0..word.get().len()) as tokenizers::Error
            } else {
                error
            }
        })?;
        if self.drops {
            let mut place = 0;
            for token in &tokens {
                if token.offsets.0 != place {
                    break;
                }
                place = token.offsets.1;
            }
            if place < word.get().len() {
                let length = word.get()[place..].chars().next().map_or(1, char::len_utf8);
                return Err(unknown(place..place + length));
            }
        }
        let forged = |token: &Token| {
            let control = self.added.is_control(token.id) && Some(token.id) != self.unknown;
            control && !stretch.is_literal(&original(word, token.offsets.0..token.offsets.1))
        };
        if !tokens.iter().any(forged) {
            return Ok(tokens);
        }
        // The vocabulary itself has the control token, and the record spelt it: take it character by character.
        let mut spelt = Vec::with_capacity(tokens.len() + 8);
        for token in tokens {
            if !forged(&token) {
                spelt.push(token);
                continue;
            }
            let (start, end) = token.offsets;
            for (place, character) in word.get()[start..end].char_indices() {
                let place = start + place;
                for mut token in model.tokenize(character.encode_utf8(&mut [0; 4]))? {
                    token.offsets = (place + token.offsets.0, place + token.offsets.1);
                    if forged(&token) {
                        return Err(unknown(place..place + character.len_utf8()));
                    }
                    spelt.push(token);
                }
            }
        }
        Ok(spelt)
    }
}

/// Cuts a text into tokens that were found and what lies between them.
fn slices(
    text: NormalizedString,
    tokens: &[Match],
) -> tokenizers::Result<Vec<(NormalizedString, Option<Vec<Token>>)>> {
    if tokens.is_empty() {
        return Ok(vec![(text, None)]);
    }
    let slice = |range: Range<usize>| {
        let message = "a token does not end between characters";
        text.slice(Part::Normalized(range))
            .ok_or_else(|| tokenizers::Error::from(message))
    };
    let mut parts = Vec::with_capacity(2 * tokens.len() + 1);
    let mut place = 0;
    for token in tokens {
        if place < token.range.start {
            parts.push((slice(place..token.range.start)?, None));
        }
        let part = slice(token.range.clone())?;
        let value = part.get().to_owned();
        let length = value.len();
        parts.push((part, Some(vec![Token::new(token.id, value, (0, length))])));
        place = token.range.end;
    }
    if place < text.get().len() {
        parts.push((slice(place..text.get().len())?, None));
    }
    Ok(parts)
}

/// Where a range of normalized text stands in the text as it was.
fn original(text: &NormalizedString, range: Range<usize>) -> Range<usize> {
    let (start, end) = text.offsets_original();
    match text.convert_offsets(Part::Normalized(range)) {
        Some(range) => start + range.start..start + range.end,
        None => start..end,
    }
}
