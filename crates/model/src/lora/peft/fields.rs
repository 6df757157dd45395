//! The fields of `adapter_config.json`, read by type: what is there and is not what it must be is named.

use std::path::Path;

use serde_json::{Map, Value};

use super::CONFIG_FILE;
use crate::checkpoint::json;
use crate::error::{ModelError, Result, escape};

/// The longest configuration that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// The fields of a configuration. A field that is null is not there.
pub(super) struct Fields<'a> {
    path: &'a Path,
    map: Map<String, Value>,
}

impl<'a> Fields<'a> {
    pub(super) fn read(path: &'a Path) -> Result<Self> {
        match json::read(path, LONGEST)? {
            Value::Object(map) => Ok(Self { path, map }),
            other => Err(ModelError::Adapter {
                place: path.display().to_string(),
                why: format!(
                    "found {}; expected an object of settings",
                    escape(&other.to_string())
                ),
            }),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.map
            .iter()
            .map(|(field, value)| (field.as_str(), value))
    }

    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// The error for a field that is not what it must be.
    pub(super) fn wrong(&self, field: &str, expected: &str) -> ModelError {
        let found = self
            .map
            .get(field)
            .map_or("nothing".to_owned(), |value| escape(&value.to_string()));
        // A field that nobody knows may be called anything.
        let field = escape(field);
        self.invalid(&format!("{field} is {found}; expected {expected}"))
    }

    pub(super) fn invalid(&self, why: &str) -> ModelError {
        super::invalid(self.path, why)
    }

    /// A field as `read` understands it.
    pub(super) fn optional<T>(
        &self,
        field: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let value = self.get(field);
        value
            .map(|value| read(value).ok_or_else(|| self.wrong(field, expected)))
            .transpose()
    }

    /// A field that must be there.
    pub(super) fn required<T>(
        &self,
        field: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T> {
        self.optional(field, expected, read)?
            .ok_or_else(|| self.wrong(field, expected))
    }

    /// The place of a field, for errors of others.
    pub(super) fn place(field: &str) -> String {
        format!("{CONFIG_FILE}: {field}")
    }
}

/// A whole number above 0.
pub(super) fn count(value: &Value) -> Option<usize> {
    let number = value.as_u64().filter(|number| *number > 0)?;
    usize::try_from(number).ok()
}

/// A number above 0.
pub(super) fn positive(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| *number > 0.0)
}

/// A list of texts.
pub(super) fn texts(value: &Value) -> Option<Vec<String>> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    value.as_array()?.iter().map(text).collect()
}
