//! Good files of every format: what is read, in which order, and from where.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use finetune_data::load::{Csv, Json, JsonLines, Loaders, OnError, Text};
use finetune_data::{Document, Documents, Fields, Load, Origin, Result, Value};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::json;

fn load_with(loaders: &Loaders, name: &str, content: impl AsRef<[u8]>) -> Vec<Document> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    let documents: Result<Vec<Document>> = loaders.load(&path).unwrap().collect();
    let documents = documents.unwrap();
    assert_eq!(
        loaders.load_all(&[&path], &OnError::Stop).unwrap().0,
        documents,
        "both ways to load agree"
    );
    assert!(
        documents
            .iter()
            .all(|document| document.origin.path == path)
    );
    documents
}

fn load(name: &str, content: impl AsRef<[u8]>) -> Vec<Document> {
    load_with(&Loaders::default(), name, content)
}

/// Fields with their lines.
fn rows(documents: Vec<Document>) -> Vec<(Value, u64)> {
    let row = |document: Document| {
        (
            Value::Object(document.fields.into_iter().collect()),
            document.origin.place,
        )
    };
    documents.into_iter().map(row).collect()
}

#[test]
fn json_lines() {
    let content = "{\"a\": 1}\n\n{\"a\": \"é\", \"b\": {\"c\": [true, null]}}";
    let expected = vec![
        (json!({"a": 1}), 1),
        (json!({"a": "é", "b": {"c": [true, null]}}), 3),
    ];
    assert_eq!(rows(load("x.jsonl", content)), expected);
    assert_eq!(rows(load("X.NDJSON", content)), expected);
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(content.as_bytes()).unwrap();
    assert_eq!(rows(load("x.jsonl.gz", packer.finish().unwrap())), expected);
}

#[test]
fn json_arrays_objects_and_lines() {
    let array = "\n[\n  {\"a\": \"]}\\\"\"},\n  {\"b\": [[{}], \"[\"]}, {}\n]\n";
    let expected = vec![
        (json!({"a": "]}\""}), 3),
        (json!({"b": [[{}], "["]}), 4),
        (json!({}), 4),
    ];
    assert_eq!(rows(load("x.json", array)), expected);
    assert_eq!(
        rows(load("x.json", "{\n \"a\": [1,\n 2]}\n")),
        vec![(json!({"a": [1, 2]}), 1)]
    );
    assert_eq!(
        rows(load("x.json", "{\"a\":1}\n\n{\"a\":2}")),
        vec![(json!({"a": 1}), 1), (json!({"a": 2}), 3)]
    );
}

#[test]
fn tables() {
    let content = "id, text \n1,\"a, \"\"b\"\"\nc\"\n\n2,\n\"\",5\" pipe\n";
    let expected = vec![
        (json!({"id": "1", "text": "a, \"b\"\nc"}), 2),
        (json!({"id": "2", "text": ""}), 5),
        (json!({"id": "", "text": "5\" pipe"}), 6),
    ];
    assert_eq!(rows(load("x.csv", content)), expected);
    assert_eq!(
        rows(load("x.tsv", "a\tb\n1,2\t3")),
        vec![(json!({"a": "1,2", "b": "3"}), 2)]
    );
    let semicolons = Loaders::default().with(Csv::separated(b';'));
    assert_eq!(
        rows(load_with(&semicolons, "x.csv", "a;b\n1,2;3")),
        vec![(json!({"a": "1,2", "b": "3"}), 2)]
    );
}

#[test]
fn texts() {
    let content = " one\r\ntwo\n\n\n \nthree\n";
    let whole = load("x.txt", content);
    assert_eq!(
        (whole[0].text.as_str(), whole[0].origin.place),
        (" one\ntwo\n\n\n \nthree\n", 1)
    );
    let paragraphs = load_with(
        &Loaders::default().with(Text::paragraphs()),
        "x.txt",
        content,
    );
    let found: Vec<_> = paragraphs
        .iter()
        .map(|document| (document.text.as_str(), document.origin.place))
        .collect();
    assert_eq!(found, [(" one\ntwo", 1), ("three", 6)]);
    let markdown = load("x.md", "---\ntitle: T\n---\n# Head\n");
    assert_eq!(
        (markdown[0].text.as_str(), &markdown[0].fields["title"]),
        ("# Head\n", &json!("T"))
    );
    assert_eq!(markdown[0].origin.place, 4);
    let small = Text {
        limit: 10,
        ..Text::default()
    };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("x.txt"), "12345678901").unwrap();
    let error = small
        .load(&folder.path().join("x.txt"))
        .map(drop)
        .unwrap_err();
    assert!(error.to_string().contains("limit 10"), "{error}");
}

#[test]
fn a_folder_is_walked_in_the_order_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (name, content) in [
        ("b.txt", "B"),
        ("a/2.jsonl", "{\"n\":2}\n{\"n\":3}\n"),
        ("a/10.jsonl", "{\"n\":10}\n"),
        ("a.csv", "n\n1\n"),
        ("image.png", "…"),
        (".hidden.txt", "no"),
        ("c/.git/x.txt", "no"),
    ] {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let (documents, counts) = Loaders::default()
        .load_all(&[root], &OnError::Stop)
        .unwrap();
    let origins: Vec<Origin> = documents
        .iter()
        .map(|document| document.origin.clone())
        .collect();
    let expected = [
        ("a/10.jsonl", 1),
        ("a/2.jsonl", 1),
        ("a/2.jsonl", 2),
        ("a.csv", 2),
        ("b.txt", 1),
    ];
    assert_eq!(
        origins,
        expected.map(|(name, place)| Origin::new(root.join(name), place))
    );
    assert_eq!((counts.files, counts.passed_over, counts.kept), (4, 1, 5));
    let lazy: Result<Vec<Document>> = Loaders::default().load(root).unwrap().collect();
    assert_eq!(lazy.unwrap(), documents);
}

/// A loader as somebody outside would write it.
struct Words;

impl Load for Words {
    fn extensions(&self) -> &[&str] {
        &["words", "txt"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        let text = fs::read_to_string(path).unwrap();
        let origin = |index: usize| Origin::new(path, index as u64 + 1);
        let document = |(index, word): (usize, &str)| {
            Ok(Document {
                text: word.into(),
                fields: Fields::new(),
                origin: origin(index),
            })
        };
        let documents: Vec<_> = text.split_whitespace().enumerate().map(document).collect();
        Ok(Box::new(documents.into_iter()))
    }
}

#[test]
fn a_loader_from_outside_joins_the_list_and_comes_first() {
    let loaders = Loaders::default().with(Words);
    for name in ["x.words", "x.txt"] {
        let texts: Vec<String> = load_with(&loaders, name, "a b")
            .into_iter()
            .map(|document| document.text)
            .collect();
        assert_eq!(texts, ["a", "b"]);
    }
    assert_eq!(load_with(&loaders, "x.md", "a b").len(), 1);
}

/// Reading is lazy: a broken line behind the first does not hinder it, and the next call goes on behind it.
#[test]
fn documents_come_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    fs::write(&path, "{\"a\":1}\n{\n{\"a\":3}\n").unwrap();
    let mut documents = JsonLines.load(&path).unwrap();
    assert!(documents.next().unwrap().is_ok());
    assert!(documents.next().unwrap().is_err());
    assert_eq!(documents.next().unwrap().unwrap().origin.place, 3);
    assert!(documents.next().is_none());
    fs::write(&path, "[{\"a\":1}, {\"a\":1,\"a\":2}, {\"a\":3}, oops]").unwrap();
    let results: Vec<bool> = Json
        .load(&path)
        .unwrap()
        .map(|document| document.is_ok())
        .collect();
    assert_eq!(results, [true, false, true, false]);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[\\PC\\n\\t\"\\\\{}\\[\\],]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            proptest::collection::btree_map(".{0,6}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn records() -> impl Strategy<Value = Vec<BTreeMap<String, Value>>> {
    proptest::collection::vec(
        proptest::collection::btree_map(".{0,8}", value(), 0..5),
        1..12,
    )
}

fn fields(documents: Vec<Document>) -> Vec<Fields> {
    documents
        .into_iter()
        .map(|document| document.fields)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn json_round_trips(records in records()) {
        let lines: Vec<String> = records.iter().map(|record| serde_json::to_string(record).unwrap()).collect();
        prop_assert_eq!(&fields(load("x.jsonl", lines.join("\n"))), &records);
        prop_assert_eq!(&fields(load("x.json", serde_json::to_string(&records).unwrap())), &records);
        let pretty = serde_json::to_string_pretty(&records).unwrap();
        let documents = load("x.json", &pretty);
        for document in &documents {
            let line = pretty.lines().nth(document.origin.place as usize - 1).unwrap();
            prop_assert!(line.starts_with("  {"), "a record starts at its line: {line}");
        }
        prop_assert_eq!(&fields(documents), &records);
    }

    /// Whatever the csv crate writes is read back as it was.
    #[test]
    fn tables_round_trip(
        rows in proptest::collection::vec(proptest::collection::vec("[a-z ,;\"\\n\\té…]{0,8}", 3), 1..12),
        quote: bool,
        tabs: bool,
        windows: bool,
    ) {
        let style = if quote { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary };
        let end = if windows { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
        let separator = if tabs { b'\t' } else { b',' };
        let mut writer = csv::WriterBuilder::new();
        let mut writer = writer.quote_style(style).terminator(end).delimiter(separator).from_writer(Vec::new());
        writer.write_record(["x", "y", "z"]).unwrap();
        for row in &rows {
            writer.write_record(row).unwrap();
        }
        let content = writer.into_inner().unwrap();
        let documents = load(if tabs { "x.tsv" } else { "x.csv" }, content);
        let read: Vec<Vec<String>> = documents
            .iter()
            .map(|document| ["x", "y", "z"].map(|name| document.fields[name].as_str().unwrap().to_string()).to_vec())
            .collect();
        prop_assert_eq!(read, rows);
    }

    /// Random bytes under any name give documents or an error, and never a panic.
    #[test]
    fn any_bytes_are_survived(
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), proptest::sample::select(&b"{}[]\",:\n\r\\a1"[..])], 0..200),
        name in proptest::sample::select(&["x.jsonl", "x.json", "x.csv", "x.txt", "x.md", "x.jsonl.gz"][..]),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let loaders = Loaders::default().with(Text::paragraphs());
        for on_error in [OnError::Skip, OnError::Quarantine(folder.path().join("bad"))] {
            if let Ok((documents, counts)) = loaders.load_all(&[&path], &on_error) {
                prop_assert_eq!(documents.len() as u64, counts.kept);
            }
        }
    }
}
