//! Exports of messengers and tweets: made-up people in the real schemas.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use finetune_data::load::{Conversations, Counts, Loaders, OnError, Tweets};
use finetune_data::mapping::AnyChat;
use finetune_data::{Conversation, DataError, Document, Result};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn load_with(loaders: &Loaders, files: &[(&str, &[u8])]) -> Result<(Vec<Document>, Counts)> {
    let folder = folder(files);
    let loaded = loaders.load_all(&[folder.path()], &OnError::Stop);
    if let Ok((_, counts)) = &loaded {
        assert!(counts.balanced(), "{counts}");
    }
    loaded
}

fn load(files: &[(&str, &[u8])]) -> (Vec<Document>, Counts) {
    load_with(&Loaders::default(), files).unwrap()
}

/// One document for each thread.
fn whole() -> Loaders {
    Loaders::default().with(Conversations::default().pause(None))
}

fn field<'a>(document: &'a Document, name: &str) -> &'a Value {
    document.fields.get(name).unwrap_or(&Value::Null)
}

fn texts(documents: &[Document]) -> Vec<&str> {
    documents
        .iter()
        .map(|document| document.text.as_str())
        .collect()
}

/// The conversations in which a speaker is the assistant.
fn examples(name: &str, files: &[(&str, &[u8])]) -> Vec<Conversation> {
    let loaders = Loaders::default().with(Conversations::default().answering(name));
    let folder = folder(files);
    loaders
        .examples(&[folder.path()], &OnError::Stop, &AnyChat::Detect)
        .unwrap()
        .0
}

fn turns(conversation: &Conversation) -> Vec<(&str, &str)> {
    let turns = conversation.turns.iter();
    turns
        .map(|turn| (turn.role.name(), turn.text.as_str()))
        .collect()
}

// --- Messenger ---------------------------------------------------------------------------------------------------

/// As Facebook writes it: each byte of the UTF-8 as a character.
fn mojibake(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

fn messenger(messages: &Value) -> Vec<u8> {
    let thread = json!({
        "participants": [{"name": mojibake("Zoë")}, {"name": "Bob"}],
        "messages": messages,
        "title": mojibake("Zoë"), "is_still_participant": true, "thread_path": "inbox/zoe_1", "magic_words": [],
    });
    thread.to_string().into_bytes()
}

#[test]
fn messenger_threads_are_joined_in_time_and_mended() {
    let newest = messenger(&json!([
        {"sender_name": "Bob", "timestamp_ms": 1_704_190_300_000_i64, "content": "see", "share": {"link": "https://a.example/x"}},
        {"sender_name": mojibake("Zoë"), "timestamp_ms": 1_704_190_200_000_i64, "is_unsent": true},
        {"sender_name": mojibake("Zoë"), "timestamp_ms": 1_704_190_150_000_i64, "content": "", "photos": [{"uri": "a"}, {"uri": "b"}]},
        {"sender_name": mojibake("Zoë"), "timestamp_ms": 1_704_190_100_000_i64, "content": mojibake("Ça va 😀"),
         "reactions": [{"reaction": mojibake("❤"), "actor": "Bob"}]},
    ]));
    let older = messenger(&json!([
        {"sender_name": "Bob", "timestamp_ms": 1_704_190_050_000_i64, "call_duration": 12, "content": "Bob called you."},
        {"sender_name": "Bob", "timestamp_ms": 1_704_190_000_000_i64, "content": "Bob sent an attachment.", "photos": [{"uri": "c"}]},
        {"sender_name": "Bob", "timestamp_ms": 1_704_189_999_999_i64, "content": "Hi\nyou"},
        {"sender_name": mojibake("Zoë"), "timestamp_ms": 1_704_189_000_000_i64, "content": "Liked a message"},
    ]));
    let files: &[(&str, &[u8])] = &[
        ("inbox/zoe_1/message_1.json", &newest),
        ("inbox/zoe_1/message_2.json", &older),
    ];
    let (documents, counts) = load(files);
    assert_eq!(
        texts(&documents),
        ["Bob: Hi\nyou\nZoë: Ça va 😀\nBob: see\nhttps://a.example/x"]
    );
    let document = &documents[0];
    assert_eq!(field(document, "title"), "Zoë");
    assert_eq!(field(document, "participants"), &json!(["Bob", "Zoë"]));
    assert_eq!(field(document, "date"), "2024-01-02T10:06:39Z");
    assert_eq!(
        field(document, "left_out"),
        &json!({"call": 1, "photo": 3, "reaction": 2, "unsent": 1})
    );
    assert!(
        document
            .origin
            .to_string()
            .ends_with("message_2.json, message 3")
    );
    assert_eq!(
        counts.dropped["part of a thread that its first file begins"],
        1
    );
    let example = &examples("Zoë", files)[0];
    assert_eq!(
        turns(example),
        [("user", "Hi\nyou"), ("assistant", "Ça va 😀")]
    );
}

#[test]
fn encrypted_chats_are_read_as_they_are() {
    let chat = json!({"participants": ["Ann", "Bob"], "threadName": "Bob_7", "messages": [
        {"isUnsent": false, "media": [], "reactions": [], "senderName": "Ann", "text": "Ã© stays", "timestamp": 1_704_190_000_000_i64, "type": "text"},
        {"isUnsent": false, "media": [{"uri": "x"}], "reactions": [{"actor": "Ann"}], "senderName": "Bob", "text": "", "timestamp": 1_704_190_001_000_i64, "type": "media"},
        {"isUnsent": true, "media": [], "reactions": [], "senderName": "Bob", "text": "", "timestamp": 1_704_190_002_000_i64, "type": "text"},
    ]});
    let (documents, _) = load(&[("Bob_7.json", chat.to_string().as_bytes())]);
    assert_eq!(texts(&documents), ["Ann: Ã© stays"]);
    assert_eq!(
        field(&documents[0], "left_out"),
        &json!({"media": 1, "reaction": 1, "unsent": 1})
    );
}

#[test]
fn a_broken_file_of_a_thread_is_reported_and_the_others_are_kept() {
    let good = messenger(&json!([{"sender_name": "Bob", "timestamp_ms": 1, "content": "a"}]));
    let folder = folder(&[
        ("message_1.json", &good),
        (
            "message_2.json",
            b"{\"participants\": [{\"name\": \"Bob\"}], \"messages\": [",
        ),
    ]);
    let loaded = Loaders::default()
        .load_all(&[folder.path()], &OnError::Skip)
        .unwrap();
    assert_eq!(texts(&loaded.0), ["Bob: a"]);
    assert_eq!(loaded.1.skipped, 1);
    assert!(
        loaded.1.to_string().contains("message_2.json:1:"),
        "{}",
        loaded.1
    );
}

// --- WhatsApp ----------------------------------------------------------------------------------------------------

/// The chat's only document, of a file of this name.
fn whatsapp(name: &str, text: &str) -> Document {
    let (mut documents, _) = load_with(&whole(), &[(name, text.as_bytes())]).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)
}

#[test]
#[allow(clippy::too_many_lines, reason = "a table of cases")]
fn whatsapp_dates_are_read_in_many_forms() {
    let cases = [
        (
            "31/12/2023, 23:59 - Ann: a",
            "day first",
            "2023-12-31T23:59:00",
        ),
        (
            "12/31/23, 11:59 PM - Ann: a",
            "month first",
            "2023-12-31T23:59:00",
        ),
        (
            "12/31/23, 12:05\u{202f}AM - Ann: a",
            "month first",
            "2023-12-31T00:05:00",
        ),
        (
            "1/2/24, 9:05 PM - Ann: a",
            "month first, assumed",
            "2024-01-02T21:05:00",
        ),
        (
            "1/2/24, 21:05 - Ann: a",
            "day first, assumed",
            "2024-02-01T21:05:00",
        ),
        (
            "31.12.23, 23:59 - Ann: a",
            "day first",
            "2023-12-31T23:59:00",
        ),
        (
            "31-12-2023 23:59 - Ann: a",
            "day first",
            "2023-12-31T23:59:00",
        ),
        (
            "31/12/23 23.59 - Ann: a",
            "day first",
            "2023-12-31T23:59:00",
        ),
        (
            "31.12.2023 klo 23.59 - Ann: a",
            "day first",
            "2023-12-31T23:59:00",
        ),
        (
            "2023-12-31, 23:59 - Ann: a",
            "year first",
            "2023-12-31T23:59:00",
        ),
        (
            "2023/12/31 下午11:59 - Ann: a",
            "year first",
            "2023-12-31T23:59:00",
        ),
        (
            "2023년 12월 31일 오후 11:59, Ann : a",
            "year first",
            "2023-12-31T23:59:00",
        ),
        (
            "31/12/23, 11:59 p. m. - Ann: a",
            "day first",
            "2023-12-31T23:59:00",
        ),
        (
            "[31/12/2023, 23:59:58] Ann: a",
            "day first",
            "2023-12-31T23:59:58",
        ),
        (
            "\u{200e}[12/31/23, 11:59:58\u{202f}PM] Ann: a",
            "month first",
            "2023-12-31T23:59:58",
        ),
        (
            "[31.12.23, 23:59:58] \u{202a}Ann\u{202c}: a",
            "day first",
            "2023-12-31T23:59:58",
        ),
        (
            "\u{200f}٣١\u{200f}/١٢\u{200f}/٢٠٢٣، ١١:٥٩ م - Ann: a",
            "day first",
            "2023-12-31T23:59:00",
        ),
        (
            "31/12/2566 23:59 - Ann: a",
            "day first",
            "2023-12-31T23:59:00",
        ),
        (
            "29/2/24, 10:00 am - Ann: a",
            "day first",
            "2024-02-29T10:00:00",
        ),
    ];
    for (line, dates, date) in cases {
        let chat = whatsapp("WhatsApp Chat with Ann.txt", line);
        assert_eq!(chat.text, "Ann: a", "{line}");
        assert_eq!(
            (field(&chat, "dates"), field(&chat, "date")),
            (&json!(dates), &json!(date)),
            "{line}"
        );
    }
}

#[test]
fn day_and_month_are_told_apart_by_the_whole_file() {
    let lines = |dates: &[&str]| {
        let lines = dates.iter().map(|date| format!("{date}, 10:00 - Ann: a\n"));
        lines.collect::<String>()
    };
    let cases = [
        // One date decides for all.
        (lines(&["01/02/24", "02/02/24", "13/02/24"]), "day first"),
        (lines(&["01/02/24", "01/03/24", "01/13/24"]), "month first"),
        // Time runs forward only one way.
        (lines(&["01/02/24", "02/02/24", "01/03/24"]), "day first"),
        (lines(&["02/01/24", "02/02/24", "03/01/24"]), "month first"),
        (lines(&["01/01/24"]), "day first"),
        (lines(&["01/02/24"]), "day first, assumed"),
    ];
    for (text, dates) in cases {
        assert_eq!(
            field(&whatsapp("_chat.txt", &text), "dates"),
            dates,
            "{text}"
        );
    }
}

#[test]
fn whatsapp_tells_what_is_said_from_what_the_app_writes() {
    let android = "31/12/2023, 10:00 - Messages and calls are end-to-end encrypted. Tap to learn more.\n\
        31/12/2023, 10:01 - Ann: Two\nlines: yes\n\n31/12/2023, 10:02 - Bob: <Media omitted>\n\
        31/12/2023, 10:02 - Bob: IMG-20231231-WA0001.jpg (file attached)\nthe sea\n31/12/2023, 10:03 - Ann: This message was deleted\n\
        31/12/2023, 10:04 - Ann changed the subject to \"a: b\"\n31/12/2023, 10:05 - Bob: ok <This message was edited>\n\
        31/12/2023, 10:06 - Bob: null\n31/12/2023, 10:07 - Bob: 3.4.2024 10:15, dentist\n";
    let chat = whatsapp("WhatsApp Chat with Bob.txt", android);
    assert_eq!(
        chat.text,
        "Ann: Two\nlines: yes\nBob: the sea\nBob: ok\nBob: 3.4.2024 10:15, dentist"
    );
    assert_eq!(
        field(&chat, "left_out"),
        &json!({"media": 3, "service": 2, "unsent": 1})
    );
    assert_eq!(field(&chat, "title"), "Bob");
    assert_eq!(
        (
            chat.origin.place,
            chat.origin.to_string().rsplit(':').next()
        ),
        (2, Some("2"))
    );

    // The mark of a writer from right to left; only iOS marks what the app wrote with it.
    let written = "31/12/2023, 10:01 - Ann: \u{200e}Hello\n31/12/2023, 10:02 - Bob: \u{200f}שלום\n";
    let chat = whatsapp("WhatsApp Chat with Bob.txt", written);
    assert_eq!(chat.text, "Ann: Hello\nBob: שלום");

    let ios = "[31/12/2023, 10:00:00] Ann & Bob: \u{200e}Messages and calls are end-to-end encrypted.\r\n\
        [31/12/2023, 10:01:00] ~\u{202f}Ann: Hi\r\n\u{200e}[31/12/2023, 10:02:00] Bob: \u{200e}image omitted\r\n\
        \u{200e}[31/12/2023, 10:03:00] Bob: \u{200e}<attached: 0001-PHOTO.jpg>\r\n\
        [31/12/2023, 10:04:00] Bob: Edited \u{200e}<This message was edited>\r\n[31/12/2023, 10:05:00] Bob: \u{200e}You deleted this message.\r\n";
    let chat = whatsapp("WhatsApp Chat - Bob/_chat.txt", ios);
    assert_eq!(chat.text, "Ann: Hi\nBob: Edited");
    assert_eq!(
        field(&chat, "left_out"),
        &json!({"media": 2, "service": 1, "unsent": 1})
    );
    assert_eq!(field(&chat, "title"), "Bob");
}

// --- Telegram ----------------------------------------------------------------------------------------------------

fn telegram() -> Value {
    json!({"name": "Ann", "type": "personal_chat", "id": 77, "messages": [
        {"id": 1, "type": "service", "date": "2024-01-02T10:00:00", "date_unixtime": "1704189600", "actor": "Ann", "action": "create_group", "text": ""},
        {"id": 2, "type": "message", "date": "2024-01-02T10:01:00", "date_unixtime": "1704189660", "from": "Ann", "from_id": "user1",
         "text": ["See ", {"type": "link", "text": "https://a.example"}, " and ", {"type": "text_link", "text": "this", "href": "https://b.example"}, "."]},
        {"id": 3, "type": "message", "date": "2024-01-02T10:02:00", "from": "Me", "from_id": "user2", "reply_to_message_id": 3, "text": "Nice"},
        {"id": 4, "type": "message", "date": "2024-01-02T10:03:00", "from": "Me", "photo": "p.jpg", "text": "", "reactions": [{"type": "emoji", "count": 2, "emoji": "x"}]},
        {"id": 5, "type": "message", "date": "2024-01-02T10:03:30", "from": null, "from_id": "user3", "forwarded_from": "News", "text": "old"},
        {"id": 6, "type": "message", "date": "2024-01-02T10:04:00", "from": "Me", "file": "s.webp", "media_type": "sticker", "text": ""},
    ]})
}

#[test]
fn telegram_chats_are_read_alone_and_all_together() {
    let alone = telegram().to_string();
    let (documents, _) = load_with(&whole(), &[("result.json", alone.as_bytes())]).unwrap();
    let text = "Ann: See https://a.example and this (https://b.example).\nMe: Nice\nuser3: old";
    assert_eq!(texts(&documents), [text]);
    let document = &documents[0];
    assert_eq!(
        field(document, "left_out"),
        &json!({"photo": 1, "reaction": 2, "service": 1, "sticker": 1})
    );
    assert_eq!(
        (field(document, "id"), field(document, "date")),
        (&json!("77"), &json!("2024-01-02T10:01:00Z"))
    );
    let messages = field(document, "messages");
    // A message that answers itself is no reason to go round in circles.
    assert_eq!(messages[1]["reply_to"], "3");
    assert_eq!(messages[2]["forwarded_from"], "News");

    let all = json!({"about": "Here is", "personal_information": {"user_id": 1}, "chats": {"about": "x", "list": [telegram(), {"name": "Empty", "type": "bot_chat", "id": 8, "messages": []}]},
        "left_chats": {"about": "y", "list": [telegram()]}});
    let (documents, counts) =
        load_with(&whole(), &[("result.json", all.to_string().as_bytes())]).unwrap();
    assert_eq!(texts(&documents), [text, text]);
    assert_eq!(documents[1].origin.place, 8);
    assert_eq!(counts.dropped["conversation without messages"], 1);
}

// --- Slack -------------------------------------------------------------------------------------------------------

fn slack() -> BTreeMap<&'static str, Vec<u8>> {
    let users = json!([
        {"id": "U1", "team_id": "T1", "name": "ann", "profile": {"display_name": "Ann", "real_name": "Ann Example"}},
        {"id": "U2", "team_id": "T1", "name": "bob", "profile": {"display_name": "", "real_name": "Bob Example"}},
    ]);
    let first = json!([
        {"type": "message", "subtype": "channel_join", "user": "U1", "ts": "1704190000.000100", "text": "<@U1> has joined the channel"},
        {"type": "message", "user": "U1", "ts": "1704190010.000100", "text": "Hi <@U2> &amp; all", "reactions": [{"name": "x", "count": 2}]},
        {"type": "message", "user": "U2", "ts": "1704190020.000100", "thread_ts": "1704190020.000100", "reply_count": 1, "text": "A question?"},
        {"type": "message", "user": "U2", "ts": "1704190030.000100", "text": "bye", "files": [{"id": "F1"}]},
        {"type": "message", "subtype": "bot_message", "bot_id": "B1", "ts": "1704190040.000100", "text": "beep"},
    ]);
    let second = json!([
        {"type": "message", "user": "U1", "ts": "1704276400.000100", "thread_ts": "1704190020.000100", "text": "An answer: <https://a.example|here>"},
        {"type": "message", "user": "U1", "ts": "1704276410.000100", "text": "next day"},
    ]);
    let channels = json!([{"id": "C1", "name": "general", "members": ["U1", "U2"]}]);
    [
        ("users.json", users),
        ("channels.json", channels),
        ("general/2024-01-02.json", first),
        ("general/2024-01-03.json", second),
    ]
    .map(|(name, value)| (name, value.to_string().into_bytes()))
    .into()
}

#[test]
fn slack_channels_and_threads_are_conversations() {
    let files = slack();
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, content)| (*name, content.as_slice()))
        .collect();
    let (documents, counts) = load(&files);
    let expected = [
        "Ann: Hi @Bob Example & all\nBob Example: bye",
        "Ann: next day",
        "Bob Example: A question?\nAnn: An answer: here (https://a.example)",
    ];
    assert_eq!(texts(&documents), expected);
    assert_eq!(
        field(&documents[0], "left_out"),
        &json!({"bot": 1, "file": 1, "reaction": 2, "service": 1})
    );
    assert_eq!(field(&documents[0], "title"), "#general");
    assert_eq!(field(&documents[2], "section"), "thread");
    assert_eq!(counts.dropped["list of an export's people and channels"], 2);
    assert_eq!(
        counts.dropped["day of a channel that its first day begins"],
        1
    );
    let ann = examples("Ann", &files);
    assert_eq!(
        turns(&ann[0]),
        [
            ("user", "A question?"),
            ("assistant", "An answer: here (https://a.example)")
        ]
    );
}

// --- Discord -----------------------------------------------------------------------------------------------------

#[test]
fn discord_exports_and_packages_are_read() {
    let author = |name: &str, bot: bool| json!({"id": "1", "name": name, "discriminator": "0000", "nickname": format!("{name}!"), "isBot": bot});
    let exported = json!({"guild": {"id": "9", "name": "Club"}, "channel": {"id": "5", "type": "GuildTextChat", "name": "talk"},
        "dateRange": {"after": null, "before": null}, "exportedAt": "2024-02-01T00:00:00+00:00", "messages": [
        {"id": "11", "type": "Default", "timestamp": "2024-01-02T10:00:00.123+02:00", "content": "hi <@3> <:x:4>", "author": author("Ann", false),
         "attachments": [{"id": "1"}], "embeds": [], "stickers": [], "reactions": [{"count": 3}], "mentions": [{"id": "3", "name": "bob", "nickname": "Bob"}]},
        {"id": "12", "type": "Reply", "timestamp": "2024-01-02T10:01:00+02:00", "content": "yo", "author": author("Bob", false), "reference": {"messageId": "11"}},
        {"id": "13", "type": "GuildMemberJoin", "timestamp": "2024-01-02T10:02:00+02:00", "content": "Joined the server.", "author": author("Cy", false)},
        {"id": "14", "type": "Default", "timestamp": "2024-01-02T10:02:00+02:00", "content": "beep", "author": author("Bot", true)},
    ], "messageCount": 4});
    let (documents, _) = load(&[("talk.json", exported.to_string().as_bytes())]);
    assert_eq!(texts(&documents), ["Ann!: hi @Bob :x:\nBob!: yo"]);
    let document = &documents[0];
    assert_eq!(
        field(document, "left_out"),
        &json!({"bot": 1, "file": 1, "reaction": 3, "service": 1})
    );
    assert_eq!(
        (field(document, "title"), field(document, "date")),
        (&json!("Club #talk"), &json!("2024-01-02T08:00:00Z"))
    );
    assert_eq!(field(document, "messages")[1]["reply_to"], "11");

    let own = &json!([{"ID": 2, "Timestamp": "2024-01-02 10:01:00", "Contents": "second", "Attachments": ""},
        {"ID": 1, "Timestamp": "2024-01-02 10:00:00", "Contents": "first", "Attachments": "https://a.example/1 https://a.example/2"}]).to_string();
    let csv = "ID,Timestamp,Contents,Attachments\n1,2024-01-02 10:00:00.000000+00:00,\"a, b\",\n";
    let channel =
        json!({"id": "7", "type": 0, "name": "talk", "guild": {"id": "9", "name": "Club"}})
            .to_string();
    let files: &[(&str, &[u8])] = &[
        (
            "account/user.json",
            br#"{"id": "1", "username": "ann", "global_name": "Ann"}"#,
        ),
        ("messages/c7/channel.json", channel.as_bytes()),
        ("messages/c7/messages.json", own.as_bytes()),
        ("messages/c8/messages.csv", csv.as_bytes()),
    ];
    let (documents, counts) = load(files);
    assert_eq!(
        texts(&documents)[1..],
        ["Ann: first\nAnn: second", "Ann: a, b"]
    );
    assert_eq!(field(&documents[1], "left_out"), &json!({"file": 2}));
    assert_eq!(field(&documents[1], "title"), "Club #talk");
    assert_eq!(field(&documents[2], "date"), "2024-01-02T10:00:00Z");
    assert_eq!(counts.dropped.len(), 1);
}

// --- all of them -------------------------------------------------------------------------------------------------

#[test]
fn the_one_to_answer_is_the_assistant_and_the_others_are_the_user() {
    let chat = "31/12/23, 10:00 - Ann: early\n31/12/23, 10:01 - Bob: q1\n31/12/23, 10:02 - Cy: q2\n31/12/23, 10:03 - Ann: a1\n\
                31/12/23, 10:04 - Ann: a2\n31/12/23, 10:05 - Bob: late\n31/12/23, 23:00 - Bob: alone\n";
    let files: &[(&str, &[u8])] = &[("_chat.txt", chat.as_bytes())];
    let loaders = Loaders::default().with(Conversations::default().answering("Ann"));
    let (documents, counts) = load_with(&loaders, files).unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!(
        field(&documents[0], "messages"),
        &json!([
            {"role": "user", "content": "Bob: q1\nCy: q2", "name": "Bob, Cy", "time": "2023-12-31T10:01:00"},
            {"role": "assistant", "content": "a1\na2", "name": "Ann", "time": "2023-12-31T10:03:00"},
        ])
    );
    assert_eq!(
        field(&documents[0], "left_out"),
        &json!({"answers before the first question": 1, "questions without an answer": 1})
    );
    assert_eq!(
        counts.dropped["conversation in which the one to answer does not"],
        1
    );
    let example = &examples("Ann", files)[0];
    assert_eq!(
        turns(example),
        [("user", "Bob: q1\nCy: q2"), ("assistant", "a1\na2")]
    );
    // Nobody was named: nothing is guessed.
    let error = {
        let folder = folder(files);
        Loaders::default()
            .examples(&[folder.path()], &OnError::Stop, &AnyChat::Detect)
            .unwrap_err()
    };
    assert!(matches!(error, DataError::RoleOrder { .. }), "{error}");
}

#[test]
fn a_long_pause_begins_a_document() {
    let chat = "31/12/23, 10:00 - Ann: a\n31/12/23, 17:59 - Bob: b\n01/01/24, 02:00 - Ann: c\n";
    let files: &[(&str, &[u8])] = &[("_chat.txt", chat.as_bytes())];
    assert_eq!(texts(&load(files).0), ["Ann: a\nBob: b", "Ann: c"]);
    assert_eq!(load_with(&whole(), files).unwrap().0.len(), 1);
}

/// The names, and heads like those of exports, that data sets have.
#[test]
fn ordinary_files_are_never_taken_for_exports() {
    let cases: [(&str, &str); 12] = [
        (
            "train.json",
            r#"[{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}]"#,
        ),
        (
            "train.json",
            r#"[{"conversations": [{"from": "human", "value": "a"}]}]"#,
        ),
        (
            "message_1.json",
            r#"{"messages": [{"role": "user", "content": "a"}]}"#,
        ),
        ("message_1.json", r#"[{"name": "x", "type": "y", "id": 1}]"#),
        (
            "result.json",
            r#"{"name": "x", "type": "y", "id": 1, "results": []}"#,
        ),
        ("users.json", r#"[{"id": 1, "name": "x"}]"#),
        (
            "a/2024-01-02.json",
            r#"[{"type": "message", "ts": "1.0", "text": "x"}]"#,
        ),
        ("channel.json", r#"{"id": 1, "type": "x"}"#),
        ("data.json", r#"{"events": [{"tStartMs": 1}]}"#),
        (
            "alpaca.json",
            r#"[{"instruction": "participants", "input": "messages", "output": "{\"sender_name\": \"x\", \"timestamp_ms\": 1}"}]"#,
        ),
        (
            "log.txt",
            "2024-01-02 10:00:00 - INFO: it started\n2024-01-02 10:00:01 - INFO: it runs\n",
        ),
        (
            "WhatsApp notes.txt",
            "A note about WhatsApp: it is an app.\n",
        ),
    ];
    for (name, content) in cases {
        let (documents, counts) = load(&[(name, content.as_bytes())]);
        assert!(counts.dropped.is_empty(), "{name}");
        for document in documents {
            assert_eq!(field(&document, "service"), &Value::Null, "{name}");
            assert_eq!(
                document.text.is_empty(),
                Path::new(name)
                    .extension()
                    .is_some_and(|extension| extension == "json")
            );
        }
    }
}

// --- tweets ------------------------------------------------------------------------------------------------------

fn tweets(tweets: &Value) -> Vec<u8> {
    format!("window.YTD.tweets.part0 = {tweets}").into_bytes()
}

fn tweet(id: &str, text: &str, reply_to: Option<&str>) -> Value {
    let mut tweet = json!({"id_str": id, "full_text": text, "created_at": format!("Tue Jan 02 10:00:{:0>2} +0000 2024", id), "lang": "en", "entities": {}});
    if let Some(above) = reply_to {
        tweet["in_reply_to_status_id_str"] = json!(above);
    }
    json!({"tweet": tweet})
}

#[test]
fn tweets_have_their_links_written_out() {
    let full = json!([{"tweet": {"id_str": "12", "full_text": "A &amp; b https://t.co/abc https://t.co/abcd https://t.co/pic", "lang": "in",
        "created_at": "Wed Oct 10 20:19:24 +0000 2018",
        "entities": {"urls": [{"url": "https://t.co/abc", "expanded_url": "https://a.example/x"}], "media": [{"url": "https://t.co/pic", "expanded_url": "p"}]},
        "extended_entities": {"media": [{"url": "https://t.co/pic"}, {"url": "https://t.co/pic"}]}}},
        {"tweet": {"id_str": "13", "full_text": "RT @bob: cut…", "lang": "und", "created_at": "x"}}]);
    let full = tweets(&full);
    let account = br#"window.YTD.account.part0 = [{"account": {"username": "ann_x", "accountDisplayName": "Ann"}}]"#;
    let files: &[(&str, &[u8])] = &[
        ("data/account.js", account),
        ("data/tweets.js", &full),
        ("data/other.js", b"var a = 1;"),
    ];
    let (documents, counts) = load(files);
    assert_eq!(
        texts(&documents),
        [
            "A & b https://a.example/x https://t.co/abcd",
            "RT @bob: cut…"
        ]
    );
    assert_eq!(
        serde_json::to_value(&documents[0].fields).unwrap(),
        json!({"id": "12", "kind": "tweet", "date": "2018-10-10T20:19:24Z", "language": "id", "url": "https://x.com/ann_x/status/12",
               "author": "Ann", "left_out": {"media": 2}})
    );
    assert_eq!(field(&documents[1], "kind"), "retweet");
    assert!(
        documents[1]
            .origin
            .to_string()
            .ends_with("tweets.js, entry 2")
    );
    assert_eq!(counts.passed_over, 2);
    let own = Loaders::default().with(Tweets::default().retweets(false));
    let (documents, counts) = load_with(&own, files).unwrap();
    assert_eq!((documents.len(), counts.dropped["retweet"]), (1, 1));
}

#[test]
fn threads_of_oneself_are_joined_even_in_circles() {
    let list = json!([
        tweet("3", "three", Some("2")),
        tweet("1", "one", None),
        tweet("2", "two", Some("1")),
        tweet("4", "to somebody", Some("99")),
        tweet("6", "circle a", Some("7")),
        tweet("7", "circle b", Some("6")),
        tweet("8", "itself", Some("8")),
    ]);
    let loaders = Loaders::default().with(Tweets::default().threads(true));
    let content = tweets(&list);
    let (documents, _) = load_with(&loaders, &[("tweet.js", &content)]).unwrap();
    let expected = [
        "one\n\ntwo\n\nthree",
        "to somebody",
        "circle a\n\ncircle b",
        "itself",
    ];
    assert_eq!(texts(&documents), expected);
    assert_eq!(field(&documents[0], "kind"), "thread");
    assert_eq!(load(&[("tweet.js", &content)]).0.len(), 7);
}

// --- hostile files -----------------------------------------------------------------------------------------------

#[test]
fn broken_exports_are_refused_with_their_place() {
    let deep = format!(
        r#"{{"participants": [{{"name": "A"}}], "messages": {}"#,
        "[".repeat(50_000)
    );
    let head = r#"{"participants": [{"name": "A"}], "#;
    let cases = [
        ("message_1.json", deep, "nested too deeply"),
        (
            "message_1.json",
            format!("{head}\"messages\": 5}}"),
            "message_1.json: cannot read the Messenger export: it has no list of messages",
        ),
        (
            "message_1.json",
            format!("{head}\"messages\": [\0]}}"),
            "message_1.json:1:",
        ),
        (
            "result.json",
            r#"{"about": "", "personal_information": {}}"#.into(),
            "result.json: cannot read the Telegram export: it has neither messages nor chats",
        ),
        ("_chat.txt", "99/99/2023, 99:99 - A: b\n".into(), ""),
        (
            "tweets.js",
            "window.YTD.tweets.part0 = [\n{\"tweet\": }]".into(),
            "tweets.js:2:11: ",
        ),
        (
            "tweets.js",
            "window.YTD.tweets.part0 = [{\"tweet\": {}}]".into(),
            "tweets.js, entry 1: cannot read the tweet: it has no id_str",
        ),
    ];
    for (name, content, message) in cases {
        let loaded = load_with(&Loaders::default(), &[(name, content.as_bytes())]);
        if message.is_empty() {
            // No date, no chat: plain text.
            assert_eq!(loaded.unwrap().0[0].text, content);
        } else {
            let error = loaded.unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}

#[test]
fn wrong_times_are_unknown_times() {
    for time in [
        "-9223372036854775808",
        "9223372036854775807",
        "1e300",
        "\"x\"",
        "null",
    ] {
        let chat = format!(
            r#"{{"participants": [{{"name": "A"}}], "messages": [{{"sender_name": "A", "timestamp_ms": {time}, "content": "a"}}]}}"#
        );
        let (documents, _) = load(&[("message_1.json", chat.as_bytes())]);
        assert_eq!(
            (documents[0].text.as_str(), field(&documents[0], "date")),
            ("A: a", &Value::Null)
        );
    }
}

#[test]
fn gigantic_lines_and_many_lines_are_read_in_bounded_time() {
    let started = std::time::Instant::now();
    let line = format!("31/12/23, 10:00 - Ann: {}\n", "x: ".repeat(1 << 20));
    assert_eq!(
        whatsapp("_chat.txt", &line).text.len(),
        "Ann: ".len() + (3 << 20) - 1
    );
    let lines = "31/12/23, 10:00 - Ann: a\n".repeat(50_000);
    assert_eq!(whatsapp("_chat.txt", &lines).text.lines().count(), 50_000);
    let marks = format!(
        "[31/12/23, 10:00:00] Ann: {}\n{}",
        "\u{200e}".repeat(100_000),
        "1/".repeat(100_000)
    );
    // A message that begins with the mark is the service's own: nothing is left, and in time.
    assert!(load_with(&whole(), &[("_chat.txt", marks.as_bytes())]).is_err());
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
}

/// Any value may stand where another is expected.
fn disturbed(value: &Value) -> impl Strategy<Value = Value> + use<> {
    fn pointers(value: &Value, path: &str, all: &mut Vec<String>) {
        all.push(path.to_owned());
        match value {
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    pointers(value, &format!("{path}/{index}"), all);
                }
            }
            Value::Object(fields) => {
                for (name, value) in fields {
                    pointers(value, &format!("{path}/{name}"), all);
                }
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    pointers(value, "", &mut all);
    let odd = [
        json!(null),
        json!(-1),
        json!(u64::MAX),
        json!("x<@"),
        json!(["a", {"b": 1}]),
        json!({"a": []}),
        json!(true),
        json!(""),
    ];
    let value = value.clone();
    let edits = proptest::collection::vec(
        (
            proptest::sample::select(all),
            proptest::sample::select(odd.to_vec()),
        ),
        1..4,
    );
    edits.prop_map(move |edits| {
        let mut value = value.clone();
        for (at, by) in edits {
            if let Some(place) = value.pointer_mut(&at) {
                *place = by;
            }
        }
        value
    })
}

/// Loads a file whatever it is; the counts add up.
fn survives(name: &str, content: &[u8]) {
    for loaders in [
        Loaders::default(),
        Loaders::default()
            .with(Conversations::default().answering("Ann"))
            .with(Tweets::default().threads(true)),
    ] {
        let folder = folder(&[(name, content)]);
        if let Ok((_, counts)) = loaders.load_all(&[folder.path()], &OnError::Skip) {
            assert!(counts.balanced());
        }
    }
}

fn parsed(name: &str) -> Value {
    serde_json::from_slice(&slack()[name]).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn exports_of_a_wrong_shape_never_panic(chat in disturbed(&telegram()), day in disturbed(&parsed("general/2024-01-02.json")),
        users in disturbed(&parsed("users.json")), list in disturbed(&json!([tweet("3", "three https://t.co/a", Some("2")), tweet("2", "two", Some("3"))]))) {
        survives("result.json", chat.to_string().as_bytes());
        survives("tweets.js", &tweets(&list));
        let mut files = slack();
        files.insert("general/2024-01-02.json", day.to_string().into_bytes());
        files.insert("users.json", users.to_string().into_bytes());
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (*name, content.as_slice())).collect();
        let folder = folder(&files);
        if let Ok((_, counts)) = Loaders::default().load_all(&[folder.path()], &OnError::Skip) {
            prop_assert!(counts.balanced());
        }
    }

    #[test]
    fn chats_of_any_text_never_panic(text in "(\\[?[0-9]{1,4}[/.][0-9]{1,2}[/.][0-9]{1,4}[, ]{1,2}[0-9]{1,2}:[0-9]{2}[ \u{202f}]?[apAP]?[mM]?(\\]| -) (Ann|Bé): \\PC{0,9}\n?){1,6}") {
        survives("_chat.txt", text.as_bytes());
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        survives("_chat.txt", &[b"31/12/23, 10:00 - Ann: ", &bytes[..]].concat());
        survives("message_1.json", &[br#"{"participants": [{"name": "A"}], "messages": ["#, &bytes[..]].concat());
        survives("tweets.js", &[b"window.YTD.tweets.part0 =", &bytes[..]].concat());
    }
}
