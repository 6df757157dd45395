//! Which rows are nearly equal, in time by the number of rows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rayon::prelude::*;

use super::prints::Prints;
use super::union::Union;
use super::words::jaccard;
use crate::error::Result;

/// With how many rows of a bucket a row is compared at most, before it and after it.
///
/// Rows that share a band and are not alike, as rows of one template do, would be compared by the square of their number.
/// So a bucket of more rows is put into an order in which rows that share other bands too stand side by side (the method
/// of the sorted neighbourhood, Hernández and Stolfo, 1995), and each row is compared with those near it. Rows that are
/// alike share several bands, and so stand side by side in one of them or share one that few others do.
const WINDOW: usize = 32;

/// Joins the rows whose sets have at least this similarity. A chain of rows, each like the next, is one set.
///
/// What is joined is a function of the rows' contents: every two rows of a bucket that are near in its order and alike.
/// It depends neither on the order in which rows come nor on threads; pairs that are joined already are not compared
/// again, which changes nothing.
pub(crate) fn join<F>(prints: &Prints, rows: &[usize], threshold: f64, set: F) -> Result<Union>
where
    F: Fn(usize) -> Result<Vec<u64>> + Sync,
{
    let mut union = Union::new(prints.len());
    for band in 0..prints.bands() {
        let roots = union.roots();
        let keyed = keyed(prints, rows, band);
        let buckets: Vec<&[(u32, usize)]> = keyed
            .chunk_by(|left, right| left.0 == right.0)
            .filter(|bucket| {
                bucket
                    .iter()
                    .any(|&(_, row)| roots[row] != roots[bucket[0].1])
            })
            .collect();
        let pairs: Vec<Vec<(usize, usize)>> = buckets
            .into_par_iter()
            .map(|bucket| {
                let rows = bucket.iter().map(|&(_, row)| row).collect();
                Bucket::new(prints, rows, band, &roots).pairs(threshold, &set)
            })
            .collect::<Result<_>>()?;
        for (left, right) in pairs.into_iter().flatten() {
            union.join(left, right);
        }
    }
    Ok(union)
}

/// Rows by their key of a band.
fn keyed(prints: &Prints, rows: &[usize], band: usize) -> Vec<(u32, usize)> {
    let keys = rows.par_iter();
    let mut keyed: Vec<(u32, usize)> = keys
        .filter_map(|&row| Some((prints.key(row, band)?, row)))
        .collect();
    keyed.par_sort_unstable();
    keyed
}

/// Rows that share a band, in their order, with what is known of them.
struct Bucket {
    rows: Vec<usize>,
    /// Sets of places in `rows`.
    union: Union,
}

impl Bucket {
    fn new(prints: &Prints, mut rows: Vec<usize>, band: usize, roots: &[usize]) -> Self {
        if rows.len() > WINDOW {
            rows.sort_unstable_by(|&left, &right| {
                prints.order(left, band).cmp(prints.order(right, band))
            });
        }
        let mut union = Union::new(rows.len());
        let mut first: HashMap<usize, usize> = HashMap::new();
        for (place, &row) in rows.iter().enumerate() {
            let known = *first.entry(roots[row]).or_insert(place);
            union.join(known, place);
        }
        Self { rows, union }
    }

    /// Pairs that are alike and connect all that is connected by them. The sets of the rows near a place are held.
    fn pairs<F>(mut self, threshold: f64, set: &F) -> Result<Vec<(usize, usize)>>
    where
        F: Fn(usize) -> Result<Vec<u64>>,
    {
        let mut pairs = Vec::new();
        let mut sets: HashMap<usize, Vec<u64>> = HashMap::new();
        for place in 0..self.rows.len() {
            let from = place.saturating_sub(WINDOW);
            sets.remove(&from.wrapping_sub(1));
            for before in (from..place).rev() {
                if self.union.root(before) == self.union.root(place) {
                    continue;
                }
                for place in [before, place] {
                    if let Entry::Vacant(entry) = sets.entry(place) {
                        entry.insert(set(self.rows[place])?);
                    }
                }
                if alike(&sets[&before], &sets[&place], threshold) {
                    self.union.join(before, place);
                    pairs.push((self.rows[before], self.rows[place]));
                }
            }
        }
        Ok(pairs)
    }
}

/// Whether the similarity of two sets is at least the threshold.
fn alike(left: &[u64], right: &[u64], threshold: f64) -> bool {
    let (small, large) = (left.len().min(right.len()), left.len().max(right.len()));
    small as f64 / large as f64 >= threshold && jaccard(left, right) >= threshold
}
