//! Rows that contradict each other: noise in the labels.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::duplicates::{Duplicates, clusters};
use super::sample::{Sample, Target, excerpt};
use super::sensitive::Sensitive;
use crate::error::Result;

/// Rows that ask the same and are told different things.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The indexes of the rows, in order.
    pub rows: Vec<usize>,
    /// The beginning of what is asked; personal data and secrets are masked.
    pub asked: String,
    /// How many different labels or answers there are.
    pub different: u64,
    /// The labels, or the beginnings of the answers, each with the number of its rows; personal data and secrets are
    /// masked.
    pub outcomes: BTreeMap<String, u64>,
}

/// Finds near-equal texts with different labels, and equal prompts (but for white space) with different answers.
/// Conflicts come in the order of their first rows.
///
/// # Errors
///
/// What [`Duplicates::check`] says.
pub fn conflicts(rows: &[Sample<'_>], alike: &Duplicates) -> Result<Vec<Conflict>> {
    let labeled = |row: &usize| matches!(rows[*row].target, Target::Label(_));
    let labeled: Vec<usize> = (0..rows.len()).filter(labeled).collect();
    let texts: Vec<Sample<'_>> = labeled.iter().map(|&row| rows[row].clone()).collect();
    let clusters = clusters(&alike.find(&texts)?).into_iter();
    let clusters = clusters.map(|cluster| cluster.into_iter().map(|at| labeled[at]).collect());
    let told: Vec<Told> = rows.iter().map(|row| Told::of(&row.target)).collect();
    let masks = Sensitive::default();
    disagreements(&told, clusters)
        .into_iter()
        .map(|found| {
            let of_group = found.rows.iter();
            Conflict::of(&found, of_group.map(|&row| Ok(rows[row].clone())), &masks)
        })
        .collect()
}

/// What a row is told, in hashes: 64 bits each, of the text with every stretch of white space as one space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    Label(u64),
    Answer { prompt: u64, answer: u64 },
}

impl Told {
    pub(crate) fn of(target: &Target<'_>) -> Self {
        match target {
            Target::Text => Self::Nothing,
            Target::Label(label) => Self::Label(xxh3_64(label.as_bytes())),
            Target::Answer { prompt, answer } => Self::Answer {
                prompt: xxh3_64(spaced(prompt).as_bytes()),
                answer: xxh3_64(spaced(answer).as_bytes()),
            },
        }
    }

    fn outcome(self) -> u64 {
        match self {
            Self::Nothing => 0,
            Self::Label(told) | Self::Answer { answer: told, .. } => told,
        }
    }
}

/// Rows that contradict each other, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Disagreement {
    /// In order.
    pub(crate) rows: Vec<usize>,
    pub(crate) different: usize,
}

/// The groups that disagree, among clusters of rows with labels and among rows with the same prompt, in the order of
/// their first rows.
pub(crate) fn disagreements(
    told: &[Told],
    clusters: impl Iterator<Item = Vec<usize>>,
) -> Vec<Disagreement> {
    let mut prompts: Vec<(u64, usize)> = Vec::new();
    for (row, told) in told.iter().enumerate() {
        if let Told::Answer { prompt, .. } = told {
            prompts.push((*prompt, row));
        }
    }
    prompts.sort_unstable();
    let same = prompts.chunk_by(|left, right| left.0 == right.0);
    let same = same.filter(|group| group.len() > 1);
    let same = same.map(|group| group.iter().map(|&(_, row)| row).collect());
    let found = clusters.chain(same).filter_map(|mut rows: Vec<usize>| {
        rows.sort_unstable();
        let different: HashSet<u64> = rows.iter().map(|&row| told[row].outcome()).collect();
        (different.len() > 1).then_some(Disagreement {
            rows,
            different: different.len(),
        })
    });
    let mut found: Vec<Disagreement> = found.collect();
    found.sort();
    found
}

impl Conflict {
    /// A disagreement with its texts, from its rows or the first of them.
    pub(crate) fn of<'a>(
        found: &Disagreement,
        rows: impl Iterator<Item = Result<Sample<'a>>>,
        masks: &Sensitive,
    ) -> Result<Self> {
        let mut conflict = Self {
            rows: found.rows.clone(),
            asked: String::new(),
            different: found.different as u64,
            outcomes: BTreeMap::new(),
        };
        for (place, row) in rows.enumerate() {
            let row = row?;
            let (asked, told) = match &row.target {
                Target::Text => (&*row.text, String::new()),
                Target::Label(label) => (&*row.text, label.clone()),
                Target::Answer { prompt, answer } => (&**prompt, spaced(answer)),
            };
            if place == 0 {
                conflict.asked = excerpt(asked, masks);
            }
            *conflict.outcomes.entry(excerpt(&told, masks)).or_default() += 1;
        }
        Ok(conflict)
    }
}

/// The text with every stretch of white space as one space.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
