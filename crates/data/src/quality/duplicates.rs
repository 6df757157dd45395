//! Rows that are equal, and rows that are nearly equal.

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::sample::Sample;
use super::sketch::Sketch;
use super::words::{jaccard, shingles};
use crate::error::{DataError, Result};

/// Finds duplicates: exact ones by their text, near ones by the runs of words that they share.
///
/// Candidates come from `MinHash` with banded hashing, every one of them is verified by its exact Jaccard similarity, and
/// similar rows are joined to clusters; a chain of rows, each like the next, is one cluster. Of each cluster one row
/// stays: the first by origin, then by text. So neither the order in which the rows come nor the number of threads
/// changes what stays.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Duplicates {
    /// The least similarity of near duplicates, in (0, 1]. Default 0.8.
    pub threshold: f64,
    /// How many words a run has. Default 5.
    pub words: usize,
    /// How many hash functions there are, 1 to 4,096. Default 128.
    pub permutations: usize,
    /// With what probability a pair just at the threshold is found, in (0, 1). More similar pairs are found more
    /// surely. Default 0.98.
    pub recall: f64,
    /// Other hash functions. Default 0.
    pub seed: u64,
}

impl Default for Duplicates {
    fn default() -> Self {
        Self {
            threshold: 0.8,
            words: 5,
            permutations: 128,
            recall: 0.98,
            seed: 0,
        }
    }
}

/// What a row repeats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Duplicate {
    /// The text of another row, character by character.
    Exact {
        /// That row's index.
        of: usize,
    },
    /// Most of another row.
    Near {
        /// The index of the row that stays.
        of: usize,
        /// Its Jaccard similarity with this row; in a chain it can be below the threshold.
        similarity: f64,
    },
}

impl Duplicate {
    /// The index of the row that is repeated.
    pub fn of(self) -> usize {
        match self {
            Self::Exact { of } | Self::Near { of, .. } => of,
        }
    }

    /// How alike the two rows are, from 0 to 1.
    pub fn similarity(self) -> f64 {
        match self {
            Self::Exact { .. } => 1.0,
            Self::Near { similarity, .. } => similarity,
        }
    }
}

impl Duplicates {
    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] for the first one that cannot be used.
    pub fn check(&self) -> Result<()> {
        let faults = [
            (
                self.threshold > 0.0 && self.threshold <= 1.0,
                "threshold",
                self.threshold,
                "a number in (0, 1]",
            ),
            (
                self.recall > 0.0 && self.recall < 1.0,
                "recall",
                self.recall,
                "a number in (0, 1)",
            ),
            (self.words > 0, "words", self.words as f64, "at least 1"),
            (
                (1..=4_096).contains(&self.permutations),
                "permutations",
                self.permutations as f64,
                "1 to 4096",
            ),
        ];
        match faults.into_iter().find(|(holds, ..)| !holds) {
            None => Ok(()),
            Some((_, name, found, expected)) => Err(DataError::Setting {
                name: format!("duplicates.{name}"),
                found: found.to_string(),
                expected: expected.into(),
            }),
        }
    }

    /// For each row what it repeats, `None` for the rows that stay.
    ///
    /// # Errors
    ///
    /// What [`Duplicates::check`] says.
    pub fn find(&self, rows: &[Sample<'_>]) -> Result<Vec<Option<Duplicate>>> {
        self.check()?;
        let firsts = firsts(rows);
        let unique: Vec<usize> = (0..rows.len()).filter(|&row| firsts[row] == row).collect();
        let sketch = self.sketch();
        let keys: Vec<Vec<u64>> = unique
            .par_iter()
            .map(|&row| sketch.keys(&shingles(&rows[row].text, self.words)))
            .collect();
        let texts: Vec<&str> = unique.iter().map(|&row| &*rows[row].text).collect();
        let mut union = Union::new(unique.len());
        for band in 0..sketch.bands() {
            self.join(&texts, &buckets(&keys, band), &mut union);
        }
        let stays = union.firsts(|index| (rows[unique[index]].origin, texts[index]));
        let mut found: Vec<Option<Duplicate>> = firsts
            .iter()
            .enumerate()
            .map(|(row, &of)| (of != row).then_some(Duplicate::Exact { of }))
            .collect();
        let near: Vec<(usize, Duplicate)> = (0..unique.len())
            .into_par_iter()
            .filter(|&index| stays[index] != index)
            .map(|index| {
                let (of, similarity) = (unique[stays[index]], {
                    let set = |index: usize| shingles(texts[index], self.words);
                    jaccard(&set(index), &set(stays[index]))
                });
                (unique[index], Duplicate::Near { of, similarity })
            })
            .collect();
        for (row, duplicate) in near {
            found[row] = Some(duplicate);
        }
        Ok(found)
    }

    pub(crate) fn sketch(&self) -> Sketch {
        Sketch::new(self.permutations, self.threshold, self.recall, self.seed)
    }

    /// Joins what is alike within each bucket. Buckets of a band are disjoint, so they are searched in parallel; pairs
    /// that are joined already are not compared again, which does not change what is joined in the end.
    fn join(&self, texts: &[&str], buckets: &[Vec<usize>], union: &mut Union) {
        let roots = union.roots();
        let pairs: Vec<(usize, usize)> = buckets
            .par_iter()
            .flat_map_iter(|bucket| self.pairs(texts, bucket, &roots))
            .collect();
        for (left, right) in pairs {
            union.join(left, right);
        }
    }

    /// Pairs that connect all rows of a bucket that are connected. Takes time by the number of rows where they are
    /// alike, and by its square only among rows that share a band and are not.
    fn pairs(&self, texts: &[&str], bucket: &[usize], roots: &[usize]) -> Vec<(usize, usize)> {
        let mut blocks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for &row in bucket {
            blocks.entry(roots[row]).or_default().push(row);
        }
        if blocks.len() < 2 {
            return Vec::new();
        }
        let sets: HashMap<usize, OnceCell<Vec<u64>>> =
            bucket.iter().map(|&row| (row, OnceCell::new())).collect();
        let set = |row: usize| sets[&row].get_or_init(|| shingles(texts[row], self.words));
        let alike = |left: usize, right: usize| jaccard(set(left), set(right)) >= self.threshold;
        let mut pairs = Vec::new();
        let mut components: Vec<Vec<usize>> = Vec::new();
        for mut block in blocks.into_values() {
            let mut apart = Vec::new();
            for component in components {
                let mut every = block.iter().flat_map(|&left| {
                    let rights = component.iter();
                    rights.map(move |&right| (left, right))
                });
                match every.find(|&(left, right)| alike(left, right)) {
                    Some(pair) => {
                        pairs.push(pair);
                        block.extend(component);
                    }
                    None => apart.push(component),
                }
            }
            apart.push(block);
            components = apart;
        }
        pairs
    }
}

/// The rows of each cluster of at least two, the one that stays first: the greatest clusters first, then in the order
/// of the rows that stay.
pub fn clusters(duplicates: &[Option<Duplicate>]) -> Vec<Vec<usize>> {
    let mut clusters: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, duplicate) in duplicates.iter().enumerate() {
        if let Some(duplicate) = duplicate {
            // What an exact duplicate repeats can itself be near to the row that stays.
            let of = duplicate.of();
            let stays = duplicates[of].map_or(of, Duplicate::of);
            clusters
                .entry(stays)
                .or_insert_with(|| vec![stays])
                .push(row);
        }
    }
    let mut clusters: Vec<Vec<usize>> = clusters.into_values().collect();
    clusters.sort_by_key(|rows| (std::cmp::Reverse(rows.len()), rows[0]));
    clusters
}

/// For each row the first by origin that has the same text.
fn firsts(rows: &[Sample<'_>]) -> Vec<usize> {
    let mut first: HashMap<&str, usize> = HashMap::with_capacity(rows.len());
    for (row, sample) in rows.iter().enumerate() {
        let first = first.entry(&sample.text).or_insert(row);
        if sample.origin < rows[*first].origin {
            *first = row;
        }
    }
    rows.iter().map(|sample| first[&*sample.text]).collect()
}

/// The indexes that share the key of a band, where there are at least two.
pub(crate) fn buckets(keys: &[Vec<u64>], band: usize) -> Vec<Vec<usize>> {
    let mut keyed: Vec<(u64, usize)> = keys
        .iter()
        .enumerate()
        .filter_map(|(index, keys)| keys.get(band).map(|&key| (key, index)))
        .collect();
    keyed.par_sort_unstable();
    let buckets = keyed.chunk_by(|left, right| left.0 == right.0);
    buckets
        .filter(|bucket| bucket.len() > 1)
        .map(|bucket| bucket.iter().map(|&(_, index)| index).collect())
        .collect()
}

/// Disjoint sets of indexes.
struct Union {
    parents: Vec<usize>,
}

impl Union {
    fn new(length: usize) -> Self {
        Self {
            parents: (0..length).collect(),
        }
    }

    fn root(&mut self, mut index: usize) -> usize {
        while self.parents[index] != index {
            self.parents[index] = self.parents[self.parents[index]];
            index = self.parents[index];
        }
        index
    }

    fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        self.parents[left.max(right)] = left.min(right);
    }

    fn roots(&mut self) -> Vec<usize> {
        (0..self.parents.len())
            .map(|index| self.root(index))
            .collect()
    }

    /// For each index the least of its set by a key.
    fn firsts<K: Ord>(&mut self, key: impl Fn(usize) -> K) -> Vec<usize> {
        let roots = self.roots();
        let mut least: Vec<usize> = roots.clone();
        for (index, &root) in roots.iter().enumerate() {
            if key(index) < key(least[root]) {
                least[root] = index;
            }
        }
        roots.into_iter().map(|root| least[root]).collect()
    }
}
