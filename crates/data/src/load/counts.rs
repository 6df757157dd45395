//! What became of every record.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{DataError, Place};

/// What became of the records of one load. Nothing is lost:
/// `read = kept + skipped + quarantined + blank + dropped`, where `dropped` is the sum over its reasons.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Files read.
    pub files: u64,
    /// Files in folders that no loader answers for.
    pub passed_over: u64,
    /// Records and blank lines read; a file that could not be opened, or not read to its end, counts as one.
    pub read: u64,
    /// Records kept.
    pub kept: u64,
    /// Broken records left out.
    pub skipped: u64,
    /// Broken records left out and written to the quarantine file.
    pub quarantined: u64,
    /// Blank lines, and empty text files.
    pub blank: u64,
    /// Records left out on purpose, by reason: what is no content by its format, such as an encyclopedia's redirections,
    /// and what a mapping leaves out, such as answers judged bad.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
    /// Broken records, and files that could not be read, by the kind of error, with the first message of each
    /// kind.
    pub reasons: BTreeMap<String, Reason>,
    /// Files that began with a byte order mark.
    pub byte_order_marks: u64,
    /// Files in another encoding than UTF-8, by encoding.
    #[serde(default)]
    pub encodings: BTreeMap<String, u64>,
    /// Control characters, other than tab and line ends, in the texts of the records that could be read.
    pub control_chars: u64,
}

/// One kind of error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// How many records it concerns.
    pub count: u64,
    /// The message of the first.
    pub first: String,
}

impl Counts {
    /// Whether every record that was read is accounted for.
    pub fn balanced(&self) -> bool {
        let broken: u64 = self.reasons.values().map(|reason| reason.count).sum();
        let accounted = self.kept + self.broken() + self.blank + self.left_out();
        self.read == accounted && broken == self.broken()
    }

    /// Records dropped, whatever the reason.
    pub fn left_out(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Broken records.
    pub fn broken(&self) -> u64 {
        self.skipped + self.quarantined
    }

    /// The error for data of which no record was kept. Its place is the first of the paths.
    pub(crate) fn nothing_kept<P: AsRef<Path>>(&self, paths: &[P]) -> DataError {
        DataError::EmptyDataset {
            place: Place::file(paths.first().map_or(Path::new(""), AsRef::as_ref)),
            blank: self.blank,
            broken: self.broken(),
            dropped: self.left_out(),
        }
    }

    pub(super) fn blame(&mut self, error: &DataError) {
        let reason = self.reasons.entry(error.kind().to_string());
        reason
            .or_insert_with(|| Reason {
                count: 0,
                first: error.to_string(),
            })
            .count += 1;
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.passed_over += other.passed_over;
        self.read += other.read;
        self.kept += other.kept;
        self.skipped += other.skipped;
        self.quarantined += other.quarantined;
        self.blank += other.blank;
        self.byte_order_marks += other.byte_order_marks;
        self.control_chars += other.control_chars;
        for (reason, count) in other.dropped {
            *self.dropped.entry(reason).or_default() += count;
        }
        for (encoding, count) in other.encodings {
            *self.encodings.entry(encoding).or_default() += count;
        }
        for (kind, reason) in other.reasons {
            self.reasons
                .entry(kind)
                .or_insert_with(|| Reason {
                    count: 0,
                    ..reason.clone()
                })
                .count += reason.count;
        }
    }
}

impl fmt::Display for Counts {
    /// One line of totals, then a line for each kind of error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} read from {} files: {} kept",
            self.read, self.files, self.kept
        )?;
        let rest = [
            (self.blank, "blank"),
            (self.skipped, "skipped"),
            (self.quarantined, "quarantined"),
        ];
        for (count, what) in rest.iter().filter(|(count, _)| *count > 0) {
            write!(f, ", {count} {what}")?;
        }
        for (reason, count) in &self.dropped {
            write!(f, ", {count} {reason}")?;
        }
        let notes = [
            (self.passed_over, "files without a loader"),
            (self.byte_order_marks, "byte order marks"),
            (self.control_chars, "control characters"),
        ];
        for (count, what) in notes.iter().filter(|(count, _)| *count > 0) {
            write!(f, "; {count} {what}")?;
        }
        for (encoding, count) in &self.encodings {
            write!(f, "; {count} files in {encoding}")?;
        }
        for (kind, reason) in &self.reasons {
            write!(f, "\n  {} {kind}, first: {}", reason.count, reason.first)?;
        }
        Ok(())
    }
}
