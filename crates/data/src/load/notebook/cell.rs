//! One cell of a notebook, of either version.

use serde_json::Value;

use super::output::{Output, outputs};
use crate::error::{DataError, Place, Result, quoted};

/// A cell.
pub(super) struct Cell {
    pub(super) number: u64,
    pub(super) kind: &'static str,
    pub(super) source: String,
    pub(super) id: Option<String>,
    pub(super) execution_count: Option<u64>,
    pub(super) outputs: Vec<Output>,
}

impl Cell {
    pub(super) fn of(value: &Value, number: u64, place: &Place) -> Result<Self> {
        let broken = |message: String| DataError::Broken {
            place: place.clone(),
            format: "cell",
            message,
            hint: "Open and save the notebook with Jupyter",
        };
        let kind = value
            .get("cell_type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let known = match kind {
            "code" => "code",
            "markdown" | "heading" => "markdown",
            // HTML cells are of nbformat 3.
            "raw" | "html" => "raw",
            _ => return Err(broken(format!("its cell_type is {}", quoted(kind)))),
        };
        let source = value.get("source").or_else(|| value.get("input"));
        let Some(mut source) = source.and_then(joined) else {
            return Err(broken("it has no source, or one that is no text".into()));
        };
        if kind == "heading" {
            let level = value.get("level").and_then(Value::as_u64).unwrap_or(1);
            let marks = "#".repeat(level.clamp(1, 6) as usize);
            source = format!("{marks} {}", source.replace('\n', " "));
        }
        let count = value
            .get("execution_count")
            .or_else(|| value.get("prompt_number"));
        let produced = value.get("outputs").and_then(Value::as_array);
        let produced = produced.map_or(&[][..], Vec::as_slice);
        Ok(Self {
            number,
            kind: known,
            source,
            id: value.get("id").and_then(Value::as_str).map(str::to_owned),
            execution_count: count.and_then(Value::as_u64),
            outputs: if kind == "code" {
                outputs(produced)
            } else {
                Vec::new()
            },
        })
    }

    /// The cell as blocks of Markdown.
    pub(super) fn markdown(&self, language: Option<&str>, outputs: bool) -> Vec<String> {
        let mut blocks = Vec::new();
        let source = self.source.trim_matches('\n');
        if !source.trim().is_empty() {
            blocks.push(match self.kind {
                "code" => fenced(source, language.unwrap_or_default()),
                _ => source.to_owned(),
            });
        }
        for output in self.outputs.iter().filter(|_| outputs) {
            let text = output.text.trim_matches('\n');
            if !text.trim().is_empty() {
                blocks.push(if output.markdown {
                    text.to_owned()
                } else {
                    fenced(text, "")
                });
            }
        }
        blocks
    }
}

/// A text between fences that are longer than any in it.
fn fenced(text: &str, language: &str) -> String {
    let mut longest = 0;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(3.max(longest + 1));
    // The language is the file's word, and must not end the line.
    let word = |character: &char| character.is_alphanumeric() || "+-#._".contains(*character);
    let language: String = language.chars().filter(word).collect();
    format!("{fence}{language}\n{text}\n{fence}")
}

/// A text, or a list of its lines with their ends.
pub(super) fn joined(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(lines) => lines.iter().map(Value::as_str).collect(),
        _ => None,
    }
}
