//! `WhatsApp`'s "Export chat", of Android and iOS.

use std::path::Path;

use serde_json::json;

use super::thread::{Message, Thread};
use super::whatsapp_lines::{Head, Heads, custom, decide, is_mark};
use super::{Export, broken, has_extension};
use crate::document::PlaceUnit;
use crate::error::Result;
use crate::load::packing::Packing;
use crate::load::sniff::Format;
use crate::load::whole::{DOCUMENT_LIMIT, noted};

const FORMAT: &str = "WhatsApp chat";

/// The name must be that of an export: the logs of many programs begin their lines alike.
pub(super) fn recognises(path: &Path, head: &[u8]) -> bool {
    let stem = Packing::stem(path);
    let name = stem
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let named = name == "_chat.txt" || name.contains("whatsapp");
    let head = String::from_utf8_lossy(head);
    let first = head.lines().find(|line| !line.trim().is_empty());
    has_extension(path, "txt") && named && first.is_some_and(|line| Heads::new().of(line).is_some())
}

pub(super) fn read(path: &Path) -> Result<Export> {
    let (records, text) = noted(path, Format::Text, DOCUMENT_LIMIT)?;
    let heads = Heads::new();
    let lines: Vec<(&str, Option<Head>)> = text
        .split('\n')
        .map(|line| (line, heads.of(line)))
        .collect();
    let found: Vec<&Head> = lines.iter().filter_map(|(_, head)| head.as_ref()).collect();
    let slashes = lines.iter().any(|(line, head)| {
        head.as_ref()
            .is_some_and(|head| line[..head.text].contains('/'))
    });
    let decided = decide(&found, custom(&found, slashes));
    let marked = lines
        .iter()
        .any(|(line, head)| head.is_some() && line.trim_start_matches(is_mark).starts_with('['));
    let mut messages: Vec<Message> = Vec::new();
    for ((line, head), place) in lines.iter().zip(1..) {
        let begins = head
            .as_ref()
            .and_then(|head| Some((head, head.time(decided.order)?)));
        if let Some((head, time)) = begins {
            messages.push(Message {
                text: line[head.text..].to_owned(),
                time: Some(time),
                path: path.to_path_buf(),
                place,
                ..Message::default()
            });
        } else if let Some(message) = messages.last_mut() {
            message.text.push('\n');
            message.text.push_str(line);
        } else if !line.trim().is_empty() {
            return Err(broken(path, FORMAT, "its first line begins no message"));
        }
    }
    let mut thread = Thread {
        title: title(path),
        unit: PlaceUnit::Line,
        messages: messages
            .into_iter()
            .map(|message| told_apart(message, marked))
            .collect(),
        ..Thread::default()
    };
    let order = json!(decided.name());
    thread.fields.insert("dates".into(), order);
    Ok(Export {
        records,
        threads: vec![thread],
    })
}

/// The name of the chat, from that of the file or of its folder.
fn title(path: &Path) -> Option<String> {
    let stem = Packing::stem(path).with_extension("");
    let name = stem.file_name()?.to_str()?;
    let folder = path.parent().and_then(Path::file_name);
    let name = match name {
        "_chat" => folder?.to_str()?,
        name => name,
    };
    let ways = [
        "WhatsApp Chat with ",
        "WhatsApp Chat - ",
        "WhatsApp-Chat mit ",
        "Chat de WhatsApp con ",
        "Conversa do WhatsApp com ",
        "Discussion WhatsApp avec ",
        "Chat WhatsApp con ",
        "WhatsApp-chat met ",
    ];
    let title = ways.iter().find_map(|way| name.strip_prefix(way))?;
    Some(title.to_owned())
}

/// Splits a message into who and what, and tells text from what the app wrote in its place. `marked` says that the app
/// marks what it wrote: iOS does, whose lines begin with `[`. Elsewhere the mark is somebody's own, who writes from right
/// to left.
fn told_apart(mut message: Message, marked: bool) -> Message {
    let whole = std::mem::take(&mut message.text);
    let Some((name, text)) = said(&whole) else {
        message.leave_out("service", 1);
        return message;
    };
    message.name = name;
    // The app's lines about a chat stand under the chat's name.
    let by_app = marked && text.starts_with('\u{200e}');
    let text = text.trim_matches(|character: char| is_mark(character) || character.is_whitespace());
    let (first, caption) = text.split_once('\n').unwrap_or((text, ""));
    if let Some(kind) = placeholder(first, by_app) {
        message.leave_out(kind, 1);
        // Under a picture there may be words of the one who sent it.
        message.text = tidy(caption);
    } else {
        message.text = tidy(text);
    }
    message.check_empty();
    message
}

/// Name and text, if somebody says it.
fn said(whole: &str) -> Option<(String, &str)> {
    let first = whole.lines().next().unwrap_or_default();
    // A message may be empty, and its line then ends behind the colon.
    let (name, length) = match first.split_once(": ") {
        Some((name, _)) => (name, name.len() + 2),
        None => (first.strip_suffix(':')?, first.len()),
    };
    let name: String = name
        .chars()
        .filter(|character| !is_mark(*character))
        .collect();
    // Somebody who is not among the phone's contacts.
    let name = name.trim().trim_start_matches('~').trim();
    // Sentences of the app about a subject or a description hold quotes, and no name is that long.
    let sentence = name.contains(['"', '“', '”', '«', '„']) || name.chars().count() > 60;
    (!name.is_empty() && !sentence).then(|| (name.to_owned(), &whole[length..]))
}

/// What stands in place of a message that was taken back.
const UNSENT: [&str; 8] = [
    "this message was deleted",
    "you deleted this message",
    "diese nachricht wurde gelöscht",
    "du hast diese nachricht gelöscht",
    "eliminaste este mensaje",
    "se eliminó este mensaje",
    "ce message a été supprimé",
    "mensagem apagada",
];

/// What a line stands for, if the app wrote it in the place of something.
fn placeholder(line: &str, by_app: bool) -> Option<&'static str> {
    let unmarked: String = line
        .chars()
        .filter(|character| !is_mark(*character))
        .collect();
    let line = unmarked.trim();
    let lower = line.to_lowercase();
    let bracketed = line.starts_with('<') && line.ends_with('>') && line.chars().count() <= 60;
    // `IMG-20240102-WA0001.jpg (file attached)`, in any language.
    let attached = line.ends_with(')')
        && line.split_once(" (").is_some_and(|(name, _)| {
            let (stem, extension) = name.rsplit_once('.').unwrap_or_default();
            !stem.is_empty()
                && (2..=5).contains(&extension.len())
                && extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        });
    if UNSENT.contains(&lower.trim_end_matches('.')) {
        Some("unsent")
    } else if bracketed || attached || lower == "null" {
        Some("media")
    } else if by_app {
        let media = line.ends_with("omitted") || line.ends_with('>');
        Some(if media { "media" } else { "service" })
    } else {
        None
    }
}

/// The text without marks at its ends and without the note that it was edited.
fn tidy(text: &str) -> String {
    const EDITED: [&str; 4] = [
        "<This message was edited>",
        "<Diese Nachricht wurde bearbeitet.>",
        "<Se editó este mensaje.>",
        "<Ce message a été modifié>",
    ];
    let blank = |character: char| is_mark(character) || character.is_whitespace();
    let text = text.trim_matches(blank);
    let edited = EDITED.iter().find_map(|note| text.strip_suffix(note));
    edited.unwrap_or(text).trim_matches(blank).to_owned()
}
