//! Pieces of a row to ids.
//!
//! The steps are those of the tokenizers crate (added tokens, normalizer, normalized added tokens, pre-tokenizer,
//! model), run here one by one, because that crate knows no difference between a template's text and a record's.

use std::ops::Range;

use tokenizers::normalizer::Range as Part;
use tokenizers::{
    Encoding, Model, NormalizedString, Normalizer, OffsetType, PreTokenizedString, PreTokenizer,
    Token,
};

use crate::encode::Encoded;
use crate::error::{DataError, Place, Result, quoted};
use crate::template::{Piece, Source};

use super::added::{Found, Match};
use super::{Frame, Inner, Tokenizer, guarded};

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

/// A text that is tokenized at once, and who wrote which part of it.
#[derive(Default)]
struct Stretch {
    text: String,
    /// For each piece: where it ends, whether it is learned, whether the template wrote it.
    ends: Vec<(usize, bool, bool)>,
    /// Tokens that stand fast.
    fixed: Vec<Match>,
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

    /// The tokens of one text, or of two, between the special tokens that the tokenizer puts around them (`[CLS]`,
    /// `[SEP]`), with their kinds. Texts longer than `length` in all lose tokens at their ends, the longer one first.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(
        &self,
        text: &str,
        pair: Option<&str>,
        length: Option<usize>,
    ) -> Result<Encoded> {
        let frame = if pair.is_some() {
            &self.inner.pair
        } else {
            &self.inner.single
        };
        let mut first = self.encode(text)?;
        let mut second = pair.map_or(Ok(Vec::new()), |pair| self.encode(pair))?;
        if let Some(length) = length {
            let (a, b) = share(
                first.len(),
                second.len(),
                length.saturating_sub(frame.len(pair.is_some())),
            );
            first.truncate(a);
            second.truncate(b);
        }
        let mut encoded = Encoded::default();
        encoded.extend(&frame.before);
        encoded.extend_from(first, frame.kinds[0]);
        if pair.is_some() {
            encoded.extend(&frame.between);
            encoded.extend_from(second, frame.kinds[1]);
        }
        encoded.extend(&frame.after);
        Ok(encoded)
    }

    /// The ids that the tokenizer puts before a text of its own accord, such as its BOS token.
    pub fn prefix(&self) -> Vec<u32> {
        self.inner.single.before.iter().map(|&(id, _)| id).collect()
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

impl Stretch {
    fn add(&mut self, text: &str, learn: bool, literal: bool) {
        if !text.is_empty() {
            self.text.push_str(text);
            self.ends.push((self.text.len(), learn, literal));
        }
    }

    fn fix(&mut self, id: u32, token: &str, learn: bool) {
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
    fn is_learned(&self, range: &Range<usize>) -> bool {
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
    fn encoding(&self, stretch: &Stretch, hits: &mut usize) -> tokenizers::Result<Encoding> {
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

impl Frame {
    /// How many special tokens there are.
    fn len(&self, pair: bool) -> usize {
        self.before.len() + self.after.len() + if pair { self.between.len() } else { 0 }
    }
}

impl Encoded {
    fn push(&mut self, id: u32, learn: bool, kind: u32) {
        self.ids.push(id);
        self.learn.push(learn);
        self.kinds.push(kind);
    }

    fn extend(&mut self, tokens: &[(u32, u32)]) {
        for &(id, kind) in tokens {
            self.push(id, false, kind);
        }
    }

    fn extend_from(&mut self, ids: Vec<u32>, kind: u32) {
        for id in ids {
            self.push(id, false, kind);
        }
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

/// How many tokens of two texts are kept so that both have room: the longer one gives first.
fn share(first: usize, second: usize, room: usize) -> (usize, usize) {
    if first + second <= room {
        return (first, second);
    }
    let shorter = first.min(second);
    let (short, long) = if 2 * shorter <= room {
        (shorter, room - shorter)
    } else {
        (room / 2, room - room / 2)
    };
    if first > second {
        (long, short)
    } else {
        (short, long)
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn the_longer_text_gives_first() {
        for (first, second, room, expected) in [
            (3, 4, 10, (3, 4)),
            (2, 10, 6, (2, 4)),
            (10, 2, 6, (4, 2)),
            (9, 9, 7, (3, 4)),
            (9, 8, 7, (4, 3)),
            (5, 0, 3, (3, 0)),
            (0, 5, 3, (0, 3)),
        ] {
            assert_eq!(share(first, second, room), expected);
        }
    }
}
