//! Parts: every input once over all ranks, whatever the format, and nothing merged that is missing or changed.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use finetune_data::document::PlaceUnit;
use finetune_data::encode::{Encoder, Truncation};
use finetune_data::load::Counts;
use finetune_data::mapping::AnyChat;
use finetune_data::parts::{Format, Inputs, Job, Manifest, Part, Share, merge};
use finetune_data::shard::Shard;
use finetune_data::{
    Conversation, DataError, Document, Loaders, OnError, Origin, Result, document::Value,
};
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
        let all = records.iter().sum::<usize>() as u64;
        let mut numbers = Vec::new();
        for rank in 0..world {
            let (mut mine, share) = (Vec::new(), share(rank, world));
            let inputs = Inputs { loaders: &loaders, paths: &files, on_error: &OnError::Stop };
            let read = |document: Document| Ok(document.fields["n"].as_u64().unwrap());
            let account = share.each(&inputs, read, |number| { mine.push(number); Ok(()) }).unwrap();
            prop_assert_eq!(account.counts.kept, mine.len() as u64);
            if files.len() < world as usize {
                let every: Vec<u64> = (1..=all).filter(|number| share.takes(number - 1)).collect();
                prop_assert_eq!(&mine, &every);
                prop_assert_eq!(account.records, Some(all));
            }
            numbers.extend(mine);
        }
        numbers.sort_unstable();
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

/// 2,500 lines in some files: pairs, with every seventh broken, every eleventh judged bad, every thirteenth blank. The
/// broken ones are of three kinds: not JSON, without an answer, and with an answer of the wrong type.
fn spoiled(folder: &Path, files: usize) -> (Vec<PathBuf>, Vec<String>) {
    let mut broken = Vec::new();
    let mut lines = (0..2_500_usize).map(|n| match (n % 7, n % 11, n % 13) {
        (3, ..) => {
            let line = match n % 3 {
                0 => format!("{{\"n\":{n}"),
                1 => format!("{{\"n\":{n},\"q\":\"Why {n}?\",\"good\":true}}"),
                _ => format!("{{\"n\":{n},\"q\":\"Why {n}?\",\"a\":5,\"good\":true}}"),
            };
            broken.push(line.clone());
            line
        }
        (.., 5) => " ".to_owned(),
        (_, rest, _) => {
            let answer = "so ".repeat(1 + n % 40);
            let good = rest != 4;
            format!("{{\"n\":{n},\"q\":\"Why {n}?\",\"a\":\"{answer}\",\"good\":{good}}}")
        }
    });
    let each = 2_500 / files;
    let paths: Vec<PathBuf> = (0..files)
        .map(|file| {
            let path = folder.join(format!("in-{file}.jsonl"));
            let content: Vec<String> = lines.by_ref().take(each).collect();
            fs::write(&path, content.join("\n") + "\n").unwrap();
            path
        })
        .collect();
    drop(lines);
    (paths, broken)
}

fn encoder() -> Encoder {
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/assets/base");
    let encoder = Encoder::open(base, "chat").unwrap().length(48);
    encoder.truncation(Truncation::Drop)
}

fn pairs() -> AnyChat {
    "prompt=q,completion=a,good=good".parse().unwrap()
}

/// Prepares tokens as each of so many machines; what was written, with the bytes of every file.
fn tokens(
    paths: &[PathBuf],
    (on_error, folder): (&OnError, &Path),
    world: u32,
) -> Result<(Manifest, Vec<Vec<u8>>)> {
    let inputs = Inputs {
        loaders: &Loaders::default(),
        paths,
        on_error,
    };
    for rank in 0..world {
        let job = Job::new(share(rank, world), folder).settings("pairs");
        let (part, report) = job.load_tokens(&inputs, &encoder(), &pairs())?;
        let counts = part.counts.unwrap();
        assert_eq!((report.kept, part.rows), (counts.kept, counts.kept));
    }
    let manifest = merge(folder)?;
    let bytes = manifest.parts.iter().flat_map(|part| {
        let description = Path::new(&part.file).with_extension("json");
        [Path::new(&part.file).to_owned(), description]
    });
    let bytes = bytes.map(|name| fs::read(folder.join(name)).unwrap());
    Ok((manifest.clone(), bytes.collect()))
}

/// The counts without the first messages, which say which record a machine has met first.
fn sums(counts: &Counts) -> Counts {
    let mut counts = counts.clone();
    for reason in counts.reasons.values_mut() {
        reason.first.clear();
    }
    counts
}

#[test]
fn every_broken_record_is_told_of_by_one_machine() {
    // With one file three machines take every third record, with five they take files.
    for files in [1, 5] {
        let folder = tempfile::tempdir().unwrap();
        let (paths, broken) = spoiled(folder.path(), files);
        for policy in ["skip", "quarantine"] {
            let mut alone: Option<Counts> = None;
            for world in [1, 3] {
                let mut before = None;
                for threads in [1, 2, 8] {
                    let out = tempfile::tempdir().unwrap();
                    let quarantine = out.path().join("bad.jsonl");
                    let on_error = match policy {
                        "skip" => OnError::Skip,
                        _ => OnError::Quarantine(quarantine.clone()),
                    };
                    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
                    let parts = pool.build().unwrap().install(|| {
                        tokens(&paths, (&on_error, &out.path().join("parts")), world).unwrap()
                    });
                    let counts = parts.0.counts.clone().unwrap();
                    assert!(counts.balanced(), "{counts}");
                    assert_eq!(counts.broken(), broken.len() as u64);
                    assert_eq!(counts.read, 2_500);
                    assert!(counts.dropped["judged bad"] > 100 && counts.dropped["too long"] > 100);
                    assert_eq!(counts.files, files as u64);
                    let alone = alone.get_or_insert_with(|| sums(&counts));
                    assert_eq!(&sums(&counts), alone, "{world} machines");

                    if policy == "quarantine" {
                        let ranks =
                            (0..world).map(|rank| share(rank, world).quarantine(&quarantine));
                        let lines = ranks.map(|path| fs::read_to_string(path).unwrap());
                        let lines: String = lines.collect();
                        let mut lines: Vec<&str> = lines.lines().collect();
                        let mut expected: Vec<&str> = broken.iter().map(String::as_str).collect();
                        if world > 1 {
                            lines.sort_unstable();
                            expected.sort_unstable();
                        }
                        assert_eq!(lines, expected);
                    }
                    let before = before.get_or_insert_with(|| parts.clone());
                    assert!(*before == parts, "{threads} threads: other bytes");
                }
            }
        }
    }
}

#[test]
fn the_parts_of_all_machines_are_what_one_alone_makes() {
    for files in [1, 5] {
        let folder = tempfile::tempdir().unwrap();
        let (paths, _) = spoiled(folder.path(), files);
        let rows = |world: u32| {
            let out = tempfile::tempdir().unwrap();
            tokens(&paths, (&OnError::Skip, out.path()), world).unwrap();
            let mut rows: Vec<_> = (0..world)
                .flat_map(|rank| {
                    let path = out.path().join(share(rank, world).name());
                    let shard =
                        Shard::open(path.with_extension("tokens"), &encoder().fingerprint());
                    shard.unwrap().rows().collect::<Vec<_>>()
                })
                .collect();
            if world > 1 {
                rows.sort_by_key(|row| row.origin.clone());
            }
            rows
        };
        // The rows are those of reading and encoding at once.
        let read = Loaders::default().examples(&paths, &OnError::Skip, &pairs());
        let (expected, _) = encoder().encode_all(&read.unwrap().0).unwrap();
        assert!(expected.len() > 1_000);
        assert!(rows(1) == expected);
        assert!(rows(3) == expected);
    }
}

#[test]
fn a_machine_that_meets_a_broken_record_stops_and_leaves_no_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.jsonl");
    fs::write(&path, "{\"n\":0}\n{\"n\":1}\n{\"n\":}\n{\"n\":3}\n").unwrap();
    let out = folder.path().join("parts");
    let inputs = Inputs {
        loaders: &Loaders::default(),
        paths: &[path],
        on_error: &OnError::Stop,
    };
    let prepare = |rank| Job::new(share(rank, 3), &out).load_documents(&inputs, Format::JsonLines);
    assert_eq!(prepare(0).unwrap().rows, 2);
    assert_eq!(prepare(1).unwrap().rows, 1);
    let error = prepare(2).unwrap_err().to_string();
    assert!(error.contains("in.jsonl:3:"), "{error}");
    let error = merge(&out).unwrap_err().to_string();
    assert!(error.contains("1 of 3 parts are missing"), "{error}");
    assert!(!out.join("part-00002-of-00003.jsonl").exists());
}

#[test]
fn documents_are_those_that_come_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    for records in [vec![2_000, 3, 700], vec![1_500]] {
        let files = files(folder.path(), &records);
        let inputs = Inputs {
            loaders: &Loaders::default(),
            paths: &files,
            on_error: &OnError::Stop,
        };
        for rank in 0..3 {
            let share = share(rank, 3);
            let whole = files.len() >= 3;
            let mine = (0..)
                .zip(&files)
                .filter(|(number, _)| !whole || share.takes(*number))
                .flat_map(|(_, file)| Loaders::default().load(file).unwrap())
                .zip(0..)
                .filter(|(_, number)| whole || share.takes(*number))
                .map(|(document, _)| document);
            let (one, other) = (folder.path().join("one"), folder.path().join("other"));
            let expected = Job::new(share, &one)
                .documents(Format::JsonLines, mine)
                .unwrap();
            let part = Job::new(share, &other)
                .load_documents(&inputs, Format::JsonLines)
                .unwrap();
            assert_eq!(
                (part.rows, part.bytes, &part.xxh3),
                (expected.rows, expected.bytes, &expected.xxh3)
            );
        }
    }
}

#[test]
fn a_quarantine_does_not_lie_where_other_machines_read() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    files(&data, &[5, 5]);
    let each = |world, name: &str| {
        let on_error = OnError::Quarantine(folder.path().join(name));
        let inputs = Inputs {
            loaders: &Loaders::default(),
            paths: std::slice::from_ref(&data),
            on_error: &on_error,
        };
        share(0, world).each(&inputs, Ok, |_| Ok(()))
    };
    let error = each(2, "data/bad.jsonl").unwrap_err().to_string();
    assert!(
        error.contains("bad-00000-of-00002.jsonl") && error.contains("outside of the inputs"),
        "{error}"
    );
    assert_eq!(fs::read_dir(&data).unwrap().count(), 2);
    // One alone leaves its own quarantine out.
    assert_eq!(each(1, "data/bad.jsonl").unwrap().counts.kept, 10);
    assert_eq!(each(2, "bad.jsonl").unwrap().counts.kept, 5);
}

#[test]
fn machines_that_have_read_other_files_are_not_merged() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("parts");
    for rank in 0..2 {
        // The second machine has an older copy of the file.
        let files = files(folder.path(), &[10 - rank as usize]);
        let inputs = Inputs {
            loaders: &Loaders::default(),
            paths: &files,
            on_error: &OnError::Stop,
        };
        let job = Job::new(share(rank, 2), &out);
        job.load_documents(&inputs, Format::JsonLines).unwrap();
    }
    let error = merge(&out).unwrap_err().to_string();
    assert!(
        error.contains("has counted 9 records in the inputs, that of part-00000-of-00002.jsonl 10"),
        "{error}"
    );
}

#[test]
fn data_of_which_nothing_is_kept_are_refused_when_that_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("in.jsonl");
    fs::write(&path, "{\"n\":\n\n{\"n\"\n").unwrap();
    let inputs = Inputs {
        loaders: &Loaders::default(),
        paths: &[path],
        on_error: &OnError::Skip,
    };
    let prepare = |rank, world, out: &Path| {
        Job::new(share(rank, world), out).load_documents(&inputs, Format::JsonLines)
    };
    let alone = folder.path().join("alone");
    let nothing = "no record found (1 blank, 2 broken, 0 left out)";
    let error = prepare(0, 1, &alone).unwrap_err().to_string();
    assert!(error.contains(nothing), "{error}");
    assert_eq!(fs::read_dir(&alone).unwrap().count(), 0);
    let out = folder.path().join("three");
    for rank in 0..3 {
        assert_eq!(prepare(rank, 3, &out).unwrap().rows, 0);
    }
    let error = merge(&out).unwrap_err().to_string();
    assert!(error.contains(nothing), "{error}");
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
