//! Nothing is lost: every record is kept or accounted for, in any number of threads.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::Path;

use finetune_data::load::{Counts, Loaders, OnError};
use finetune_data::mapping::{AnyChat, Mapping};
use finetune_data::{Conversation, DataError, Result};
use proptest::prelude::*;

/// Twelve ways in which a row is broken, with the kind of error that each must get.
const BROKEN: [(&[u8], &str); 12] = [
    (b"{\"messages\":[}", "json syntax"),
    (b"{\"prompt\":\"a\",\"completion\":\"half", "json syntax"),
    (b"{\"prompt\":\"\xFF\",\"completion\":\"b\"}", "utf-8"),
    (
        b"{\"prompt\":\"\\ud800\",\"completion\":\"b\"}",
        "json syntax",
    ),
    (b"{\"prompt\":\"a\tb\",\"completion\":\"b\"}", "json syntax"),
    (b"{\"prompt\":\"a\",\"prompt\":\"b\"}", "duplicate key"),
    (
        b"{\"prompt\":\"a\",\"completion\":\"b\",\"n\":1e999}",
        "number range",
    ),
    (b"[\"a\",\"b\"]", "not an object"),
    (b"{\"prompt\":\"a\",\"response_\":\"b\"}", "missing field"),
    (b"{\"prompt\":5,\"completion\":\"b\"}", "wrong type"),
    (
        b"{\"messages\":[{\"role\":\"systm\",\"content\":\"a\"}]}",
        "unknown role",
    ),
    (b"{\"prompt\":\"a\",\"completion\":\" \"}", "empty content"),
];

fn good(number: usize) -> Vec<u8> {
    format!("{{\"prompt\":\"question {number}\",\"completion\":\"answer {number}\"}}").into_bytes()
}

fn load(path: &Path, on_error: &OnError, threads: usize) -> Result<(Vec<Conversation>, Counts)> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap();
    pool.install(|| {
        Loaders::default().collect(&[path], on_error, |document| {
            AnyChat::Detect.example(document)
        })
    })
}

#[test]
fn a_hundred_thousand_rows_with_five_thousand_broken() {
    let folder = tempfile::tempdir().unwrap();
    let (path, quarantine) = (
        folder.path().join("data.jsonl"),
        folder.path().join("bad.jsonl"),
    );
    let (mut content, mut broken, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..100_000 {
        let line = if row % 20 == 7 {
            let (line, kind) = BROKEN[(row / 20) % BROKEN.len()];
            expected.push((row + 1, kind));
            broken.extend(line);
            broken.push(b'\n');
            line.to_vec()
        } else {
            good(row)
        };
        content.extend(line);
        content.push(b'\n');
    }
    fs::write(&path, content).unwrap();

    let error = load(&path, &OnError::Stop, 2).unwrap_err();
    assert!(error.to_string().contains("data.jsonl:8:14: "), "{error}");

    let mut all = Vec::new();
    for threads in [1, 2, 8] {
        let loaded = load(&path, &OnError::Quarantine(quarantine.clone()), threads).unwrap();
        assert!(
            fs::read(&quarantine).unwrap() == broken,
            "the quarantined rows, byte for byte"
        );
        let why = fs::read_to_string(folder.path().join("bad.jsonl.why")).unwrap();
        assert_eq!(why.lines().count(), 5000);
        for (message, (line, _)) in why.lines().zip(&expected) {
            assert!(
                message.contains(&format!("data.jsonl:{line}:")),
                "{line}: {message}"
            );
        }
        all.push(loaded);
    }
    let (conversations, counts) = &all[0];
    assert_eq!(
        (counts.read, counts.kept, counts.quarantined, counts.skipped),
        (100_000, 95_000, 5000, 0)
    );
    for (_, kind) in BROKEN {
        let of_kind = expected.iter().filter(|(_, other)| *other == kind).count();
        assert_eq!(counts.reasons[kind].count, of_kind as u64, "{kind}");
    }
    assert_eq!(conversations[7].origin.place, 9);
    assert!(
        all[1..].iter().all(|other| *other == all[0]),
        "the same with any number of threads"
    );

    // Loading the folder does not load its own quarantine.
    let (again, _) = load(folder.path(), &OnError::Quarantine(quarantine.clone()), 2).unwrap();
    assert_eq!(again.len(), 95_000);
    let error = load(&path, &OnError::Quarantine(path.clone()), 2).unwrap_err();
    assert!(
        matches!(error, DataError::Setting { .. }),
        "an input is never overwritten: {error}"
    );
    assert!(path.metadata().unwrap().len() > 1_000_000);
}

#[test]
fn what_is_read_is_handed_on_chunk_by_chunk_and_a_sink_may_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.jsonl");
    let rows: Vec<Vec<u8>> = (0..10_000).map(good).collect();
    fs::write(&path, rows.join(&b'\n')).unwrap();
    let read = std::sync::atomic::AtomicU64::new(0);
    let count = |document: finetune_data::Document| {
        read.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(document.origin.place)
    };
    let (mut next, mut held) = (1, 0);
    let counts = Loaders::default()
        .each(&[&path], &OnError::Skip, count, |place| {
            assert_eq!(place, next);
            held = held.max(read.load(std::sync::atomic::Ordering::Relaxed) - (next - 1));
            next += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!((counts.read, counts.kept, next), (10_000, 10_000, 10_001));
    assert!(
        (2..=1024).contains(&held),
        "{held} read and not yet handed on"
    );

    // What a sink says ends the load, whatever the policy.
    let mut taken = 0;
    let stopped = Loaders::default().each(&[&path], &OnError::Skip, Ok, |document| {
        taken += 1;
        match document.origin.place {
            1_500 => Err(DataError::Undecodable {
                place: (&document.origin).into(),
                encoding: "full disk",
            }),
            _ => Ok(()),
        }
    });
    let error = stopped.unwrap_err().to_string();
    assert!(error.contains("data.jsonl:1500: "), "{error}");
    assert_eq!(taken, 1_500);

    // That nothing is kept is for the caller to judge.
    let nothing = |document: finetune_data::Document| -> Result<()> {
        Err(DataError::Undecodable {
            place: (&document.origin).into(),
            encoding: "nothing",
        })
    };
    let counts = Loaders::default()
        .each(&[&path], &OnError::Skip, nothing, |()| Ok(()))
        .unwrap();
    assert_eq!((counts.kept, counts.skipped), (0, 10_000));
}

#[test]
fn the_last_look_of_a_watch_is_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.jsonl");
    // As many records as are read at a time: the file's end is met only when one more is asked for.
    let rows: Vec<Vec<u8>> = (0..1_024).map(good).collect();
    fs::write(&path, rows.join(&b'\n')).unwrap();
    let last = std::sync::Arc::new(std::sync::Mutex::new(None));
    let seen = std::sync::Arc::clone(&last);
    let loaders = Loaders::default().watch(move |reading| *seen.lock().unwrap() = Some(reading));
    loaders.load_all(&[&path], &OnError::Stop).unwrap();
    let last = last.lock().unwrap().unwrap();
    assert_eq!((last.done, last.records), (last.total, 1_024));
}

#[derive(Debug, Clone)]
enum Row {
    Good,
    Blank,
    Broken(usize),
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = prop_oneof![3 => Just(Row::Good), 1 => Just(Row::Blank), 2 => (0..BROKEN.len()).prop_map(Row::Broken)];
    proptest::collection::vec(row, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn counts_add_up(rows in rows(), windows: bool, last_line_ends: bool, quarantined: bool) {
        let folder = tempfile::tempdir().unwrap();
        let (path, quarantine) = (folder.path().join("data.jsonl"), folder.path().join("bad"));
        let lines = rows.iter().enumerate().map(|(number, row)| match row {
            Row::Good => good(number),
            Row::Blank => b"  ".to_vec(),
            Row::Broken(way) => BROKEN[*way].0.to_vec(),
        });
        let end: &[u8] = if windows { b"\r\n" } else { b"\n" };
        let mut content = lines.collect::<Vec<_>>().join(end);
        if last_line_ends {
            content.extend(end);
        }
        fs::write(&path, content).unwrap();
        let of = |wanted: fn(&Row) -> bool| rows.iter().filter(|row| wanted(row)).count() as u64;
        let (kept, blank) = (of(|row| matches!(row, Row::Good)), of(|row| matches!(row, Row::Blank)));
        let broken = rows.len() as u64 - kept - blank;
        let on_error = if quarantined { OnError::Quarantine(quarantine.clone()) } else { OnError::Skip };
        let mut first = None;
        for threads in [1, 2, 8] {
            match load(&path, &on_error, threads) {
                Ok(loaded) => {
                    let counts = &loaded.1;
                    prop_assert!(counts.balanced());
                    let expected = (rows.len() as u64, kept, blank, broken);
                    prop_assert_eq!((counts.read, counts.kept, counts.blank, counts.broken()), expected);
                    prop_assert_eq!(counts.quarantined > 0, quarantined && broken > 0);
                    prop_assert_eq!(first.get_or_insert_with(|| loaded.clone()), &loaded);
                }
                Err(error) => {
                    prop_assert!(matches!(error, DataError::EmptyDataset { .. }), "{}", error);
                    prop_assert_eq!(kept, 0);
                }
            }
            if quarantined {
                let held = fs::read(&quarantine).unwrap();
                prop_assert_eq!(held.split(|byte| *byte == b'\n').count() as u64 - 1, broken);
            }
        }
    }
}
