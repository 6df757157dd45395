//! Records that lie in several rows: rated answers to the same question, and trees of messages.
//!
//! A mapping sees one record. What belongs together is brought into one here, and a mapping then reads it as any other.

mod tree;

use std::collections::HashMap;

use serde_json::{Map, Value};

pub use tree::{Branches, Trees};

use crate::document::{Document, Fields};
use crate::error::Result;

/// Rows that have the same value in a field, as one document each, in the order of the first rows: the field, and
/// `answers`, a list with what else each row has.
///
/// So `HelpSteer`'s rows, which rate one response each, become records that a
/// [`RatedMapping`](crate::mapping::RatedMapping) reads: `answers=answers,answer=response,score=helpfulness`.
///
/// ```
/// use finetune_data::mapping::{Mapping, RatedMapping};
/// use finetune_data::{Document, Origin, group};
///
/// let row = |response: &str, helpfulness: u8| Document {
///     text: String::new(),
///     fields: [
///         ("prompt".to_owned(), "Why?".into()),
///         ("response".to_owned(), response.into()),
///         ("helpfulness".to_owned(), helpfulness.into()),
///     ]
///     .into(),
///     origin: Origin::new("steer.jsonl", 1),
/// };
/// let grouped = group::by("prompt", vec![row("Because.", 4), row("No.", 1)])?;
/// let mapping: RatedMapping = "answers=answers,answer=response,score=helpfulness".parse()?;
/// let pair = mapping.example(grouped[0].clone())?;
/// assert_eq!((&*pair.chosen[0].text, &*pair.rejected[0].text), ("Because.", "No."));
/// # Ok::<(), finetune_data::DataError>(())
/// ```
///
/// # Errors
///
/// [`DataError::MissingField`](crate::DataError::MissingField) for a row without the field.
pub fn by(field: &str, rows: Vec<Document>) -> Result<Vec<Document>> {
    let mut groups: Vec<Document> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut answers: Vec<Vec<Value>> = Vec::new();
    for mut row in rows {
        let Some(value) = row.fields.remove(field) else {
            return Err(row.missing(field, "Name the field that rows of one group share"));
        };
        let index = *known.entry(value.to_string()).or_insert_with(|| {
            groups.push(Document {
                text: String::new(),
                fields: Fields::from([(field.to_owned(), value)]),
                origin: row.origin.clone(),
            });
            answers.push(Vec::new());
            groups.len() - 1
        });
        let rest: Map<String, Value> = row.fields.into_iter().collect();
        answers[index].push(Value::Object(rest));
    }
    for (group, answers) in groups.iter_mut().zip(answers) {
        group.fields.insert("answers".into(), Value::Array(answers));
    }
    Ok(groups)
}
