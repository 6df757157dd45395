//! How varied the data is, and how evenly its labels are spread.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::duplicates::{Duplicates, clusters};
use super::sample::{Sample, Target};
use super::sensitive::Sensitive;
use super::words::{gram_hash, word_hashes};
use crate::error::Result;

/// How diversity is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Diversity {
    /// Of how many rows words are counted at most: the counts are held in memory. The rows are those whose texts have
    /// the least hashes, whatever their order. Default 20,000.
    pub rows: usize,
    /// When rows are taken for one group: by default when half of their runs of two words are the same, which templates
    /// and paraphrases are and texts about one thing are not.
    pub alike: Duplicates,
    /// How many groups and labels are listed. Default 10.
    pub listed: usize,
}

impl Default for Diversity {
    fn default() -> Self {
        Self {
            rows: 20_000,
            alike: Duplicates {
                threshold: 0.5,
                words: 2,
                ..Duplicates::default()
            },
            listed: 10,
        }
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiversityReport {
    /// The rows whose words were counted.
    pub rows: u64,
    /// The words in them.
    pub words: u64,
    /// The different words among these.
    pub types: u64,
    /// The entropy of runs of one, two and three words in bits: Σ -p log₂ p over their frequencies.
    pub entropy: [f64; 3],
    /// Different runs of one, two and three words, divided by all of them.
    pub distinct: [f64; 3],
    /// Groups of at least two rows that are alike.
    pub groups: u64,
    /// The rows that are in such groups.
    pub grouped: u64,
    /// The largest groups.
    pub largest: Vec<Group>,
    /// How many different labels there are.
    pub labels: u64,
    /// The most frequent labels.
    pub frequent: Vec<LabelCount>,
    /// The most frequent label's rows divided by the rarest one's; 0 without labels.
    pub imbalance: f64,
    /// The entropy of the labels divided by that of labels spread evenly, from 0 to 1; 1 for a single label.
    pub balance: f64,
}

/// Rows that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// How many.
    pub rows: u64,
    /// The beginning of one of them.
    pub excerpt: String,
}

/// A label with the number of its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelCount {
    /// The label.
    pub label: String,
    /// How many rows have it.
    pub rows: u64,
}

impl DiversityReport {
    /// Different words divided by all words. It falls with the amount of text: compare data sets of one size.
    pub fn type_token_ratio(&self) -> f64 {
        self.types as f64 / self.words.max(1) as f64
    }
}

impl Diversity {
    /// Measures rows.
    ///
    /// # Errors
    ///
    /// What [`Duplicates::check`] says of `alike`.
    pub fn measure(&self, rows: &[Sample<'_>]) -> Result<DiversityReport> {
        let mut report = DiversityReport::default();
        self.count_words(rows, &mut report);
        self.count_labels(rows, &mut report);
        let groups = clusters(&self.alike.find(rows)?);
        report.groups = groups.len() as u64;
        report.grouped = groups.iter().map(|group| group.len() as u64).sum();
        let masks = Sensitive::default();
        let largest = groups.iter().take(self.listed);
        report.largest = largest
            .map(|group| Group {
                rows: group.len() as u64,
                excerpt: rows[group[0]].excerpt(&masks),
            })
            .collect();
        Ok(report)
    }

    fn count_words(&self, rows: &[Sample<'_>], report: &mut DiversityReport) {
        let mut hashed: Vec<(u64, &str)> = rows
            .iter()
            .map(|sample| (xxh3_64(sample.text.as_bytes()), &*sample.text))
            .collect();
        hashed.sort_unstable();
        hashed.truncate(self.rows);
        let mut counts: [HashMap<u64, u64>; 3] = Default::default();
        for (_, text) in &hashed {
            let words = word_hashes(text);
            report.words += words.len() as u64;
            for (counts, size) in counts.iter_mut().zip(1..) {
                for run in words.windows(size) {
                    *counts.entry(gram_hash(run)).or_default() += 1;
                }
            }
        }
        report.rows = hashed.len() as u64;
        report.types = counts[0].len() as u64;
        for (place, counts) in counts.into_iter().enumerate() {
            let different = counts.len() as f64;
            let all: u64 = counts.values().sum();
            report.distinct[place] = different / all.max(1) as f64;
            report.entropy[place] = entropy(counts.into_values());
        }
    }

    fn count_labels(&self, rows: &[Sample<'_>], report: &mut DiversityReport) {
        let mut labels: BTreeMap<&str, u64> = BTreeMap::new();
        for sample in rows {
            if let Target::Label(label) = &sample.target {
                *labels.entry(label).or_default() += 1;
            }
        }
        let mut counted: Vec<(&str, u64)> = labels.into_iter().collect();
        counted.sort_by_key(|&(label, rows)| (std::cmp::Reverse(rows), label));
        report.labels = counted.len() as u64;
        if let (Some(most), Some(least)) = (counted.first(), counted.last()) {
            report.imbalance = most.1 as f64 / least.1 as f64;
            report.balance = if counted.len() == 1 {
                1.0
            } else {
                entropy(counted.iter().map(|&(_, rows)| rows)) / (counted.len() as f64).log2()
            };
        }
        let frequent = counted.into_iter().take(self.listed);
        report.frequent = frequent
            .map(|(label, rows)| LabelCount {
                label: label.to_owned(),
                rows,
            })
            .collect();
    }
}

/// In bits. The counts are sorted first: a sum of floats depends on its order.
fn entropy(counts: impl Iterator<Item = u64>) -> f64 {
    let mut counts: Vec<u64> = counts.collect();
    counts.sort_unstable();
    let all: u64 = counts.iter().sum();
    let share = |count: u64| count as f64 / all as f64;
    counts
        .into_iter()
        .map(|count| -share(count) * share(count).log2())
        .sum::<f64>()
        .max(0.0)
}
