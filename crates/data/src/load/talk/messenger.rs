//! Facebook's and Instagram's "Download your information", and the export of encrypted chats.

use std::path::Path;

use serde_json::Value;

use super::thread::{Message, Thread};
use super::{Export, broken, has_extension, list, siblings, text};
use crate::document::PlaceUnit;
use crate::error::Result;
use crate::load::outline::Outline;
use crate::load::packing::Packing;
use crate::load::time::Time;

const FORMAT: &str = "Messenger export";

pub(super) fn recognises(path: &Path, head: &[u8]) -> bool {
    if !has_extension(path, "json") {
        return false;
    }
    let outline = Outline::of(head);
    let sent = outline.has(&["messages[].sender_name", "messages[].timestamp_ms"]);
    let sealed = outline.has(&["participants", "messages[].senderName"])
        || outline.has(&["threadName", "messages[].senderName"]);
    // The participants of a large group fill the beginning.
    let numbered = number(path).is_some() && outline.has(&["participants[].name"]);
    sealed || (outline.has(&["participants"]) && sent) || numbered
}

/// The number in `message_1.json`.
fn number(path: &Path) -> Option<u64> {
    numbered(Packing::stem(path).file_name()?.to_str()?)
}

fn numbered(name: &str) -> Option<u64> {
    name.strip_prefix("message_")?
        .strip_suffix(".json")?
        .parse()
        .ok()
}

pub(super) fn read(path: &Path) -> Result<Export> {
    let files = match number(path) {
        Some(_) => siblings(path, numbered)?,
        None => vec![path.to_path_buf()],
    };
    if files.first().and_then(|file| file.file_name()) != path.file_name() {
        return Ok(Export::dropped(
            "part of a thread that its first file begins",
        ));
    }
    let mut export = Export::default();
    let mut thread = Thread {
        unit: PlaceUnit::Message,
        ..Thread::default()
    };
    for (path, mut value) in export.files(files) {
        let Some(messages) = value.get("messages").and_then(Value::as_array) else {
            return Err(broken(&path, FORMAT, "it has no list of messages"));
        };
        let sealed = messages.iter().any(|one| one.get("senderName").is_some());
        // Only these exports are broken; what stands in the others stands there on purpose.
        if !sealed {
            mend_all(&mut value);
        }
        let title = text(&value, "title").or_else(|| text(&value, "threadName"));
        thread.title = thread.title.or(title.map(str::to_owned));
        thread.id = thread.id.or(text(&value, "thread_path").map(str::to_owned));
        for (index, value) in list(&value, "messages").iter().enumerate() {
            let mut message = if sealed {
                sealed_message(value)
            } else {
                message(value)
            };
            message.path.clone_from(&path);
            message.place = index as u64 + 1;
            thread.messages.push(message);
        }
    }
    // The newest comes first in each file, and the newest file first: what has the same time stays in order.
    thread.messages.reverse();
    thread.messages.sort_by_key(|message| message.time);
    export.threads.push(thread);
    Ok(export)
}

/// Lists of a message whose items are counted, and what they are.
const ATTACHED: [(&str, &str); 6] = [
    ("photos", "photo"),
    ("videos", "video"),
    ("audio_files", "audio"),
    ("gifs", "picture"),
    ("files", "file"),
    ("reactions", "reaction"),
];

fn message(value: &Value) -> Message {
    let mut message = Message {
        name: text(value, "sender_name").unwrap_or("Unknown").to_owned(),
        time: value
            .get("timestamp_ms")
            .and_then(Value::as_i64)
            .and_then(Time::unix_milliseconds),
        ..Message::default()
    };
    let mut attached = false;
    for (name, kind) in ATTACHED {
        let count = list(value, name).len();
        attached |= count > 0 && name != "reactions";
        message.leave_out(kind, count as u64);
    }
    if value.get("sticker").is_some() {
        message.leave_out("sticker", 1);
    }
    let kind = text(value, "type").unwrap_or_default();
    let content = text(value, "content").unwrap_or_default();
    let shared = value.get("share");
    let link = shared.and_then(|share| text(share, "link"));
    if value.get("is_unsent").and_then(Value::as_bool) == Some(true) {
        message.leave_out("unsent", 1);
    } else if kind == "Call" || value.get("call_duration").is_some() {
        message.leave_out("call", 1);
    } else if matches!(kind, "Subscribe" | "Unsubscribe") {
        message.leave_out("member", 1);
    } else if is_reaction(content) {
        message.leave_out("reaction", 1);
    } else {
        let placeholder = (attached || link.is_some()) && is_placeholder(content);
        if !placeholder {
            content.clone_into(&mut message.text);
        }
        if let Some(link) = link.filter(|link| !content.contains(link)) {
            let gap = if message.text.is_empty() { "" } else { "\n" };
            message.text.extend([gap, link]);
        }
    }
    message.check_empty();
    message
}

/// Instagram writes reactions as messages.
fn is_reaction(content: &str) -> bool {
    content == "Liked a message"
        || (content.starts_with("Reacted ") && content.trim_end().ends_with("to your message"))
}

/// What stands in the place of something attached: `Ann sent an attachment.`
fn is_placeholder(content: &str) -> bool {
    let kinds = [
        "attachment",
        "photo",
        "video",
        "link",
        "GIF",
        "file",
        "voice message",
    ];
    !content.contains('\n')
        && kinds.iter().any(|kind| {
            content.ends_with(&format!(" sent an {kind}."))
                || content.ends_with(&format!(" sent a {kind}."))
        })
}

/// A message of an encrypted chat's export.
fn sealed_message(value: &Value) -> Message {
    let mut message = Message {
        name: text(value, "senderName").unwrap_or("Unknown").to_owned(),
        time: value
            .get("timestamp")
            .and_then(Value::as_i64)
            .and_then(Time::unix_milliseconds),
        ..Message::default()
    };
    for (name, kind) in [("media", "media"), ("reactions", "reaction")] {
        let count = list(value, name).len();
        message.leave_out(kind, count as u64);
    }
    if value.get("isUnsent").and_then(Value::as_bool) == Some(true) {
        message.leave_out("unsent", 1);
    } else if text(value, "type") == Some("placeholder") {
        message.leave_out("placeholder", 1);
    } else if let Some(content) = text(value, "text") {
        content.clone_into(&mut message.text);
    }
    message.check_empty();
    message
}

/// Mends every text of a value.
fn mend_all(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(mended) = mend(text) {
                *text = mended;
            }
        }
        Value::Array(values) => values.iter_mut().for_each(mend_all),
        Value::Object(fields) => fields.values_mut().for_each(mend_all),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The text whose UTF-8 bytes were written as one character each; `None` unless all of it can be that.
fn mend(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> = text
        .chars()
        .map(|character| u8::try_from(u32::from(character)).ok())
        .collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn broken(text: &str) -> String {
        text.bytes().map(char::from).collect()
    }

    #[test]
    fn only_what_is_broken_is_mended() {
        let cases = [
            ("Ã©tÃ©", Some("été")),
            ("\u{f0}\u{9f}\u{98}\u{80}", Some("😀")),
            ("plain", None),
            // A lone é is no UTF-8, and what lies beyond a byte was never broken.
            ("été", None),
            ("Ã©tÃ© – 😀", None),
            ("\u{f0}\u{9f}\u{98}", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(mend(text).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_broken_text_is_mended_exactly(text in "\\PC{0,20}") {
            let expected = (!text.is_ascii()).then_some(text.clone());
            prop_assert_eq!(mend(&broken(&text)), expected);
        }
    }
}
