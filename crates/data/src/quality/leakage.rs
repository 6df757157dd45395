//! Rows of the training data that stand in the test data too.

use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::duplicates::Duplicates;
use super::sample::Sample;
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
    /// those the first by origin and text.
    ///
    /// # Errors
    ///
    /// What [`Duplicates::check`] says.
    pub fn leaks(&self, train: &[Sample<'_>], test: &[Sample<'_>]) -> Result<Vec<Option<Leak>>> {
        self.check()?;
        let sketch = self.sketch();
        let sets: Vec<Vec<u64>> = test
            .par_iter()
            .map(|sample| shingles(&sample.text, self.words))
            .collect();
        let mut places: HashMap<(usize, u64), Vec<usize>> = HashMap::new();
        let mut equal: HashMap<&str, usize> = HashMap::new();
        let mut order: Vec<usize> = (0..test.len()).collect();
        order.sort_by_key(|&index| (test[index].origin, &test[index].text));
        for index in order {
            equal.entry(&test[index].text).or_insert(index);
            for (band, key) in sketch.keys(&sets[index]).into_iter().enumerate() {
                places.entry((band, key)).or_default().push(index);
            }
        }
        let leak = |sample: &Sample<'_>| {
            if let Some(&test) = equal.get(&*sample.text) {
                return Some(Leak {
                    test,
                    exact: true,
                    similarity: 1.0,
                });
            }
            let set = shingles(&sample.text, self.words);
            let keys = sketch.keys(&set).into_iter().enumerate();
            let mut candidates: Vec<usize> = keys
                .filter_map(|place| places.get(&place))
                .flatten()
                .copied()
                .collect();
            candidates.sort_unstable();
            candidates.dedup();
            candidates
                .into_iter()
                .map(|index| (jaccard(&set, &sets[index]), index))
                .filter(|&(similarity, _)| similarity >= self.threshold)
                .min_by(|left, right| {
                    let place = |index: usize| (test[index].origin, &test[index].text);
                    let by_place = || place(left.1).cmp(&place(right.1));
                    right.0.total_cmp(&left.0).then_with(by_place)
                })
                .map(|(similarity, test)| Leak {
                    test,
                    exact: false,
                    similarity,
                })
        };
        Ok(train.par_iter().map(leak).collect())
    }
}
