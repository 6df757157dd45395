//! Task files: YAML with `!function` tags and `include`.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use serde_saphyr::Tagged;

use crate::{EvalError, Result};

/// The key under which the name of a function stands: `!function utils.process_docs` becomes
/// `{"!function": "utils.process_docs"}`.
pub(super) const FUNCTION: &str = "!function";

/// Where included files come from.
pub(super) trait Files {
    /// The text of a file and its full path. `name` is relative to the folder of `from`.
    fn read(&self, from: Option<&Path>, name: &Path) -> Result<(PathBuf, String)>;
}

/// Files on the disk.
pub(super) struct Disk;

impl Files for Disk {
    fn read(&self, from: Option<&Path>, name: &Path) -> Result<(PathBuf, String)> {
        let folder = from.and_then(Path::parent);
        let path = folder.map_or_else(|| name.to_owned(), |folder| folder.join(name));
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok((path, text)),
            Err(source) => Err(EvalError::Io { path, source }),
        }
    }
}

/// Reads a task file with all that it includes; what stands in a file goes before what it includes.
pub(super) fn read(files: &dyn Files, path: &Path) -> Result<Map<String, Value>> {
    let (path, text) = files.read(None, path)?;
    let fields = parse(&path, &text)?;
    with_includes(files, &path, fields)
}

/// The fields of a task with those of the files that it includes, which lie beside `path`.
pub(super) fn with_includes(
    files: &dyn Files,
    path: &Path,
    fields: Map<String, Value>,
) -> Result<Map<String, Value>> {
    include(files, path, fields, &mut HashSet::from([path.to_owned()]))
}

fn include(
    files: &dyn Files,
    path: &Path,
    mut fields: Map<String, Value>,
    seen: &mut HashSet<PathBuf>,
) -> Result<Map<String, Value>> {
    let names = match fields.remove("include") {
        None => return Ok(fields),
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names
            .into_iter()
            .map(|name| match name {
                Value::String(name) => Ok(name),
                other => Err(invalid(
                    path,
                    format!("include: expected the name of a file, found {other}"),
                )),
            })
            .collect::<Result<_>>()?,
        Some(other) => {
            return Err(invalid(
                path,
                format!("include: expected the name of a file, found {other}"),
            ));
        }
    };
    let mut merged = Map::new();
    for name in names {
        let (included, text) = files.read(Some(path), Path::new(&name))?;
        if !seen.insert(included.clone()) {
            return Err(invalid(
                path,
                format!("include: {name:?} is included by itself or twice"),
            ));
        }
        let mut inner = include(files, &included, parse(&included, &text)?, seen)?;
        // A list of tasks belongs to the file that it stands in.
        inner.remove("task_list");
        merged.extend(inner);
    }
    merged.extend(fields);
    Ok(merged)
}

fn parse(path: &Path, text: &str) -> Result<Map<String, Value>> {
    let node: Tagged<Node> = serde_saphyr::from_str(text).map_err(|error| {
        let place = error.location();
        EvalError::Format {
            path: Some(path.to_owned()),
            line: place.map_or(1, |place| place.line() as usize),
            column: place.map_or(0, |place| place.column() as usize),
            reason: error.to_string(),
        }
    })?;
    match untagged(node).map_err(|tag| invalid(path, tag))? {
        Value::Object(fields) => Ok(fields),
        _ => Err(invalid(
            path,
            "expected the fields of a task or group".into(),
        )),
    }
}

fn invalid(path: &Path, reason: String) -> EvalError {
    EvalError::Setting {
        what: path.display().to_string(),
        reason,
    }
}

/// A YAML value whose parts still have their tags.
enum Node {
    Plain(Value),
    List(Vec<Tagged<Node>>),
    Map(Vec<(String, Tagged<Node>)>),
}

/// The value of a node, with a function as a mapping; the error is a tag that is not known.
fn untagged(Tagged(node, tag): Tagged<Node>) -> Result<Value, String> {
    let value = match node {
        Node::Plain(value) => value,
        Node::List(items) => {
            Value::Array(items.into_iter().map(untagged).collect::<Result<_, _>>()?)
        }
        Node::Map(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, node)| Ok((key, untagged(node)?)))
                .collect::<Result<_, String>>()?,
        ),
    };
    match (tag.as_deref(), value) {
        (Some("!function"), Value::String(name)) => Ok(Value::Object(Map::from_iter([(
            FUNCTION.to_owned(),
            name.into(),
        )]))),
        (Some(tag), _) if tag.starts_with('!') => Err(format!(
            "the tag {tag} is not known; expected !function before the name of a function"
        )),
        (_, value) => Ok(value),
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value of YAML")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Plain(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        let number = serde_json::Number::from_f64(value);
        let number = number.ok_or_else(|| E::custom(format!("{value} is not a finite number")))?;
        Ok(Node::Plain(Value::Number(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Plain(text.into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Node, E> {
        Ok(Node::Plain(text.into()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Plain(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields = Vec::new();
        while let Some(Tagged(key, _)) = map.next_key::<Tagged<Node>>()? {
            let key = match key {
                Node::Plain(Value::String(key)) => key,
                Node::Plain(key) => key.to_string(),
                Node::List(_) | Node::Map(_) => {
                    return Err(A::Error::custom("a key that is a list or a mapping"));
                }
            };
            fields.push((key, map.next_value()?));
        }
        Ok(Node::Map(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Result<Value> {
        parse(Path::new("task.yaml"), text).map(Value::Object)
    }

    #[test]
    fn functions_keep_their_names_and_texts_their_lines() {
        // `yes` is true, as for PyYAML.
        let text = "task: a\nprocess_docs: !function utils.process_docs\nlist:\n  - {m: !function x.y}\n  - 1\n  - yes\n\
                    text: \"a\\n\\\n  b\"\nnone: null\nfloat: 1.0\n\"quoted\": ~\n";
        assert_eq!(
            parsed(text).unwrap(),
            json!({
                "task": "a",
                "process_docs": {"!function": "utils.process_docs"},
                "list": [{"m": {"!function": "x.y"}}, 1, true],
                "text": "a\nb",
                "none": null,
                "float": 1.0,
                "quoted": null,
            })
        );
    }

    #[test]
    fn what_is_not_a_task_is_refused_with_its_place() {
        for (text, part) in [
            ("- a", "expected the fields of a task"),
            ("a: [1", "task.yaml:"),
            ("a: !other b", "the tag !other is not known"),
            ("", "task.yaml"),
        ] {
            let error = parsed(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_a_file_says_goes_before_what_it_includes() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("base.yaml", "a: 1\nb: 1\ntask_list: [x]\n");
        write("more.yaml", "include: base.yaml\nb: 2\n");
        write("task.yaml", "include: [more.yaml]\nc: 3\n");
        write("loop.yaml", "include: loop.yaml\n");
        write("lost.yaml", "include: nowhere.yaml\n");
        let read = |name: &str| read(&Disk, &folder.path().join(name));
        assert_eq!(
            Value::Object(read("task.yaml").unwrap()),
            json!({"a": 1, "b": 2, "c": 3})
        );
        assert!(
            read("loop.yaml")
                .unwrap_err()
                .to_string()
                .contains("included by itself")
        );
        assert!(
            read("lost.yaml")
                .unwrap_err()
                .to_string()
                .contains("nowhere.yaml")
        );
    }
}
