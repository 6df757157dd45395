//! The special tokens that a tokenizer puts around texts.

use std::path::Path;

use tokenizers::{Encoding, PostProcessor, Token};

use crate::encode::Encoded;
use crate::error::{DataError, Place, Result};

use super::folder::Folder;
use super::{Tokenizer, guarded};

/// The ids that the post-processor puts before, between and after texts, each with its kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) before: Vec<(u32, u32)>,
    between: Vec<(u32, u32)>,
    after: Vec<(u32, u32)>,
    /// The kinds of the first and the second text's tokens.
    kinds: [u32; 2],
}

impl Tokenizer {
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

    /// The tokens of a text that is split into words already, between the special tokens that the tokenizer puts around
    /// a text. Every word is tokenized by itself, as transformers does with `is_split_into_words`. A row longer than
    /// `length` loses tokens at its end.
    ///
    /// # Returns
    ///
    /// The tokens, and for each of them the number of the word that begins with it; `None` for the other tokens of a
    /// word and for special tokens. That is where a label of the word goes. A word of which no token is left has none.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_words(
        &self,
        words: &[impl AsRef<str>],
        length: Option<usize>,
    ) -> Result<(Encoded, Vec<Option<usize>>)> {
        let frame = &self.inner.single;
        let mut tokens = Vec::new();
        for (number, word) in words.iter().enumerate() {
            let ids = self.encode(word.as_ref())?.into_iter().enumerate();
            tokens.extend(ids.map(|(place, id)| (id, (place == 0).then_some(number))));
        }
        if let Some(length) = length {
            tokens.truncate(length.saturating_sub(frame.len(false)));
        }
        let (ids, first): (Vec<u32>, Vec<Option<usize>>) = tokens.into_iter().unzip();
        let mut encoded = Encoded::default();
        encoded.extend(&frame.before);
        encoded.extend_from(ids, frame.kinds[0]);
        encoded.extend(&frame.after);
        let around = |tokens: &[(u32, u32)]| vec![None; tokens.len()];
        let first = [around(&frame.before), first, around(&frame.after)].concat();
        Ok((encoded, first))
    }

    /// The ids that the tokenizer puts before a text of its own accord, such as its BOS token.
    pub fn prefix(&self) -> Vec<u32> {
        self.inner.single.before.iter().map(|&(id, _)| id).collect()
    }

    /// The ids that the tokenizer puts behind a text of its own accord, such as its EOS token.
    pub fn suffix(&self) -> Vec<u32> {
        self.inner.single.after.iter().map(|&(id, _)| id).collect()
    }
}

impl Frame {
    /// How many special tokens there are.
    fn len(&self, pair: bool) -> usize {
        self.before.len() + self.after.len() + if pair { self.between.len() } else { 0 }
    }
}

/// What is put around one text and around two.
pub(super) fn frames(
    path: &Path,
    tokenizer: &tokenizers::Tokenizer,
    folder: &Folder,
    bos: Option<u32>,
    eos: Option<u32>,
) -> Result<(Frame, Frame)> {
    if folder.add_bos.is_some() || folder.add_eos.is_some() {
        // The configuration overrules the post-processor.
        let first = bos.filter(|_| folder.add_bos == Some(true));
        let last = eos.filter(|_| folder.add_eos == Some(true));
        let frame = |kind: u32| Frame {
            before: first.map(|id| (id, 0)).into_iter().collect(),
            between: last
                .map(|id| (id, 0))
                .into_iter()
                .chain(first.map(|id| (id, 1)))
                .collect(),
            after: last.map(|id| (id, kind)).into_iter().collect(),
            kinds: [0, 1],
        };
        return Ok((frame(0), frame(1)));
    }
    let Some(processor) = tokenizer.get_post_processor() else {
        let bare = |second: u32| Frame {
            kinds: [0, second],
            ..Frame::default()
        };
        return Ok((bare(0), bare(1)));
    };
    let process = |count: usize| {
        guarded(path, || {
            let text = || Encoding::from_tokens(vec![Token::new(0, "x".to_owned(), (0, 1))], 0);
            let texts = (0..count).map(|_| text()).collect();
            let framed = processor.process_encodings(texts, true)?;
            Ok(Encoding::merge(framed, false))
        })
        .and_then(|encoding| frame(path, &encoding, count))
    };
    Ok((process(1)?, process(2)?))
}

/// Reads a frame off an encoding whose texts have one token each.
fn frame(path: &Path, encoding: &Encoding, count: usize) -> Result<Frame> {
    let mut frame = Frame::default();
    let mut texts = 0;
    let tokens = encoding.get_ids().iter().zip(encoding.get_type_ids());
    for ((&id, &kind), &special) in tokens.zip(encoding.get_special_tokens_mask()) {
        if special == 0 {
            if let Some(place) = frame.kinds.get_mut(texts) {
                *place = kind;
            }
            texts += 1;
        } else {
            match texts {
                0 => frame.before.push((id, kind)),
                1 if count == 2 => frame.between.push((id, kind)),
                _ => frame.after.push((id, kind)),
            }
        }
    }
    if texts != count {
        return Err(DataError::TokenizerInvalid {
            place: Place::file(path),
            message: format!("post_processor: renders {texts} of {count} texts"),
        });
    }
    Ok(frame)
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
