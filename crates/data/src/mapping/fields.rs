//! The fields of one record, taken out by name.

use serde_json::Value;

use super::offer::{Part, offer};
use crate::document::{self, Document, Origin};
use crate::error::{DataError, Place, Result, quoted};
use crate::example::nearest;
use crate::load::parse::type_name;

/// The fields of a record that have not been taken yet.
pub(super) struct Fields {
    pub(super) rest: document::Fields,
    pub(super) text: String,
    pub(super) origin: Origin,
    /// The names at the start, for messages.
    names: Vec<String>,
}

/// The fields of a record, to be looked at. A name with dots leads into lists and objects.
#[derive(Clone, Copy)]
pub(super) struct View<'a>(pub(super) &'a document::Fields);

impl<'a> View<'a> {
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).or_else(|| {
            let (field, path) = name.split_once('.')?;
            inside(self.0.get(field)?, path)
        })
    }

    /// Whether there is a field of this name that holds something.
    pub(super) fn has(self, name: &str) -> bool {
        self.get(name).is_some_and(|value| !value.is_null())
    }

    /// The first of the names that the record has.
    pub(super) fn first<'n>(self, names: &[&'n str]) -> Option<&'n str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// The first of the pairs of names of which the record has both.
    pub(super) fn pair<'n>(self, pairs: &[(&'n str, &'n str)]) -> Option<(&'n str, &'n str)> {
        pairs
            .iter()
            .copied()
            .find(|(first, second)| self.has(first) && self.has(second))
    }
}

/// What lies inside of a value, by names of fields and numbers of items with dots between.
pub(super) fn inside<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, step| match value {
        Value::Array(values) => values.get(step.parse::<usize>().ok()?),
        Value::Object(fields) => fields.get(step),
        _ => None,
    })
}

/// Whether a value is a list of objects.
pub(super) fn is_list_of_objects(value: &Value) -> bool {
    items_are(value, Value::is_object)
}

/// Whether a value is a list of texts.
pub(super) fn is_list_of_texts(value: &Value) -> bool {
    items_are(value, Value::is_string)
}

fn items_are(value: &Value, is: fn(&Value) -> bool) -> bool {
    value
        .as_array()
        .is_some_and(|items| !items.is_empty() && items.iter().all(is))
}

impl From<Document> for Fields {
    fn from(document: Document) -> Self {
        let names = document.fields.keys().cloned().collect();
        Self {
            rest: document.fields,
            text: document.text,
            origin: document.origin,
            names,
        }
    }
}

impl From<Fields> for Document {
    fn from(fields: Fields) -> Self {
        Self {
            text: fields.text,
            fields: fields.rest,
            origin: fields.origin,
        }
    }
}

impl Fields {
    pub(super) fn place(&self) -> Place {
        Place::from(&self.origin)
    }

    /// The fields that have not been taken yet, to be looked at.
    pub(super) fn view(&self) -> View<'_> {
        View(&self.rest)
    }

    /// The first of the names that the record has.
    pub(super) fn first<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        self.view().first(names)
    }

    /// The first of the pairs of names of which the record has both.
    pub(super) fn pair<'a>(&self, pairs: &[(&'a str, &'a str)]) -> Option<(&'a str, &'a str)> {
        self.view().pair(pairs)
    }

    /// Takes a field out. A name with dots leads into lists and objects, of which a copy is taken.
    pub(super) fn take(&mut self, name: &str) -> Result<Value> {
        if let Some(value) = self.rest.remove(name) {
            return Ok(value);
        }
        self.view().get(name).cloned().ok_or_else(|| {
            let names = self.names.iter().map(String::as_str);
            let hint = nearest(name, names).map_or(String::new(), |near| {
                format!("Did you mean {}?", quoted(near))
            });
            self.missing(name, hint)
        })
    }

    /// Takes a text out.
    pub(super) fn take_text(&mut self, name: &str) -> Result<String> {
        match self.take(name)? {
            Value::String(text) => Ok(text),
            other => Err(self.wrong_type(name, &other, "string")),
        }
    }

    /// Takes a text out that says something.
    pub(super) fn take_content(&mut self, name: &str) -> Result<String> {
        let text = self.take_text(name)?;
        self.check_content(name, &text)?;
        Ok(text)
    }

    /// Takes a text out if it is there and says something.
    pub(super) fn take_optional(&mut self, name: &str) -> Result<Option<String>> {
        if !self.rest.contains_key(name) && !name.contains('.') {
            return Ok(None);
        }
        match self.take(name)? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text).filter(|text| !text.trim().is_empty())),
            other => Err(self.wrong_type(name, &other, "string")),
        }
    }

    pub(super) fn check_content(&self, name: &str, text: &str) -> Result<()> {
        if text.trim().is_empty() {
            return Err(DataError::EmptyContent {
                place: self.place(),
                field: name.into(),
            });
        }
        Ok(())
    }

    pub(super) fn wrong_type(
        &self,
        field: &str,
        found: &Value,
        expected: &'static str,
    ) -> DataError {
        DataError::WrongType {
            place: self.place(),
            field: quoted(field),
            found: type_name(found),
            expected,
        }
    }

    /// The error for a missing field, with the fields that there are.
    pub(super) fn missing(&self, field: &str, hint: String) -> DataError {
        let shown: Vec<String> = self
            .names
            .iter()
            .take(20)
            .map(|name| quoted(name))
            .collect();
        let found = match self.names.len() {
            0 => "no fields".into(),
            count if count > 20 => format!("{} and {} more", shown.join(", "), count - 20),
            _ => shown.join(", "),
        };
        DataError::MissingField {
            place: self.place(),
            field: quoted(field),
            found,
            hint,
        }
    }

    /// The error for a value that means nothing.
    pub(super) fn unexpected(
        &self,
        field: &str,
        found: &str,
        expected: impl Into<String>,
    ) -> DataError {
        DataError::UnexpectedValue {
            place: self.place(),
            field: quoted(field),
            found: quoted(found),
            expected: expected.into(),
        }
    }

    /// The sign that a mapping leaves the record out.
    pub(super) fn left_out(&self, reason: &'static str, why: impl Into<String>) -> DataError {
        DataError::LeftOut {
            place: self.place(),
            reason,
            why: why.into(),
        }
    }

    /// A mapping to try, as [`offer`] makes it.
    pub(super) fn suggest(&self, wanted: &[Part]) -> String {
        format!("Map it, such as {}", quoted(&offer(self.view(), wanted).0))
    }
}
