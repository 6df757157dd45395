//! Rows that are equal, and rows that are nearly equal.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::neighbours;
use super::prints::{Print, Prints};
use super::sample::Sample;
use super::sketch::Sketch;
use super::words::{jaccard, shingles};
use crate::document::Origin;
use crate::error::{DataError, Result};

/// Finds duplicates: exact ones by their text, near ones by the runs of words that they share.
///
/// Candidates come from `MinHash` with banded hashing, every one of them is verified by its exact Jaccard similarity, and
/// similar rows are joined to clusters; a chain of rows, each like the next, is one cluster. Of each cluster one row
/// stays: the first by origin, then by a hash of its text. So neither the order in which the rows come nor the number of
/// threads changes what stays.
///
/// Time is by the number of rows. Where more than 32 rows share a band, as rows of one template do, each is compared
/// with the 32 on either side of it, in an order by what else they share, and not with all: two rows that are alike and
/// have nothing in common with each other but what they have in common with thousands may then be missed.
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
        let set = |row: usize| Ok(shingles(&rows[row].text, self.words));
        let found = self.repeats(&self.prints(rows), |row| rows[row].origin.clone(), set)?;
        found
            .into_par_iter()
            .enumerate()
            .map(|(row, found)| {
                Ok(match found {
                    Repeat::Nothing => None,
                    Repeat::Exact(of) => Some(Duplicate::Exact { of }),
                    Repeat::Near(of) => Some(Duplicate::Near {
                        of,
                        similarity: jaccard(&set(row)?, &set(of)?),
                    }),
                })
            })
            .collect()
    }

    pub(crate) fn sketch(&self) -> Sketch {
        Sketch::new(self.permutations, self.threshold, self.recall, self.seed)
    }

    /// The prints of rows.
    pub(crate) fn prints(&self, rows: &[Sample<'_>]) -> Prints {
        let sketch = self.sketch();
        let prints: Vec<Print> = rows
            .par_iter()
            .map(|sample| Print::of(&sample.text, self.words, &sketch))
            .collect();
        prints.into_iter().collect()
    }

    /// For each row what it repeats: [`Duplicates::find`] for rows that are not in memory. `set` reads a row again, and
    /// gives its [`shingles`].
    pub(crate) fn repeats(
        &self,
        prints: &Prints,
        origin: impl Fn(usize) -> Origin,
        set: impl Fn(usize) -> Result<Vec<u64>> + Sync,
    ) -> Result<Vec<Repeat>> {
        let mut found = equals(prints, &origin);
        let rows: Vec<usize> = (0..prints.len())
            .filter(|&row| found[row] == Repeat::Nothing)
            .collect();
        let mut union = neighbours::join(prints, &rows, self.threshold, set)?;
        let stays = union.firsts(|row| (origin(row), prints.text(row)));
        for row in rows {
            if stays[row] != row {
                found[row] = Repeat::Near(stays[row]);
            }
        }
        Ok(found)
    }
}

/// What a row repeats, before it is known how alike they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    Nothing,
    Exact(usize),
    Near(usize),
}

impl Repeat {
    /// The row that is repeated.
    pub(crate) fn of(self) -> Option<usize> {
        match self {
            Self::Nothing => None,
            Self::Exact(of) | Self::Near(of) => Some(of),
        }
    }
}

/// The rows that have the text of another one, which is the first of them by origin.
pub(crate) fn equals(prints: &Prints, origin: impl Fn(usize) -> Origin) -> Vec<Repeat> {
    let mut order: Vec<usize> = (0..prints.len()).collect();
    order.par_sort_unstable_by_key(|&row| (prints.text(row), row));
    let mut found = vec![Repeat::Nothing; prints.len()];
    let same = order.chunk_by(|&left, &right| prints.text(left) == prints.text(right));
    for rows in same.filter(|rows| rows.len() > 1) {
        let first = rows.iter().copied().min_by_key(|&row| (origin(row), row));
        let first = first.unwrap_or(rows[0]);
        for &row in rows.iter().filter(|&&row| row != first) {
            found[row] = Repeat::Exact(first);
        }
    }
    found
}

/// The rows of each cluster of at least two, the one that stays first: the greatest clusters first, then in the order
/// of the rows that stay.
pub fn clusters(duplicates: &[Option<Duplicate>]) -> Vec<Vec<usize>> {
    let repeated = duplicates.iter();
    grouped(repeated.map(|duplicate| duplicate.map(Duplicate::of)))
}

/// Clusters by what each row repeats.
pub(crate) fn grouped(repeated: impl Iterator<Item = Option<usize>>) -> Vec<Vec<usize>> {
    let repeated: Vec<Option<usize>> = repeated.collect();
    let mut clusters: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, of) in repeated.iter().enumerate() {
        if let Some(of) = *of {
            // What an exact duplicate repeats can itself be near to the row that stays.
            let stays = repeated[of].unwrap_or(of);
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
