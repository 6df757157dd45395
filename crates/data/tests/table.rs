//! Parquet and Arrow files give the rows that pyarrow reads from them, and hostile ones give errors.

#![cfg(all(feature = "parquet", feature = "arrow"))]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use finetune_data::load::{Arrow, Parquet};
use finetune_data::{DataError, Document, Documents, Load, Loaders, OnError, PlainText, Value};
use proptest::prelude::*;

#[test]
fn rows_are_those_of_pyarrow() {
    let types = [
        "types.snappy.parquet",
        "types.zstd.parquet",
        "types.gzip.parquet",
        "types.lz4.parquet",
        "types.brotli.parquet",
        "types.v2.parquet",
        "types.none.arrow",
        "types.lz4.arrow",
        "types.zstd.arrow",
        "types.stream.arrow",
    ];
    let cases = types.iter().map(|name| (*name, "types.jsonl"));
    for (name, expected) in cases.chain([
        ("many.parquet", "many.jsonl"),
        ("many.feather", "many.jsonl"),
    ]) {
        let found: Vec<Document> = load(&golden(name)).collect::<Result<_, _>>().unwrap();
        let expected = std::fs::read_to_string(golden(expected)).unwrap();
        let expected: Vec<Value> = expected
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        for (row, (document, expected)) in found.into_iter().zip(expected).enumerate() {
            assert_eq!(document.origin.place, row as u64 + 1, "{name}");
            assert_eq!(document.text, "");
            let fields = Value::Object(document.fields.into_iter().collect());
            assert_eq!(fields, expected, "{name}, row {row}");
        }
    }
}

#[test]
fn hostile_files_end_in_errors() {
    let cases = [
        ("truncated.parquet", "broken file", "does not end with PAR1"),
        (
            "headless.parquet",
            "broken file",
            "does not begin with PAR1",
        ),
        (
            "footer_too_long.parquet",
            "broken file",
            "longer than the file",
        ),
        ("encrypted.parquet", "unsupported", "encrypted"),
        ("more_rows.parquet", "broken file", "row group 1"),
        ("deep.parquet", "too deep", "limit 64"),
        ("bomb.parquet", "limit exceeded", "page limit"),
        ("truncated.arrow", "broken file", "does not end with ARROW1"),
        (
            "footer_too_long.arrow",
            "broken file",
            "longer than the file",
        ),
        ("truncated_stream.arrow", "broken file", "ends too early"),
        ("huge_head.arrow", "broken file", "longer than the file"),
        ("huge_buffer.arrow", "limit exceeded", "size of a batch"),
        ("endless.arrow", "broken file", "more rows than any has"),
    ];
    for (name, kind, message) in cases {
        let started = Instant::now();
        let error = first_error(&hostile(name)).unwrap_or_else(|| panic!("{name} was read"));
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert!(error.to_string().contains(message), "{name}: {error}");
        assert!(started.elapsed() < Duration::from_secs(10), "{name}");
    }
}

#[test]
fn a_long_value_that_every_row_repeats_does_not_fill_the_memory() {
    let mut rows = load(&hostile("repeated.parquet"));
    for row in rows.by_ref().take(10) {
        assert_eq!(row.unwrap().fields["a"].as_str().unwrap().len(), 20_000_000);
    }
    let error = rows.find_map(Result::err).unwrap().to_string();
    assert!(error.contains("repeats a few values"), "{error}");
}

#[test]
fn texts_are_mapped_as_those_of_json_lines_are() {
    let mapping = finetune_data::mapping::TextMapping::default();
    let load = |name| {
        Loaders::default()
            .examples(&[golden(name)], &OnError::Skip, &mapping)
            .unwrap()
    };
    let (texts, counts) = load("many.parquet");
    assert_eq!(texts[0].text, "row 1 ");
    assert_eq!((counts.read, counts.kept, counts.skipped), (1200, 960, 240));
    let bare = |texts: Vec<PlainText>| texts.into_iter().map(|text| text.text).collect::<Vec<_>>();
    assert_eq!(bare(texts), bare(load("many.jsonl").0));
}

#[test]
fn limits_may_be_set() {
    let path = golden("many.parquet");
    let error = Parquet::default()
        .page_limit(1000)
        .load(&path)
        .unwrap()
        .find_map(Result::err)
        .unwrap();
    assert!(error.to_string().contains("limit 1000"), "{error}");
    for name in ["many.parquet", "many.feather"] {
        let loaded = match name {
            "many.parquet" => Parquet::default().rows_limit(1 << 20).load(&golden(name)),
            _ => Arrow::default().rows_limit(1 << 20).load(&golden(name)),
        };
        assert!(loaded.unwrap().all(|row| row.is_ok()), "{name}");
        let loaded = match name {
            "many.parquet" => Parquet::default().rows_limit(1000).load(&golden(name)),
            _ => Arrow::default().rows_limit(1000).load(&golden(name)),
        };
        let error = loaded.unwrap().find_map(Result::err).unwrap();
        assert!(error.to_string().contains("size of the rows"), "{error}");
    }
    let error = Arrow::default()
        .batch_limit(1000)
        .load(&golden("many.feather"))
        .unwrap()
        .find_map(Result::err);
    assert!(matches!(
        error,
        Some(DataError::LimitExceeded { limit: 1000, .. })
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// A footer may be anything.
    #[test]
    fn footers_of_any_bytes_are_refused(footer in prop::collection::vec(any::<u8>(), 0..200)) {
        let length = u32::try_from(footer.len()).unwrap();
        let bytes = [b"PAR1", &footer[..], &length.to_le_bytes(), b"PAR1"].concat();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        std::fs::write(&path, bytes).unwrap();
        let error = first_error(&path);
        prop_assert!(error.is_some());
    }

    /// Whatever bytes change, the file is read or refused.
    #[test]
    fn changed_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), which in 0..5_usize) {
        let name = ["types.zstd.parquet", "types.v2.parquet", "many.parquet", "types.lz4.arrow", "types.stream.arrow"][which];
        let mut bytes = std::fs::read(golden(name)).unwrap();
        for (at, byte) in flips {
            *at.get_mut(&mut bytes) = byte;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let rows = Loaders::default().load(&path).into_iter().flatten().count();
        prop_assert!(rows < 1 << 20);
    }
}

fn load(path: &Path) -> Documents {
    Loaders::default().load(path).unwrap()
}

fn first_error(path: &Path) -> Option<DataError> {
    match Loaders::default().load(path) {
        Ok(mut documents) => documents.find_map(Result::err),
        Err(error) => Some(error),
    }
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/table")
        .join(name)
}

fn hostile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/hostile")
        .join(name)
}
