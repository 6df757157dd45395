//! Which key a query may look at, as a description instead of a tensor.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::TensorData;

use crate::tokens::{Span, beginnings};

/// The visible part of an attention matrix.
///
/// With a query at row index `i` its absolute place is `past + i`. Key `j` is visible to it if and only if
///
/// - `j` lies in one of the row's spans, and the query lies in the same span, or in a branch whose text `j` is a part
///   of, or in no span, and
/// - `causal` is off or `j <= past + i`, and
/// - `window` is `None` or `|past + i - j| < window`, where branches are counted from the place that they continue, and
/// - `hidden` does not name the pair;
///
/// but for the key at the query's own place, of which `own` may say something else.
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
    /// Single keys that single queries do not see.
    pub hidden: Option<Hidden>,
    /// Whether a query sees the key at its own place.
    pub own: Own,
}

/// Whether a query sees the key at its own place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Own {
    /// As any other.
    #[default]
    Alike,
    /// Always, padding included.
    Seen,
    /// Never.
    Unseen,
}

/// Single keys that single queries do not see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    queries: usize,
    keys: usize,
    pairs: Arc<[bool]>,
}

impl Hidden {
    /// # Arguments
    /// - `pairs`: `[batch, queries, keys]`, true where the key is hidden
    ///
    /// # Panics
    /// When there are not as many pairs as the numbers say.
    pub fn new(batch: usize, queries: usize, keys: usize, pairs: impl Into<Arc<[bool]>>) -> Self {
        let pairs = pairs.into();
        assert_eq!(
            pairs.len(),
            batch * queries * keys,
            "pairs of {queries} queries and {keys} keys in {batch} rows"
        );
        Self {
            queries,
            keys,
            pairs,
        }
    }

    fn hides(&self, batch: usize, query: usize, key: usize) -> bool {
        self.pairs[(batch * self.queries + query) * self.keys + key]
    }
}

impl Mask {
    /// Causal, without padding, window or cache.
    pub fn causal() -> Self {
        Self {
            causal: true,
            ..Self::default()
        }
    }

    /// The same without the first `first` keys, which no query may see. No document may have branches.
    pub(crate) fn after(&self, first: usize) -> Self {
        let moved = |place: u32| place.saturating_sub(first as u32);
        let row = |row: &Vec<Span>| {
            let mut row: Vec<Span> = row.iter().map(|span| span.moved(moved)).collect();
            row.retain(|span| !span.is_empty());
            row
        };
        Self {
            spans: self.spans.iter().map(row).collect(),
            past: self.past - first,
            ..self.clone()
        }
    }

    /// Whether query `i` of row `batch` sees key `j`.
    pub fn visible(&self, batch: usize, i: usize, j: usize) -> bool {
        self.ranges(batch, i, j + 1)
            .iter()
            .any(|range| range.contains(&j))
    }

    /// The keys below `keys` that query `i` of row `batch` sees: ranges in ascending order, none of them empty.
    pub fn ranges(&self, batch: usize, i: usize, keys: usize) -> Vec<Range<usize>> {
        let place = self.past + i;
        let mut ranges = self.described(batch, place, keys);
        if let Some(hidden) = &self.hidden {
            ranges = kept(&ranges, |key| !hidden.hides(batch, i, key));
        }
        match self.own {
            Own::Alike => {}
            Own::Unseen => ranges = kept(&ranges, |key| key != place),
            Own::Seen => {
                if place < keys && !ranges.iter().any(|range| range.contains(&place)) {
                    ranges.push(place..place + 1);
                    ranges.sort_unstable_by_key(|range| range.start);
                }
            }
        }
        ranges
    }

    /// What direction, window and spans let the query at a place see.
    fn described(&self, batch: usize, place: usize, keys: usize) -> Vec<Range<usize>> {
        let mut low = 0;
        let mut high = keys;
        if self.causal {
            high = high.min(place + 1);
        }
        if let Some(window) = self.window {
            low = (place + 1).saturating_sub(window);
            high = high.min(place.saturating_add(window));
        }
        let clipped = |span: &Span| {
            let range = low.max(span.start as usize)..high.min(span.end as usize);
            (!range.is_empty()).then_some(range)
        };
        if self.spans.is_empty() {
            return (low < high).then_some(low..high).into_iter().collect();
        }
        let Some(spans) = self.spans.get(batch) else {
            return vec![];
        };
        if let Some(span) = holding(spans, place as u32) {
            let mut ranges = self.before(spans, span, place, keys);
            ranges.extend(clipped(span));
            return ranges;
        }
        let mut ranges: Vec<_> = spans.iter().filter_map(clipped).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        ranges
    }

    /// Of what the span of a query continues, the keys that the query sees.
    fn before(&self, spans: &[Span], own: &Span, query: usize, keys: usize) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        let mut left = self.window.map_or(usize::MAX, |window| {
            window.saturating_sub(query + 1 - own.start as usize)
        });
        let mut branch = own;
        while left > 0
            && let Some((last, span)) = stem(spans, branch)
        {
            let end = last as usize + 1;
            let start = (span.start as usize).max(end.saturating_sub(left));
            left -= end - start;
            if start < keys {
                ranges.push(start..end.min(keys));
            }
            branch = span;
        }
        ranges.reverse();
        ranges
    }

    /// Whether any document of a row has a branch.
    pub(super) fn is_branched(&self) -> bool {
        let mut spans = self.spans.iter().flatten();
        spans.any(|span| span.after.is_some())
    }

    /// Where the first `keys` places of a row stand, so that the difference of two that see each other is their distance
    /// in the text.
    pub(super) fn positions(&self, batch: usize, keys: usize) -> Vec<usize> {
        let mut positions: Vec<usize> = (0..keys).collect();
        let spans = self.spans.get(batch).map_or(&[][..], Vec::as_slice);
        if spans.iter().any(|span| span.after.is_some()) {
            for (span, first) in spans.iter().zip(beginnings(spans)) {
                let places = span.start as usize..(span.end as usize).min(keys);
                for (position, place) in (first as usize..).zip(places) {
                    positions[place] = position;
                }
            }
        }
        positions
    }

    /// The same as elements of a tensor `[batch, 1, queries, keys]`, true where the key is hidden.
    ///
    /// Only attention on devices without a kernel of its own needs it.
    pub(super) fn hidden(&self, batch: usize, queries: usize, keys: usize) -> TensorData {
        let mut hidden = vec![true; batch * queries * keys];
        let rows = hidden.chunks_exact_mut(keys.max(1));
        for (row, hidden) in rows.enumerate() {
            for range in self.ranges(row / queries, row % queries, keys) {
                hidden[range].fill(false);
            }
        }
        TensorData::new(hidden, [batch, 1, queries, keys])
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

/// The span of a row that holds a place.
fn holding(spans: &[Span], place: u32) -> Option<&Span> {
    spans.iter().find(|span| span.contains(place))
}

/// The place that a branch continues, and the span that holds it.
fn stem<'a>(spans: &'a [Span], branch: &Span) -> Option<(u32, &'a Span)> {
    let last = branch.after.filter(|last| *last < branch.start)?;
    Some((last, holding(spans, last)?))
}

/// The runs of the keys that stay.
fn kept(ranges: &[Range<usize>], stays: impl Fn(usize) -> bool) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for key in ranges.iter().cloned().flatten().filter(|key| stays(*key)) {
        match runs.last_mut() {
            Some(run) if run.end == key => run.end += 1,
            _ => runs.push(key..key + 1),
        }
    }
    runs
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
                    .map(|&(start, end)| Span::new(start, end))
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
    fn branches_see_what_they_continue() {
        let branch = |start, end, after| Span {
            after: Some(after),
            ..Span::new(start, end)
        };
        // "abcd", "abe", "abef", and "abegh" one after the other: abcd ef gh.
        let row = vec![Span::new(0, 4), branch(4, 6, 1), branch(6, 8, 4)];
        let mask = Mask {
            spans: [row].into(),
            ..Mask::causal()
        };
        let whole = [
            "x.......", "xx......", "xxx.....", "xxxx....", "xx..x...", "xx..xx..", "xx..x.x.",
            "xx..x.xx",
        ];
        assert_eq!(picture(&mask, 0, 8, 8), whole);
        assert_eq!(mask.positions(0, 8), [0, 1, 2, 3, 2, 3, 3, 4]);
        let window = Mask {
            window: Some(3),
            ..mask.clone()
        };
        let near = [
            "x.......", "xx......", "xxx.....", ".xxx....", "xx..x...", ".x..xx..", ".x..x.x.",
            "....x.xx",
        ];
        assert_eq!(picture(&window, 0, 8, 8), near);
        assert_eq!(window.ranges(0, 7, 8), [4..5, 6..8]);
        // What continues itself continues nothing.
        let astray = Mask {
            spans: [vec![branch(0, 2, 1)]].into(),
            ..Mask::causal()
        };
        assert_eq!(picture(&astray, 0, 2, 2), ["x.", "xx"]);
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
    fn a_query_may_always_or_never_see_its_own_place() {
        let own = |own| Mask {
            spans: spans(&[&[(1, 3)]]),
            hidden: Some(Hidden::new(
                1,
                3,
                3,
                [false, false, true, false, true, false, false, false, false],
            )),
            own,
            ..Mask::default()
        };
        assert_eq!(picture(&own(Own::Alike), 0, 3, 3), [".x.", "..x", ".xx"]);
        assert_eq!(picture(&own(Own::Seen), 0, 3, 3), ["xx.", ".xx", ".xx"]);
        assert_eq!(picture(&own(Own::Unseen), 0, 3, 3), [".x.", "..x", ".x."]);
        let before = Mask {
            own: Own::Unseen,
            ..Mask::causal()
        };
        assert_eq!(picture(&before, 0, 3, 3), ["...", "x..", "xx."]);
    }

    #[test]
    fn keys_that_nobody_sees_can_be_left_out() {
        let mask = Mask {
            window: Some(3),
            spans: spans(&[&[(0, 2), (2, 9)], &[(5, 9)], &[(0, 9)]]),
            past: 6,
            ..Mask::causal()
        };
        for row in 0..3 {
            let whole = picture(&mask, row, 3, 9);
            let rest = picture(&mask.after(4), row, 3, 5);
            for (whole, rest) in whole.iter().zip(rest) {
                assert_eq!(whole[4..], rest);
            }
        }
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
