//! What became of every row, and why.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::document::Origin;
use crate::error::{DataError, Result, quoted};
use crate::example::nearest;
use crate::load::Counts;

/// What can be wrong with a row. A row is dropped for the first of its reasons, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It repeats another row, character by character.
    ExactDuplicate,
    /// It repeats most of another row.
    NearDuplicate,
    /// It stands in the test data, exactly or nearly.
    Leak,
    /// It shares a run of words with a benchmark item.
    Contaminated,
    /// It is in a language that is not wanted.
    Language,
    /// It is too short or too long.
    Length,
    /// A broken conversion left its marks.
    Debris,
    /// It repeats itself.
    Repetition,
    /// It does not read like prose.
    Prose,
    /// Too much of it is a page's frame.
    Boilerplate,
    /// It holds personal data or secrets.
    Sensitive,
    /// Another row that asks the same is told something else.
    Disagreement,
    /// The template or tokenizer refuses it, or nothing of it is learned.
    Unencodable,
    /// It has more tokens than allowed.
    Truncated,
    /// Its answer has no end that is learned.
    Endless,
    /// It spells a control token of the template. Encoding takes it for text.
    ControlTokens,
}

impl Reason {
    /// All reasons, in order.
    pub const ALL: [Self; 16] = [
        Self::ExactDuplicate,
        Self::NearDuplicate,
        Self::Leak,
        Self::Contaminated,
        Self::Language,
        Self::Length,
        Self::Debris,
        Self::Repetition,
        Self::Prose,
        Self::Boilerplate,
        Self::Sensitive,
        Self::Disagreement,
        Self::Unencodable,
        Self::Truncated,
        Self::Endless,
        Self::ControlTokens,
    ];

    /// The reason as settings and flags write it: `exact_duplicate`.
    pub fn key(self) -> &'static str {
        match self {
            Self::ExactDuplicate => "exact_duplicate",
            Self::NearDuplicate => "near_duplicate",
            Self::Leak => "leak",
            Self::Contaminated => "contaminated",
            Self::Language => "language",
            Self::Length => "length",
            Self::Debris => "debris",
            Self::Repetition => "repetition",
            Self::Prose => "prose",
            Self::Boilerplate => "boilerplate",
            Self::Sensitive => "sensitive",
            Self::Disagreement => "disagreement",
            Self::Unencodable => "unencodable",
            Self::Truncated => "truncated",
            Self::Endless => "endless",
            Self::ControlTokens => "control_tokens",
        }
    }

    /// The reason in words: `exact duplicate`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExactDuplicate => "exact duplicate",
            Self::NearDuplicate => "near duplicate",
            Self::Leak => "in the test data",
            Self::Contaminated => "overlap with a benchmark",
            Self::Language => "language",
            Self::Length => "length",
            Self::Debris => "debris of a conversion",
            Self::Repetition => "repetition",
            Self::Prose => "not prose",
            Self::Boilerplate => "boilerplate",
            Self::Sensitive => "personal data or secrets",
            Self::Disagreement => "disagreement",
            Self::Unencodable => "cannot be encoded",
            Self::Truncated => "too many tokens",
            Self::Endless => "answer without an end",
            Self::ControlTokens => "control tokens in the text",
        }
    }
}

impl FromStr for Reason {
    type Err = DataError;

    /// Reads a reason as settings write it: `exact_duplicate`.
    fn from_str(text: &str) -> Result<Self> {
        let known = || Self::ALL.into_iter();
        if let Some(reason) = known().find(|reason| reason.key() == text) {
            return Ok(reason);
        }
        let keys: Vec<&str> = known().map(Self::key).collect();
        let hint = nearest(text, keys.iter().copied())
            .map_or(String::new(), |near| format!("; did you mean {near}?"));
        Err(DataError::Setting {
            name: "reason".into(),
            found: quoted(text),
            expected: format!("one of {}{hint}", keys.join(", ")),
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Counts that add up: `read = kept + dropped + quarantined`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Funnel {
    /// Records that were read, blank lines among them.
    pub read: u64,
    /// Rows that stay.
    pub kept: u64,
    /// Broken records that were put aside.
    pub quarantined: u64,
    /// Rows that were dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Funnel {
    /// So many rows, all kept.
    pub fn of(rows: u64) -> Self {
        Self {
            read: rows,
            kept: rows,
            ..Self::default()
        }
    }

    /// Drops a row that was kept so far.
    ///
    /// # Panics
    ///
    /// If no row is left.
    pub fn drop_row(&mut self, reason: &str) {
        assert!(
            self.kept > 0,
            "a row cannot be dropped: none of {} is kept",
            self.read
        );
        self.kept -= 1;
        *self.dropped.entry(reason.to_owned()).or_default() += 1;
    }

    /// Puts what loading did before what was done to the rows that it kept.
    ///
    /// # Panics
    ///
    /// If loading kept another number of rows than this funnel read.
    pub fn after(mut self, counts: &Counts) -> Self {
        assert_eq!(
            counts.kept, self.read,
            "loading kept {} rows, and {} were looked at",
            counts.kept, self.read
        );
        self.read = counts.read;
        self.quarantined += counts.quarantined;
        let dropped = counts.dropped.iter();
        let dropped = dropped.map(|(reason, count)| (reason.as_str(), *count));
        for (reason, count) in [("blank", counts.blank), ("broken", counts.skipped)]
            .into_iter()
            .chain(dropped)
        {
            if count > 0 {
                *self.dropped.entry(reason.to_owned()).or_default() += count;
            }
        }
        self
    }

    /// Whether the counts add up.
    pub fn balanced(&self) -> bool {
        let dropped: u64 = self.dropped.values().sum();
        self.read == self.kept + dropped + self.quarantined
    }
}

impl fmt::Display for Funnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} read, {} kept", self.read, self.kept)?;
        if self.quarantined > 0 {
            write!(f, ", {} quarantined", self.quarantined)?;
        }
        for (reason, count) in &self.dropped {
            write!(f, ", {count} dropped: {reason}")?;
        }
        Ok(())
    }
}

/// The rows that have a fault.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    /// How many have it.
    pub rows: u64,
    /// How many of them were dropped for it. Others stay, or were dropped for a reason before.
    pub dropped: u64,
    /// The first of them.
    pub examples: Vec<Example>,
}

/// A row, for a person to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Where it comes from.
    pub origin: Origin,
    /// What exactly is wrong.
    pub detail: String,
    /// The beginning of its text; personal data and secrets are masked.
    pub excerpt: String,
}
