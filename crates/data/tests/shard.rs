//! Shards: what was written is read, and nothing else is ever taken for it.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use finetune_data::document::PlaceUnit;
use finetune_data::encode::{Encoded, Encoder, Fingerprint, Row, Truncation};
use finetune_data::shard::{Shard, ShardWriter, Shards};
use finetune_data::stream::{Shuffled, Source, Stream};
use finetune_data::template::{ChatTemplate, CustomTemplate, Learn, Piece, Plain, Template};
use finetune_data::tokenizer::Tokenizer;
use finetune_data::{Conversation, DataError, Origin, Result, Split};
use proptest::prelude::*;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

fn fingerprint(vocabulary: u64) -> Fingerprint {
    Fingerprint {
        tokenizer: "00".into(),
        template: "11".into(),
        settings: "length any".into(),
        vocabulary,
    }
}

fn write(rows: &[Row], vocabulary: u64, path: &Path) {
    let mut writer = ShardWriter::new(fingerprint(vocabulary));
    for row in rows {
        writer.push(row).unwrap();
    }
    let size = writer.write(path).unwrap();
    assert_eq!(size.rows as usize, rows.len());
}

fn rows(vocabulary: u32, kinds: u32) -> impl Strategy<Value = Vec<Row>> {
    let token = (0..vocabulary, any::<bool>(), 0..kinds);
    let origin = (0..3_usize, 0..9_u64, any::<bool>());
    let row = (prop::collection::vec(token, 0..20), origin);
    let row = row.prop_map(|(tokens, (file, place, page))| {
        let mut origin = Origin::new(["a.jsonl", "é/b.pdf", ""][file], place);
        if page {
            origin.unit = PlaceUnit::Page;
        }
        Row {
            encoded: Encoded {
                ids: tokens.iter().map(|token| token.0).collect(),
                learn: tokens.iter().map(|token| token.1).collect(),
                kinds: tokens.iter().map(|token| token.2).collect(),
            },
            origin,
        }
    });
    prop::collection::vec(row, 0..12)
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        (vocabulary, rows) in prop::sample::select(vec![(7, 1), (1 << 16, 3), ((1 << 16) + 1, 1), (u32::MAX, 2)])
            .prop_flat_map(|(vocabulary, kinds)| (Just(u64::from(vocabulary)), rows(vocabulary, kinds))),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tokens");
        write(&rows, vocabulary, &path);
        let shard = Shard::open(&path, &fingerprint(vocabulary)).unwrap();
        prop_assert_eq!(shard.rows().collect::<Vec<_>>(), rows.clone());
        for (number, row) in rows.iter().enumerate() {
            prop_assert_eq!(shard.length(number), row.encoded.ids.len());
            prop_assert_eq!(shard.ids(number).collect::<Vec<_>>(), row.encoded.ids.clone());
        }
        prop_assert_eq!(shard.row(rows.len()), None);
        prop_assert_eq!(shard.row(usize::MAX), None);
        prop_assert_eq!(shard.ids(rows.len()).len(), 0);
        // The same rows are the same bytes, and nothing else is left in the folder.
        let again = folder.path().join("b.tokens");
        write(&rows, vocabulary, &again);
        prop_assert_eq!(fs::read(&path).unwrap(), fs::read(&again).unwrap());
        prop_assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}

/// A small shard, whole.
fn sample() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tokens");
    let rows: Vec<Row> = (0..5_u32)
        .map(|row| Row {
            encoded: Encoded {
                ids: (0..row * 3).collect(),
                learn: (0..row * 3).map(|token| token % 2 == 0).collect(),
                kinds: (0..row * 3).map(|token| token / 4).collect(),
            },
            origin: Origin::new(format!("{}.jsonl", row % 2), u64::from(row)),
        })
        .collect();
    write(&rows, 100, &path);
    let bytes = fs::read(&path).unwrap();
    (folder, path, bytes)
}

fn open(path: &Path, bytes: &[u8]) -> Result<Shard> {
    fs::write(path, bytes).unwrap();
    Shard::open(path, &fingerprint(100))
}

fn refused(path: &Path, bytes: &[u8]) -> String {
    match open(path, bytes) {
        Err(error @ (DataError::Broken { .. } | DataError::Stale { .. })) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it is taken for a shard"),
    }
}

#[test]
fn a_change_of_any_bit_is_found() {
    let (_folder, path, bytes) = sample();
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            refused(&path, &changed);
        }
    }
}

#[test]
fn a_file_that_is_cut_or_longer_is_refused() {
    let (_folder, path, bytes) = sample();
    for length in 0..bytes.len() {
        refused(&path, &bytes[..length]);
    }
    refused(&path, &[&bytes[..], b"\0"].concat());
    refused(&path, &[&bytes[..], &bytes[..]].concat());
}

/// The file with another header, whose checksum and length are right.
fn with_header(bytes: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&bytes[32..32 + length]).unwrap();
    change(&mut header);
    let header = header.to_string().into_bytes();
    let rest = &bytes[(32 + length).next_multiple_of(8)..];
    let mut made = bytes[..32].to_vec();
    made[12..16].copy_from_slice(&(header.len() as u32).to_le_bytes());
    made[16..24].copy_from_slice(&xxh3_64(&header).to_le_bytes());
    made.extend_from_slice(&header);
    made.resize(made.len().next_multiple_of(8), 0);
    made.extend_from_slice(rest);
    let whole = (made.len() as u64).to_le_bytes();
    made[24..32].copy_from_slice(&whole);
    made
}

#[test]
fn a_header_that_lies_is_refused_before_memory_is_taken_for_it() {
    let (_folder, path, bytes) = sample();
    let lies: [(&str, Value); 12] = [
        ("/rows", json!(u64::MAX)),
        ("/rows", json!(1_u64 << 61)),
        ("/rows", json!(4)),
        ("/tokens", json!(u64::MAX)),
        ("/tokens", json!(1_u64 << 40)),
        ("/tokens", json!(-1)),
        ("/sections/2/offset", json!(0)),
        ("/sections/6/bytes", json!(u64::MAX)),
        ("/sections/3/bytes", json!(1)),
        ("/sections/1/name", json!("ends")),
        ("/sections", json!([])),
        ("/fingerprint/vocabulary", json!(70_000)),
    ];
    for (place, lie) in lies {
        let made = with_header(&bytes, |header| *header.pointer_mut(place).unwrap() = lie);
        refused(&path, &made);
    }
    let same = with_header(&bytes, |_| ());
    assert!(open(&path, &same).is_ok(), "the test makes headers wrongly");
    let nested = with_header(&bytes, |header| {
        header["rows"] = serde_json::from_str(&("[".repeat(100) + &"]".repeat(100))).unwrap();
    });
    refused(&path, &nested);
}

#[test]
fn sections_whose_checksums_are_right_and_whose_numbers_are_not_are_refused() {
    let (_folder, path, bytes) = sample();
    // (section, bytes that stand at its beginning)
    let lies: [(usize, &[u8]); 5] = [
        (0, &[9]),             // the first row ends behind the second
        (2, &[100]),           // an id outside of the vocabulary
        (4, &[2]),             // a name that is not there
        (5, &[0, 0, 0, 0xFF]), // marks behind the last token
        (6, b"{"),             // not JSON
    ];
    for (section, lie) in lies {
        let mut made = bytes.clone();
        let length = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        let header: Value = serde_json::from_slice(&bytes[32..32 + length]).unwrap();
        let number = |name: &str| header["sections"][section][name].as_u64().unwrap() as usize;
        let (start, size) = (number("offset"), number("bytes"));
        made[start..start + lie.len()].copy_from_slice(lie);
        let hash = format!("{:016x}", xxh3_64(&made[start..start + size]));
        let made = with_header(&made, |header| {
            header["sections"][section]["xxh3"] = json!(hash);
        });
        let message = refused(&path, &made);
        assert!(!message.contains("checksum"), "{message}");
    }
}

#[test]
fn messages_say_what_is_wrong() {
    let (_folder, path, bytes) = sample();
    let changed = |place: usize, byte: u8| {
        let mut changed = bytes.clone();
        changed[place] = byte;
        refused(&path, &changed)
    };
    for (message, part) in [
        (refused(&path, b""), "it has 0 bytes; expected at least 32"),
        (
            changed(0, b'\n'),
            "it begins with \\nTTOKENS; expected FTTOKENS",
        ),
        (changed(8, 2), "it has version 2; expected 1"),
        (changed(40, b'x'), "the checksum of its header is wrong"),
        (
            changed(bytes.len() - 3, b'x'),
            "the checksum of its section names is wrong",
        ),
        (
            refused(&path, &bytes[..200]),
            "it has 200 bytes, and its header says",
        ),
    ] {
        assert!(message.contains(part), "{message}");
        assert!(message.ends_with("Prepare it again"), "{message}");
    }
    assert!(matches!(
        Shard::inspect("no/such.tokens").unwrap_err(),
        DataError::Io { .. }
    ));
    let folder = path.parent().unwrap();
    assert!(matches!(
        Shard::inspect(folder).unwrap_err(),
        DataError::NotARegularFile { .. }
    ));
}

#[test]
fn rows_that_are_not_the_encoders_are_refused() {
    let mut writer = ShardWriter::new(fingerprint(10));
    let row = |ids: Vec<u32>, marks: usize| Row {
        encoded: Encoded {
            learn: vec![true; marks],
            kinds: vec![0; ids.len()],
            ids,
        },
        origin: Origin::new("a.jsonl", 3),
    };
    writer.push(&row(vec![9, 0], 2)).unwrap();
    let message = writer.push(&row(vec![1, 10], 2)).unwrap_err().to_string();
    assert!(
        message.contains("row of a.jsonl:3: found the id 10 in a vocabulary of 10"),
        "{message}"
    );
    let message = writer.push(&row(vec![1, 2], 1)).unwrap_err().to_string();
    assert!(message.contains("2 ids, 1 marks, 2 kinds"), "{message}");
    assert_eq!((writer.size().rows, writer.size().tokens), (1, 2));
}

fn tokenizer() -> Tokenizer {
    Tokenizer::open(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/assets/base"
    ))
    .unwrap()
}

fn chats() -> Vec<Conversation> {
    let chat = |number: usize| {
        let mut chat = Conversation::pair(
            format!("What is {number}? naïve 😀"),
            "A number.".repeat(number),
        );
        chat.origin = Origin::new("chats.jsonl", number as u64);
        chat
    };
    (1..20).map(chat).collect()
}

#[test]
fn encoded_rows_come_back_without_the_encoder() {
    let encoder = Encoder::open(tokenizer().path().parent().unwrap(), "chat").unwrap();
    let (rows, _) = encoder.encode_all(&chats()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for (number, rows) in rows.chunks(7).enumerate() {
        let mut writer = ShardWriter::new(encoder.fingerprint());
        for row in rows {
            writer.push(row).unwrap();
        }
        writer
            .write(folder.path().join(format!("{number}.tokens")))
            .unwrap();
    }
    let shards = Shards::open(&[folder.path()], &encoder.fingerprint()).unwrap();
    assert_eq!(shards.list().len(), 3);
    assert_eq!(shards.rows().collect::<Vec<_>>(), rows);
    assert_eq!(
        (0..shards.len())
            .map(|row| shards.length(row))
            .collect::<Vec<_>>(),
        rows.iter()
            .map(|row| row.encoded.ids.len())
            .collect::<Vec<_>>()
    );
    for from in [0, 6, 7, 13, 18, 19, 20] {
        let rest: Vec<Row> = Source::open(&shards, 0, from)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rest, rows[(from as usize).min(rows.len())..]);
    }
    assert_eq!(shards.row(13).as_ref(), Some(&rows[13]));
    assert_eq!(shards.row(19), None);
    // Shuffled and read twice: each row twice.
    let shuffled = Shuffled::new(shards, 8, 1).unwrap();
    let mut places: Vec<u64> = Stream::new(&shuffled, 2)
        .map(|row| row.unwrap().origin.place)
        .collect();
    assert!(!places.is_sorted());
    places.sort_unstable();
    assert_eq!(
        places,
        (1..20)
            .flat_map(|place| [place, place])
            .collect::<Vec<u64>>()
    );
}

#[test]
fn rows_of_one_prompt_are_on_one_side_of_a_split() {
    let encoder = Encoder::open(tokenizer().path().parent().unwrap(), "chat").unwrap();
    // 300 questions with three answers each, and a question to each answer behind it.
    let chats: Vec<Conversation> = (0..900)
        .map(|number| {
            let mut chat = Conversation::pair(
                format!("Question {}?", number % 300),
                format!("Answer {number}."),
            );
            if number % 2 == 1 {
                let more = Conversation::pair(format!("And {}?", number % 300), "Yes.");
                chat.turns.extend(more.turns);
            }
            chat
        })
        .collect();
    let (rows, _) = encoder.encode_all(&chats).unwrap();
    // What is asked is what a prompt for generation has but its beginning of an answer, or all before the last answer.
    let asked = |row: usize| encoder.prompt(&chats[row]).unwrap();
    for (row, encoded) in rows.iter().map(|row| &row.encoded).enumerate() {
        assert_eq!(encoded.question(), asked(row), "row {row}");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::new(encoder.fingerprint());
    for row in &rows {
        writer.push(row).unwrap();
    }
    writer.write(folder.path().join("a.tokens")).unwrap();
    let shards = Shards::open(&[folder.path()], &encoder.fingerprint()).unwrap();

    let split = Split::without_test(0.2);
    let parts = shards.split(&split);
    let prompts =
        |rows: &[usize]| -> BTreeSet<Vec<u32>> { rows.iter().map(|row| asked(*row)).collect() };
    assert!(prompts(&parts.train).is_disjoint(&prompts(&parts.validation)));
    let mut all = [parts.train.clone(), parts.validation.clone()].concat();
    all.sort_unstable();
    assert_eq!(all, (0..900).collect::<Vec<_>>());
    assert!(
        (100..260).contains(&parts.validation.len()),
        "{}",
        parts.validation.len()
    );
    assert!(
        shards
            .split(&Split::without_test(0.0))
            .validation
            .is_empty()
    );
}

#[test]
fn a_row_that_is_all_learned_is_its_own_question() {
    let row = |learn: &[u8]| Encoded {
        ids: (10..10 + learn.len() as u32).collect(),
        learn: learn.iter().map(|learn| *learn == 1).collect(),
        kinds: vec![0; learn.len()],
    };
    for (learn, expected) in [
        (&[0, 0, 1, 1][..], &[10, 11][..]),
        (&[0, 1, 0, 1, 1, 0], &[10, 11, 12]),
        (&[1, 1, 1], &[10, 11, 12]),
        (&[0, 1, 1], &[10, 11, 12]),
        (&[0, 0], &[10, 11]),
        (&[], &[]),
    ] {
        assert_eq!(row(learn).question(), expected, "{learn:?}");
    }
}

/// Another template from outside, which says nothing about its settings.
struct Outside(&'static str);

impl Template for Outside {
    fn render(&self, conversation: &Conversation, open: bool) -> Result<Vec<Piece>> {
        let mut pieces = vec![Piece::literal(self.0)];
        pieces.extend(Plain::default().render(conversation, open)?);
        Ok(pieces)
    }
}

#[test]
fn a_shard_of_another_tokenizer_template_or_setting_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.tokens");
    let plain = |separator: &str| -> Box<dyn Template> {
        Box::new(Plain {
            separator: separator.to_owned(),
        })
    };
    let custom =
        |pattern: &str| -> Box<dyn Template> { Box::new(CustomTemplate::new(pattern).unwrap()) };
    let chat = || ChatTemplate::of(&tokenizer()).unwrap();
    let encoder = |template: Box<dyn Template>| Encoder::new(tokenizer(), template).length(64);
    let changed = tempfile::tempdir().unwrap();
    tokenizer().save(changed.path()).unwrap();
    let json = fs::read_to_string(changed.path().join("tokenizer.json")).unwrap();
    fs::write(changed.path().join("tokenizer.json"), json + "\n").unwrap();
    let other_tokenizer = Tokenizer::open(changed.path()).unwrap();
    let pairs: [(Encoder, Encoder, &str); 8] = [
        (encoder(plain("\n")), encoder(plain(" ")), "template"),
        (
            encoder(custom("{x}A{completion}")),
            encoder(custom("{y}A{completion}")),
            "template",
        ),
        (
            encoder(Box::new(Outside("a"))),
            encoder(Box::new(Outside("b"))),
            "template",
        ),
        (
            encoder(Box::new(chat())),
            encoder(Box::new(chat().learn(Learn::Last))),
            "template",
        ),
        (
            encoder(Box::new(chat())),
            encoder(Box::new(chat().variable("x", 1))),
            "template",
        ),
        (
            encoder(plain("\n")),
            Encoder::new(other_tokenizer, plain("\n")).length(64),
            "tokenizer",
        ),
        (
            encoder(plain("\n")),
            encoder(plain("\n")).length(65),
            "settings",
        ),
        (
            encoder(plain("\n")),
            encoder(plain("\n")).truncation(Truncation::CutRight),
            "settings",
        ),
    ];
    for (made, now, what) in pairs {
        ShardWriter::new(made.fingerprint()).write(&path).unwrap();
        assert!(Shard::open(&path, &made.fingerprint()).is_ok());
        let error = Shard::open(&path, &now.fingerprint()).unwrap_err();
        assert!(
            matches!(&error, DataError::Stale { what: found, .. } if *found == what),
            "{error}"
        );
        assert!(Shard::inspect(&path).unwrap().is_empty());
    }
    let message = {
        ShardWriter::new(encoder(plain("\n")).fingerprint())
            .write(&path)
            .unwrap();
        let now = encoder(plain("\n")).length(65).fingerprint();
        Shard::open(&path, &now).unwrap_err().to_string()
    };
    assert!(
        message.contains("the settings that made its rows: length 64, truncation Refuse"),
        "{message}"
    );
}

#[test]
fn an_open_shard_stays_as_it_was_when_a_new_one_takes_its_place() {
    let (_folder, path, _) = sample();
    let shard = Shard::open(&path, &fingerprint(100)).unwrap();
    let before: Vec<Row> = shard.rows().collect();
    write(&[], 100, &path);
    assert_eq!(shard.rows().collect::<Vec<_>>(), before);
    assert_eq!(Shard::open(&path, &fingerprint(100)).unwrap().len(), 0);
}
