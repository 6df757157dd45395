//! Exports of messengers: one loader, one way from messages to documents, and a file per service.

mod discord;
mod messenger;
mod slack;
mod slack_names;
mod telegram;
mod thread;
mod whatsapp;
mod whatsapp_lines;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::whole;
use crate::document::{Documents, Load, Record, Records, documents};
use crate::error::{DataError, Place, Result};
use thread::Thread;

/// Loads what people wrote to each other, as the messengers export it:
///
/// | service | files |
/// |---|---|
/// | Facebook, Instagram | `message_1.json` and its kin of a thread's folder, and the files of encrypted chats |
/// | `WhatsApp` | `_chat.txt` of iOS, `WhatsApp Chat with X.txt` of Android |
/// | Telegram | `result.json`, of one chat or of all |
/// | Slack | the folder with `users.json` and a folder per channel |
/// | Discord | `DiscordChatExporter`'s JSON; `messages.json` or `messages.csv` of a data package |
///
/// They are recognised by their beginnings and names; no extension belongs to this loader. Where a thread lies in
/// several files, the first of them (by its number or day) stands for all: they are joined in the order of time, and
/// the others are counted as dropped.
///
/// A document is a stretch of a thread without a long pause ([`Conversations::pause`]), or a Slack thread. Its text
/// is the transcript, `Name: text`; its place is the first message's. Fields: `kind` (`conversation`), `service`,
/// `title`, `id`, `participants` (who speaks in it, in order of appearance), `date` (of its first message; with `Z` if
/// it is in UTC, else by the clock of whoever exported), `messages` (a list of `role`, `content`, `name`, `time`, and
/// `id`, `reply_to` and `forwarded_from` where there are such), `dates` (of `WhatsApp`: whether the day or the month came
/// first), and `left_out`: how many photos, reactions, calls, unsent messages, arrivals and the like stand in this
/// stretch of the thread without being text. A stretch without text is dropped, and counted.
///
/// Without [`Conversations::answering`] every message has the role `user`, and a chat's mapping refuses the document:
/// nobody said who is to be learned.
///
/// ```
/// use finetune_data::load::Conversations;
/// use finetune_data::mapping::AnyChat;
/// use finetune_data::{Loaders, OnError};
///
/// # fn main() -> finetune_data::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let file = folder.path().join("_chat.txt");
/// # std::fs::write(&file, "[31/12/2023, 23:58:01] Ann: Soon!\n[31/12/2023, 23:59:07] Bob: Ready?\n\
/// #     [31/12/2023, 23:59:31] Ann: Yes.\n[31/12/2023, 23:59:40] Ann: Go!\n").unwrap();
/// let loaders = Loaders::default().with(Conversations::default().answering("Ann"));
/// let (chats, _) = loaders.examples(&[file], &OnError::Stop, &AnyChat::Detect)?;
/// assert_eq!(chats[0].question(), "Ready?");
/// assert_eq!(chats[0].answer(), Some("Yes.\nGo!"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversations {
    /// A pause longer than this ends a document; without it a thread is one document, however long. 8 hours by
    /// default: years of messages are no unit to learn, and the sense of most answers lies within the day.
    pub pause: Option<Duration>,
    /// Who is to be learned, by the name in the export.
    pub answering: Option<String>,
}

impl Default for Conversations {
    fn default() -> Self {
        Self {
            pause: Some(Duration::from_hours(8)),
            answering: None,
        }
    }
}

impl Conversations {
    /// Whose messages become the assistant's; everybody else is the user.
    ///
    /// The messages of a side that follow each other are joined with line ends. Where several people are the user,
    /// their messages begin with their names. What stands before the first question or behind the last answer is not in `messages`,
    /// and counted in `left_out`. A stretch in which the assistant answers nothing is dropped, and counted.
    pub fn answering(mut self, name: impl Into<String>) -> Self {
        self.answering = Some(name.into());
        self
    }

    /// The pause that ends a document; `None` makes a document of each thread.
    pub fn pause(mut self, pause: Option<Duration>) -> Self {
        self.pause = pause;
        self
    }
}

impl Load for Conversations {
    fn extensions(&self) -> &[&str] {
        &[]
    }

    fn recognises(&self, path: &Path, head: &[u8]) -> bool {
        service(path, head).is_some()
    }

    fn whole(&self) -> bool {
        true
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let Some(service) = service(path, &whole::head(path, HEAD)) else {
            super::file::regular(path)?;
            return Err(DataError::WrongFormat {
                place: Place::file(path),
                found: "another file",
                expected: "an export of Messenger, WhatsApp, Telegram, Slack or Discord",
                hint: "Keep the names that the export gave its files and folders".into(),
            });
        };
        let Export { records, threads } = (service.read)(path)?;
        let settings = self.clone();
        let kept = threads
            .into_iter()
            .flat_map(move |thread| thread.records(service.name, &settings));
        Ok(Box::new(records.into_iter().chain(kept).map(Ok)))
    }
}

const HEAD: usize = 4 << 10;

/// A kind of export.
struct Service {
    name: &'static str,
    recognises: fn(&Path, &[u8]) -> bool,
    read: fn(&Path) -> Result<Export>,
}

const SERVICES: [Service; 5] = [
    Service {
        name: "messenger",
        recognises: messenger::recognises,
        read: messenger::read,
    },
    Service {
        name: "whatsapp",
        recognises: whatsapp::recognises,
        read: whatsapp::read,
    },
    Service {
        name: "telegram",
        recognises: telegram::recognises,
        read: telegram::read,
    },
    Service {
        name: "slack",
        recognises: slack::recognises,
        read: slack::read,
    },
    Service {
        name: "discord",
        recognises: discord::recognises,
        read: discord::read,
    },
];

fn service(path: &Path, head: &[u8]) -> Option<&'static Service> {
    SERVICES
        .iter()
        .find(|service| (service.recognises)(path, head))
}

/// What is in a file.
#[derive(Default)]
struct Export {
    /// Notes, broken files of a thread, and what is no conversation.
    records: Vec<Record>,
    threads: Vec<Thread>,
}

impl Export {
    /// A file that is no conversation, or is read with another one.
    fn dropped(reason: &'static str) -> Self {
        Self {
            records: vec![Record::dropped(reason)],
            threads: Vec::new(),
        }
    }

    /// Reads JSON files that belong together; one that is broken becomes a broken record, and the others are kept.
    /// Their limit is one for all.
    fn files(&mut self, paths: Vec<PathBuf>) -> Vec<(PathBuf, Value)> {
        let mut limit = whole::EXPORT_LIMIT;
        let mut values = Vec::new();
        for path in paths {
            match whole::json(&path, limit) {
                Ok((notes, value)) => {
                    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
                    limit.bytes = limit.bytes.saturating_sub(size);
                    self.records.extend(notes);
                    values.push((path, value));
                }
                Err(error) => self.records.push(Record::ready(Err(error))),
            }
        }
        values
    }
}

/// Whether a path has this extension, below that of a packing.
fn has_extension(path: &Path, extension: &str) -> bool {
    let stem = super::packing::Packing::stem(path);
    stem.extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// The files beside a file whose names, without that of a packing, `key` knows, in the order of their keys.
fn siblings<K: Ord>(path: &Path, key: impl Fn(&str) -> Option<K>) -> Result<Vec<PathBuf>> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let failed = |error| super::file::input(folder, "list", error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let stem = super::packing::Packing::stem(Path::new(&name));
        if let Some(key) = stem.to_str().and_then(&key) {
            found.push((key, path.with_file_name(&name)));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The error for a file that lacks what its format has.
fn broken(path: &Path, format: &'static str, message: &str) -> DataError {
    DataError::Broken {
        place: Place::file(path),
        format,
        message: message.into(),
        hint: "Export it again",
    }
}

/// The list under a name, empty if there is none.
fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// The text under a name, if it says something.
fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.trim().is_empty())
}

/// The text or the number under a name, as text.
fn id(value: &Value, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
