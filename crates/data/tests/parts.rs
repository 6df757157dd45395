//! Parts: every input once over all ranks, whatever the format, and nothing merged that is missing or changed.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use finetune_data::document::PlaceUnit;
use finetune_data::encode::Encoder;
use finetune_data::parts::{Format, Job, Part, Share, merge};
use finetune_data::shard::Shard;
use finetune_data::{Conversation, DataError, Document, Loaders, Origin, Result, document::Value};
use proptest::prelude::*;
use serde_json::json;

fn share(rank: u32, world: u32) -> Share {
    Share::new(rank, world).unwrap()
}

/// Files with so many records each; the records are numbered through.
fn files(folder: &Path, records: &[usize]) -> Vec<PathBuf> {
    let mut number = 0;
    let named = records.iter().enumerate().map(|(file, records)| {
        let path = folder.join(format!("{file}.jsonl"));
        let lines = (0..*records).map(|_| {
            number += 1;
            format!("{{\"n\":{number}}}\n")
        });
        fs::write(&path, lines.collect::<String>()).unwrap();
        path
    });
    named.collect()
}

proptest! {
    #[test]
    fn every_input_is_taken_once_over_all_ranks(world in 1..40_u32, inputs in 0..200_u64) {
        for input in 0..inputs {
            let takers = (0..world).filter(|rank| share(*rank, world).takes(input));
            prop_assert_eq!(takers.count(), 1);
        }
    }

    #[test]
    fn every_record_is_prepared_once_over_all_ranks(
        world in 1..7_u32,
        records in prop::collection::vec(1..9_usize, 1..9),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path(), &records);
        let loaders = Loaders::default();
        let mut numbers = Vec::new();
        for rank in 0..world {
            for document in share(rank, world).documents(&loaders, &files) {
                numbers.push(document.unwrap().fields["n"].as_u64().unwrap());
            }
        }
        numbers.sort_unstable();
        let all = records.iter().sum::<usize>() as u64;
        prop_assert_eq!(numbers, (1..=all).collect::<Vec<_>>());
    }
}

#[test]
fn a_rank_is_below_the_size_of_the_world() {
    for (rank, world) in [(0, 0), (1, 1), (5, 2)] {
        let error = Share::new(rank, world).unwrap_err().to_string();
        assert!(error.contains("expected a rank from 0"), "{error}");
    }
}

fn documents() -> Vec<Document> {
    let document = |place: u64, text: &str, fields: Value| Document {
        text: text.into(),
        fields: serde_json::from_value(fields).unwrap(),
        origin: Origin::new("in/a.jsonl", place),
    };
    let mut list = vec![
        document(
            1,
            "One \u{1F600}\n",
            json!({"n": 1, "score": 1, "mixed": "a", "none": null, "tags": ["x", "y"]}),
        ),
        document(
            2,
            "",
            json!({"n": -2, "score": 0.5, "mixed": 3, "messages": [{"role": "user", "content": "Why?"}]}),
        ),
        document(
            3,
            "Three",
            json!({"big": u64::MAX, "tags": [], "good": true}),
        ),
    ];
    list[2].origin = Origin::of("in/b.pdf", PlaceUnit::Page, 3);
    list
}

fn prepare(folder: &Path, format: Format, world: u32) -> Vec<Part> {
    let ranks = (0..world).map(|rank| {
        let mine = (0..)
            .zip(documents())
            .filter(|(number, _)| share(rank, world).takes(*number));
        let job = Job::new(share(rank, world), folder).settings("three documents");
        job.documents(format, mine.map(|(_, document)| Ok(document)))
            .unwrap()
    });
    ranks.collect()
}

#[test]
fn json_lines_come_back_as_the_documents_that_they_were() {
    let folder = tempfile::tempdir().unwrap();
    prepare(folder.path(), Format::JsonLines, 2);
    let manifest = merge(folder.path()).unwrap();
    assert_eq!((manifest.rows, manifest.parts.len()), (3, 2));
    let first = folder.path().join("part-00000-of-00002.jsonl");
    let read: Vec<Document> = Loaders::default()
        .load(&first)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read[0].fields["text"], "One \u{1F600}\n");
    assert_eq!(read[0].fields["source_path"], "in/a.jsonl");
    assert_eq!(read[0].fields["source_place"], 1);
    assert!(!read[0].fields.contains_key("source_unit"));
    assert_eq!(read[1].fields["source_unit"], "page");
    assert_eq!(read[1].fields["big"], u64::MAX);
    // Prepared again, they keep where they came from first.
    let again = tempfile::tempdir().unwrap();
    let job = Job::new(share(0, 1), again.path());
    job.documents(Format::JsonLines, read.into_iter().map(Ok))
        .unwrap();
    let bytes = |path: PathBuf| fs::read(path).unwrap();
    assert_eq!(
        bytes(again.path().join("part-00000-of-00001.jsonl")),
        bytes(first)
    );
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_has_the_fields_as_columns_and_is_the_same_bytes_each_time() {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let folder = tempfile::tempdir().unwrap();
    let parts = prepare(folder.path(), Format::Parquet, 1);
    let columns = &parts[0].columns;
    assert_eq!(columns["score"], "Float64");
    assert_eq!(columns["tags"], "List(Utf8, field: 'element')");
    assert!(!columns.contains_key("none"));
    let path = folder.path().join("part-00000-of-00001.parquet");
    let reader = SerializedFileReader::new(fs::File::open(&path).unwrap()).unwrap();
    let rows: Vec<Value> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().to_json_value())
        .collect();
    let expected = [
        json!({"n": 1, "score": 1.0, "mixed": "\"a\"", "tags": ["x", "y"], "text": "One \u{1F600}\n",
            "source_path": "in/a.jsonl", "source_place": 1}),
        json!({"n": -2, "score": 0.5, "mixed": "3", "messages": [{"role": "user", "content": "Why?"}],
            "source_path": "in/a.jsonl", "source_place": 2}),
        json!({"big": u64::MAX.to_string(), "tags": [], "good": true, "text": "Three",
            "source_path": "in/b.pdf", "source_place": 3, "source_unit": "page"}),
    ];
    for (row, expected) in rows.iter().zip(&expected) {
        let found: serde_json::Map<String, Value> = row
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        assert_eq!(&Value::Object(found), expected);
    }
    assert_eq!(rows.len(), 3);
    let bytes = fs::read(&path).unwrap();
    prepare(folder.path(), Format::Parquet, 1);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    merge(folder.path()).unwrap();
}

#[cfg(feature = "parquet")]
#[test]
fn many_rows_go_through_parquet_in_pieces() {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let folder = tempfile::tempdir().unwrap();
    let documents = (0..10_000_u64).map(|place| {
        Ok(Document {
            text: format!("row {place}"),
            fields: [].into(),
            origin: Origin::new("a", place),
        })
    });
    let job = Job::new(share(0, 1), folder.path());
    assert_eq!(
        job.documents(Format::Parquet, documents).unwrap().rows,
        10_000
    );
    let file = fs::File::open(folder.path().join("part-00000-of-00001.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    for (place, row) in reader.get_row_iter(None).unwrap().enumerate() {
        let row = row.unwrap().to_json_value();
        assert_eq!(row["text"], format!("row {place}"));
        assert_eq!(row["source_place"], place);
    }
}

#[test]
fn tokens_are_shards() {
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/assets/base");
    let encoder = Encoder::open(base, "chat").unwrap();
    let (rows, _) = encoder
        .encode_all(&[
            Conversation::pair("Why?", "So."),
            Conversation::pair("How?", "Thus."),
        ])
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    for rank in 0..2 {
        let job = Job::new(share(rank, 2), folder.path());
        let row = rows[rank as usize].clone();
        job.rows(encoder.fingerprint(), [Ok(row)]).unwrap();
    }
    let manifest = merge(folder.path()).unwrap();
    let tokens: usize = rows.iter().map(|row| row.encoded.ids.len()).sum();
    assert_eq!(manifest.tokens, Some(tokens as u64));
    let shard = folder.path().join("part-00001-of-00002.tokens");
    let shard = Shard::open(shard, &encoder.fingerprint()).unwrap();
    assert_eq!(shard.row(0).as_ref(), Some(&rows[1]));
}

#[test]
fn a_part_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let job = Job::new(share(0, 1), folder.path());
    let mut list = documents();
    list[0].fields.insert("text".into(), "another".into());
    let error = job
        .documents(Format::JsonLines, list.into_iter().rev().map(Ok))
        .unwrap_err();
    assert!(matches!(error, DataError::DuplicateKey { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// What is done to a folder of parts, and what is said of it then.
type Spoiled<'a> = (&'a dyn Fn(&Path), &'a str);

#[test]
fn what_is_missing_or_changed_is_not_merged() {
    let refusal = |spoil: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path(), Format::JsonLines, 3);
        spoil(folder.path());
        let error = merge(folder.path()).unwrap_err();
        assert!(!folder.path().join("manifest.json").exists());
        error.to_string()
    };
    let edit = |folder: &Path, from: &str, to: &str| {
        let path = folder.join("part-00001-of-00003.json");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    };
    let cases: [Spoiled<'_>; 9] = [
        (
            &|folder| fs::remove_file(folder.join("part-00001-of-00003.json")).unwrap(),
            "1 of 3 parts are missing, first those of the ranks 1",
        ),
        (
            &|folder| fs::remove_file(folder.join("part-00001-of-00003.jsonl")).unwrap(),
            "part-00001-of-00003.jsonl: cannot read",
        ),
        (
            &|folder| fs::write(folder.join("part-00002-of-00003.jsonl"), "{}").unwrap(),
            "it has 2 bytes with the checksum",
        ),
        (
            &|folder| {
                prepare(folder, Format::JsonLines, 2);
            },
            "part-00000-of-00003.json: cannot read the prepared data: it is one of 3",
        ),
        (
            &|folder| edit(folder, "three documents", "four"),
            "it has other settings than part-00000-of-00003.jsonl",
        ),
        (
            &|folder| edit(folder, "\"rank\": 1", "\"rank\": 2"),
            "it describes part-00002",
        ),
        (
            &|folder| edit(folder, "\"rank\": 1", "\"rank\": 9"),
            "expected a rank from 0",
        ),
        (
            &|folder| edit(folder, ".jsonl", "./../x"),
            "its name is not a file's name",
        ),
        (
            &|folder| edit(folder, "\"rows\"", "\"lines\""),
            "unknown field",
        ),
    ];
    for (spoil, message) in cases {
        let found = refusal(spoil);
        assert!(found.contains(message), "{found}");
    }
    let empty = tempfile::tempdir().unwrap();
    let error = merge(empty.path()).unwrap_err().to_string();
    assert!(error.contains("no description of a part"), "{error}");
}

#[cfg(feature = "parquet")]
fn merged(values: [Value; 2]) -> Result<()> {
    let folder = tempfile::tempdir().unwrap();
    for (rank, value) in (0..).zip(values) {
        let document = Document {
            text: String::new(),
            fields: [("n".to_owned(), value)].into(),
            origin: Origin::default(),
        };
        let job = Job::new(share(rank, 2), folder.path());
        job.documents(Format::Parquet, [Ok(document)]).unwrap();
    }
    merge(folder.path()).map(|_| ())
}

#[cfg(feature = "parquet")]
#[test]
fn columns_whose_types_differ_from_part_to_part_are_named() {
    let error = merged([json!(1), json!("one")]).unwrap_err().to_string();
    assert!(
        error.contains(
            "column \"n\" is Int64 in part-00000-of-00002.parquet and Utf8 in part-00001"
        ),
        "{error}"
    );
    assert!(merged([json!({"a": 1}), json!([1])]).is_err());
    // The members of objects may differ, and a column may be missing.
    merged([json!({"a": 1}), json!({"b": 1})]).unwrap();
    merged([json!(1), json!(null)]).unwrap();
}
