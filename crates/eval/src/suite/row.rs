//! The rows of a task, and where they lie.

use std::path::{Path, PathBuf};

use finetune_data::{Document, Loaders, OnError, Origin};
use serde_json::{Map, Value};

use super::definition::{Definition, refused};
use super::hook::Hook;
use super::near::near;
use crate::{EvalError, Result};

/// The endings of files of rows, in the order in which they are looked for.
const ENDINGS: [&str; 5] = ["jsonl", "parquet", "json", "jsonl.gz", "csv"];

/// A row of a data set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) fields: Map<String, Value>,
    pub(super) origin: Origin,
}

impl Row {
    /// A column that the task needs.
    pub(super) fn get(&self, task: &str, name: &str) -> Result<&Value> {
        self.fields
            .get(name)
            .ok_or_else(|| self.unfit(task, name, "it to be there"))
    }

    /// A column that holds a text.
    pub(super) fn text(&self, task: &str, name: &str) -> Result<&str> {
        let text = self.get(task, name)?.as_str();
        text.ok_or_else(|| self.unfit(task, name, "a text"))
    }

    /// A column that holds a list of texts.
    pub(super) fn texts(&self, task: &str, name: &str) -> Result<Vec<&str>> {
        let list = self.get(task, name)?.as_array();
        let texts = list.and_then(|list| list.iter().map(Value::as_str).collect());
        texts.ok_or_else(|| self.unfit(task, name, "a list of texts"))
    }

    /// The error for a column that is missing or of another kind.
    pub(super) fn unfit(&self, task: &str, field: &str, expected: &'static str) -> EvalError {
        EvalError::MissingField {
            origin: self.origin.clone(),
            task: task.to_owned(),
            field: field.to_owned(),
            expected,
            found: self.fields.keys().cloned().collect(),
        }
    }
}

impl From<Document> for Row {
    fn from(document: Document) -> Self {
        Self {
            fields: document.fields.into_iter().collect(),
            origin: document.origin,
        }
    }
}

/// Where the rows of tasks lie: `FOLDER/<task>/<split>.jsonl` or `.parquet`.
#[derive(Clone)]
pub struct Rows {
    folder: PathBuf,
    loaders: Loaders,
}

impl Rows {
    /// The rows below a folder, read by these loaders.
    pub fn new(folder: impl Into<PathBuf>, loaders: Loaders) -> Self {
        Self {
            folder: folder.into(),
            loaders,
        }
    }

    /// The rows of a split of a task.
    ///
    /// # Errors
    /// [`EvalError::Setting`] if the file is not there, with the files that are; the loader's, with file and line.
    pub(super) fn read(&self, definition: &Definition, split: &str) -> Result<Vec<Row>> {
        let path = self.path(definition, split)?;
        let (documents, _) = self.loaders.load_all(&[path], &OnError::Stop)?;
        Ok(documents.into_iter().map(Row::from).collect())
    }

    fn path(&self, definition: &Definition, split: &str) -> Result<PathBuf> {
        let folder = self.folder.join(&definition.task);
        let found = ENDINGS
            .iter()
            .map(|ending| folder.join(format!("{split}.{ending}")));
        if let Some(path) = found.into_iter().find(|path| path.is_file()) {
            return Ok(path);
        }
        if let Some(path) = named(definition, split)? {
            return Ok(path);
        }
        Err(refused(
            &format!("{}: split {split:?}", definition.task),
            &format!(
                "neither {split}.jsonl nor {split}.parquet lies in {}; {}",
                folder.display(),
                self.there(&folder, &definition.task)
            ),
        ))
    }

    /// What lies where the rows were expected, for the error.
    fn there(&self, folder: &Path, task: &str) -> String {
        let names = names(folder);
        if !names.is_empty() {
            return format!("it holds {}", names.join(", "));
        }
        let tasks = super::row::names(&self.folder);
        let near = near(task, tasks.iter().map(String::as_str));
        if near.is_empty() {
            format!("{} holds no folder of that name", self.folder.display())
        } else {
            format!("{} holds {}", self.folder.display(), near.join(", "))
        }
    }
}

/// The rows as the task's function changes them.
pub(super) fn processed(task: &str, hook: Option<Hook>, rows: Vec<Row>) -> Result<Vec<Row>> {
    let Some(hook) = hook else {
        return Ok(rows);
    };
    let one = |row: Row| {
        Ok(Row {
            fields: hook.document(task, &row)?,
            origin: row.origin,
        })
    };
    rows.into_iter().map(one).collect()
}

/// The names in a folder, in order; none if it cannot be read.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names.truncate(20);
    names
}

/// The file that `dataset_kwargs.data_files` names for a split, relative to the working folder, as in the harness.
fn named(definition: &Definition, split: &str) -> Result<Option<PathBuf>> {
    let plain = ["json", "csv", "parquet"];
    if !definition
        .dataset_path
        .as_deref()
        .is_some_and(|path| plain.contains(&path))
    {
        return Ok(None);
    }
    let files = definition
        .dataset_kwargs
        .as_ref()
        .and_then(|kwargs| kwargs.get("data_files"));
    let file = match files {
        Some(Value::Object(splits)) => splits.get(split),
        // A file without a split is the training split.
        Some(file) if split == "train" => Some(file),
        _ => None,
    };
    match file {
        None => Ok(None),
        Some(Value::String(file)) => Ok(Some(file.into())),
        Some(Value::Array(files)) if files.len() == 1 && files[0].is_string() => {
            Ok(files[0].as_str().map(PathBuf::from))
        }
        Some(other) => Err(refused(
            &definition.task,
            &format!("data_files: expected one file for the split {split:?}, found {other}"),
        )),
    }
}
