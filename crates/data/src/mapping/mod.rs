//! Mappings: from the fields of a record to an example.
//!
//! Every mapping detects the usual names of fields by default. Where a data set has other names, its mapping is set
//! field by field, or parsed from a text such as `prompt=question,completion=answer`: what the example needs on the
//! left, the record's field on the right. A field inside a field is named with dots: `completion=answers.text.0`.

mod any;
mod chat;
mod comparison;
mod completion;
mod detect;
mod fields;
mod format;
mod judged;
mod known;
mod label;
mod margin;
mod offer;
mod preference;
mod rated;
mod text;
mod tools;
mod turns;

pub use any::{AnyChat, AnyPreference};
pub use chat::ChatMapping;
pub use comparison::{Compared, ComparisonMapping, Verdict};
pub use completion::CompletionMapping;
pub use detect::{Detecting, Found};
pub use format::{Detected, Format};
pub use judged::JudgedMapping;
pub use label::{LabelKind, LabelMapping};
pub use margin::Margin;
pub use offer::Part;
pub use preference::PreferenceMapping;
pub use rated::{RatedMapping, Rating};
pub use text::TextMapping;

use crate::document::Document;
use crate::error::{DataError, Result, quoted};
use crate::example::nearest;

/// Makes examples of records.
///
/// This is the seam for records of an unusual form: implement it and hand it to
/// [`Loaders::examples`](crate::Loaders::examples), or hand a closure from a document to a result to
/// [`Loaders::collect`](crate::Loaders::collect).
///
/// ```
/// use finetune_data::mapping::AnyChat;
/// use finetune_data::{Loaders, OnError};
///
/// # fn main() -> finetune_data::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let file = folder.path().join("data.jsonl");
/// # std::fs::write(&file, "{\"frage\": \"Why?\", \"antwort\": \"Because.\"}\n{\"frage\": 5}\n").unwrap();
/// let mapping: AnyChat = "prompt=frage,completion=antwort".parse()?;
/// let (conversations, counts) = Loaders::default().examples(&[file], &OnError::Skip, &mapping)?;
/// assert_eq!(conversations[0].answer(), Some("Because."));
/// assert_eq!(counts.skipped, 1);
/// assert!(counts.to_string().contains("1 wrong type, first: "));
/// # Ok(())
/// # }
/// ```
pub trait Mapping: Send + Sync {
    /// What a record becomes.
    type Example;

    /// The example of a record.
    ///
    /// # Errors
    ///
    /// If the record lacks a field ([`DataError::MissingField`] names those that it has), or a field does not hold
    /// what it should. [`DataError::LeftOut`] is no fault: the record is left out on purpose, and counted by its reason.
    fn example(&self, document: Document) -> Result<Self::Example>;

    /// The examples of records that are in memory already, in order.
    ///
    /// # Errors
    ///
    /// That of the first record that has one.
    fn examples<'d>(
        &self,
        documents: impl IntoIterator<Item = &'d Document>,
    ) -> Result<Vec<Self::Example>>
    where
        Self: Sized,
    {
        let examples = documents.into_iter().cloned();
        examples.map(|document| self.example(document)).collect()
    }
}

/// The parts of `name=field,name=field`.
///
/// # Errors
///
/// If a part has no `=`, or names something that `known` does not list.
fn assignments(text: &str, known: &[&str]) -> Result<Vec<(String, String)>> {
    let fault = |found: &str, expected: String| DataError::Setting {
        name: "mapping".into(),
        found: quoted(found),
        expected,
    };
    let mut parts: Vec<(String, String)> = Vec::new();
    for part in text.split(',') {
        let (name, field) = part.split_once('=').unwrap_or((part, ""));
        let (name, field) = (name.trim(), field.trim());
        if field.is_empty() {
            return Err(fault(part, format!("{}=FIELD", known.join("=FIELD, "))));
        }
        if !known.contains(&name) {
            let hint = nearest(name, known.iter().copied())
                .map_or(String::new(), |near| format!("; did you mean {near}?"));
            return Err(fault(name, format!("one of {}{hint}", known.join(", "))));
        }
        if parts.iter().any(|(before, _)| before == name) {
            return Err(fault(part, format!("{name} only once")));
        }
        parts.push((name.into(), field.into()));
    }
    Ok(parts)
}
