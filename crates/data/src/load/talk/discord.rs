//! Discord: the JSON of `DiscordChatExporter`, and the messages of a data package.

use std::path::Path;

use serde_json::Value;

use super::thread::{Message, Thread};
use super::{Export, broken, has_extension, id, list, text};
use crate::document::{Load, PlaceUnit, Record};
use crate::error::Result;
use crate::load::Csv;
use crate::load::outline::Outline;
use crate::load::time::Time;
use crate::load::whole::{EXPORT_LIMIT, json};

const FORMAT: &str = "Discord export";
/// The columns of a data package's messages, in JSON and in CSV.
const PACKAGE: [&str; 3] = ["[].ID", "[].Timestamp", "[].Contents"];
const COLUMNS: &[u8] = b"ID,Timestamp,Contents,Attachments";

pub(super) fn recognises(path: &Path, head: &[u8]) -> bool {
    if has_extension(path, "csv") {
        return head.starts_with(COLUMNS);
    }
    if !has_extension(path, "json") {
        return false;
    }
    let outline = Outline::of(head);
    is_exporters(&outline) || outline.has(&PACKAGE) || is_channel(path, &outline)
}

fn is_exporters(outline: &Outline) -> bool {
    outline.has(&["guild.id", "channel.id", "channel.type", "messages"])
        || outline.has(&["guild.id", "channel.id", "dateRange", "exportedAt"])
}

/// The description of a package's channel, which lies beside its messages.
fn is_channel(path: &Path, outline: &Outline) -> bool {
    let beside = |name: &str| path.with_file_name(name).is_file();
    path.file_name().is_some_and(|name| name == "channel.json")
        && outline.has(&["id", "type"])
        && (beside("messages.json") || beside("messages.csv"))
}

pub(super) fn read(path: &Path) -> Result<Export> {
    if has_extension(path, "csv") {
        return table(path);
    }
    let (records, value) = json(path, EXPORT_LIMIT)?;
    let mut export = Export {
        records,
        threads: Vec::new(),
    };
    match &value {
        Value::Array(values) => {
            let me = owner(path);
            let messages = values.iter().map(|value| own(value, &me));
            let thread = package(path, messages.collect());
            export.threads.push(thread);
        }
        value if value.get("messages").and_then(Value::as_array).is_some() => {
            export.threads.push(exported(value, path));
        }
        _ if path.file_name().is_some_and(|name| name == "channel.json") => {
            let list = Record::dropped("list of an export's people and channels");
            export.records.push(list);
        }
        _ => return Err(broken(path, FORMAT, "it has no list of messages")),
    }
    Ok(export)
}

/// A channel as the exporter writes it.
fn exported(value: &Value, path: &Path) -> Thread {
    let part = |name: &str| value.get(name).unwrap_or(&Value::Null);
    let channel = part("channel");
    let messages = list(value, "messages").iter().map(exported_message);
    let name = text(channel, "name").unwrap_or_default();
    let title = match text(part("guild"), "name") {
        Some(guild) if guild != "Direct Messages" => format!("{guild} #{name}"),
        _ => name.to_owned(),
    };
    Thread {
        title: Some(title),
        id: id(channel, "id"),
        ..placed(path, messages.collect())
    }
}

/// Messages with their places, in the order of time.
fn placed(path: &Path, mut messages: Vec<Message>) -> Thread {
    for (message, place) in messages.iter_mut().zip(1..) {
        message.path = path.to_path_buf();
        message.place = place;
    }
    messages.sort_by_key(|message| message.time);
    Thread {
        unit: PlaceUnit::Message,
        messages,
        ..Thread::default()
    }
}

fn exported_message(value: &Value) -> Message {
    let author = value.get("author").unwrap_or(&Value::Null);
    let reference = value.get("reference").unwrap_or(&Value::Null);
    let mut message = Message {
        name: text(author, "nickname")
            .or_else(|| text(author, "name"))
            .unwrap_or("Deleted User")
            .to_owned(),
        time: text(value, "timestamp").and_then(Time::iso),
        id: id(value, "id"),
        reply_to: id(reference, "messageId"),
        ..Message::default()
    };
    let kind = text(value, "type").unwrap_or("Default");
    if author.get("isBot").and_then(Value::as_bool) == Some(true) {
        message.leave_out("bot", 1);
    } else if !matches!(kind, "Default" | "Reply" | "0" | "19") {
        message.leave_out("service", 1);
    } else {
        let content = value.get("content").and_then(Value::as_str);
        message.text = resolved(content.unwrap_or_default(), list(value, "mentions"));
    }
    for (name, kind) in [
        ("attachments", "file"),
        ("stickers", "sticker"),
        ("embeds", "preview"),
    ] {
        message.leave_out(kind, list(value, name).len() as u64);
    }
    for reaction in list(value, "reactions") {
        let count = reaction.get("count").and_then(Value::as_u64);
        message.leave_out("reaction", count.unwrap_or(1));
    }
    message.check_empty();
    message
}

/// The text with the marks of people and emoji resolved, as the exporter does unless it was told not to.
fn resolved(content: &str, mentions: &[Value]) -> String {
    let mut shown = String::new();
    let mut rest = content;
    while let Some((before, marked)) = rest.split_once('<') {
        shown.push_str(before);
        let mark = marked.split_once('>').and_then(|(mark, after)| {
            let user = mark
                .strip_prefix('@')
                .map(|user| user.trim_start_matches('!'));
            let mention = user.and_then(|user| {
                let known = mentions.iter().find(|one| text(one, "id") == Some(user))?;
                let name = text(known, "nickname").or_else(|| text(known, "name"))?;
                Some(format!("@{name}"))
            });
            Some((mention.or_else(|| emoji(mark))?, after))
        });
        if let Some((mark, after)) = mark {
            shown += &mark;
            rest = after;
        } else {
            shown.push('<');
            rest = marked;
        }
    }
    shown + rest
}

/// `:name:` of `<:name:123>` or `<a:name:123>`.
fn emoji(mark: &str) -> Option<String> {
    let (name, number) = mark
        .trim_start_matches('a')
        .strip_prefix(':')?
        .split_once(':')?;
    let good = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| format!(":{name}:"))
}

/// The messages of a package's channel: those of its owner alone.
fn package(path: &Path, messages: Vec<Message>) -> Thread {
    let channel = json(&path.with_file_name("channel.json"), EXPORT_LIMIT);
    let channel = channel.map_or(Value::Null, |(_, value)| value);
    let guild = channel.get("guild").unwrap_or(&Value::Null);
    let title = match (text(guild, "name"), text(&channel, "name")) {
        (Some(guild), Some(name)) => Some(format!("{guild} #{name}")),
        (guild, name) => name.or(guild).map(str::to_owned),
    };
    Thread {
        title,
        id: id(&channel, "id"),
        ..placed(path, messages)
    }
}

/// The name of a package's owner, who wrote all of its messages.
fn owner(path: &Path) -> String {
    let user = path
        .ancestors()
        .nth(3)
        .map(|folder| folder.join("account/user.json"));
    let user = user.and_then(|user| json(&user, EXPORT_LIMIT).ok());
    let user = user.map_or(Value::Null, |(_, value)| value);
    let name = text(&user, "global_name").or_else(|| text(&user, "username"));
    name.unwrap_or("me").to_owned()
}

fn own(value: &Value, me: &str) -> Message {
    let mut message = Message {
        name: me.to_owned(),
        text: text(value, "Contents").unwrap_or_default().to_owned(),
        time: text(value, "Timestamp").and_then(Time::iso),
        id: id(value, "ID"),
        ..Message::default()
    };
    let files = text(value, "Attachments").map_or(0, |links| links.split_whitespace().count());
    message.leave_out("file", files as u64);
    message.check_empty();
    message
}

/// An older package's messages, a table.
fn table(path: &Path) -> Result<Export> {
    let me = owner(path);
    let mut export = Export::default();
    let mut messages = Vec::new();
    for record in Csv::default().records(path)? {
        match record.and_then(Record::document) {
            Ok(Some(row)) => {
                messages.push(own(&Value::Object(row.fields.into_iter().collect()), &me));
            }
            Ok(None) => {}
            Err(error) => export.records.push(Record::ready(Err(error))),
        }
    }
    export.threads.push(package(path, messages));
    Ok(export)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn marks_are_resolved() {
        let mentions = [json!({"id": "7", "name": "bob", "nickname": "Bob"})];
        let cases = [
            ("hi <@7> <@!7>", "hi @Bob @Bob"),
            ("<@8> a < b", "<@8> a < b"),
            ("<:smile:12> <a:wave:3> <b:x:3>", ":smile: :wave: <b:x:3>"),
            ("<https://a.b>", "<https://a.b>"),
            ("<", "<"),
        ];
        for (text, expected) in cases {
            assert_eq!(resolved(text, &mentions), expected, "{text}");
        }
    }
}
