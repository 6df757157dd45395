//! Finding added tokens in a text, and telling whose text they stand in.

use std::collections::HashMap;
use std::ops::Range;

use tokenizers::{AddedToken, NormalizedString, Normalizer};

/// The added tokens of a tokenizer.
#[derive(Debug, Default)]
pub(super) struct Added {
    /// Tokens that are looked for in the text as it is.
    raw: Patterns,
    /// Tokens that are looked for in the normalized text.
    normalized: Patterns,
    /// By id: whether a token controls the model. See [`is_control`].
    control: HashMap<u32, bool>,
}

/// A token in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) range: Range<usize>,
    pub(super) id: u32,
}

/// What was found in a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The tokens, in order.
    pub(super) tokens: Vec<Match>,
    /// How many control tokens stand in the record's own text, where they are but text.
    pub(super) hits: usize,
}

/// Whether an added token controls the model, and so must not come from a record.
///
/// Every special token does, and every other one that is more than letters, digits and white space: `<think>` does, a
/// run of spaces or a word that somebody added to the vocabulary does not.
pub(super) fn is_control(token: &AddedToken) -> bool {
    token.special
        || !token
            .content
            .chars()
            .all(|c| c.is_alphanumeric() || c.is_whitespace())
}

impl Added {
    /// # Errors
    ///
    /// What the normalizer says.
    pub(super) fn new(
        tokens: impl IntoIterator<Item = (u32, AddedToken)>,
        normalizer: Option<&impl Normalizer>,
    ) -> tokenizers::Result<Self> {
        let mut added = Self::default();
        for (id, token) in tokens {
            added.control.insert(id, is_control(&token));
            let mut text = token.content.clone();
            let list = if token.normalized {
                if let Some(normalizer) = normalizer {
                    let mut normalized = NormalizedString::from(text.as_str());
                    normalizer.normalize(&mut normalized)?;
                    normalized.get().clone_into(&mut text);
                }
                &mut added.normalized
            } else {
                &mut added.raw
            };
            list.add(text, id, token);
        }
        added.raw.sort();
        added.normalized.sort();
        Ok(added)
    }

    /// Whether a token of this id controls the model.
    pub(super) fn is_control(&self, id: u32) -> bool {
        self.control.get(&id).copied().unwrap_or(false)
    }

    /// Whether any token is looked for in the normalized text.
    pub(super) fn has_normalized(&self) -> bool {
        !self.normalized.list.is_empty()
    }

    /// The tokens in a text as it is. A control token counts only where `is_literal` says that the template wrote it.
    pub(super) fn find(&self, text: &str, is_literal: impl Fn(Range<usize>) -> bool) -> Found {
        self.raw.find(text, is_literal)
    }

    /// The tokens in a normalized text.
    pub(super) fn find_normalized(
        &self,
        text: &str,
        is_literal: impl Fn(Range<usize>) -> bool,
    ) -> Found {
        self.normalized.find(text, is_literal)
    }
}

/// Texts to look for.
#[derive(Debug)]
struct Patterns {
    list: Vec<Pattern>,
    /// By their first byte, the longest first.
    starts: Vec<Vec<usize>>,
}

#[derive(Debug)]
struct Pattern {
    text: String,
    id: u32,
    token: AddedToken,
    control: bool,
}

impl Default for Patterns {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            starts: vec![Vec::new(); 256],
        }
    }
}

impl Patterns {
    fn add(&mut self, text: String, id: u32, token: AddedToken) {
        let Some(&first) = text.as_bytes().first() else {
            return;
        };
        self.starts[usize::from(first)].push(self.list.len());
        let control = is_control(&token);
        self.list.push(Pattern {
            text,
            id,
            token,
            control,
        });
    }

    fn sort(&mut self) {
        let list = &self.list;
        for start in &mut self.starts {
            start.sort_by_key(|&index| (usize::MAX - list[index].text.len(), list[index].id));
        }
    }

    /// Finds tokens as the tokenizers crate does: the leftmost first, of these the longest.
    fn find(&self, text: &str, is_literal: impl Fn(Range<usize>) -> bool) -> Found {
        let mut found = Found::default();
        if self.list.is_empty() {
            return found;
        }
        let bytes = text.as_bytes();
        let mut taken = 0;
        let mut place = 0;
        while place < bytes.len() {
            let mut next = place + 1;
            for &index in &self.starts[usize::from(bytes[place])] {
                let pattern = &self.list[index];
                if !bytes[place..].starts_with(pattern.text.as_bytes()) {
                    continue;
                }
                let end = place + pattern.text.len();
                if pattern.control && !is_literal(place..end) {
                    found.hits += 1;
                    continue;
                }
                next = end;
                if pattern.token.single_word && !is_single(text, place..end) {
                    break;
                }
                let range = pattern.stretch(text, place..end, taken);
                taken = range.end;
                next = range.end;
                found.tokens.push(Match {
                    range,
                    id: pattern.id,
                });
                break;
            }
            place = next;
        }
        found
    }
}

impl Pattern {
    /// The white space that the token takes with it.
    fn stretch(&self, text: &str, range: Range<usize>, taken: usize) -> Range<usize> {
        let Range { mut start, mut end } = range;
        if self.token.lstrip {
            start = text[..start].trim_end().len().max(taken);
        }
        if self.token.rstrip {
            end = text.len() - text[end..].trim_start().len();
        }
        start..end
    }
}

/// Whether neither neighbour of a stretch of text is part of a word.
fn is_single(text: &str, range: Range<usize>) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    !text[..range.start].chars().next_back().is_some_and(is_word)
        && !text[range.end..].chars().next().is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokenizers::NormalizerWrapper;

    fn added(tokens: Vec<AddedToken>) -> Added {
        Added::new((0..).zip(tokens), None::<&NormalizerWrapper>).unwrap()
    }

    fn find(added: &Added, text: &str, literal: Range<usize>) -> (Vec<(usize, usize, u32)>, usize) {
        let found = added.find(text, |range| {
            literal.start <= range.start && range.end <= literal.end
        });
        let tokens = found.tokens.iter();
        let tokens = tokens.map(|found| (found.range.start, found.range.end, found.id));
        (tokens.collect(), found.hits)
    }

    #[test]
    fn control_tokens_count_only_in_literals() {
        let added = added(vec![
            AddedToken::from("<e>", true),
            AddedToken::from("<think>", false).normalized(false),
            AddedToken::from("  ", false).normalized(false),
        ]);
        let text = "<e>  <e><think>";
        assert_eq!(find(&added, text, 0..5), (vec![(0, 3, 0), (3, 5, 2)], 2));
        assert_eq!(
            find(&added, text, 0..15),
            (vec![(0, 3, 0), (3, 5, 2), (5, 8, 0), (8, 15, 1)], 0)
        );
        // One byte of the record's text is enough.
        assert_eq!(find(&added, "<e>", 0..2), (vec![], 1));
    }

    #[test]
    fn the_longest_of_the_leftmost_wins() {
        let added = added(vec![
            AddedToken::from("<a", true),
            AddedToken::from("<ab>", true),
            AddedToken::from("b>", true),
        ]);
        assert_eq!(find(&added, "<ab><ab", 0..7).0, [(0, 4, 1), (4, 6, 0)]);
    }

    #[test]
    fn white_space_and_word_borders_are_those_of_the_token() {
        let added = added(vec![
            AddedToken::from("<m>", true).lstrip(true).rstrip(true),
            AddedToken::from("ab", true).single_word(true),
        ]);
        assert_eq!(
            find(&added, "x  <m> <m> y", 0..12).0,
            [(1, 7, 0), (7, 11, 0)]
        );
        assert_eq!(find(&added, "ab abc cab", 0..10).0, [(0, 2, 1)]);
    }
}
