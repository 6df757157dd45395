//! Rows that contradict each other: noise in the labels.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

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
    let mut groups: Vec<Vec<usize>> = clusters(&alike.find(&texts)?)
        .into_iter()
        .map(|cluster| cluster.into_iter().map(|index| labeled[index]).collect())
        .collect();
    let mut prompts: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (row, sample) in rows.iter().enumerate() {
        if let Target::Answer { prompt, .. } = &sample.target {
            prompts.entry(spaced(prompt)).or_default().push(row);
        }
    }
    groups.extend(prompts.into_values());
    let masks = Sensitive::default();
    let mut conflicts: Vec<Conflict> = groups
        .into_iter()
        .filter_map(|group| conflict(rows, group, &masks))
        .collect();
    conflicts.sort_by(|left, right| left.rows.cmp(&right.rows));
    Ok(conflicts)
}

fn conflict(rows: &[Sample<'_>], mut group: Vec<usize>, masks: &Sensitive) -> Option<Conflict> {
    let told = |row: usize| match &rows[row].target {
        Target::Text => String::new(),
        Target::Label(label) => label.clone(),
        Target::Answer { answer, .. } => spaced(answer),
    };
    let different: BTreeSet<String> = group.iter().map(|&row| told(row)).collect();
    if different.len() < 2 {
        return None;
    }
    group.sort_unstable();
    let mut outcomes = BTreeMap::new();
    for &row in &group {
        *outcomes.entry(excerpt(&told(row), masks)).or_default() += 1;
    }
    let asked = match &rows[group[0]].target {
        Target::Answer { prompt, .. } => excerpt(prompt, masks),
        Target::Text | Target::Label(_) => rows[group[0]].excerpt(masks),
    };
    Some(Conflict {
        rows: group,
        asked,
        different: different.len() as u64,
        outcomes,
    })
}

/// The text with every stretch of white space as one space.
fn spaced(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
