//! Which key a query may look at, as a description instead of a tensor.

use std::sync::Arc;

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::tokens::Span;

/// The visible part of an attention matrix.
///
/// With a query at row index `i` its absolute place is `past + i`. Key `j` is visible to it if and only if
///
/// - `j` lies in one of the row's spans, and the query lies in the same span or in none, and
/// - `causal` is off or `j <= past + i`, and
/// - `window` is `None` or `|past + i - j| < window`.
///
/// An empty `spans` says that there is no padding and nothing is packed: all keys of every row belong together.
/// A row with an empty list of spans has no visible key at all. A query that sees no key gets zeros.
///
/// The description is open: additive biases become further fields, so build it with
/// `Mask { causal: true, ..Mask::default() }`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mask {
    /// A query sees only itself and what came before.
    pub causal: bool,
    /// How far a query sees, in positions, itself included. `None`: everything.
    pub window: Option<usize>,
    /// The documents of each row of the batch, in positions of the keys (cached ones included).
    pub spans: Arc<[Vec<Span>]>,
    /// Keys that were cached before this call: the first query is at position `past`.
    pub past: usize,
}

impl Mask {
    /// Causal, without padding, window or cache.
    pub fn causal() -> Self {
        Self {
            causal: true,
            ..Self::default()
        }
    }

    /// The span of row `batch` that holds position `place`.
    fn span(&self, batch: usize, place: usize) -> Option<Span> {
        let place = u32::try_from(place).ok()?;
        let spans = self.spans.get(batch)?;
        spans
            .iter()
            .copied()
            .find(|span| span.start <= place && place < span.end)
    }

    /// Whether query `i` of row `batch` sees key `j`.
    pub fn visible(&self, batch: usize, i: usize, j: usize) -> bool {
        let place = self.past + i;
        if self.causal && j > place {
            return false;
        }
        if self
            .window
            .is_some_and(|window| place.abs_diff(j) >= window)
        {
            return false;
        }
        if self.spans.is_empty() {
            return true;
        }
        match (self.span(batch, place), self.span(batch, j)) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(query), Some(key)) => query == key,
        }
    }

    /// The same as a tensor `[batch, 1, queries, keys]`, true where the key is hidden.
    ///
    /// Only the composed attention needs it; a fused one reads the description.
    ///
    /// # Panics
    ///
    /// If `spans` is neither empty nor as long as the batch.
    pub fn hidden(
        &self,
        batch: usize,
        queries: usize,
        keys: usize,
        device: &Device,
    ) -> Tensor<4, Bool> {
        self.check(batch);
        let mut hidden = Vec::with_capacity(batch * queries * keys);
        for b in 0..batch {
            for i in 0..queries {
                hidden.extend((0..keys).map(|j| !self.visible(b, i, j)));
            }
        }
        Tensor::from_data(TensorData::new(hidden, [batch, 1, queries, keys]), device)
    }

    /// # Panics
    ///
    /// If `spans` is neither empty nor as long as the batch.
    pub(crate) fn check(&self, batch: usize) {
        assert!(
            self.spans.is_empty() || self.spans.len() == batch,
            "the mask describes {} rows, the batch has {batch}",
            self.spans.len()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(mask: &Mask, batch: usize, queries: usize, keys: usize) -> Vec<String> {
        (0..queries)
            .map(|i| {
                (0..keys)
                    .map(|j| if mask.visible(batch, i, j) { 'x' } else { '.' })
                    .collect()
            })
            .collect()
    }

    fn spans(rows: &[&[(u32, u32)]]) -> Arc<[Vec<Span>]> {
        rows.iter()
            .map(|row| {
                row.iter()
                    .map(|&(start, end)| Span { start, end })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn causal_with_cached_keys() {
        let mask = Mask {
            past: 2,
            ..Mask::causal()
        };
        assert_eq!(picture(&mask, 0, 2, 4), ["xxx.", "xxxx"]);
    }

    #[test]
    fn packed_documents_do_not_see_each_other() {
        let mask = Mask {
            spans: spans(&[&[(0, 2), (2, 4)]]),
            ..Mask::default()
        };
        assert_eq!(picture(&mask, 0, 4, 4), ["xx..", "xx..", "..xx", "..xx"]);
    }

    #[test]
    fn padding_is_never_seen_and_sees_what_is_real() {
        let mask = Mask {
            spans: spans(&[&[(1, 3)], &[(0, 2)], &[]]),
            ..Mask::causal()
        };
        assert_eq!(picture(&mask, 0, 3, 3), ["...", ".x.", ".xx"]);
        assert_eq!(picture(&mask, 1, 3, 3), ["x..", "xx.", "xx."]);
        assert_eq!(picture(&mask, 2, 2, 2), ["..", ".."]);
    }

    #[test]
    fn a_window_counts_the_query_itself() {
        let mask = Mask {
            window: Some(2),
            ..Mask::causal()
        };
        assert_eq!(picture(&mask, 0, 3, 3), ["x..", "xx.", ".xx"]);
    }
}
