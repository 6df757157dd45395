//! A rectangle of token ids, and which of its places belong to which document.

mod order;
mod places;
mod span;
mod targets;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::error::{ModelError, Result};

pub use order::Order;
pub(crate) use span::beginnings;
pub use span::{Branch, Convention, Side, Span};
use span::{check_rows, grown, run_of_ones, spans_of};
pub use targets::Targets;

/// What a model reads: a batch of rows of equal length.
///
/// Padding is known by place and never by id, so a row may be padded with its own end token. Several documents may
/// share a row (packing): a token sees its own document only, and positions begin again at 0 in every document. A
/// document may have [branches](Self::branched).
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
        let document = |ids| Branch { ids, after: None };
        let rows = rows
            .iter()
            .map(|row| row.iter().map(Vec::as_slice).map(document).collect());
        let rows: Vec<Vec<Branch<'_>>> = rows.collect();
        Self::branched(&rows, length, side, pad, device)
    }

    /// The same with branches: texts that begin alike are read in one pass, what they share once.
    ///
    /// A token of a branch sees its branch and, as far as the branch continues it, what stands before; its position is
    /// that in the text which this makes. So a causal model computes for it what it computes for the whole text alone,
    /// but for rounding; see [`CausalLm::takes_branches`](crate::CausalLm::takes_branches).
    ///
    /// # Arguments
    /// - `rows`: for each row its documents and branches, each after the one that it continues
    ///
    /// # Errors
    /// As [`new`](Self::new), or when a branch continues a place that is not before it.
    pub fn branched(
        rows: &[Vec<Branch<'_>>],
        length: Option<usize>,
        side: Side,
        pad: u32,
        device: &Device,
    ) -> Result<Self> {
        let taken = |row: &Vec<Branch<'_>>| row.iter().map(|part| part.ids.len()).sum();
        let lengths: Vec<usize> = rows.iter().map(taken).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let length = length.unwrap_or(longest);
        check_rows(rows, longest, length)?;
        let mut ids = Vec::with_capacity(rows.len() * length);
        let mut spans = Vec::with_capacity(rows.len());
        for (row, taken) in rows.iter().zip(&lengths) {
            let padding = length - taken;
            let before = if side == Side::Left { padding } else { 0 };
            ids.extend(std::iter::repeat_n(pad as i32, before));
            ids.extend(row.iter().flat_map(|part| part.ids).map(|id| *id as i32));
            ids.extend(std::iter::repeat_n(pad as i32, padding - before));
            spans.push(spans_of(row, before));
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

    /// The last tokens of both batches in one, to be continued by [`Self::next`]: these rows, and those of `more`
    /// below.
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
            let row = |row: &Vec<Span>| row.iter().map(|span| span.moved(place)).collect();
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

    /// Whether any document has a branch.
    pub(crate) fn is_branched(&self) -> bool {
        let mut spans = self.spans.iter().flatten();
        spans.any(|span| span.after.is_some())
    }

    /// The same tokens one place later in each text, behind a token that begins it; the last of each is left out. In
    /// the reference's convention a row is one text, padding included, and no place is hidden.
    pub(crate) fn behind(&self, start: u32) -> Self {
        let length = self.length();
        let mut ids: Vec<i32> = self.ids.to_data().iter::<i32>().collect();
        let spans: Arc<[Vec<Span>]> = match self.convention {
            Convention::Documents => self.spans.clone(),
            Convention::Reference => vec![vec![Span::new(0, length as u32)]; self.batch()].into(),
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
}

/// A tensor of integers from the host.
pub(crate) fn int_tensor<const D: usize>(
    values: Vec<i32>,
    shape: [usize; D],
    device: &Device,
) -> Tensor<D, Int> {
    Tensor::from_data(TensorData::new(values, shape), device)
}
