//! All checks over one data set.
//!
//! ```text
//! look      each row by itself, in parallel ──▶ Survey: 130 bytes a row, and sums
//! compare   rows with each other, by what is held of them; a few are read again to verify
//! conclude  which rows are dropped, the counts, and a few rows read again as examples
//! ```

mod compare;
mod conclude;
mod look;
mod survey;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::against::Against;
use super::boilerplate::Boilerplate;
use super::contamination::Contamination;
use super::debris::DebrisLimits;
use super::diversity::Diversity;
use super::duplicates::Duplicates;
use super::faults::Faults;
use super::funnel::Reason;
use super::language::Language;
use super::length::Length;
use super::prose::ProseLimits;
use super::repetition::RepetitionLimits;
use super::report::DataReport;
use super::rows::Rows;
use super::sensitive::{Kind, Sensitive};
use crate::encode::Encoder;
use crate::error::{DataError, Result};

/// Which checks are made, with their settings, and which faults drop a row.
///
/// Rows are asked for one by one, and about 200 bytes of each are held: hashes and lengths, and no text. Nothing takes
/// time by the square of the number of rows ([`Duplicates`] says what that costs).
///
/// ```
/// use finetune_data::quality::{Against, AnyExample, Inspection, Reason};
/// use finetune_data::Conversation;
///
/// let chats = [Conversation::pair("Why?", "Because."), Conversation::pair("Why?", "Because.")];
/// let rows: Vec<AnyExample> = chats.map(AnyExample::from).into();
/// let inspection = Inspection::default().drop_for([Reason::ExactDuplicate]);
/// let inspected = inspection.run(&rows, &Against::default(), None)?;
/// assert_eq!(inspected.report.funnel.kept, 1);
/// assert_eq!(inspected.kept().count(), 1);
/// println!("{}", inspected.report);
/// # Ok::<(), finetune_data::DataError>(())
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
    /// How many of the rows that stay the report shows token by token. Default 5.
    pub shown: usize,
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
            shown: 5,
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
    /// For each row everything that was found.
    pub faults: Vec<Faults>,
}

impl Inspected {
    /// The indexes of the rows that stay, in order.
    pub fn kept(&self) -> impl Iterator<Item = usize> {
        let rows = self.dropped.iter().enumerate();
        rows.filter(|(_, dropped)| dropped.is_none())
            .map(|(row, _)| row)
    }
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
    /// - `encoder`: what will encode them; without it nothing is said of tokens
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if a setting cannot be used, or rows are to be dropped for a check that is skipped; what
    /// the rows say that cannot be read, and the system of temporary files.
    pub fn run(
        &self,
        rows: &dyn Rows,
        against: &Against,
        encoder: Option<&Encoder>,
    ) -> Result<Inspected> {
        if let Some(reason) = self.drop.intersection(&self.skip).next() {
            return Err(DataError::Setting {
                name: "drop".into(),
                found: reason.to_string(),
                expected: "reasons whose checks are not skipped".into(),
            });
        }
        self.duplicates.check()?;
        let (tests, items) = (against.tests(), against.items());
        let looker = look::Looker::new(self, &tests, &items, (against, encoder))?;
        let (mut survey, mut report) = survey::Survey::of(&looker, rows)?;
        let compared = self.compare(rows, &looker, &mut survey, &mut report)?;
        self.conclude(rows, &looker, &compared, survey, report)
    }

    /// The reasons that are looked for, given what there is to be compared with.
    fn looked_for(&self, tests: bool, items: bool, encoder: bool) -> BTreeSet<Reason> {
        let possible = |reason: &Reason| match reason {
            Reason::Leak => tests,
            Reason::Contaminated => items,
            Reason::Unencodable | Reason::Truncated | Reason::Endless | Reason::ControlTokens => {
                encoder
            }
            _ => true,
        };
        let all = Reason::ALL.into_iter();
        all.filter(|reason| !self.skip.contains(reason))
            .filter(possible)
            .collect()
    }

    /// The kinds of personal data and secrets that count.
    pub fn kinds(&self) -> Sensitive {
        if self.sensitive.is_empty() {
            Sensitive::default()
        } else {
            Sensitive::of(&self.sensitive)
        }
    }
}
