//! Where the next chunk begins, if it shall begin with the end of the one before.

use std::ops::Range;

use super::outline::Kind;
use super::pieces::Piece;
use super::{Measure, trimmed};
use crate::error::Result;

/// The first byte of the next chunk.
///
/// `before` are the pieces up to the end of the chunk, which lies at `within`; `upto` is the end of the first piece
/// that the next chunk adds.
///
/// # Errors
///
/// What the tokenizer says.
pub(super) fn start(
    text: &str,
    before: &[Piece],
    within: Range<usize>,
    upto: usize,
    overlap: usize,
    measure: &Measure,
) -> Result<usize> {
    if overlap == 0 {
        return Ok(within.end);
    }
    let starts = starts(text, before, &within, overlap);
    let short = |start: &usize| -> Result<bool> {
        Ok(
            measure.length(trimmed(text, *start, within.end))? <= overlap
                && measure.fits(trimmed(text, *start, upto))?,
        )
    };
    // `starts` goes backwards; find the last of them that is short enough.
    let (mut low, mut high) = (0, starts.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if short(&starts[middle])? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for start in starts[..low].iter().rev() {
        if short(start)? {
            return Ok(*start);
        }
    }
    Ok(within.end)
}

/// The places in a chunk at which an overlap may begin, last first: starts of pieces, and of words in prose. As many
/// as the overlap can use: a word is a token at least, and a character.
fn starts(text: &str, before: &[Piece], within: &Range<usize>, overlap: usize) -> Vec<usize> {
    let mut starts = Vec::new();
    for piece in before.iter().rev() {
        if piece.kind == Kind::Prose {
            let part = &text[piece.start..piece.end];
            let words = part.char_indices().rev().filter_map(|(byte, next)| {
                let last = part[..byte].chars().next_back()?;
                begins_word(last, next).then_some(piece.start + byte)
            });
            starts.extend(
                words
                    .take_while(|start| *start > within.start)
                    .take(overlap + 1),
            );
        }
        if piece.start <= within.start || starts.len() > 2 * overlap {
            break;
        }
        starts.push(piece.start);
    }
    starts
}

/// Whether an overlap may begin between two characters: after a space, or where a script has no spaces.
fn begins_word(last: char, next: char) -> bool {
    if next.is_whitespace() {
        return false;
    }
    last.is_whitespace() || (is_spaceless(last) && is_spaceless(next))
}

/// Ideographs and kana.
fn is_spaceless(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}')
}
