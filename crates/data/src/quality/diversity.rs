//! How varied the data is, and how evenly its labels are spread.

use std::cmp::Reverse;
use std::collections::HashMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::disagreement::Told;
use super::duplicates::{Duplicates, Repeat, grouped};
use super::prints::{Print, Prints};
use super::rows::Reread;
use super::sample::{Sample, Target, excerpt};
use super::sensitive::Sensitive;
use super::words::{gram_hash, shingles, word_hashes};
use crate::error::Result;

/// How diversity is measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Diversity {
    /// How many rows are measured at most: those whose texts have the least hashes, whatever their order. Default
    /// 20,000.
    pub rows: usize,
    /// After how many words no further row is counted: counts are held in memory, about 30 bytes for each different
    /// run. Default 2,000,000.
    pub words: u64,
    /// When rows are taken for one group: by default when half of their runs of two words are the same, which templates
    /// and paraphrases are and texts about one thing are not.
    pub alike: Duplicates,
    /// How many groups and labels are listed. Default 20.
    pub listed: usize,
}

impl Default for Diversity {
    fn default() -> Self {
        Self {
            rows: 20_000,
            words: 2_000_000,
            alike: Duplicates {
                threshold: 0.5,
                words: 2,
                ..Duplicates::default()
            },
            listed: 20,
        }
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiversityReport {
    /// The rows that were measured.
    pub rows: u64,
    /// Those of them whose words were counted.
    pub counted: u64,
    /// The words in them.
    pub words: u64,
    /// The different words among these.
    pub types: u64,
    /// The entropy of runs of one, two and three words in bits: Σ -p log₂ p over their frequencies.
    pub entropy: [f64; 3],
    /// Different runs of one, two and three words, divided by all of them.
    pub distinct: [f64; 3],
    /// Groups of at least two of the measured rows that are alike.
    pub groups: u64,
    /// The rows that are in such groups.
    pub grouped: u64,
    /// The largest groups.
    pub largest: Vec<Group>,
    /// How many rows have a label.
    pub labeled: u64,
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
        let texts: Vec<u128> = rows
            .iter()
            .map(|sample| xxh3_128(sample.text.as_bytes()))
            .collect();
        let told = rows.iter().map(|sample| Told::of(&sample.target));
        let told: Vec<Told> = told.collect();
        self.measure_by(
            &texts,
            &told,
            &Reread {
                origin: &|row| rows[row].origin.clone(),
                sample: &|row, look| {
                    look(&rows[row]);
                    Ok(())
                },
            },
        )
    }

    /// Measures rows that are not in memory, by the hashes of their texts and of what they are told.
    pub(crate) fn measure_by(
        &self,
        texts: &[u128],
        told: &[Told],
        rows: &Reread<'_>,
    ) -> Result<DiversityReport> {
        self.alike.check()?;
        let mut report = DiversityReport::default();
        let mut measured: Vec<usize> = (0..texts.len()).collect();
        measured.par_sort_unstable_by_key(|&row| (texts[row], row));
        measured.truncate(self.rows);
        report.rows = measured.len() as u64;
        self.count_words(&measured, rows, &mut report)?;
        self.count_labels(told, rows, &mut report)?;
        self.group(&measured, rows, &mut report)?;
        Ok(report)
    }

    fn group(
        &self,
        measured: &[usize],
        rows: &Reread<'_>,
        report: &mut DiversityReport,
    ) -> Result<()> {
        let sketch = self.alike.sketch();
        let print =
            |&row: &usize| rows.see(row, |row| Print::of(&row.text, self.alike.words, &sketch));
        let prints: Vec<Print> = measured.par_iter().map(print).collect::<Result<_>>()?;
        let prints: Prints = prints.into_iter().collect();
        let set = |at: usize| rows.see(measured[at], |row| shingles(&row.text, self.alike.words));
        let origin = |at: usize| (rows.origin)(measured[at]);
        let repeats = self.alike.repeats(&prints, origin, set)?;
        let groups = grouped(repeats.into_iter().map(Repeat::of));
        report.groups = groups.len() as u64;
        report.grouped = groups.iter().map(|group| group.len() as u64).sum();
        let masks = Sensitive::default();
        for group in groups.iter().take(self.listed) {
            report.largest.push(Group {
                rows: group.len() as u64,
                excerpt: rows.see(measured[group[0]], |row| row.excerpt(&masks))?,
            });
        }
        Ok(())
    }

    fn count_words(
        &self,
        measured: &[usize],
        rows: &Reread<'_>,
        report: &mut DiversityReport,
    ) -> Result<()> {
        let mut counts: [HashMap<u64, u64>; 3] = Default::default();
        for &row in measured {
            if report.words >= self.words {
                break;
            }
            let words = rows.see(row, |row| word_hashes(&row.text))?;
            report.counted += 1;
            report.words += words.len() as u64;
            for (counts, size) in counts.iter_mut().zip(1..) {
                for run in words.windows(size) {
                    *counts.entry(gram_hash(run)).or_default() += 1;
                }
            }
        }
        report.types = counts[0].len() as u64;
        for (place, counts) in counts.into_iter().enumerate() {
            let different = counts.len() as f64;
            let all: u64 = counts.values().sum();
            report.distinct[place] = different / all.max(1) as f64;
            report.entropy[place] = entropy(counts.into_values());
        }
        Ok(())
    }

    fn count_labels(
        &self,
        told: &[Told],
        rows: &Reread<'_>,
        report: &mut DiversityReport,
    ) -> Result<()> {
        let mut labels: HashMap<u64, (u64, usize)> = HashMap::new();
        for (row, told) in told.iter().enumerate() {
            if let Told::Label(label) = told {
                labels.entry(*label).or_insert((0, row)).0 += 1;
            }
        }
        let mut counted: Vec<(Reverse<u64>, u64, usize)> = labels
            .into_iter()
            .map(|(label, (rows, first))| (Reverse(rows), label, first))
            .collect();
        counted.sort_unstable();
        report.labels = counted.len() as u64;
        report.labeled = counted.iter().map(|label| label.0.0).sum();
        if let (Some(most), Some(least)) = (counted.first(), counted.last()) {
            report.imbalance = most.0.0 as f64 / least.0.0 as f64;
            report.balance = if counted.len() == 1 {
                1.0
            } else {
                entropy(counted.iter().map(|label| label.0.0)) / (counted.len() as f64).log2()
            };
        }
        let masks = Sensitive::default();
        for &(Reverse(count), _, first) in counted.iter().take(self.listed) {
            let label = rows.see(first, |row| match &row.target {
                Target::Label(label) => excerpt(label, &masks),
                Target::Text | Target::Answer { .. } => String::new(),
            })?;
            report.frequent.push(LabelCount { label, rows: count });
        }
        let order = |label: &LabelCount| (Reverse(label.rows), label.label.clone());
        report.frequent.sort_by_key(order);
        Ok(())
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
