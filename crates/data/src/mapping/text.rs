//! Texts to be learned as a whole.

use std::str::FromStr;

use super::any::is_auto;
use super::fields::Fields;
use super::offer::Part;
use super::{Mapping, assignments};
use crate::document::Document;
use crate::error::{DataError, Result};
use crate::example::PlainText;

/// Names that a text has in the usual data sets.
pub(super) const TEXT: [&str; 6] = ["text", "content", "sentence", "document", "body", "article"];

pub(super) const PARTS: [Part; 1] = [("text", &TEXT)];

/// Maps a document to its text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TextMapping {
    /// The field that holds the text. By default the document's own text, or else the first field of `text`,
    /// `content`, `sentence`, `document`, `body`, `article`.
    pub text: Option<String>,
}

impl Mapping for TextMapping {
    type Example = PlainText;

    fn example(&self, document: Document) -> Result<PlainText> {
        let mut fields = Fields::from(document);
        let text = take_text(&mut fields, self.text.as_deref())?;
        Ok(PlainText {
            text,
            origin: fields.origin,
        })
    }
}

/// The text of a record that need not be a field.
pub(super) fn take_text(fields: &mut Fields, name: Option<&str>) -> Result<String> {
    match name.or_else(|| fields.first(&TEXT)) {
        None if !fields.text.trim().is_empty() => Ok(std::mem::take(&mut fields.text)),
        // Front matter may have a field `text` or `content` too: the document itself comes first.
        Some(_) if name.is_none() && !fields.text.trim().is_empty() => {
            Ok(std::mem::take(&mut fields.text))
        }
        Some(name) => fields.take_content(name),
        None => Err(fields.missing("text", fields.suggest(&PARTS))),
    }
}

impl FromStr for TextMapping {
    type Err = DataError;

    /// Reads `text=FIELD`. An empty text or `auto` detects.
    fn from_str(text: &str) -> Result<Self> {
        let mut mapping = Self::default();
        if is_auto(text) {
            return Ok(mapping);
        }
        for (_, field) in assignments(text, &["text"])? {
            mapping.text = Some(field);
        }
        Ok(mapping)
    }
}
