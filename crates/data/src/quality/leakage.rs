//! Rows of the training data that stand in the test data too.

use std::cmp::Reverse;
use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::duplicates::Duplicates;
use super::sample::Sample;
use super::sketch::Sketch;
use super::words::{jaccard, shingles};
use crate::error::Result;

/// A row of the test data that a training row repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// The index of the test row.
    pub test: usize,
    /// Whether the texts are equal, character by character.
    pub exact: bool,
    /// The Jaccard similarity, at least the threshold of near duplicates.
    pub similarity: f64,
}

impl Duplicates {
    /// For each training row the test row that it repeats, exactly or nearly: of several the most similar one, and of
    /// those the first by origin and text. A row is compared with the 64 test rows that share the most bands with it.
    ///
    /// # Errors
    ///
    /// What [`Duplicates::check`] says.
    pub fn leaks(&self, train: &[Sample<'_>], test: &[Sample<'_>]) -> Result<Vec<Option<Leak>>> {
        self.check()?;
        let sketch = self.sketch();
        let tests = Tests::new(self, &sketch, test);
        let leak = |sample: &Sample<'_>| {
            let set = shingles(&sample.text, self.words);
            tests.leak(&sample.text, &set, &sketch.keys(&set))
        };
        Ok(train.par_iter().map(leak).collect())
    }
}

/// Test rows, to be searched for what a row repeats.
pub(crate) struct Tests<'a> {
    rows: &'a [Sample<'a>],
    threshold: f64,
    sets: Vec<Vec<u64>>,
    /// The place of each row in the order of origins and texts.
    ranks: Vec<usize>,
    places: HashMap<(usize, u64), Vec<usize>>,
    equal: HashMap<&'a str, usize>,
}

impl<'a> Tests<'a> {
    /// With how many test rows a row is compared at most: those that share the most bands with it. Where all rows are
    /// of one template, every one would be compared with all that share a band.
    const COMPARED: usize = 64;

    pub(crate) fn new(settings: &Duplicates, sketch: &Sketch, rows: &'a [Sample<'a>]) -> Self {
        let sets: Vec<Vec<u64>> = rows
            .par_iter()
            .map(|sample| shingles(&sample.text, settings.words))
            .collect();
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|&row| (rows[row].origin, &rows[row].text));
        let mut tests = Self {
            rows,
            threshold: settings.threshold,
            ranks: vec![0; rows.len()],
            places: HashMap::new(),
            equal: HashMap::new(),
            sets,
        };
        for (rank, row) in order.into_iter().enumerate() {
            tests.ranks[row] = rank;
            tests.equal.entry(&rows[row].text).or_insert(row);
            for place in sketch.keys(&tests.sets[row]).into_iter().enumerate() {
                tests.places.entry(place).or_default().push(row);
            }
        }
        tests
    }

    /// The rows themselves.
    pub(crate) fn rows(&self) -> &'a [Sample<'a>] {
        self.rows
    }

    /// The test row that a text with this set and these keys repeats.
    pub(crate) fn leak(&self, text: &str, set: &[u64], keys: &[u64]) -> Option<Leak> {
        if let Some(&test) = self.equal.get(text) {
            return Some(Leak {
                test,
                exact: true,
                similarity: 1.0,
            });
        }
        let mut shared: HashMap<usize, usize> = HashMap::new();
        for place in keys.iter().copied().enumerate() {
            for &row in self.places.get(&place).into_iter().flatten() {
                *shared.entry(row).or_default() += 1;
            }
        }
        let mut candidates: Vec<(usize, usize)> = shared.into_iter().collect();
        candidates.sort_unstable_by_key(|&(row, bands)| (Reverse(bands), self.ranks[row]));
        candidates.truncate(Self::COMPARED);
        let similar = candidates
            .into_iter()
            .map(|(row, _)| (jaccard(set, &self.sets[row]), row))
            .filter(|&(similarity, _)| similarity >= self.threshold);
        let best = similar.min_by(|left, right| {
            let by_rank = || self.ranks[left.1].cmp(&self.ranks[right.1]);
            right.0.total_cmp(&left.0).then_with(by_rank)
        });
        best.map(|(similarity, test)| Leak {
            test,
            exact: false,
            similarity,
        })
    }
}
