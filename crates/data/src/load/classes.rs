//! The classes of a data set: numbers in its files, names in its documents.

use std::collections::BTreeMap;

use crate::document::{Document, Value};
use crate::error::{DataError, Place, Result, quoted};

/// The names of classes by their numbers, for each column that holds such numbers or lists of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Classes(pub(super) BTreeMap<String, Vec<String>>);

impl Classes {
    /// Puts the names of classes in the place of their numbers, and null in that of -1, which stands for none.
    pub(super) fn name(&self, mut row: Document) -> Result<Document> {
        for (column, names) in &self.0 {
            if let Some(value) = row.fields.get_mut(column)
                && !name(value, names)
            {
                return Err(DataError::WrongType {
                    place: Place::from(&row.origin),
                    field: quoted(column),
                    found: "a number that no class has",
                    expected: "one of the classes that the data set names",
                });
            }
        }
        Ok(row)
    }
}

/// Names a class, or each of a list of them, whatever lists it lies in; whether there is a name for every number.
fn name(value: &mut Value, names: &[String]) -> bool {
    if let Value::Array(values) = value {
        return values.iter_mut().all(|value| name(value, names));
    }
    let Some(number) = value.as_i64() else {
        return true;
    };
    let named = usize::try_from(number)
        .ok()
        .and_then(|number| names.get(number));
    *value = match named {
        Some(name) => Value::String(name.clone()),
        None if number == -1 => Value::Null,
        None => return false,
    };
    true
}
