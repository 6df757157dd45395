//! The fields of one record, taken out by name.

use serde_json::Value;

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

impl Fields {
    pub(super) fn place(&self) -> Place {
        Place::from(&self.origin)
    }

    /// Whether there is a field of this name that holds something.
    pub(super) fn has(&self, name: &str) -> bool {
        self.rest.get(name).is_some_and(|value| !value.is_null())
    }

    /// The first of the names that the record has.
    pub(super) fn first<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.has(name))
    }

    /// The first of the pairs of names of which the record has both.
    pub(super) fn pair<'a>(&self, pairs: &[(&'a str, &'a str)]) -> Option<(&'a str, &'a str)> {
        pairs
            .iter()
            .copied()
            .find(|(first, second)| self.has(first) && self.has(second))
    }

    /// Takes a field out. A name with dots leads into lists and objects, of which a copy is taken.
    pub(super) fn take(&mut self, name: &str) -> Result<Value> {
        if let Some(value) = self.rest.remove(name) {
            return Ok(value);
        }
        let inside = name.split_once('.').and_then(|(field, path)| {
            let start = self.rest.get(field)?;
            path.split('.').try_fold(start, |value, step| match value {
                Value::Array(values) => values.get(step.parse::<usize>().ok()?),
                Value::Object(fields) => fields.get(step),
                _ => None,
            })
        });
        inside.cloned().ok_or_else(|| {
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

    /// A mapping to try: for every wanted part the most likely field, or `FIELD`.
    pub(super) fn suggest(&self, wanted: &[(&str, &[&str])]) -> String {
        let mut free: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let parts: Vec<String> = wanted
            .iter()
            .map(|(part, likely)| {
                let lower = |name: &str| name.to_ascii_lowercase();
                let exact = free
                    .iter()
                    .position(|name| likely.contains(&lower(name).as_str()));
                let near = || {
                    free.iter()
                        .position(|name| nearest(&lower(name), likely.iter().copied()).is_some())
                };
                let field = exact
                    .or_else(near)
                    .map_or("FIELD", |index| free.remove(index));
                format!("{part}={field}")
            })
            .collect();
        format!("Map it, such as {}", quoted(&parts.join(",")))
    }
}
