//! Which keys are visible.

use std::ops::Range;

use crate::op::attention::Plan;

/// The keys that a block of queries sees.
pub(super) struct Sight {
    /// From the first to the last visible key of any query of the block.
    pub(super) keys: Range<usize>,
    /// The visible keys of each query, counted from `keys.start`.
    pub(super) rows: Vec<Vec<Range<usize>>>,
}

impl Sight {
    pub(super) fn new(plan: &Plan, batch: usize, queries: &Range<usize>, keys: usize) -> Self {
        let mut rows: Vec<_> = queries
            .clone()
            .map(|query| plan.mask.ranges(batch, query, keys))
            .collect();
        let start = rows.iter().flatten().map(|range| range.start).min();
        let end = rows.iter().flatten().map(|range| range.end).max();
        let keys = start.unwrap_or(0)..end.unwrap_or(0);
        for range in rows.iter_mut().flatten() {
            *range = range.start - keys.start..range.end - keys.start;
        }
        Self { keys, rows }
    }
}
