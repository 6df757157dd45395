//! The data report: as text, as JSON that can be read back, and as a page.

mod chart;
mod page;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::contamination::Overlaps;
use super::debris::Debris;
use super::disagreement::Conflict;
use super::diversity::{DiversityReport, Group};
use super::encoded::ShownRow;
use super::funnel::{Found, Funnel, Reason};
use super::keep::Kept;
use super::length::Histogram;
use super::sensitive::Kind;
use crate::document::Origin;
use crate::encode::EncodeReport;
use crate::error::{DataError, Place, Result, escaped};
use crate::load::Counts;

/// What a data set is like, and what was done to its rows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataReport {
    /// What became of every record.
    pub funnel: Funnel,
    /// Broken records that were dropped or quarantined, by the kind of error. What the errors say is no part of the
    /// report: they quote the data.
    pub broken: BTreeMap<String, u64>,
    /// The reasons that were looked for. Others were skipped, or there was nothing to look at.
    pub looked_for: BTreeSet<Reason>,
    /// The rows with each fault.
    pub findings: BTreeMap<Reason, Found>,
    /// Lengths in characters.
    pub characters: Histogram,
    /// Lengths in words.
    pub words: Histogram,
    /// Lengths in tokens before anything is cut, if rows were encoded.
    pub tokens: Option<Histogram>,
    /// Rows by language (ISO 639-3).
    pub languages: BTreeMap<String, u64>,
    /// Debris of all rows.
    pub debris: Debris,
    /// Personal data and secrets by kind.
    pub sensitive: BTreeMap<Kind, u64>,
    /// How many clusters of exact and near duplicates there are.
    pub clusters: u64,
    /// The largest of them.
    pub largest_clusters: Vec<Group>,
    /// How varied the rows are.
    pub diversity: DiversityReport,
    /// The first rows that contradict each other.
    pub conflicts: Vec<Conflict>,
    /// The first rows that stand in the test data.
    pub leaks: Vec<LeakedPair>,
    /// The first rows that overlap with benchmark items.
    pub overlaps: Overlaps,
    /// What encoding did, if rows were encoded.
    pub encoding: Option<EncodeReport>,
    /// Some rows as the model sees them; personal data and secrets are masked.
    pub shown: Vec<ShownRow>,
    /// The file of the rows that stay, if it was written.
    pub kept: Option<Kept>,
}

/// A row and the row of the test data that it repeats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakedPair {
    /// Where the row comes from.
    pub row: Origin,
    /// Where the test row comes from.
    pub test: Origin,
    /// Whether the texts are equal, character by character.
    pub exact: bool,
    /// The Jaccard similarity.
    pub similarity: f64,
    /// The beginning of the row; personal data and secrets are masked.
    pub row_text: String,
    /// The beginning of the test row.
    pub test_text: String,
}

impl DataReport {
    /// The same with what loading did before.
    ///
    /// # Panics
    ///
    /// As [`Funnel::after`].
    pub fn after(mut self, counts: &Counts) -> Self {
        self.funnel = self.funnel.after(counts);
        for (kind, reason) in &counts.reasons {
            *self.broken.entry(kind.clone()).or_default() += reason.count;
        }
        self
    }

    /// The same with the file of the rows that stay.
    pub fn with_kept(mut self, kept: Option<Kept>) -> Self {
        self.kept = kept;
        self
    }

    /// Writes the report as JSON.
    ///
    /// # Errors
    ///
    /// What the system says; [`DataError::Unsupported`] if the report, written by hand, holds a path that is not text.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|error| unwritable(&error))?;
        write(path.as_ref(), &text)
    }

    /// Reads a report that was written as JSON.
    ///
    /// # Errors
    ///
    /// What the system says, or what is wrong with the file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|source| DataError::Io {
            place: Place::file(path),
            operation: "read",
            source,
        })?;
        serde_json::from_str(&text).map_err(|error| DataError::JsonSyntax {
            place: Place::at(path, error.line() as u64, error.column() as u64),
            message: format!(
                "{}; expected a report of this release. Make it again",
                escaped(&error.to_string())
            ),
        })
    }

    /// Writes the report as one page that needs nothing beside it: [`DataReport::html`].
    ///
    /// # Errors
    ///
    /// As [`DataReport::write`].
    pub fn write_html(&self, path: impl AsRef<Path>) -> Result<()> {
        write(path.as_ref(), &self.html()?)
    }
}

fn unwritable(error: &dyn fmt::Display) -> DataError {
    DataError::Unsupported {
        place: Place::default(),
        what: format!("a report that cannot be written ({error})"),
        hint: "Give it paths that are text",
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|source| DataError::Io {
        place: Place::file(path),
        operation: "write",
        source,
    })
}
