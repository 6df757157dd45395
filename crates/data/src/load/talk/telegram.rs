//! Telegram's `result.json`, of one chat or of all.

use std::path::Path;

use serde_json::Value;

use super::thread::{Message, Thread};
use super::{Export, broken, has_extension, id, list, text};
use crate::document::PlaceUnit;
use crate::error::Result;
use crate::load::outline::Outline;
use crate::load::time::Time;
use crate::load::whole::{EXPORT_LIMIT, json};

const FORMAT: &str = "Telegram export";

pub(super) fn recognises(path: &Path, head: &[u8]) -> bool {
    if !has_extension(path, "json") {
        return false;
    }
    let outline = Outline::of(head);
    let message = ["id", "type", "date"];
    let under = |list: &str| {
        let paths = message.map(|name| format!("{list}{name}"));
        outline.has(&paths.each_ref().map(String::as_str))
    };
    let chat = outline.has(&["name", "type", "id"]) && under("messages[].");
    let all = outline.has(&["about", "personal_information"])
        || under("chats.list[].messages[].")
        || outline.has(&["about", "chats.about", "chats.list"]);
    chat || all
}

pub(super) fn read(path: &Path) -> Result<Export> {
    let (records, value) = json(path, EXPORT_LIMIT)?;
    let mut export = Export {
        records,
        threads: Vec::new(),
    };
    if value.get("messages").is_some() {
        export.threads.push(chat(&value, path, &mut 0));
        return Ok(export);
    }
    let groups = ["chats", "left_chats"];
    if groups.iter().all(|name| value.get(name).is_none()) {
        return Err(broken(path, FORMAT, "it has neither messages nor chats"));
    }
    let groups = groups.iter().filter_map(|name| value.get(name));
    // Places count on over the chats of the file.
    let mut place = 0;
    for value in groups.flat_map(|group| list(group, "list")) {
        export.threads.push(chat(value, path, &mut place));
    }
    Ok(export)
}

fn chat(value: &Value, path: &Path, place: &mut u64) -> Thread {
    let messages = list(value, "messages").iter().map(|value| {
        *place += 1;
        Message {
            path: path.to_path_buf(),
            place: *place,
            ..message(value)
        }
    });
    let mut messages: Vec<Message> = messages.collect();
    messages.sort_by_key(|message| message.time);
    Thread {
        title: text(value, "name").map(str::to_owned),
        id: id(value, "id"),
        unit: PlaceUnit::Message,
        messages,
        ..Thread::default()
    }
}

/// Names of what a message may carry, and what it is.
const ATTACHED: [(&str, &str); 8] = [
    ("photo", "photo"),
    ("file", "file"),
    ("poll", "poll"),
    ("contact_information", "contact"),
    ("location_information", "location"),
    ("game_title", "game"),
    ("invoice_information", "invoice"),
    ("giveaway_information", "giveaway"),
];

fn message(value: &Value) -> Message {
    let seconds = text(value, "date_unixtime").and_then(|text| text.parse::<i64>().ok());
    let unix = seconds
        .and_then(|seconds| seconds.checked_mul(1000))
        .and_then(Time::unix_milliseconds);
    let mut message = Message {
        name: text(value, "from")
            .or_else(|| text(value, "from_id"))
            .unwrap_or("Deleted Account")
            .to_owned(),
        time: unix.or_else(|| text(value, "date").and_then(Time::iso)),
        id: id(value, "id"),
        reply_to: id(value, "reply_to_message_id"),
        forwarded_from: id(value, "forwarded_from"),
        ..Message::default()
    };
    if text(value, "type") != Some("message") {
        message.leave_out("service", 1);
        return message;
    }
    for (name, kind) in ATTACHED {
        if value.get(name).is_some_and(|value| !value.is_null()) {
            let kind = match (name, text(value, "media_type")) {
                ("file", Some("sticker")) => "sticker",
                ("file", Some("voice_message" | "audio_file")) => "audio",
                ("file", Some("video_file" | "video_message")) => "video",
                ("file", Some("animation")) => "picture",
                _ => kind,
            };
            message.leave_out(kind, 1);
        }
    }
    for reaction in list(value, "reactions") {
        let count = reaction.get("count").and_then(Value::as_u64).unwrap_or(1);
        message.leave_out("reaction", count);
    }
    message.text = value.get("text").map(rich).unwrap_or_default();
    message.check_empty();
    message
}

/// A text, or a list of texts and of entities that hold one.
fn rich(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(rich).collect(),
        Value::Object(_) => {
            let shown = value
                .get("text")
                .and_then(Value::as_str)
                .unwrap_or_default();
            match text(value, "href") {
                Some(link) if link != shown => format!("{shown} ({link})"),
                _ => shown.to_owned(),
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}
