//! Where documents lie in the rows of a batch.

use crate::error::{ModelError, Result};

/// The places `start..end` of one document, or of a branch of one, inside a row.
///
/// Places are counted from the first key that a row can see: with a cache, from the first cached token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first place.
    pub start: u32,
    /// One past the last place.
    pub end: u32,
    /// Of a branch, the place before `start` whose token comes before the branch's first: what is written there and
    /// before it is read as the beginning of the branch. `None` where a document begins.
    pub after: Option<u32>,
}

impl Span {
    /// The places of a document.
    pub fn new(start: u32, end: u32) -> Self {
        Self {
            start,
            end,
            after: None,
        }
    }

    /// The same with every place where `to` moves it.
    pub(crate) fn moved(&self, to: impl Fn(u32) -> u32) -> Self {
        Self {
            start: to(self.start),
            end: to(self.end),
            after: self.after.map(to),
        }
    }

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

/// A document of a row, or a branch of one: tokens that continue what stands before them in the row.
///
/// Texts that begin alike are read once as far as they do: the first of them is a document, and each other one is what
/// it has of its own, after the last place that it shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch<'a> {
    /// Token ids, at least one.
    pub ids: &'a [u32],
    /// The place of the row, its padding not counted, whose token comes before the first of `ids`; `None` where a
    /// document begins.
    pub after: Option<u32>,
}

pub(super) fn check_rows(rows: &[Vec<Branch<'_>>], longest: usize, length: usize) -> Result<()> {
    let empty = rows
        .iter()
        .position(|row| row.is_empty() || row.iter().any(|part| part.ids.is_empty()));
    let astray = || rows.iter().enumerate().find_map(stray);
    let why = if rows.is_empty() {
        "found no rows; expected at least one".to_owned()
    } else if let Some(row) = empty {
        format!("row {row} holds an empty document; expected at least one token in each")
    } else if longest > length {
        format!("a row has {longest} tokens; expected at most {length}")
    } else if let Some((row, after, start)) = astray() {
        format!(
            "a branch at place {start} of row {row} continues place {after}; expected one before it"
        )
    } else {
        return Ok(());
    };
    Err(ModelError::Tokens { why })
}

/// The first branch of a row that continues what does not stand before it: the row, the place that it continues, and
/// its own.
fn stray((number, row): (usize, &Vec<Branch<'_>>)) -> Option<(usize, u32, u32)> {
    let mut start = 0;
    row.iter().find_map(|part| {
        let own = start;
        start += part.ids.len() as u32;
        let after = part.after.filter(|after| *after >= own)?;
        Some((number, after, own))
    })
}

pub(super) fn spans_of(row: &[Branch<'_>], before: usize) -> Vec<Span> {
    let mut start = before as u32;
    row.iter()
        .map(|part| {
            let span = Span {
                start,
                end: start + part.ids.len() as u32,
                after: part.after.map(|after| after + before as u32),
            };
            start = span.end;
            span
        })
        .collect()
}

/// For each span of a row the position of its first token in its text.
pub(crate) fn beginnings(row: &[Span]) -> Vec<u32> {
    let mut found: Vec<u32> = Vec::with_capacity(row.len());
    for span in row {
        let before = row[..found.len()].iter().zip(&found);
        let at = span.after.and_then(|after| {
            let mut before = before.filter(|(span, _)| span.contains(after));
            before
                .next()
                .map(|(span, at)| at + (after - span.start) + 1)
        });
        found.push(at.unwrap_or(0));
    }
    found
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
    Ok(vec![Span::new(start as u32, (start + run) as u32)])
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
        None => row.push(Span::new(end, end + 1)),
    }
    Ok(row)
}
