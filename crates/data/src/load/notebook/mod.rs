//! Jupyter notebooks.

mod cell;
mod output;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::whole::{DOCUMENT_LIMIT, json as read_json};
use crate::document::{
    Document, Documents, Fields, Load, Origin, PlaceUnit, Record, Records, documents,
};
use crate::error::{DataError, Place, Result};
use cell::Cell;

/// Loads `.ipynb` files of nbformat 3 and 4: a document per cell, and one for the outputs of each cell of code; or one
/// Markdown document for the notebook.
///
/// Fields: `cell` (its number from 1, which is the place too), `kind` (`markdown`, `code`, `raw` or `output`),
/// `language` (of code, from the notebook's metadata), `execution_count`, `id`, and from the notebook `title` and
/// `author`. Of an output the Markdown or else the plain text is taken; streams and errors are taken as they were
/// printed, without colours, and lines that were written over only in their last state. Pictures, HTML and other types
/// are left out, and counted by type in `left_out`. Empty cells count as blank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notebooks {
    /// One document for the whole notebook. No by default.
    pub joined: bool,
    /// Keep the outputs of code. Yes by default.
    pub outputs: bool,
}

impl Default for Notebooks {
    fn default() -> Self {
        Self {
            joined: false,
            outputs: true,
        }
    }
}

impl Notebooks {
    /// Whether a notebook becomes one document: its text and fenced code with its outputs in their order, as Markdown.
    pub fn joined(mut self, joined: bool) -> Self {
        self.joined = joined;
        self
    }

    /// Whether the outputs of code are kept.
    pub fn outputs(mut self, outputs: bool) -> Self {
        self.outputs = outputs;
        self
    }
}

impl Load for Notebooks {
    fn extensions(&self) -> &[&str] {
        &["ipynb"]
    }

    fn whole(&self) -> bool {
        true
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let (mut records, value) = read_json(path, DOCUMENT_LIMIT)?;
        let notebook = Notebook::of(&value, path)?;
        let cells = notebook.cells(&value, path);
        if self.joined {
            records.extend(notebook.joined(cells, self.outputs));
        } else {
            for cell in cells {
                match cell {
                    Ok(cell) => records.extend(notebook.apart(cell, self.outputs)),
                    Err(error) => records.push(Record::ready(Err(error))),
                }
            }
        }
        Ok(Box::new(records.into_iter().map(Ok)))
    }
}

/// What holds for all cells of a notebook.
struct Notebook<'a> {
    path: &'a Path,
    version: u64,
    language: Option<&'a str>,
    fields: Fields,
}

impl<'a> Notebook<'a> {
    fn of(value: &'a Value, path: &'a Path) -> Result<Self> {
        let broken = |message: String| DataError::Broken {
            place: Place::file(path),
            format: "notebook",
            message,
            hint: "Open and save it with Jupyter, which converts older ones",
        };
        let version = value.get("nbformat").and_then(Value::as_u64);
        let version = match version {
            Some(version @ 3..=4) => version,
            Some(version) => {
                return Err(broken(format!(
                    "its nbformat is {version}; expected 3 or 4"
                )));
            }
            None => return Err(broken("it says no nbformat".into())),
        };
        let list = if version == 3 { "worksheets" } else { "cells" };
        if value.get(list).and_then(Value::as_array).is_none() {
            return Err(broken(format!("it has no list of {list}")));
        }
        let metadata = value.get("metadata").unwrap_or(&Value::Null);
        let under = |group: &str, name: &str| metadata.get(group)?.get(name)?.as_str();
        let mut fields = Fields::new();
        if let Some(title) = metadata.get("title").and_then(Value::as_str) {
            fields.insert("title".into(), json!(title));
        }
        let authors = metadata.get("authors").and_then(Value::as_array);
        let name = |author: &'a Value| {
            author
                .get("name")
                .and_then(Value::as_str)
                .or(author.as_str())
        };
        let authors: Vec<&str> = authors.into_iter().flatten().filter_map(name).collect();
        match authors[..] {
            [] => {}
            [author] => drop(fields.insert("author".into(), json!(author))),
            _ => drop(fields.insert("author".into(), json!(authors))),
        }
        Ok(Self {
            path,
            version,
            language: under("language_info", "name").or_else(|| under("kernelspec", "language")),
            fields,
        })
    }

    fn cells(&self, value: &Value, path: &Path) -> Vec<Result<Cell>> {
        let list = |value: &Value, name: &str| -> Vec<Value> {
            let cells = value.get(name).and_then(Value::as_array);
            cells.cloned().unwrap_or_default()
        };
        let cells = if self.version == 3 {
            let sheets = list(value, "worksheets");
            sheets
                .iter()
                .flat_map(|sheet| list(sheet, "cells"))
                .collect()
        } else {
            list(value, "cells")
        };
        let numbered = cells.iter().zip(1..);
        let cell =
            |(cell, number)| Cell::of(cell, number, &Place::of(path, PlaceUnit::Cell, number));
        numbered.map(cell).collect()
    }

    /// The documents of a cell: its source, and its outputs.
    fn apart(&self, cell: Cell, outputs: bool) -> Vec<Record> {
        let mut records = Vec::new();
        let mut fields = self.fields.clone();
        fields.insert("cell".into(), json!(cell.number));
        if let Some(id) = &cell.id {
            fields.insert("id".into(), json!(id));
        }
        if let Some(count) = cell.execution_count {
            fields.insert("execution_count".into(), json!(count));
        }
        if let Some(language) = self.language.filter(|_| cell.kind == "code") {
            fields.insert("language".into(), json!(language));
        }
        if cell.source.trim().is_empty() {
            records.push(Record::blank());
        } else {
            records.push(self.record(cell.number, cell.kind, cell.source, fields.clone()));
        }
        if outputs && !cell.outputs.is_empty() {
            fields.remove("language");
            let texts: Vec<&str> = cell
                .outputs
                .iter()
                .map(|output| output.text.trim_end_matches('\n'))
                .collect();
            let left_out = output::left_out(&cell.outputs);
            let text = texts
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect::<Vec<_>>()
                .join("\n");
            if text.is_empty() {
                records.push(Record::dropped("output of a notebook without text"));
            } else {
                if !left_out.is_empty() {
                    fields.insert("left_out".into(), json!(left_out));
                }
                records.push(self.record(cell.number, "output", text, fields));
            }
        }
        records
    }

    fn record(&self, cell: u64, kind: &str, text: String, mut fields: Fields) -> Record {
        fields.insert("kind".into(), json!(kind));
        Record::ready(Ok(Document {
            text,
            fields,
            origin: Origin::of(self.path, PlaceUnit::Cell, cell),
        }))
    }

    /// The whole notebook as Markdown, behind the errors of broken cells.
    fn joined(&self, cells: Vec<Result<Cell>>, outputs: bool) -> Vec<Record> {
        let mut records = Vec::new();
        let mut parts = Vec::new();
        let mut left_out = BTreeMap::new();
        for cell in cells {
            match cell {
                Ok(cell) => {
                    for (kind, count) in output::left_out(&cell.outputs) {
                        *left_out.entry(kind).or_insert(0) += count;
                    }
                    parts.extend(cell.markdown(self.language, outputs));
                }
                Err(error) => records.push(Record::ready(Err(error))),
            }
        }
        if parts.is_empty() {
            records.push(Record::blank());
            return records;
        }
        let mut fields = self.fields.clone();
        if let Some(language) = self.language {
            fields.insert("language".into(), json!(language));
        }
        if outputs && !left_out.is_empty() {
            fields.insert("left_out".into(), json!(left_out));
        }
        records.push(self.record(1, "notebook", parts.join("\n\n") + "\n", fields));
        records
    }
}
