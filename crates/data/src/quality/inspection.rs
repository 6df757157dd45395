//! All checks over one data set.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::boilerplate::Boilerplate;
use super::contamination::Contamination;
use super::debris::{Debris, DebrisFinder, DebrisLimits};
use super::disagreement::conflicts;
use super::diversity::{Diversity, Group};
use super::duplicates::{Duplicate, Duplicates, clusters};
use super::encoded::EncodedRow;
use super::funnel::{Example, Found, Funnel, Reason};
use super::language::Language;
use super::length::{Histogram, Length, Measured};
use super::prose::{Prose, ProseLimits};
use super::repetition::{Repetition, RepetitionLimits};
use super::report::{DataReport, LeakedPair};
use super::sample::{Sample, readable};
use super::sensitive::{Kind, Sensitive};
use crate::encode::EncodeReport;
use crate::error::{DataError, Result};

/// Which checks are made, with their settings, and which faults drop a row.
///
/// ```
/// use finetune_data::quality::{Inspection, Reason, Sample};
/// use finetune_data::Conversation;
///
/// # fn main() -> finetune_data::Result<()> {
/// let chats = [Conversation::pair("Why?", "Because."), Conversation::pair("Why?", "Because.")];
/// let rows: Vec<Sample> = chats.iter().map(Sample::from).collect();
/// let inspected = Inspection::default().drop_for([Reason::ExactDuplicate]).run(&rows, &[], &[])?;
/// assert_eq!(inspected.report.funnel.kept, 1);
/// assert_eq!(inspected.kept().count(), 1);
/// println!("{}", inspected.report);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Inspection {
    /// Exact and near duplicates, among the rows and between them and the test data.
    pub duplicates: Duplicates,
    /// Which languages are wanted.
    pub language: Language,
    /// Which lengths are wanted.
    pub length: Length,
    /// How much debris is too much.
    pub debris: DebrisLimits,
    /// How much repetition is too much.
    pub repetition: RepetitionLimits,
    /// What prose has.
    pub prose: ProseLimits,
    /// When lines are boilerplate.
    pub boilerplate: Boilerplate,
    /// Which kinds of personal data and secrets count; none stands for all. Default none.
    pub sensitive: Vec<Kind>,
    /// How diversity is measured.
    pub diversity: Diversity,
    /// How overlap with benchmark items is found.
    pub contamination: Contamination,
    /// The checks that are not made. Default [`Reason::Prose`], whose rules are for English web pages.
    pub skip: BTreeSet<Reason>,
    /// The faults that drop a row; others are only reported. Default none.
    pub drop: BTreeSet<Reason>,
    /// How many examples of each fault, pairs, clusters and conflicts the report shows. Default 5.
    pub examples: usize,
}

impl Default for Inspection {
    fn default() -> Self {
        Self {
            duplicates: Duplicates::default(),
            language: Language::default(),
            length: Length::default(),
            debris: DebrisLimits::default(),
            repetition: RepetitionLimits::default(),
            prose: ProseLimits::default(),
            boilerplate: Boilerplate::default(),
            sensitive: Vec::new(),
            diversity: Diversity::default(),
            contamination: Contamination::default(),
            skip: BTreeSet::from([Reason::Prose]),
            drop: BTreeSet::new(),
            examples: 5,
        }
    }
}

/// What an inspection found.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspected {
    /// The report.
    pub report: DataReport,
    /// For each row the reason for which it is dropped.
    pub dropped: Vec<Option<Reason>>,
    /// For each row everything that was found, with what exactly it is.
    pub faults: Vec<BTreeMap<Reason, String>>,
}

impl Inspected {
    /// The indexes of the rows that stay, in order.
    pub fn kept(&self) -> impl Iterator<Item = usize> {
        let rows = self.dropped.iter().enumerate();
        rows.filter(|(_, dropped)| dropped.is_none())
            .map(|(row, _)| row)
    }
}

/// What one row shows by itself.
struct Looked {
    measured: Measured,
    language: &'static str,
    debris: Debris,
    sensitive: BTreeMap<Kind, u64>,
    faults: BTreeMap<Reason, String>,
}

impl Inspection {
    /// Sets the faults that drop a row.
    pub fn drop_for(mut self, reasons: impl IntoIterator<Item = Reason>) -> Self {
        self.drop = reasons.into_iter().collect();
        self
    }

    /// Sets the checks that are not made.
    pub fn skipping(mut self, reasons: impl IntoIterator<Item = Reason>) -> Self {
        self.skip = reasons.into_iter().collect();
        self
    }

    /// Checks rows.
    ///
    /// # Arguments
    ///
    /// - `rows`: what is to be trained on
    /// - `against`: test data and benchmark items that must not be in it; may be empty
    /// - `encoded`: what encoding does to each row ([`EncodedRow::of_all`]); may be empty
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if a setting cannot be used, or rows are to be dropped for a check that is skipped.
    ///
    /// # Panics
    ///
    /// If `encoded` is neither empty nor as long as `rows`.
    pub fn run(
        &self,
        rows: &[Sample<'_>],
        against: &[Sample<'_>],
        encoded: &[EncodedRow],
    ) -> Result<Inspected> {
        assert!(
            encoded.is_empty() || encoded.len() == rows.len(),
            "{} rows were encoded, and {} are inspected",
            encoded.len(),
            rows.len()
        );
        if let Some(reason) = self.drop.intersection(&self.skip).next() {
            return Err(DataError::Setting {
                name: "drop".into(),
                found: reason.to_string(),
                expected: "reasons whose checks are not skipped".into(),
            });
        }
        let looked = self.look(rows);
        let mut report = self.sums(&looked);
        let mut faults: Vec<_> = looked.into_iter().map(|looked| looked.faults).collect();
        self.compare(rows, &mut report, &mut faults)?;
        self.compare_with(rows, against, &mut report, &mut faults)?;
        self.encoding(encoded, &mut report, &mut faults);
        let dropped = self.conclude(rows, &mut report, &faults);
        self.shorten(&mut report);
        Ok(Inspected {
            report,
            dropped,
            faults,
        })
    }

    fn makes(&self, reason: Reason) -> bool {
        !self.skip.contains(&reason)
    }

    fn kinds(&self) -> Sensitive {
        if self.sensitive.is_empty() {
            Sensitive::default()
        } else {
            Sensitive::of(&self.sensitive)
        }
    }

    /// What each row shows by itself.
    fn look(&self, rows: &[Sample<'_>]) -> Vec<Looked> {
        let (debris_finder, kinds) = (DebrisFinder::default(), self.kinds());
        let frames = self.boilerplate.frames(rows);
        let look = |sample: &Sample<'_>| {
            let text = &*sample.text;
            let measured = Measured::of(text);
            let language = self.language.of(text);
            let debris = debris_finder.count(text);
            let mut sensitive = BTreeMap::new();
            if self.makes(Reason::Sensitive) {
                for finding in kinds.find(text) {
                    *sensitive.entry(finding.kind).or_default() += 1;
                }
            }
            let names = sensitive.keys().map(|kind: &Kind| kind.placeholder());
            let names: Vec<&str> = names.collect();
            let prose = Prose::of(text);
            let repeated = || self.repetition.fault(&Repetition::of(text), prose.words);
            let unwanted = || (!self.language.wants(language)).then(|| language.to_owned());
            let checks: [(Reason, &dyn Fn() -> Option<String>); 7] = [
                (Reason::Language, &unwanted),
                (Reason::Length, &|| self.length.fault(measured)),
                (Reason::Debris, &|| {
                    self.debris.fault(debris, measured.characters)
                }),
                (Reason::Repetition, &repeated),
                (Reason::Prose, &|| self.prose.fault(&prose)),
                (Reason::Boilerplate, &|| frames.fault(text)),
                (Reason::Sensitive, &|| {
                    (!names.is_empty()).then(|| names.join(" "))
                }),
            ];
            let made = checks.into_iter().filter(|(reason, _)| self.makes(*reason));
            let faults = made.filter_map(|(reason, check)| Some((reason, check()?)));
            Looked {
                measured,
                language,
                debris,
                faults: faults.collect(),
                sensitive,
            }
        };
        rows.par_iter().map(look).collect()
    }

    /// The parts of the report that are sums over rows.
    fn sums(&self, looked: &[Looked]) -> DataReport {
        let mut report = DataReport {
            funnel: Funnel::of(looked.len() as u64),
            characters: Histogram::of(looked.iter().map(|row| row.measured.characters as u64)),
            words: Histogram::of(looked.iter().map(|row| row.measured.words as u64)),
            ..DataReport::default()
        };
        for row in looked {
            if self.makes(Reason::Language) {
                *report.languages.entry(row.language.to_owned()).or_default() += 1;
            }
            if self.makes(Reason::Debris) {
                report.debris += row.debris;
            }
            for (&kind, count) in &row.sensitive {
                *report.sensitive.entry(kind).or_default() += count;
            }
        }
        report
    }

    /// Rows against each other.
    fn compare(
        &self,
        rows: &[Sample<'_>],
        report: &mut DataReport,
        faults: &mut [BTreeMap<Reason, String>],
    ) -> Result<()> {
        let duplicates = self.duplicates.find(rows)?;
        for (row, duplicate) in duplicates.iter().enumerate() {
            let (reason, detail) = match *duplicate {
                Some(Duplicate::Exact { of }) => {
                    (Reason::ExactDuplicate, format!("of {}", rows[of].origin))
                }
                Some(Duplicate::Near { of, similarity }) => (
                    Reason::NearDuplicate,
                    format!("of {}, similarity {similarity:.2}", rows[of].origin),
                ),
                None => continue,
            };
            if self.makes(reason) {
                faults[row].insert(reason, detail);
            }
        }
        let (clusters, masks) = (clusters(&duplicates), Sensitive::default());
        report.clusters = clusters.len() as u64;
        let largest = clusters.iter().take(self.examples);
        report.largest_clusters = largest
            .map(|cluster| Group {
                rows: cluster.len() as u64,
                excerpt: rows[cluster[0]].excerpt(&masks),
            })
            .collect();
        if self.makes(Reason::Disagreement) {
            let conflicts = conflicts(rows, &self.duplicates)?;
            for conflict in &conflicts {
                for &row in &conflict.rows {
                    let detail = format!("{} different outcomes", conflict.different);
                    faults[row].insert(Reason::Disagreement, detail);
                }
            }
            report.conflicts = conflicts;
            report.conflicts.truncate(self.examples);
        }
        report.diversity = self.diversity.measure(rows)?;
        Ok(())
    }

    /// Rows against what they must not hold.
    fn compare_with(
        &self,
        rows: &[Sample<'_>],
        against: &[Sample<'_>],
        report: &mut DataReport,
        faults: &mut [BTreeMap<Reason, String>],
    ) -> Result<()> {
        if self.makes(Reason::Leak) {
            let leaks = self.duplicates.leaks(rows, against)?;
            let masks = Sensitive::default();
            for (row, leak) in leaks.into_iter().enumerate() {
                let Some(leak) = leak else { continue };
                let detail = format!(
                    "{}, similarity {:.2}",
                    against[leak.test].origin, leak.similarity
                );
                faults[row].insert(Reason::Leak, detail);
                if report.leaks.len() < self.examples {
                    report.leaks.push(LeakedPair {
                        row: readable(rows[row].origin),
                        test: readable(against[leak.test].origin),
                        exact: leak.exact,
                        similarity: leak.similarity,
                        row_text: rows[row].excerpt(&masks),
                        test_text: against[leak.test].excerpt(&masks),
                    });
                }
            }
        }
        if self.makes(Reason::Contaminated) {
            let mut overlaps = self.contamination.find(rows, against)?;
            // The longest run of a row comes first, and is what its detail names.
            for overlap in overlaps.found.iter().rev() {
                let detail = format!("{} words of {}", overlap.words, overlap.item_origin);
                faults[overlap.row].insert(Reason::Contaminated, detail);
            }
            overlaps.found.truncate(self.examples);
            report.overlaps = overlaps;
        }
        Ok(())
    }

    /// What encoding does to the rows.
    fn encoding(
        &self,
        encoded: &[EncodedRow],
        report: &mut DataReport,
        faults: &mut [BTreeMap<Reason, String>],
    ) {
        if encoded.is_empty() {
            return;
        }
        let mut sum = EncodeReport::default();
        for (row, faults) in encoded.iter().zip(faults) {
            sum.add(&row.report);
            let tokens = row.report.longest;
            let untrainable = (row.report.untrainable > 0).then(|| {
                row.fault
                    .clone()
                    .unwrap_or_else(|| "nothing of it is learned".into())
            });
            let found = [
                (Reason::Unencodable, untrainable),
                (
                    Reason::Truncated,
                    row.truncated().then(|| format!("{tokens} tokens")),
                ),
                (
                    Reason::Endless,
                    row.endless.then(|| "no end is learned".into()),
                ),
                (
                    Reason::ControlTokens,
                    (row.report.spelt_controls > 0)
                        .then(|| format!("{} spelt out", row.report.spelt_controls)),
                ),
            ];
            for (reason, detail) in found {
                if let Some(detail) = detail.filter(|_| self.makes(reason)) {
                    faults.insert(reason, detail);
                }
            }
        }
        report.tokens = Some(Histogram::of(encoded.iter().map(|row| row.report.longest)));
        report.encoding = Some(sum);
    }

    /// Which rows are dropped, and the counts with their examples.
    fn conclude(
        &self,
        rows: &[Sample<'_>],
        report: &mut DataReport,
        faults: &[BTreeMap<Reason, String>],
    ) -> Vec<Option<Reason>> {
        let mut all = Vec::with_capacity(rows.len());
        let masks = Sensitive::default();
        for (sample, faults) in rows.iter().zip(faults) {
            let dropped = faults
                .keys()
                .find(|reason| self.drop.contains(reason))
                .copied();
            for (&reason, detail) in faults {
                let found: &mut Found = report.findings.entry(reason).or_default();
                found.rows += 1;
                found.dropped += u64::from(dropped == Some(reason));
                if found.examples.len() < self.examples {
                    found.examples.push(Example {
                        origin: readable(sample.origin),
                        detail: detail.clone(),
                        excerpt: sample.excerpt(&masks),
                    });
                }
            }
            if let Some(reason) = dropped {
                report.funnel.drop_row(reason.name());
            }
            all.push(dropped);
        }
        all
    }

    /// Cuts lists to the number of examples, and masks personal data and secrets in what is not masked yet.
    fn shorten(&self, report: &mut DataReport) {
        let masks = Sensitive::default();
        for label in &mut report.diversity.frequent {
            label.label = masks.mask(&label.label).0;
        }
        for overlap in &mut report.overlaps.found {
            overlap.row_text = masks.mask(&overlap.row_text).0;
            overlap.item_text = masks.mask(&overlap.item_text).0;
        }
        for conflict in &mut report.conflicts {
            conflict.rows.truncate(self.examples);
            let outcomes = std::mem::take(&mut conflict.outcomes).into_iter();
            conflict.outcomes = outcomes.take(self.examples).collect();
        }
    }
}
