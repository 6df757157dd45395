//! Messages and mailboxes: compared with Python's `email` and `mailbox` on the golden files of `reference/make_mail.py`,
//! and files that mean harm.

#![allow(clippy::unwrap_used, missing_docs)]

mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use finetune_data::load::mail::{Mail, Quotes};
use finetune_data::{DataError, Document, Load, Loaders, OnError};
use proptest::prelude::*;
use serde_json::{Value, json};
use words::word_f1;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name)
}

fn load(path: &Path) -> Result<Vec<Document>, DataError> {
    Loaders::default()
        .load_all(&[path], &OnError::Stop)
        .map(|(documents, _)| documents)
}

fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn about() -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(file("golden/mail/about.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The value of a field as a list.
fn list(document: &Document, name: &str) -> Value {
    match document.fields.get(name) {
        None => json!([]),
        Some(Value::Array(values)) => values.clone().into(),
        Some(value) => json!([value]),
    }
}

fn compare(document: &Document, expected: &Value) {
    let text = expected["text"].as_str().unwrap();
    assert_eq!(document.text, text);
    assert!(word_f1(&document.text, text) >= 0.98);
    for name in ["author", "to", "attachments"] {
        assert_eq!(list(document, name), expected[name], "{name}");
    }
    for name in ["subject", "date", "id", "in_reply_to"] {
        let found = document
            .fields
            .get(name)
            .cloned()
            .unwrap_or_else(|| "".into());
        assert_eq!(found, expected[name], "{name}");
    }
    assert!(!document.fields.contains_key("encoding_problem"));
}

#[test]
fn messages_are_read_as_python_reads_them() {
    let about = about();
    assert_eq!(about.len(), 8);
    for (name, expected) in about.iter().filter(|(name, _)| *name != "box") {
        println!("{name}");
        let documents = load(&file(&format!("golden/mail/{name}.eml"))).unwrap();
        assert_eq!(documents.len(), 1);
        compare(&documents[0], expected);
    }
    let documents = load(&file("golden/mail/quoted.eml")).unwrap();
    assert_eq!(documents[0].fields["language"], "de");
}

#[test]
fn mailboxes_are_split_as_python_splits_them() {
    let documents = load(&file("golden/mail/box.mbox")).unwrap();
    let about = about();
    let expected = about["box"].as_array().unwrap();
    assert_eq!(documents.len(), expected.len());
    for (document, expected) in documents.iter().zip(expected) {
        compare(document, expected);
    }
    let origin = documents[2].origin.to_string();
    assert!(origin.ends_with("box.mbox, message 3"), "{origin}");
}

#[test]
fn quotations_are_left_out_where_that_is_asked_for() {
    let message = b"Subject: Re: x\n\nYes.\n\nAda wrote:\n> Come?\n-- \nOtto\n";
    let (_folder, path) = written("a.eml", message);
    let read = |mail: Mail| mail.load(&path).unwrap().next().unwrap().unwrap();
    assert_eq!(
        read(Mail::default()).text,
        "Yes.\n\nAda wrote:\n> Come?\n-- \nOtto"
    );
    let short = read(Mail::default().quotes(Quotes::LeftOut));
    assert_eq!(short.text, "Yes.");
    assert_eq!(short.fields["left_out"], 4);
}

#[test]
fn a_message_that_cannot_be_read_does_not_end_its_mailbox() {
    let separator = "From a@b.example Tue Mar  5 08:09:10 2024\n";
    let text =
        format!("{separator}Subject: one\n\n1\n\n{separator}\n\n{separator}Subject: three\n\n3\n");
    let (_folder, path) = written("a.mbox", text.as_bytes());
    let found: Vec<Result<Document, DataError>> = Mail::default().load(&path).unwrap().collect();
    assert_eq!(found.len(), 3);
    assert_eq!(found[0].as_ref().unwrap().text, "1");
    let error = found[1].as_ref().unwrap_err().to_string();
    assert!(
        error.contains("a.mbox, message 2: cannot read the message: it has no header"),
        "{error}"
    );
    assert_eq!(found[2].as_ref().unwrap().text, "3");
}

#[test]
fn bytes_that_are_not_in_the_named_encoding_are_told() {
    let message = b"Subject: x\nContent-Type: text/plain; charset=unheard-of\n\nCaf\xE9\n";
    let (_folder, path) = written("a.eml", message);
    let document = &load(&path).unwrap()[0];
    assert_eq!(document.fields["encoding_problem"], true, "{document:?}");
}

#[test]
fn files_that_mean_harm_end_in_an_error_or_in_what_can_be_read() {
    let names = std::fs::read_dir(file("hostile/mail")).unwrap();
    let mut outcomes = BTreeMap::new();
    for entry in names {
        let path = entry.unwrap().path();
        let started = Instant::now();
        let found = load(&path);
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{}",
            path.display()
        );
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let outcome = match found {
            Ok(documents) => documents
                .iter()
                .map(|document| document.text.clone())
                .collect::<String>(),
            Err(error) => format!("{error:?}")
                .split([' ', '{'])
                .next()
                .unwrap()
                .to_owned(),
        };
        outcomes.insert(name, outcome);
    }
    let expected = [
        ("multiparts.eml", "TooDeep"),
        ("messages.eml", "TooDeep"),
        ("header.eml", "body"),
        ("words.eml", "body"),
        ("headers.eml", "body"),
        ("nulls.eml", "c\0d"),
        ("no_header.eml", "Broken"),
        ("no_from.mbox", "WrongFormat"),
        ("only_from.mbox", "Broken"),
        ("binary.mbox", "WrongFormat"),
        ("empty_parts.eml", ""),
    ];
    for (name, expected) in expected {
        assert_eq!(outcomes[name], expected, "{name}");
    }
    // The letters of what is no base64 are decoded as far as they go.
    let garbage = &outcomes["base64.eml"];
    assert!(
        (1..=20_000).contains(&garbage.chars().count()),
        "{}",
        garbage.len()
    );
    assert_eq!(outcomes.len(), expected.len() + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However texts look, a mailbox gives each of them back.
    #[test]
    fn messages_of_a_mailbox_are_those_that_were_put_in(
        texts in prop::collection::vec("([a-z]{0,3}|>{0,2}From [a-z]|From a@b Tue Mar 5 08:09:10 2024| |\n){1,8}x", 1..5),
    ) {
        let mut raw = String::new();
        for (index, text) in texts.iter().enumerate() {
            raw.push_str("From a@b.example Tue Mar  5 08:09:10 2024\n");
            raw.extend(["Subject: s", &index.to_string(), "\n\n"]);
            for line in text.lines() {
                let quoted = line.trim_start_matches('>').starts_with("From ");
                raw.push_str(if quoted { ">" } else { "" });
                raw.push_str(line);
                raw.push('\n');
            }
            raw.push('\n');
        }
        let (_folder, path) = written("a.mbox", raw.as_bytes());
        let found = load(&path).unwrap();
        prop_assert_eq!(found.len(), texts.len());
        for (document, text) in found.iter().zip(&texts) {
            prop_assert_eq!(&document.text, text.trim_end().trim_start_matches('\n'));
        }
    }

    /// Whatever the bytes are, there are messages or an error.
    #[test]
    fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..300), head: bool) {
        let head: &[u8] = if head { b"From a Tue Mar 5 08:09:10 2024\nSubject: x\nContent-Type: multipart/mixed; boundary=a\n" } else { b"" };
        let all = [head, &bytes].concat();
        for name in ["a.mbox", "a.eml"] {
            let (_folder, path) = written(name, &all);
            if let Ok(found) = Mail::default().load(&path) {
                prop_assert!(found.count() < 300);
            }
        }
    }
}
