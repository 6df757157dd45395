//! Slack's export: a folder with the lists of people and channels, and a folder of days per channel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::slack_names::Names;
use super::thread::{Message, Thread};
use super::{Export, HEAD, broken, has_extension, siblings, text};
use crate::document::PlaceUnit;
use crate::error::Result;
use crate::load::outline::Outline;
use crate::load::packing::Packing;
use crate::load::time::Time;
use crate::load::whole;

const FORMAT: &str = "Slack export";
const USERS: &str = "users.json";
/// The lists beside the folders of channels.
const LISTS: [&str; 10] = [
    USERS,
    "canvases.json",
    "channels.json",
    "dms.json",
    "file_conversations.json",
    "groups.json",
    "integration_logs.json",
    "lists.json",
    "mpims.json",
    "org_users.json",
];

pub(super) fn recognises(path: &Path, head: &[u8]) -> bool {
    if !has_extension(path, "json") {
        return false;
    }
    let name = path.file_name().and_then(|name| name.to_str());
    if name == Some(USERS) {
        return has_users(head);
    }
    if name.is_some_and(|name| LISTS.contains(&name)) {
        return are_users(&path.with_file_name(USERS));
    }
    is_day(path) && users(path).is_some_and(|users| are_users(&users))
}

/// Whether the beginning of a list is that of a workspace's people.
fn has_users(head: &[u8]) -> bool {
    Outline::of(head).has(&["[].id", "[].team_id", "[].profile"])
}

fn are_users(path: &Path) -> bool {
    path.is_file() && has_users(&whole::head(path, HEAD))
}

/// The list of people of the export that a day belongs to.
fn users(path: &Path) -> Option<PathBuf> {
    Some(path.parent()?.parent()?.join(USERS))
}

fn is_day(path: &Path) -> bool {
    let stem = Packing::stem(path);
    stem.file_name()
        .and_then(|name| day(name.to_str()?))
        .is_some()
}

/// The day in `2024-01-02.json`.
fn day(name: &str) -> Option<String> {
    let day = name.strip_suffix(".json")?;
    Time::iso(&format!("{day}T00:00:00"))?;
    Some(day.to_owned())
}

pub(super) fn read(path: &Path) -> Result<Export> {
    if !is_day(path) {
        return Ok(Export::dropped("list of an export's people and channels"));
    }
    let days = siblings(path, day)?;
    if days.first().and_then(|day| day.file_name()) != path.file_name() {
        return Ok(Export::dropped(
            "day of a channel that its first day begins",
        ));
    }
    let names = match users(path) {
        Some(users) => Names::of(&whole::json(&users, whole::EXPORT_LIMIT)?.1),
        None => Names::default(),
    };
    let mut export = Export::default();
    let mut messages = Vec::new();
    for (path, value) in export.files(days) {
        let Value::Array(values) = value else {
            return Err(broken(&path, FORMAT, "a day is no list of messages"));
        };
        for (index, value) in values.iter().enumerate() {
            let mut message = names.message(value);
            message.path.clone_from(&path);
            message.place = index as u64 + 1;
            let thread = text(value, "thread_ts").map(str::to_owned);
            messages.push((thread, message));
        }
    }
    let channel = path.parent().and_then(Path::file_name);
    let channel = channel.map(|name| format!("#{}", name.to_string_lossy()));
    export.threads = threads(messages, channel.as_deref());
    Ok(export)
}

/// The channel without what is said in threads, and the threads, in the order of their first messages.
fn threads(messages: Vec<(Option<String>, Message)>, channel: Option<&str>) -> Vec<Thread> {
    let mut sizes: BTreeMap<String, usize> = BTreeMap::new();
    for thread in messages.iter().filter_map(|(thread, _)| thread.as_ref()) {
        *sizes.entry(thread.clone()).or_default() += 1;
    }
    // A thread whose answers all lie elsewhere is a message of the channel.
    let inside = |thread: &Option<String>| thread.clone().filter(|thread| sizes[thread] > 1);
    let mut grouped: BTreeMap<Option<String>, Vec<Message>> = BTreeMap::new();
    for (thread, message) in messages {
        grouped.entry(inside(&thread)).or_default().push(message);
    }
    let threads = grouped.into_iter().map(|(thread, mut messages)| {
        messages.sort_by_key(|message| message.time);
        Thread {
            title: channel.map(str::to_owned),
            whole: thread.is_some(),
            fields: thread
                .iter()
                .map(|_| ("section".to_owned(), json!("thread")))
                .collect(),
            id: thread,
            unit: PlaceUnit::Message,
            messages,
        }
    });
    threads.collect()
}
