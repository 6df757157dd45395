//! Reading the JSON files of a checkpoint's folder.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::error::{ModelError, Result, escape};

/// Reads a JSON file of limited length.
pub(crate) fn read(path: &Path, longest: u64) -> Result<Value> {
    let text = text(path, longest)?;
    serde_json::from_str(&text).map_err(|error| syntax(path, &error))
}

fn text(path: &Path, longest: u64) -> Result<String> {
    let metadata = fs::metadata(path).map_err(ModelError::io(path, "find"))?;
    let path = path.to_owned();
    if !metadata.is_file() {
        return Err(ModelError::NotARegularFile { path });
    }
    if metadata.len() > longest {
        let (what, found) = ("bytes", metadata.len());
        return Err(ModelError::Limit {
            path,
            what,
            found,
            limit: longest,
        });
    }
    fs::read_to_string(&path).map_err(ModelError::io(path, "read"))
}

fn syntax(path: &Path, error: &serde_json::Error) -> ModelError {
    ModelError::JsonSyntax {
        path: path.to_owned(),
        line: error.line(),
        column: error.column(),
        why: escape(&error.to_string()),
    }
}

/// Finds the keys that occur twice in an object of a file, which a parser would drop silently.
pub(super) struct Pairs<'a> {
    object: &'a str,
}

impl<'a> Pairs<'a> {
    /// The object that a key of the outermost object holds.
    pub(super) fn of(object: &'a str) -> Self {
        Self { object }
    }
}

/// The keys that occur twice.
pub(super) fn doubled(path: &Path, pairs: &Pairs<'_>) -> Result<Vec<String>> {
    let text = text(path, u64::MAX)?;
    let mut doubled = Vec::new();
    let outer = Outer {
        object: pairs.object,
        doubled: &mut doubled,
    };
    let mut deserializer = serde_json::Deserializer::from_str(&text);
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
