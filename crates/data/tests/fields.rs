//! The fields of a record behave as a map does, whatever names they share with the records beside them.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use finetune_data::document::{Fields, SharedPath, Value};
use finetune_data::load::Loaders;
use finetune_data::{OnError, Origin};
use proptest::prelude::*;
use serde_json::json;

#[derive(Debug, Clone)]
enum Operation {
    Insert(String, i32),
    Remove(String),
    Change(String, i32),
    ChangeAll(i32),
    Extend(Vec<(String, i32)>),
    KeepOdd,
    Collect,
}

fn name() -> impl Strategy<Value = String> {
    "[a-d]{0,2}|é"
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => (name(), any::<i32>()).prop_map(|(name, value)| Operation::Insert(name, value)),
        2 => name().prop_map(Operation::Remove),
        1 => (name(), any::<i32>()).prop_map(|(name, value)| Operation::Change(name, value)),
        1 => any::<i32>().prop_map(Operation::ChangeAll),
        1 => proptest::collection::vec((name(), any::<i32>()), 0..4).prop_map(Operation::Extend),
        1 => Just(Operation::KeepOdd),
        1 => Just(Operation::Collect),
    ]
}

/// Does the same to both; what they answer has to be the same.
fn apply(operation: Operation, fields: &mut Fields, map: &mut BTreeMap<String, Value>) {
    match operation {
        Operation::Insert(name, value) => assert_eq!(
            fields.insert(name.clone(), value.into()),
            map.insert(name, value.into())
        ),
        Operation::Remove(name) => assert_eq!(fields.remove(&name), map.remove(&name)),
        Operation::Change(name, to) => {
            let (one, other) = (fields.get_mut(&name), map.get_mut(&name));
            assert_eq!(one, other);
            if let (Some(one), Some(other)) = (one, other) {
                (*one, *other) = (to.into(), to.into());
            }
        }
        Operation::ChangeAll(to) => {
            for (one, other) in fields.values_mut().zip(map.values_mut()) {
                (*one, *other) = (to.into(), to.into());
            }
            for ((name, value), (other, _)) in fields.iter_mut().zip(map.iter_mut()) {
                assert_eq!(name, other);
                *value = json!([value.take()]);
            }
            for value in map.values_mut() {
                *value = json!([value.take()]);
            }
        }
        Operation::Extend(more) => {
            let more = more.into_iter().map(|(name, value)| (name, value.into()));
            fields.extend(more.clone());
            map.extend(more);
        }
        Operation::KeepOdd => {
            let odd = |name: &String, value: &mut Value| name.len() % 2 == 1 && !value.is_null();
            fields.retain(odd);
            map.retain(odd);
        }
        Operation::Collect => {
            *fields = std::mem::take(fields).into_iter().collect();
        }
    }
}

fn check(fields: &Fields, map: &BTreeMap<String, Value>) {
    assert_eq!(fields, map);
    assert!(fields.iter().eq(map) && fields.into_iter().eq(map));
    assert!(fields.keys().eq(map.keys()) && fields.values().eq(map.values()));
    assert!(fields.clone().into_iter().eq(map.clone()));
    assert!(fields.clone().into_values().eq(map.clone().into_values()));
    assert_eq!(
        (fields.len(), fields.is_empty()),
        (map.len(), map.is_empty())
    );
    for name in ["", "a", "b", "cc", "d", "dd", "é", "z"] {
        assert_eq!(fields.get(name), map.get(name));
        assert_eq!(fields.contains_key(name), map.contains_key(name));
        if let Some(value) = map.get(name) {
            assert_eq!(&fields[name], value);
        }
    }
    assert_eq!(format!("{fields:?}"), format!("{map:?}"));
    let written = serde_json::to_string(fields).unwrap();
    assert_eq!(written, serde_json::to_string(map).unwrap());
    assert_eq!(&serde_json::from_str::<Fields>(&written).unwrap(), fields);
    assert_eq!(&Fields::from(map.clone()), fields);
}

proptest! {
    #[test]
    fn fields_are_a_map(operations in proptest::collection::vec(operation(), 0..24)) {
        let (mut fields, mut map) = (Fields::new(), BTreeMap::new());
        let mut before = Vec::new();
        for operation in operations {
            before.push((fields.clone(), map.clone()));
            apply(operation, &mut fields, &mut map);
            check(&fields, &map);
        }
        // The copies share names with what was changed later.
        for (fields, map) in before {
            check(&fields, &map);
        }
    }
}

/// Writes lines to a file and reads them: the fields of each, or what is said about it.
fn read(folder: &Path, content: &str) -> Vec<Result<Fields, String>> {
    let path = folder.join("x.jsonl");
    fs::write(&path, content).unwrap();
    let documents = Loaders::default().load(&path).unwrap();
    documents
        .map(|document| document.map(|document| document.fields))
        .map(|fields| fields.map_err(|error| error.to_string()))
        .collect()
}

const NAMES: [&str; 9] = [
    r#""a""#,
    r#""b""#,
    r#""c""#,
    r#""longer name""#,
    r#""longer one""#,
    r#""é""#,
    r#""\u0061""#,
    r#""q\"""#,
    r#""""#,
];

const VALUES: [&str; 9] = [
    "1",
    "\"x\"",
    "null",
    "true",
    "[1, {\"a\": 2}]",
    "-0.5",
    "18446744073709551615",
    "-0",
    "tru",
];

const ENDS: [&str; 7] = ["}", "}", "}", "}", ",}", "", "} x"];

/// Objects with names in many orders, of which some stand twice, are escaped or are cut off.
fn line() -> impl Strategy<Value = String> {
    let name = proptest::sample::select(&NAMES[..]);
    let value = proptest::sample::select(&VALUES[..]);
    let member = (name, value, "( |\t)?")
        .prop_map(|(name, value, space)| format!("{name}{space}:{space}{value}"));
    let members = proptest::collection::vec(member, 0..5);
    (members, proptest::sample::select(&ENDS[..]))
        .prop_map(|(members, end)| format!("{{{}{end}", members.join(",")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What was read before is remembered, and must not tell.
    #[test]
    fn a_line_reads_the_same_behind_any_others(lines in proptest::collection::vec(line(), 1..24)) {
        let folder = tempfile::tempdir().unwrap();
        let together = read(folder.path(), &(lines.join("\n") + "\n"));
        for (index, (line, read_after)) in lines.iter().zip(&together).enumerate() {
            let blanks = "\n".repeat(index);
            let alone = read(folder.path(), &format!("{blanks}{line}\n"));
            prop_assert_eq!(&alone[..], std::slice::from_ref(read_after), "{}", line);
            if let Ok(fields) = read_after {
                let expected: BTreeMap<String, Value> = serde_json::from_str(line).unwrap();
                prop_assert_eq!(fields, &expected);
            }
        }
        prop_assert_eq!(together.len(), lines.len());

        // Read in parallel, and with the bytes kept.
        let path = folder.path().join("x.jsonl");
        fs::write(&path, lines.join("\n")).unwrap();
        let kept: Vec<&Fields> = together.iter().flatten().collect();
        match Loaders::default().load_all(&[&path], &OnError::Skip) {
            Ok((documents, counts)) => {
                let fields: Vec<&Fields> = documents.iter().map(|document| &document.fields).collect();
                prop_assert_eq!(&fields, &kept);
                prop_assert_eq!(counts.broken() as usize, together.len() - kept.len());
            }
            Err(error) => prop_assert!(kept.is_empty(), "{error}"),
        }
    }
}

#[test]
fn a_name_that_stands_twice_is_refused_although_it_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let first = r#"{"a": 1, "b": 2, "c": 3}"#;
    let cases = [
        (r#"{"a": 1, "a": 2, "c": 3}"#, 10),
        (r#"{"a": 1, "b": 2, "a": 3}"#, 18),
        (r#"{"a": 1, "b": 2, "c": 3, "b": 4}"#, 26),
        (r#"{"a": 1, "b": 2, "\u0061": 3}"#, 18),
    ];
    for (line, column) in cases {
        let read = read(folder.path(), &format!("{first}\n{first}\n{line}\n"));
        let error = read[2].as_ref().unwrap_err();
        assert!(
            error.contains(&format!("x.jsonl:3:{column}: the name")),
            "{line}: {error}"
        );
        assert_eq!(read[1].as_ref().unwrap()["c"], 3);
    }
}

#[test]
fn more_kinds_and_names_than_are_remembered_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let record = |kind: usize| {
        let names = (0..kind * 40).map(|number| format!("{}{number}", "n".repeat(kind)));
        names
            .map(|name| (name, Value::from(kind)))
            .collect::<BTreeMap<_, _>>()
    };
    let records: Vec<_> = (0..40).map(|number| record(number % 12)).collect();
    let lines: Vec<String> = records
        .iter()
        .map(|record| serde_json::to_string(record).unwrap())
        .collect();
    let read = read(folder.path(), &lines.join("\n"));
    for (fields, record) in read.into_iter().zip(&records) {
        assert_eq!(&fields.unwrap(), record);
    }
}

#[test]
fn lines_that_go_over_what_is_read_at_once_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let text = |number: usize| "é".repeat(number * 977 % 90_000);
    let lines: Vec<String> = (0..200)
        .map(|number| json!({ "n": number, "text": text(number) }).to_string())
        .collect();
    for end in ["\n", ""] {
        let read = read(folder.path(), &(lines.join("\n") + end));
        assert_eq!(read.len(), lines.len());
        for (number, fields) in read.into_iter().enumerate() {
            let fields = fields.unwrap();
            assert_eq!(
                (&fields["n"], &fields["text"]),
                (&json!(number), &json!(text(number)))
            );
        }
    }
}

#[test]
fn a_shared_path_is_a_path() {
    let path = SharedPath::from("a/b.jsonl");
    assert_eq!(path, Path::new("a/b.jsonl").to_path_buf());
    assert_eq!(path.file_name().unwrap(), "b.jsonl");
    assert_eq!(SharedPath::default(), Path::new(""));
    let origin = Origin::new(&path, 3);
    let written = serde_json::to_string(&origin).unwrap();
    assert_eq!(written, r#"{"path":"a/b.jsonl","place":3}"#);
    assert_eq!(serde_json::from_str::<Origin>(&written).unwrap(), origin);
}
