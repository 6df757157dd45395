//! Which keys are visible.

use std::ops::Range;

use crate::op::attention::{Bend, Plan};

/// The keys that a block of queries sees.
pub(super) struct Sight {
    /// From the first to the last visible key of any query of the block.
    pub(super) keys: Range<usize>,
    /// The visible keys of each query, counted from `keys.start`.
    pub(super) rows: Vec<Vec<Range<usize>>>,
    /// Where scores fall with the distance, how far the first key of each range is ahead of its query.
    pub(super) ahead: Vec<Vec<f32>>,
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
        let ahead = match plan.bend {
            Bend::Falling(_) => ahead(plan, batch, queries, &rows),
            Bend::Plain | Bend::Capped(_) | Bend::Added => Vec::new(),
        };
        for range in rows.iter_mut().flatten() {
            *range = range.start - keys.start..range.end - keys.start;
        }
        Self { keys, rows, ahead }
    }
}

/// How far the first key of each range that a query sees is ahead of the query in its text.
fn ahead(
    plan: &Plan,
    batch: usize,
    queries: &Range<usize>,
    rows: &[Vec<Range<usize>>],
) -> Vec<Vec<f32>> {
    let ends = rows.iter().flatten().map(|range| range.end);
    let places = ends.max().unwrap_or(0).max(plan.mask.past + queries.end);
    let positions = plan.mask.positions(batch, places);
    let row = |(query, row): (usize, &Vec<Range<usize>>)| {
        let at = positions[plan.mask.past + query] as f32;
        let first = |range: &Range<usize>| positions[range.start] as f32 - at;
        row.iter().map(first).collect()
    };
    queries.clone().zip(rows).map(row).collect()
}
