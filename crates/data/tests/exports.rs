//! Exports of messengers and of Twitter as their services hand them out, zipped; and hostile ones, which
//! `tests/reference/talk.py` writes.

#![cfg(feature = "archives")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use finetune_data::load::{Loaders, OnError};
use finetune_data::{Document, Value};
use serde_json::json;

fn zipped(files: &[(&str, String)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// An archive of a service: its name without `.zip`, its files, and what it is.
struct Archive {
    name: &'static str,
    files: Vec<(&'static str, String)>,
    service: &'static str,
    title: Value,
    text: &'static str,
}

#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn archives() -> Vec<Archive> {
    let messenger = json!({"participants": [{"name": "Ann"}, {"name": "Bob"}], "title": "Bob", "messages": [
        {"sender_name": "Bob", "timestamp_ms": 1_704_189_660_000_u64, "content": "caf\u{c3}\u{a9}"},
        {"sender_name": "Ann", "timestamp_ms": 1_704_189_600_000_u64, "content": "tea?"}]});
    let telegram = json!({"name": "Bob", "type": "personal_chat", "id": 1, "messages": [
        {"id": 1, "type": "message", "date": "2024-01-02T10:00:00", "from": "Ann", "text": "tea?"},
        {"id": 2, "type": "message", "date": "2024-01-02T10:01:00", "from": "Bob", "text": "café"}]});
    let users = json!([
        {"id": "U1", "team_id": "T1", "name": "ann", "profile": {"display_name": "Ann"}},
        {"id": "U2", "team_id": "T1", "name": "bob", "profile": {"display_name": "Bob"}}]);
    let day = json!([
        {"type": "message", "user": "U1", "ts": "1704190010.000100", "text": "tea?"},
        {"type": "message", "user": "U2", "ts": "1704190020.000100", "text": "café"}]);
    let package = json!([{"ID": 1, "Timestamp": "2024-01-02 10:00:00", "Contents": "tea?", "Attachments": ""}]);
    let channel =
        json!({"id": "7", "type": 0, "name": "talk", "guild": {"id": "9", "name": "Club"}});
    let account = json!({"id": "1", "username": "ann", "global_name": "Ann"});
    let tweets = json!([{"tweet": {"id_str": "12", "full_text": "tea? café", "lang": "en",
        "created_at": "Wed Oct 10 20:19:24 +0000 2018"}}]);
    let ios = "[31/12/2023, 10:00:00] Ann: tea?\r\n[31/12/2023, 10:01:00] Bob: café\r\n";
    let android = "31/12/2023, 10:00 - Ann: tea?\n31/12/2023, 10:01 - Bob: café\n";
    let both = "Ann: tea?\nBob: café";
    vec![
        Archive {
            name: "WhatsApp Chat - Bob",
            files: vec![("_chat.txt", ios.into()), ("00000001-PHOTO.jpg", "no text".into())],
            service: "whatsapp",
            title: json!("Bob"),
            text: both,
        },
        Archive {
            name: "WhatsApp Chat with Bob",
            files: vec![("WhatsApp Chat with Bob.txt", android.into())],
            service: "whatsapp",
            title: json!("Bob"),
            text: both,
        },
        Archive {
            name: "facebook-ann",
            files: vec![(
                "your_facebook_activity/messages/inbox/bob_1/message_1.json",
                messenger.to_string(),
            )],
            service: "messenger",
            title: json!("Bob"),
            text: both,
        },
        Archive {
            name: "ChatExport_2024-01-02",
            files: vec![("result.json", telegram.to_string())],
            service: "telegram",
            title: json!("Bob"),
            text: both,
        },
        Archive {
            name: "Club Slack export Jan 1 2024",
            files: vec![
                ("users.json", users.to_string()),
                ("channels.json", "[]".into()),
                ("general/2024-01-02.json", day.to_string()),
            ],
            service: "slack",
            title: json!("#general"),
            text: both,
        },
        Archive {
            name: "package",
            files: vec![
                ("account/user.json", account.to_string()),
                ("messages/c7/channel.json", channel.to_string()),
                ("messages/c7/messages.json", package.to_string()),
            ],
            service: "discord",
            title: json!("Club #talk"),
            text: "Ann: tea?",
        },
        Archive {
            name: "twitter-2024-01-02",
            files: vec![
                ("data/account.js", "window.YTD.account.part0 = [{\"account\": {\"username\": \"ann\", \"accountDisplayName\": \"Ann\"}}]".into()),
                ("data/tweets.js", format!("window.YTD.tweets.part0 = {tweets}")),
            ],
            service: "",
            title: Value::Null,
            text: "tea? café",
        },
    ]
}

/// The conversations and tweets of a path: what else lies in an archive is read as the files that they are.
fn said(path: &Path) -> Vec<Document> {
    let (documents, counts) = Loaders::default()
        .load_all(&[path], &OnError::Stop)
        .unwrap();
    assert!(counts.balanced());
    let kinds = [json!("conversation"), json!("tweet")];
    let said = |document: &Document| {
        document
            .fields
            .get("kind")
            .is_some_and(|kind| kinds.contains(kind))
    };
    documents.into_iter().filter(said).collect()
}

#[test]
fn zipped_exports_are_recognised_and_read_as_unpacked_ones() {
    for archive in archives() {
        let folder = tempfile::tempdir().unwrap();
        let zip = folder.path().join(format!("{}.zip", archive.name));
        fs::write(&zip, zipped(&archive.files)).unwrap();
        let unpacked = folder.path().join(archive.name);
        for (name, content) in &archive.files {
            let path = unpacked.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let (of_zip, of_folder) = (said(&zip), said(&unpacked));
        assert_eq!(of_zip.len(), 1, "{}", archive.name);
        assert_eq!(of_zip[0].text, archive.text, "{}", archive.name);
        assert_eq!(of_zip[0].fields, of_folder[0].fields, "{}", archive.name);
        let field = |name: &str| of_zip[0].fields.get(name).cloned().unwrap_or_default();
        assert_eq!(field("title"), archive.title, "{}", archive.name);
        assert_eq!(
            field("service").as_str().unwrap_or_default(),
            archive.service
        );
        let shown = of_zip[0].origin.path.strip_prefix(&zip).unwrap();
        let real = of_folder[0].origin.path.strip_prefix(&unpacked).unwrap();
        assert_eq!(shown, real, "{}", archive.name);
    }
}

#[test]
fn hostile_exports_end_in_an_error_or_in_what_can_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile/talk");
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let started = Instant::now();
        let outcome = match Loaders::default().load_all(&[&path], &OnError::Stop) {
            Ok((documents, counts)) => {
                assert!(counts.balanced());
                let kinds: Vec<&str> = documents
                    .iter()
                    .map(|document| {
                        document
                            .fields
                            .get("kind")
                            .and_then(Value::as_str)
                            .unwrap_or("text")
                    })
                    .collect();
                kinds.join(", ")
            }
            Err(error) => error.kind().to_owned(),
        };
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{}",
            path.display()
        );
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        found.insert(name, outcome);
    }
    let listed: Vec<String> = found
        .iter()
        .map(|(name, outcome)| format!("{name}: {outcome}"))
        .collect();
    assert_eq!(listed, HOSTILE, "{listed:#?}");
}

const HOSTILE: [&str; 32] = [
    "discord_authors: conversation",
    "discord_no_list: broken file",
    "discord_table: csv syntax",
    "messenger_cut: json syntax",
    "messenger_deep: too deep",
    "messenger_half: json syntax",
    "messenger_latin: utf-8",
    "messenger_no_list: broken file",
    "messenger_null_byte: json syntax",
    "messenger_numbers: empty data set",
    "messenger_times: conversation",
    "slack_object: broken file",
    "slack_strangers: conversation",
    "slack_users: json syntax",
    "telegram_circle: conversation",
    "telegram_cut: json syntax",
    "telegram_empty: empty data set",
    "telegram_entities: too deep",
    "telegram_neither: broken file",
    "tweets_code: json syntax",
    "tweets_cut: json syntax",
    "tweets_links: tweet",
    "tweets_nameless: broken file",
    "whatsapp_bytes: conversation",
    "whatsapp_dates: text",
    "whatsapp_marks: empty data set",
    "whatsapp_nulls: conversation",
    "whatsapp_orders: conversation",
    "zip_bomb: limit exceeded",
    "zip_in_zip: limit exceeded",
    "zip_other: text",
    "zip_out: broken file",
];
