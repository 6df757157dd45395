//! The data report: as text, as JSON that can be read back, and as a page.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use serde::{Deserialize, Serialize};

use super::chart::Chart;
use super::contamination::Overlaps;
use super::debris::Debris;
use super::disagreement::Conflict;
use super::diversity::{DiversityReport, Group};
use super::encoded::ShownRow;
use super::funnel::{Found, Funnel, Reason};
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
    /// Some rows as the model sees them. They are shown as they are, with whatever personal data they hold.
    pub shown: Vec<ShownRow>,
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

/// The page.
const PAGE: &str = include_str!("report.html");

impl DataReport {
    /// The same with what loading did before.
    ///
    /// # Panics
    ///
    /// As [`Funnel::after`].
    pub fn after(mut self, counts: &Counts) -> Self {
        self.funnel = self.funnel.after(counts);
        self
    }

    /// The same with rows as the model sees them.
    pub fn show(mut self, rows: Vec<ShownRow>) -> Self {
        self.shown = rows;
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

    /// The report as one page of HTML with its plots inside: no script, no style, font or picture from elsewhere.
    /// Everything that comes from the data is escaped.
    ///
    /// # Errors
    ///
    /// [`DataError::Unsupported`] as [`DataReport::write`].
    pub fn html(&self) -> Result<String> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        let charts: Vec<Chart> = self.charts();
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|(reason, found)| context! { name => reason.name(), found => Value::from(Serde(found)) })
            .collect();
        let sensitive: BTreeMap<&str, u64> = self
            .sensitive
            .iter()
            .map(|(kind, count)| (kind.placeholder(), *count))
            .collect();
        let context = context! {
            report => Value::from(Serde(self)),
            charts => Value::from(Serde(charts)),
            findings => findings,
            sensitive => sensitive,
            type_token => self.diversity.type_token_ratio(),
            encoding => self.encoding.as_ref().map(ToString::to_string),
        };
        environment
            .render_str(PAGE, context)
            .map_err(|error| unwritable(&error))
    }

    fn charts(&self) -> Vec<Chart> {
        let mut funnel = vec![("read".to_owned(), self.funnel.read)];
        let dropped = self.funnel.dropped.iter();
        funnel.extend(dropped.map(|(reason, count)| (format!("dropped: {reason}"), *count)));
        funnel.push(("quarantined".into(), self.funnel.quarantined));
        funnel.push(("kept".into(), self.funnel.kept));
        let mut languages: Vec<(String, u64)> = self.languages.clone().into_iter().collect();
        languages.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
        let lengths = match &self.tokens {
            Some(tokens) => Chart::standing(
                "Rows by length in tokens, each bar up to twice its label",
                tokens,
            ),
            None => Chart::standing(
                "Rows by length in words, each bar up to twice its label",
                &self.words,
            ),
        };
        vec![
            Chart::lying("From records to rows", funnel),
            lengths,
            Chart::lying("Rows by language", languages),
        ]
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

impl fmt::Display for DataReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.funnel)?;
        let lengths = [
            ("characters", Some(&self.characters)),
            ("words", Some(&self.words)),
            ("tokens", self.tokens.as_ref()),
        ];
        for (unit, histogram) in lengths {
            if let Some(histogram) = histogram {
                let Histogram {
                    least,
                    median,
                    most,
                    sum,
                    ..
                } = histogram;
                writeln!(
                    f,
                    "length in {unit}: {least} to {most}, median {median}, in all {sum}"
                )?;
            }
        }
        if let Some(encoding) = &self.encoding {
            writeln!(f, "encoding: {encoding}")?;
        }
        line(f, "languages", &self.languages)?;
        let kinds = self.sensitive.iter();
        let kinds = kinds.map(|(kind, count)| (kind.placeholder().to_owned(), *count));
        line(f, "personal data and secrets", &kinds.collect())?;
        let diversity = &self.diversity;
        writeln!(
            f,
            "diversity: {} different of {} words ({:.3}), entropy of one, two and three words {:.2}, {:.2} and {:.2} bits",
            diversity.types,
            diversity.words,
            diversity.type_token_ratio(),
            diversity.entropy[0],
            diversity.entropy[1],
            diversity.entropy[2]
        )?;
        writeln!(
            f,
            "groups of rows that are alike: {} with {} rows; clusters of duplicates: {}",
            diversity.groups, diversity.grouped, self.clusters
        )?;
        for group in &diversity.largest {
            writeln!(f, "  {} rows like: {}", group.rows, escaped(&group.excerpt))?;
        }
        if diversity.labels > 0 {
            let labels = diversity.frequent.iter();
            let labels = labels.map(|label| (escaped(&label.label), label.rows));
            line(f, "labels", &labels.collect())?;
            writeln!(
                f,
                "  {} labels, the most frequent {:.1} times the rarest, balance {:.2}",
                diversity.labels, diversity.imbalance, diversity.balance
            )?;
        }
        self.faults(f)
    }
}

impl DataReport {
    fn faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (reason, found) in &self.findings {
            writeln!(
                f,
                "{reason}: {} rows, {} dropped",
                found.rows, found.dropped
            )?;
            for example in &found.examples {
                let excerpt = escaped(&example.excerpt);
                writeln!(f, "  {}: {}: {excerpt}", example.origin, example.detail)?;
            }
        }
        for conflict in &self.conflicts {
            writeln!(f, "different outcomes for: {}", escaped(&conflict.asked))?;
            for (outcome, rows) in &conflict.outcomes {
                writeln!(f, "  {rows} × {}", escaped(outcome))?;
            }
        }
        for overlap in &self.overlaps.found {
            writeln!(
                f,
                "{} and {} share {} words: {}",
                overlap.row_origin,
                overlap.item_origin,
                overlap.words,
                escaped(&overlap.row_text)
            )?;
        }
        if self.overlaps.too_short > 0 {
            writeln!(
                f,
                "{} items were too short to be searched for",
                self.overlaps.too_short
            )?;
        }
        Ok(())
    }
}

/// Counts on one line; nothing if there are none.
fn line(f: &mut fmt::Formatter<'_>, name: &str, counts: &BTreeMap<String, u64>) -> fmt::Result {
    if counts.is_empty() {
        return Ok(());
    }
    let shown: Vec<String> = counts
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    writeln!(f, "{name}: {}", shown.join(", "))
}
