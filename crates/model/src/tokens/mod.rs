//! A rectangle of token ids, and which of its places belong to which document.

mod order;
mod span;

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::error::{ModelError, Result};

pub use order::Order;
pub use span::{Convention, Side, Span};
use span::{check_rows, grown, run_of_ones, spans_of};

/// What a model reads: a batch of rows of equal length.
///
/// Padding is known by place and never by id, so a row may be padded with its own end token. Several documents may
/// share a row (packing): a token sees its own document only, and positions begin again at 0 in every document.
///
/// Padding before the first document sees nothing; what a model computes there has no meaning.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// Token ids, `[batch, length]`. Padding holds any id of the vocabulary.
    pub ids: Tensor<2, Int>,
    /// Which text of a pair a token belongs to, `[batch, length]`, for families that know segments.
    pub kinds: Option<Tensor<2, Int>>,
    /// For each row its documents, in order, without overlap, over the places `0..past + length`.
    pub spans: Arc<[Vec<Span>]>,
    /// The number of places before the first of `ids`, whose keys and values lie in a cache.
    pub past: usize,
    /// What padding is.
    pub convention: Convention,
}

impl Tokens {
    /// Lays documents out in rows of equal length.
    ///
    /// # Arguments
    /// - `rows`: for each row its documents, for each document its token ids; no document may be empty
    /// - `length`: places per row; the longest row when not given
    /// - `side`: where the padding goes
    /// - `pad`: the id that fills it, any id of the vocabulary
    ///
    /// # Errors
    /// When there are no rows, a document is empty, or a row does not fit into `length`.
    pub fn new(
        rows: &[Vec<Vec<u32>>],
        length: Option<usize>,
        side: Side,
        pad: u32,
        device: &Device,
    ) -> Result<Self> {
        let lengths: Vec<usize> = rows
            .iter()
            .map(|row| row.iter().map(Vec::len).sum())
            .collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let length = length.unwrap_or(longest);
        check_rows(rows, longest, length)?;
        let mut ids = Vec::with_capacity(rows.len() * length);
        let mut spans = Vec::with_capacity(rows.len());
        for (row, taken) in rows.iter().zip(&lengths) {
            let padding = length - taken;
            let before = if side == Side::Left { padding } else { 0 };
            ids.extend(std::iter::repeat_n(pad as i32, before));
            ids.extend(row.iter().flatten().map(|id| *id as i32));
            ids.extend(std::iter::repeat_n(pad as i32, padding - before));
            spans.push(spans_of(row.iter().map(Vec::len), before));
        }
        let ids = int_tensor(ids, [rows.len(), length], device);
        Ok(Self {
            ids,
            kinds: None,
            spans: spans.into(),
            past: 0,
            convention: Convention::Documents,
        })
    }

    /// One row with one document.
    ///
    /// # Errors
    /// When `ids` is empty.
    pub fn single(ids: &[u32], device: &Device) -> Result<Self> {
        Self::new(&[vec![ids.to_vec()]], None, Side::Right, 0, device)
    }

    /// Rows as other libraries describe them: ids and a mask that is true on text and false on padding, row by row.
    ///
    /// The tokens follow [`Convention::Reference`].
    ///
    /// # Errors
    /// When the mask is not one run of ones in each row, or the sizes do not fit.
    pub fn from_mask(ids: &[u32], mask: &[bool], length: usize, device: &Device) -> Result<Self> {
        if length == 0
            || ids.is_empty()
            || !ids.len().is_multiple_of(length)
            || mask.len() != ids.len()
        {
            let why = format!(
                "found {} ids and {} mask values; expected rows of {length}",
                ids.len(),
                mask.len()
            );
            return Err(ModelError::Tokens { why });
        }
        let spans = mask
            .chunks(length)
            .enumerate()
            .map(run_of_ones)
            .collect::<Result<Vec<_>>>()?;
        let rows = ids.len() / length;
        let ids = int_tensor(
            ids.iter().map(|id| *id as i32).collect(),
            [rows, length],
            device,
        );
        Ok(Self {
            ids,
            kinds: None,
            spans: spans.into(),
            past: 0,
            convention: Convention::Reference,
        })
    }

    /// The same tokens with the text of a pair that each belongs to, in the layout of [`Self::ids`].
    ///
    /// # Errors
    /// When there are not as many kinds as ids.
    pub fn with_kinds(self, kinds: &[u32]) -> Result<Self> {
        let [batch, length] = self.ids.dims();
        if kinds.len() != batch * length {
            let why = format!(
                "found {} kinds; expected {batch}x{length}, one per id",
                kinds.len()
            );
            return Err(ModelError::Tokens { why });
        }
        let kinds = int_tensor(
            kinds.iter().map(|kind| *kind as i32).collect(),
            [batch, length],
            &self.ids.device(),
        );
        Ok(Self {
            kinds: Some(kinds),
            ..self
        })
    }

    /// The next token of every row, to be read with the cache that holds these tokens.
    ///
    /// The last document of each row grows by one place. Rows must be padded on the left.
    ///
    /// # Errors
    /// When there is not one id per row, or a row is padded on the right.
    pub fn next(&self, ids: &[u32]) -> Result<Self> {
        let end = (self.past + self.length()) as u32;
        if ids.len() != self.batch() {
            let why = format!(
                "found {} ids; expected one for each of {} rows",
                ids.len(),
                self.batch()
            );
            return Err(ModelError::Tokens { why });
        }
        let spans = self
            .spans
            .iter()
            .map(|row| grown(row, end))
            .collect::<Result<Vec<_>>>()?;
        let ids = int_tensor(
            ids.iter().map(|id| *id as i32).collect(),
            [ids.len(), 1],
            &self.ids.device(),
        );
        Ok(Self {
            ids,
            kinds: None,
            spans: spans.into(),
            past: end as usize,
            convention: self.convention,
        })
    }

    /// The given rows, in the given order; a row may be taken more than once or not at all.
    ///
    /// # Panics
    /// When a row does not exist.
    pub fn select(&self, rows: &[u32]) -> Self {
        let of: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
        let of: Tensor<1, Int> = int_tensor(of, [rows.len()], &self.ids.device());
        Self {
            ids: self.ids.clone().select(0, of.clone()),
            kinds: self.kinds.clone().map(|kinds| kinds.select(0, of)),
            spans: rows
                .iter()
                .map(|row| self.spans[*row as usize].clone())
                .collect(),
            past: self.past,
            convention: self.convention,
        }
    }

    /// The last tokens of both batches in one, to be continued by [`Self::next`]: these rows, and those of `more` below.
    ///
    /// All rows end at the same place. Places that no row needs are left out, so a document's positions stay and its
    /// places move; a cache that holds what came before has to [move](crate::Cache::join) with them, to as many places
    /// as these tokens say (`past + length`).
    pub fn join(&self, more: &Self) -> Self {
        let end = |tokens: &Self| (tokens.past + tokens.length()) as u32;
        let needed = |tokens: &Self| {
            let starts = tokens.spans.iter().filter_map(|row| row.first());
            starts.map(|span| end(tokens) - span.start).max()
        };
        let places = needed(self).max(needed(more)).unwrap_or(1);
        let moved = |tokens: &Self| -> Vec<Vec<Span>> {
            let place = |place: u32| place + places - end(tokens);
            let span = |span: &Span| Span {
                start: place(span.start),
                end: place(span.end),
            };
            let row = |row: &Vec<Span>| row.iter().map(span).collect();
            tokens.spans.iter().map(row).collect()
        };
        let last = |tokens: &Self| tokens.ids.clone().narrow(1, tokens.length() - 1, 1);
        Self {
            ids: Tensor::cat(vec![last(self), last(more)], 0),
            kinds: None,
            spans: [moved(self), moved(more)].concat().into(),
            past: places as usize - 1,
            convention: self.convention,
        }
    }

    /// The number of rows.
    pub fn batch(&self) -> usize {
        self.ids.dims()[0]
    }

    /// The number of places of a row that are read now.
    pub fn length(&self) -> usize {
        self.ids.dims()[1]
    }

    /// The position of each place that is read now, row by row, `batch * length` numbers.
    ///
    /// In the convention of documents, positions begin at 0 in every document, padding after a document continues its
    /// count, and padding before the first is 0.
    pub fn positions(&self) -> Vec<u32> {
        let places = self.past as u32..(self.past + self.length()) as u32;
        if self.convention == Convention::Reference {
            return places
                .clone()
                .cycle()
                .take(self.batch() * places.len())
                .collect();
        }
        let mut positions = Vec::with_capacity(self.batch() * self.length());
        for row in self.spans.iter() {
            let mut spans = row.iter().peekable();
            let mut start = None;
            for place in places.clone() {
                while let Some(span) = spans.next_if(|span| span.start <= place) {
                    start = Some(span.start);
                }
                positions.push(start.map_or(0, |start| place - start));
            }
        }
        positions
    }

    /// The position of each place inside its document, whatever the convention; `None` for padding.
    pub(crate) fn text_positions(&self) -> Vec<Option<u32>> {
        let places = self.past as u32..(self.past + self.length()) as u32;
        let of = |row: &Vec<Span>, place: u32| {
            let mut spans = row.iter();
            let span = spans.find(|span| (span.start..span.end).contains(&place));
            span.map(|span| place - span.start)
        };
        let row = |row| places.clone().map(move |place| of(row, place));
        self.spans.iter().flat_map(row).collect()
    }

    /// For each row the place of its last token of text among those read now, counted over the whole batch
    /// (`row * length + place`), or of its last place when the row has no text.
    pub fn last_places(&self) -> Vec<u32> {
        let (length, past) = (self.length() as u32, self.past as u32);
        let last = |row: &Vec<Span>| {
            row.last()
                .map_or(length, |span| span.end.saturating_sub(past))
                .clamp(1, length)
                - 1
        };
        self.spans
            .iter()
            .enumerate()
            .map(|(row, spans)| row as u32 * length + last(spans))
            .collect()
    }

    /// The same where the convention is one of documents; the row's last place, padding or not, where it is the
    /// reference's.
    pub fn end_places(&self) -> Vec<u32> {
        match self.convention {
            Convention::Documents => self.last_places(),
            Convention::Reference => {
                let length = self.length() as u32;
                (1..=self.batch() as u32)
                    .map(|row| row * length - 1)
                    .collect()
            }
        }
    }

    /// The same tokens one place later in each text, behind a token that begins it; the last of each is left out. In the
    /// reference's convention a row is one text, padding included, and no place is hidden.
    pub(crate) fn behind(&self, start: u32) -> Self {
        let length = self.length();
        let mut ids: Vec<i32> = self.ids.to_data().iter::<i32>().collect();
        let spans: Arc<[Vec<Span>]> = match self.convention {
            Convention::Documents => self.spans.clone(),
            Convention::Reference => {
                let (start, end) = (0, length as u32);
                vec![vec![Span { start, end }]; self.batch()].into()
            }
        };
        for (ids, spans) in ids.chunks_mut(length).zip(spans.iter()) {
            for span in spans {
                let text = &mut ids[span.start as usize..span.end as usize];
                text.rotate_right(1);
                text[0] = start as i32;
            }
        }
        Self {
            ids: int_tensor(ids, [self.batch(), length], &self.ids.device()),
            spans,
            ..self.clone()
        }
    }

    /// For each row the place of the last token that is `end`, counted over the whole batch, or of its last token of
    /// text where there is none.
    pub(crate) fn ends(&self, end: u32) -> Vec<u32> {
        let length = self.length();
        let ids: Vec<i32> = self.ids.to_data().iter::<i32>().collect();
        let last = self.last_places();
        let rows = ids.chunks(length).zip(last).enumerate();
        rows.map(|(row, (ids, last))| {
            let reach = match self.convention {
                Convention::Documents => last as usize % length + 1,
                Convention::Reference => length,
            };
            let found = ids[..reach].iter().rposition(|id| *id == end as i32);
            found.map_or(last, |place| (row * length + place) as u32)
        })
        .collect()
    }

    /// What each place of its row counts in the mean of the row: text alone, or in the reference's convention all places
    /// where `text` is off. `batch * length` numbers whose sum in each row with text is 1.
    pub(crate) fn shares(&self, text: bool) -> Vec<f32> {
        let all = !text && self.convention == Convention::Reference;
        let places = self.text_positions();
        let counts = |at: &Option<u32>| all || at.is_some();
        let row = |row: &[Option<u32>]| {
            let count = row.iter().filter(|at| counts(at)).count();
            row.iter()
                .map(|at| if counts(at) { 1.0 / count as f32 } else { 0.0 })
                .collect::<Vec<_>>()
        };
        places.chunks(self.length()).flat_map(row).collect()
    }

    /// The same with one more place behind each row, which belongs to no text. Its id is 0, as in the reference.
    pub(crate) fn with_open_place(&self) -> Self {
        let longer = |x: &Tensor<2, Int>, more| Tensor::cat(vec![x.clone(), more], 1);
        let last = self.length() - 1;
        let kinds = self.kinds.as_ref();
        let open = Tensor::zeros([self.batch(), 1], &self.ids.device());
        Self {
            ids: longer(&self.ids, open),
            kinds: kinds.map(|kinds| longer(kinds, kinds.clone().narrow(1, last, 1))),
            ..self.clone()
        }
    }

    /// For each row the place of its first token of text, counted over the whole batch. (The reference takes the first
    /// place, padding or not.)
    pub fn first_places(&self) -> Vec<u32> {
        let (length, past) = (self.length() as u32, self.past as u32);
        let first = |row: &Vec<Span>| match self.convention {
            Convention::Reference => 0,
            Convention::Documents => row
                .first()
                .map_or(0, |span| span.start.saturating_sub(past))
                .min(length - 1),
        };
        self.spans
            .iter()
            .enumerate()
            .map(|(row, spans)| row as u32 * length + first(spans))
            .collect()
    }
}

/// Which places are predicted, and what should come: the host's side of a loss.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// `row * length + place` of the token that **predicts** (for a causal model the one before the target).
    pub places: Vec<u32>,
    /// The id that is right there, as many as places.
    pub ids: Vec<u32>,
}

impl Targets {
    /// The number of targets.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nothing is predicted.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A tensor of integers from the host.
pub(crate) fn int_tensor<const D: usize>(
    values: Vec<i32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device::default()
    }

    fn span(start: u32, end: u32) -> Span {
        Span { start, end }
    }

    #[test]
    fn rows_are_padded_by_place() {
        let rows = [vec![vec![1, 2, 3]], vec![vec![4], vec![5]]];
        let right = Tokens::new(&rows, Some(4), Side::Right, 9, &device()).unwrap();
        assert_eq!(
            right.ids.to_data().iter::<i32>().collect::<Vec<_>>(),
            [1, 2, 3, 9, 4, 5, 9, 9]
        );
        assert_eq!(
            right.spans[..],
            [vec![span(0, 3)], vec![span(0, 1), span(1, 2)]]
        );
        assert_eq!(right.positions(), [0, 1, 2, 3, 0, 0, 1, 2]);
        assert_eq!(right.last_places(), [2, 5]);
        let left = Tokens::new(&rows, Some(4), Side::Left, 9, &device()).unwrap();
        assert_eq!(
            left.ids.to_data().iter::<i32>().collect::<Vec<_>>(),
            [9, 1, 2, 3, 9, 9, 4, 5]
        );
        assert_eq!(
            left.spans[..],
            [vec![span(1, 4)], vec![span(2, 3), span(3, 4)]]
        );
        assert_eq!(left.positions(), [0, 0, 1, 2, 0, 0, 0, 0]);
        assert_eq!(left.last_places(), [3, 7]);
        assert_eq!(left.first_places(), [1, 6]);
    }

    #[test]
    fn the_next_token_continues_the_last_document() {
        let rows = [vec![vec![1, 2, 3]], vec![vec![5]]];
        let tokens = Tokens::new(&rows, None, Side::Left, 0, &device()).unwrap();
        let next = tokens.next(&[7, 8]).unwrap();
        assert_eq!(next.past, 3);
        assert_eq!(next.positions(), [3, 1]);
        assert_eq!(next.spans[..], [vec![span(0, 4)], vec![span(2, 4)]]);
        let padded = Tokens::new(&rows, None, Side::Right, 0, &device()).unwrap();
        assert!(padded.next(&[7, 8]).is_err());
    }

    #[test]
    fn batches_are_joined_at_their_ends() {
        let read = |rows: &[Vec<Vec<u32>>]| Tokens::new(rows, None, Side::Left, 0, &device());
        let long = read(&[vec![vec![1, 2, 3, 4, 5]], vec![vec![6, 7]]]).unwrap();
        let short = read(&[vec![vec![8, 9, 10]]]).unwrap();
        // The longest row has gone, so its places go too.
        let joined = long.select(&[1]).join(&short);
        assert_eq!((joined.past, joined.length()), (2, 1));
        assert_eq!(joined.spans[..], [vec![span(1, 3)], vec![span(0, 3)]]);
        assert_eq!(joined.positions(), [1, 2]);
        let next = joined.next(&[11, 12]).unwrap();
        assert_eq!(next.positions(), [2, 3]);
        let other = short.join(&long);
        assert_eq!(
            other.spans[..],
            [vec![span(2, 5)], vec![span(0, 5)], vec![span(3, 5)]]
        );
    }

    #[test]
    fn a_mask_becomes_spans_and_a_gap_is_refused() {
        let mask = [false, true, true, true, true, false];
        let tokens = Tokens::from_mask(&[1, 2, 3, 4, 5, 6], &mask, 3, &device()).unwrap();
        assert_eq!(tokens.spans[..], [vec![span(1, 3)], vec![span(0, 2)]]);
        let gap = Tokens::from_mask(&[1, 2, 3], &[true, false, true], 3, &device());
        assert!(gap.unwrap_err().to_string().contains("row 0"));
    }

    #[test]
    fn rows_that_do_not_fit_are_refused() {
        let build =
            |rows: &[Vec<Vec<u32>>], length| Tokens::new(rows, length, Side::Right, 0, &device());
        assert!(build(&[], None).is_err());
        assert!(build(&[vec![vec![]]], None).is_err());
        assert!(
            build(&[vec![vec![1, 2]]], Some(1))
                .unwrap_err()
                .to_string()
                .contains("2 tokens")
        );
    }
}
