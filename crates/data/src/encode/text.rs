//! Texts for pretraining.

use rayon::prelude::*;

use crate::document::Origin;
use crate::error::{DataError, Result};
use crate::example::PlainText;
use crate::template::Piece;

use super::{Dropped, EncodeReport, Encoded, Encoder, Outcome, Row};

/// Longer texts are tokenized in sections, of which none is longer than this many bytes: tokenizing needs about 160
/// bytes of memory for each byte of text, and is done in parallel.
const SECTION: usize = 256 << 10;

impl Encoder {
    /// Texts for pretraining: each as a whole, with what the tokenizer puts before it and the EOS token after it, cut
    /// into blocks of the encoder's length. The rest of a text is a shorter block. Everything is learned, but for the
    /// tokens that a block repeats from the block before ([`Encoder::context`]).
    ///
    /// A text of more than 256 KiB is tokenized in sections that begin with a line, or a word.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if a block is not longer than its context; what the tokenizer says.
    pub fn text(&self, texts: &[PlainText]) -> Result<(Vec<Row>, EncodeReport)> {
        if let Some(length) = self.length.filter(|&length| length <= self.context) {
            return Err(DataError::Setting {
                name: "length".to_owned(),
                found: length.to_string(),
                expected: format!("more than the context of {} tokens", self.context),
            });
        }
        let outcomes: Vec<Result<Outcome>> = texts
            .par_iter()
            .map(|text| {
                let (whole, report) = self.whole_text(&text.text, &text.origin)?;
                let rows = blocks(&whole, self.length.unwrap_or(usize::MAX), self.context);
                let rows = rows.into_iter().map(|encoded| Row {
                    encoded,
                    origin: text.origin.clone(),
                });
                let rows: Vec<Row> = rows.filter(|row| row.encoded.targets() > 0).collect();
                let rows = if rows.is_empty() {
                    Err(Dropped::Untrainable)
                } else {
                    Ok(rows)
                };
                Ok(Outcome { rows, report })
            })
            .collect();
        Self::collect(outcomes)
    }

    /// A text with its beginning and its end.
    fn whole_text(&self, text: &str, origin: &Origin) -> Result<(Encoded, EncodeReport)> {
        let sections = sections(text, SECTION);
        let last = sections.len() - 1;
        let parts: Vec<Result<(Encoded, EncodeReport)>> = sections
            .par_iter()
            .enumerate()
            .map(|(index, section)| {
                let begin = (index == 0).then(|| Piece::begin().learned());
                let end = (index == last).then(Piece::end);
                let text = Piece::text(*section).learned();
                let pieces: Vec<Piece> = begin.into_iter().chain([text]).chain(end).collect();
                self.tokens(&pieces, origin)
            })
            .collect();
        let mut parts = parts.into_iter();
        let (mut whole, mut report) = parts.next().unwrap_or_else(|| Ok(Default::default()))?;
        for part in parts {
            let (encoded, counts) = part?;
            whole.ids.extend(encoded.ids);
            whole.learn.extend(encoded.learn);
            whole.kinds.extend(encoded.kinds);
            report.spelt_controls += counts.spelt_controls;
        }
        report.longest = whole.ids.len() as u64;
        Ok((whole, report))
    }
}

/// Cuts a text into sections of at most `limit` bytes, before a line if there is one in the second half of a section,
/// otherwise before a word, otherwise between characters. There is always one section.
fn sections(text: &str, limit: usize) -> Vec<&str> {
    let mut sections = Vec::with_capacity(text.len() / limit + 1);
    let mut rest = text;
    while rest.len() > limit {
        let mut end = limit;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        let begins = |end: usize| !rest[end..].starts_with(char::is_whitespace);
        let mut middle = limit / 2;
        while !rest.is_char_boundary(middle) {
            middle += 1;
        }
        let find = |border: &[char]| {
            let mut borders = rest[middle..end].rmatch_indices(border);
            borders.find_map(|(place, found)| {
                let place = middle + place + found.len();
                begins(place).then_some(place)
            })
        };
        // A space goes with the word after it.
        let word = || {
            find(&[' '])
                .map(|place| place - 1)
                .filter(|&place| place > 0)
        };
        let (section, after) = rest.split_at(find(&['\n']).or_else(word).unwrap_or(end));
        sections.push(section);
        rest = after;
    }
    sections.push(rest);
    sections
}

/// Cuts a row into blocks of `length` tokens, each of which but the first repeats `context` tokens without learning
/// them.
fn blocks(whole: &Encoded, length: usize, context: usize) -> Vec<Encoded> {
    let mut blocks = Vec::with_capacity(whole.ids.len() / length.max(1) + 1);
    let mut start = 0_usize;
    loop {
        let end = whole.ids.len().min(start.saturating_add(length));
        let mut block = Encoded {
            ids: whole.ids[start..end].to_vec(),
            learn: whole.learn[start..end].to_vec(),
            kinds: whole.kinds[start..end].to_vec(),
        };
        if start > 0 {
            block.learn[..context].fill(false);
        }
        blocks.push(block);
        if end == whole.ids.len() {
            return blocks;
        }
        start = end - context;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn row(length: usize) -> Encoded {
        Encoded {
            ids: (0..length as u32).collect(),
            learn: vec![true; length],
            kinds: vec![0; length],
        }
    }

    #[test]
    fn blocks_repeat_their_context() {
        let blocks = blocks(&row(8), 4, 1);
        let ids: Vec<&[u32]> = blocks.iter().map(|block| block.ids.as_slice()).collect();
        assert_eq!(ids, [&[0, 1, 2, 3][..], &[3, 4, 5, 6], &[6, 7]]);
        assert_eq!(blocks[1].learn, [false, true, true, true]);
        assert_eq!(blocks[2].targets(), 1);
    }

    proptest! {
        #[test]
        fn every_token_is_learned_once(length in 1_usize..60, block in 2_usize..20, context in 1_usize..4) {
            prop_assume!(context < block);
            let blocks = blocks(&row(length), block, context);
            let mut learned: Vec<u32> = Vec::new();
            for part in &blocks {
                prop_assert!(part.ids.len() <= block);
                let kept = part.ids.iter().zip(&part.learn).filter(|(_, learn)| **learn);
                learned.extend(kept.map(|(id, _)| *id));
            }
            prop_assert_eq!(learned, (0..length as u32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn sections_begin_with_lines_or_words() {
        assert_eq!(sections("", 4), [""]);
        assert_eq!(sections("abcd", 4), ["abcd"]);
        assert_eq!(sections("ab\ncd\nef gh", 7), ["ab\ncd\n", "ef gh"]);
        assert_eq!(sections("one two three", 8), ["one two", " three"]);
        assert_eq!(sections("äöüäöü", 5), ["äö", "üä", "öü"]);
    }

    proptest! {
        #[test]
        fn sections_are_the_text(text in "[a-c \\n\u{e9}\u{1f600}]{0,80}", limit in 8_usize..20) {
            let sections = sections(&text, limit);
            prop_assert!(sections.iter().all(|section| section.len() <= limit));
            prop_assert_eq!(sections.concat(), text);
        }
    }
}
