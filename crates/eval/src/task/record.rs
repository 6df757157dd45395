//! Reading the fields of a record, with errors that name its place.

use finetune_data::{Document, Value};

use crate::{EvalError, Result};

/// A field as text: a string as it is, a number or truth value as JSON writes it.
pub(super) fn text(document: &Document, task: &str, field: &str) -> Result<String> {
    match document.fields.get(field) {
        Some(Value::String(text)) => Ok(text.clone()),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
        _ => Err(missing(document, task, field, "a text")),
    }
}

/// A field as a list of texts.
pub(super) fn texts(document: &Document, task: &str, field: &str) -> Result<Vec<String>> {
    let wrong = || missing(document, task, field, "a list of texts");
    let Some(Value::Array(values)) = document.fields.get(field) else {
        return Err(wrong());
    };
    values
        .iter()
        .map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong))
        .collect()
}

/// The error for a field that is not there, or of another kind.
pub(super) fn missing(
    document: &Document,
    task: &str,
    field: &str,
    expected: &'static str,
) -> EvalError {
    EvalError::MissingField {
        origin: document.origin.clone(),
        task: task.to_owned(),
        field: field.to_owned(),
        expected,
        found: document.fields.keys().cloned().collect(),
    }
}
