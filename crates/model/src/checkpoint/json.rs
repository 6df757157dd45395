//! Reading the JSON files of a checkpoint's folder.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::stamp::Stamp;
use crate::error::{ModelError, Result, escape};

/// Reads a JSON file of limited length.
pub(crate) fn read(path: &Path, longest: u64) -> Result<Value> {
    let text = text(path, longest)?;
    parse(path, &text)
}

/// Reads a JSON file of limited length, and which keys of the object under a key occur twice.
pub(super) fn read_pairs(path: &Path, longest: u64, object: &str) -> Result<(Value, Vec<String>)> {
    let text = text(path, longest)?;
    Ok((parse(path, &text)?, doubled(path, &text, object)?))
}

fn parse(path: &Path, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| syntax(path, &error))
}

fn text(path: &Path, longest: u64) -> Result<String> {
    let metadata = fs::metadata(path).map_err(ModelError::io(path, "find"))?;
    if !metadata.is_file() {
        return Err(ModelError::NotARegularFile {
            path: path.to_owned(),
        });
    }
    let limit = |found: u64| {
        let (path, what, limit) = (path.to_owned(), "bytes", longest);
        ModelError::Limit {
            path,
            what,
            found,
            limit,
        }
    };
    if metadata.len() > longest {
        return Err(limit(metadata.len()));
    }
    let file = File::open(path).map_err(ModelError::io(path, "open"))?;
    let stamp = Stamp::of(&file, path)?;
    let mut text = String::new();
    // The file may have grown since.
    let read = (&file).take(longest + 1).read_to_string(&mut text);
    let found = read.map_err(ModelError::io(path, "read"))? as u64;
    if found > longest {
        return Err(limit(found));
    }
    // A change while reading leaves a mixture.
    stamp.holds(&file, path)?;
    Ok(text)
}

fn syntax(path: &Path, error: &serde_json::Error) -> ModelError {
    ModelError::JsonSyntax {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        why: escape(&error.to_string()),
    }
}

/// The keys that occur twice in the object that a key of the outermost one holds; a parser drops them silently.
fn doubled(path: &Path, text: &str, object: &str) -> Result<Vec<String>> {
    let mut doubled = Vec::new();
    let outer = Outer {
        object,
        doubled: &mut doubled,
    };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    outer
        .deserialize(&mut deserializer)
        .map_err(|error| syntax(path, &error))?;
    Ok(doubled)
}

struct Outer<'a> {
    object: &'a str,
    doubled: &'a mut Vec<String>,
}

struct Inner<'a> {
    doubled: &'a mut Vec<String>,
}

macro_rules! seed {
    ($name:ident) => {
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = ();

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
                from.deserialize_map(self)
            }
        }
    };
}

seed!(Outer);
seed!(Inner);

impl<'de> Visitor<'de> for Outer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == self.object {
                map.next_value_seed(Inner {
                    doubled: self.doubled,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Inner<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<IgnoredAny>()?;
            if !seen.insert(key.clone()) {
                self.doubled.push(key);
            }
        }
        Ok(())
    }
}
