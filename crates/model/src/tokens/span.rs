//! Where documents lie in the rows of a batch.

use crate::error::{ModelError, Result};

/// The places `start..end` of one document inside a row.
///
/// Places are counted from the first key that a row can see: with a cache, from the first cached token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first place.
    pub start: u32,
    /// One past the last place.
    pub end: u32,
}

impl Span {
    /// The number of places.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether the span holds nothing.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Whether a place lies inside.
    pub fn contains(&self, place: u32) -> bool {
        (self.start..self.end).contains(&place)
    }
}

/// On which side of a row its padding lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// Before the text, as batched generation wants it.
    Left,
    /// After the text, as training wants it.
    #[default]
    Right,
}

/// What padding is to a model. No text depends on it, except through learned positions behind padding on the left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Convention {
    /// Positions begin at 0 in every document, wherever it stands in its row; padding that sees nothing gets zeros.
    #[default]
    Documents,
    /// As transformers does when it is given a mask and no positions: positions begin at 0 in every row, padding
    /// included; padding that sees nothing looks at all keys evenly, because a mask is a large negative number there
    /// and leaves all scores equal. Slower; for comparisons.
    Reference,
}

pub(super) fn check_rows(rows: &[Vec<Vec<u32>>], longest: usize, length: usize) -> Result<()> {
    let empty = rows
        .iter()
        .position(|row| row.is_empty() || row.iter().any(Vec::is_empty));
    let why = match empty {
        _ if rows.is_empty() => "found no rows; expected at least one".to_owned(),
        Some(row) => {
            format!("row {row} holds an empty document; expected at least one token in each")
        }
        None if longest > length => {
            format!("a row has {longest} tokens; expected at most {length}")
        }
        None => return Ok(()),
    };
    Err(ModelError::Tokens { why })
}

pub(super) fn spans_of(lengths: impl Iterator<Item = usize>, before: usize) -> Vec<Span> {
    let mut start = before as u32;
    lengths
        .map(|length| {
            let span = Span {
                start,
                end: start + length as u32,
            };
            start = span.end;
            span
        })
        .collect()
}

pub(super) fn run_of_ones((row, mask): (usize, &[bool])) -> Result<Vec<Span>> {
    let Some(start) = mask.iter().position(|one| *one) else {
        return Ok(Vec::new());
    };
    let run = mask[start..].iter().take_while(|one| **one).count();
    if mask[start + run..].iter().any(|one| *one) {
        let why = format!("row {row} of the mask has a gap; expected its ones to be neighbours");
        return Err(ModelError::Tokens { why });
    }
    Ok(vec![Span {
        start: start as u32,
        end: (start + run) as u32,
    }])
}

pub(super) fn grown(row: &[Span], end: u32) -> Result<Vec<Span>> {
    let mut row = row.to_vec();
    match row.last_mut() {
        Some(last) if last.end == end => last.end += 1,
        Some(_) => {
            let why =
                "a row is padded on the right and cannot be continued; pad on the left".to_owned();
            return Err(ModelError::Tokens { why });
        }
        None => row.push(Span {
            start: end,
            end: end + 1,
        }),
    }
    Ok(row)
}
