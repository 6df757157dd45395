//! Tables of databases become documents; hostile databases become errors.
#![cfg(feature = "sqlite")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use finetune_data::load::Sqlite;
use finetune_data::{DataError, Document, Load, Loaders, OnError, Value};
use serde_json::json;

#[test]
fn every_row_of_every_table_is_a_document() {
    for name in ["two tables.db", "packed.sqlite.gz"] {
        let documents: Vec<Document> = Loaders::default()
            .load(golden(name))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let rows: Vec<Value> = documents
            .iter()
            .map(|row| Value::Object(row.fields.clone().into_iter().collect()))
            .collect();
        let expected = [
            json!({"table": "zoo", "id": -5, "name": "a\nb", "weight": 5e300, "picture": "", "note": "text"}),
            json!({"table": "zoo", "id": 7, "name": null, "weight": "Infinity", "picture": null, "note": 42}),
            json!({"table": "zoo", "id": i64::MAX, "name": "Grüße 😀", "weight": 0.1, "picture": "AP8=", "note": null}),
            json!({"table": 1, "k": "a"}),
            json!({"table": 2, "k": "b"}),
        ];
        assert_eq!(rows, expected, "{name}");
        let places: Vec<u64> = documents.iter().map(|row| row.origin.place).collect();
        assert_eq!(places, [1, 2, 3, 1, 2]);
        assert!(
            documents[1]
                .origin
                .to_string()
                .ends_with(&format!("{name}/zoo, row 2")),
            "{}",
            documents[1].origin
        );
    }
}

#[test]
fn tables_and_views_may_be_named() {
    let rows = |loader: Sqlite| {
        loader
            .load(&golden("two tables.db"))
            .unwrap()
            .collect::<Vec<_>>()
    };
    assert_eq!(rows(Sqlite::tables(["heavy"])).len(), 2);
    assert_eq!(
        rows(Sqlite::tables(["odd \"name", "empty", "zoo"])).len(),
        5
    );
    let missing = rows(Sqlite::tables(["nothing"]));
    assert!(matches!(&missing[..], [Err(error)] if error.to_string().contains("no such table")));
}

#[test]
fn changes_beside_a_database_are_not_overlooked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1);")
        .unwrap();
    let error = Loaders::default()
        .load(&path)
        .unwrap()
        .find_map(Result::err)
        .unwrap();
    assert!(error.to_string().contains("write-ahead log"), "{error}");
    drop(connection);
    assert_eq!(Loaders::default().load(&path).unwrap().flatten().count(), 1);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing is written beside it");
}

#[test]
fn hostile_databases_end_in_errors() {
    let cases = [
        ("truncated.sqlite", Sqlite::default(), "malformed"),
        // Which of the damages is found first is not ours to say.
        (
            "corrupt_pages.sqlite",
            Sqlite::default(),
            "corrupt_pages.sqlite",
        ),
        (
            "not_a_database.sqlite",
            Sqlite::default(),
            "does not begin as one",
        ),
        ("not_utf8.db", Sqlite::default(), "invalid byte 0xFF"),
    ];
    for (name, loader, message) in cases {
        let started = Instant::now();
        let error = match loader.load(&hostile(name)) {
            Ok(mut rows) => rows
                .find_map(Result::err)
                .unwrap_or_else(|| panic!("{name} was read")),
            Err(error) => error,
        };
        assert!(error.to_string().contains(message), "{name}: {error}");
        assert!(started.elapsed() < Duration::from_secs(10), "{name}");
    }
    let rows = Loaders::default()
        .load(hostile("endless.db"))
        .unwrap()
        .count();
    assert_eq!(rows, 1, "a view is not read unasked");
    let loader = Sqlite::tables(["endless"]).seconds(1);
    let error = loader
        .load(&hostile("endless.db"))
        .unwrap()
        .find_map(Result::err);
    assert!(
        matches!(error, Some(DataError::LimitExceeded { limit: 1, .. })),
        "{error:?}"
    );
}

#[test]
fn a_text_that_is_not_utf8_concerns_its_row() {
    let (documents, counts) = Loaders::default()
        .load_all(&[hostile("not_utf8.db")], &OnError::Skip)
        .unwrap();
    assert_eq!((documents.len(), counts.kept, counts.skipped), (1, 1, 1));
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/sqlite")
        .join(name)
}

fn hostile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/hostile")
        .join(name)
}
