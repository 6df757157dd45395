//! One page about a model: what it was asked, how good it is, what is wrong with it, and how it came about.
//!
//! A [`Report`] is plain data. Fill it from runs and analyses ([`Report::compare`], [`Report::errors`],
//! [`Report::flow`], …), by hand, or read it from JSON; then print it (`Display` gives tables for the terminal), or write
//! [`to_json`](Report::to_json) and [`to_html`](Report::to_html). Every part may be missing.
//!
//! The page is one file without scripts that loads nothing: it can be mailed, archived and printed. Whatever a model
//! wrote is shown as text: controls and direction marks are written out, and nothing of it is taken as markup.
//!
//! ```
//! use finetune_eval::Report;
//!
//! let report = Report::from_json(
//!     r#"{
//!         "title": "Which rank?",
//!         "models": [{"name": "base"}, {"name": "tuned", "detail": "rank 8, 3 epochs"}],
//!         "metrics": [{"name": "exact match", "better": "higher", "unit": "share",
//!                      "values": [{"value": 0.1, "count": 200}, {"value": 0.6, "count": 200}]}]
//!     }"#,
//! )?;
//! assert!(report.to_string().contains("60.0%"));
//! assert!(report.to_html()?.starts_with("<!doctype html>"));
//! # Ok::<(), finetune_eval::EvalError>(())
//! ```

mod build;
mod chart;
mod curve;
pub(crate) mod figures;
mod html;
mod learning;
mod summary;
pub(crate) mod table;
mod terminal;

use std::{ops::Range, path::Path};

use serde::{Deserialize, Serialize};

pub use curve::{Training, TrainingPoint, ValidationPoint};

use crate::{
    Difference, Estimate, EvalError, Flow, Result,
    learning_curve::LearningCurve,
    metric::{Better, Confusion, Unit},
};

/// Everything on the page. All lists run in the order in which they are shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// The title.
    pub title: String,
    /// One line under the title: the task, the data, the day.
    pub subtitle: String,
    /// What a reader should know after ten seconds.
    pub summary: Summary,
    /// The models that are compared; the last one is the one that the report is about.
    pub models: Vec<Model>,
    /// The metrics, each with a value per model.
    pub metrics: Vec<MetricRow>,
    /// Answers of all models to the same questions.
    pub examples: Vec<ExampleGroup>,
    /// The error classes, each with a share per model.
    pub errors: Vec<ErrorRow>,
    /// Which class became which.
    pub flow: Option<Flow>,
    /// Which label became which, of the model that the report is about, where it chose among labels.
    pub confusion: Option<Confusion>,
    /// How a metric grows with the data.
    pub learning_curve: Option<LearningCurve>,
    /// How training went.
    pub training: Option<Training>,
    /// What the data hold: counts by name.
    pub data: Vec<Entry>,
    /// The configuration, in sections.
    pub configuration: Vec<Section>,
    /// The commands that make this report again.
    pub reproduce: Vec<String>,
    /// Remarks on what the figures do not say.
    pub notes: Vec<String>,
}

/// What a reader should know after ten seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Summary {
    /// The result in one sentence.
    pub headline: String,
    /// What else matters, a sentence each.
    pub points: Vec<String>,
    /// The most important figures.
    pub figures: Vec<KeyFigure>,
}

/// A figure of the summary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyFigure {
    /// What it is.
    pub label: String,
    /// Its value, as it is shown.
    pub value: String,
    /// What it was before, or what it rests on.
    pub detail: String,
    /// Whether it is a change for the better or the worse.
    pub tone: Tone,
}

/// Whether a figure is good news. Shown by a sign as well as a colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    /// A change for the better.
    Good,
    /// A change for the worse.
    Bad,
    /// Neither, or not clear.
    #[default]
    Plain,
}

/// A column: a model, and how it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// Its name: `base, few-shot`.
    pub name: String,
    /// What it is, in a line.
    pub detail: String,
}

/// A metric with a value per model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricRow {
    /// The metric.
    pub name: String,
    /// The task it was measured on.
    #[serde(default)]
    pub task: String,
    /// Which way it improves.
    pub better: Better,
    /// How its value is written.
    pub unit: Unit,
    /// One per model, in the order of the models; none where it was not measured.
    pub values: Vec<Option<Estimate>>,
    /// How the last model compares with the best of the others, item by item.
    #[serde(default)]
    pub change: Option<Change>,
}

/// A paired difference between two columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The column that is compared with.
    pub from: usize,
    /// The column that is compared.
    pub to: usize,
    /// The difference.
    pub difference: Difference,
}

/// An error class with a share per model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorRow {
    /// The class, or [`RIGHT`](crate::analysis::RIGHT).
    pub name: String,
    /// What it means.
    #[serde(default)]
    pub meaning: String,
    /// The share of outputs for which it holds, per model; none where a model was not analysed.
    pub shares: Vec<Option<Estimate>>,
}

/// Examples under a heading.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExampleGroup {
    /// The heading.
    pub title: String,
    /// How they were chosen.
    pub note: String,
    /// The examples.
    pub items: Vec<Example>,
}

/// A question with the answers of the models.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Example {
    /// Where it comes from: `path:line`.
    pub origin: String,
    /// The question.
    pub input: String,
    /// The reference answer.
    pub reference: String,
    /// The answers.
    pub outputs: Vec<Output>,
}

/// The answer of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Output {
    /// The model's column.
    pub model: usize,
    /// What it wrote.
    pub text: String,
    /// How near it is to the reference, 0 to 1.
    pub similarity: Option<f64>,
    /// The error classes that hold, the weightiest first. Empty: it is right, or was not judged.
    pub classes: Vec<String>,
    /// The evidence.
    pub marks: Vec<Mark>,
}

/// A piece of evidence in an output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mark {
    /// Where in the output, in bytes; none if it concerns the whole.
    pub span: Option<Range<usize>>,
    /// What was found.
    pub detail: String,
}

/// Entries under a heading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// A name with a value, both as they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
    /// A remark.
    pub note: String,
}

impl Report {
    /// The report as JSON, from which [`from_json`](Report::from_json) makes it again.
    ///
    /// # Panics
    /// Never: every part of a report can be written as JSON.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self)
            .expect("a report has no map with keys that are not strings");
        text.push('\n');
        text
    }

    /// Reads a report.
    ///
    /// # Errors
    /// [`EvalError::Format`] with line and column for text that is not JSON, a field that reports do not have, or a
    /// value of the wrong kind.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|error| EvalError::Format {
            path: None,
            line: error.line(),
            column: error.column(),
            reason: error.to_string(),
        })
    }

    /// The report as Markdown: what `Display` shows, as headings, lists and tables. Nothing of a model's text is taken
    /// as markup.
    pub fn to_markdown(&self) -> String {
        format!("{self:#}")
    }

    /// The report as one self-contained HTML page.
    ///
    /// # Errors
    /// [`EvalError::Render`] if the page's template fails, which would be a fault of this library.
    pub fn to_html(&self) -> Result<String> {
        html::render(self)
    }

    /// Writes the report: HTML where the path ends with `.html` or `.htm`, JSON where it ends with `.json`, Markdown where
    /// it ends with `.md`, else the tables of the terminal. The file is written beside its place and moved there, so that no half page is left.
    ///
    /// # Errors
    /// [`EvalError::Io`] if it cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let extension = path
            .extension()
            .and_then(std::ffi::OsStr::to_str)
            .unwrap_or_default()
            .to_ascii_lowercase();
        let text = match extension.as_str() {
            "html" | "htm" => self.to_html()?,
            "json" => self.to_json(),
            "md" | "markdown" => self.to_markdown(),
            _ => self.to_string(),
        };
        let io = |source| EvalError::Io {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.tmp", std::process::id()));
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(|source| {
                // The half file is of no use; the error that matters is the first one.
                drop(std::fs::remove_file(&beside));
                io(source)
            })
    }
}
