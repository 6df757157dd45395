//! What became of a record when it was read.

use std::sync::Arc;

use serde_json::Value;

use super::chain::Member;
use crate::document::{Content, Document, Note, Raw, Record};
use crate::error::{DataError, Place, Result};

/// What became of a record.
pub(super) enum Outcome<T> {
    Blank,
    Note(Note),
    Dropped(&'static str),
    Kept {
        value: T,
        control_chars: u64,
    },
    Broken {
        error: DataError,
        raw: Raw,
        member: Option<Arc<Member>>,
        control_chars: u64,
    },
    End(DataError),
}

impl<T> Outcome<T> {
    /// Reads a record, and makes of it what `read` makes. With `strict` a control character is an error.
    pub(super) fn of(record: Record, strict: bool, read: impl Fn(Document) -> Result<T>) -> Self {
        let Record {
            raw,
            content,
            member,
        } = record;
        let document = match content {
            Content::Blank => return Self::Blank,
            Content::Note(note) => return Self::Note(note),
            Content::Dropped(reason) => return Self::Dropped(reason),
            Content::End(error) => return Self::End(*error),
            Content::Ready(document) => document.map_err(|error| *error),
            Content::Later { place, read } => read(raw.bytes(), &place),
        };
        let document = match document {
            Ok(document) => document,
            Err(error) => {
                return Self::Broken {
                    error,
                    raw,
                    member,
                    control_chars: 0,
                };
            }
        };
        let (control_chars, first) = control_chars(&document);
        let value = match first {
            Some(character) if strict => Err(DataError::ControlChar {
                place: Place::from(&document.origin),
                character: character.into(),
            }),
            _ => read(document),
        };
        match value {
            Ok(value) => Self::Kept {
                value,
                control_chars,
            },
            Err(DataError::LeftOut { reason, .. }) => Self::Dropped(reason),
            Err(error) => Self::Broken {
                error,
                raw,
                member,
                control_chars,
            },
        }
    }
}

/// The number of control characters in a document's texts, and the first.
fn control_chars(document: &Document) -> (u64, Option<char>) {
    let mut found = (0, None);
    count(&document.text, &mut found);
    document
        .fields
        .values()
        .for_each(|value| count_value(value, &mut found));
    found
}

fn count_value(value: &Value, found: &mut (u64, Option<char>)) {
    match value {
        Value::String(text) => count(text, found),
        Value::Array(values) => values.iter().for_each(|value| count_value(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| count_value(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn count(text: &str, found: &mut (u64, Option<char>)) {
    let forbidden = |byte: &u8| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127);
    for byte in text.bytes().filter(forbidden) {
        found.0 += 1;
        found.1.get_or_insert(char::from(byte));
    }
}
