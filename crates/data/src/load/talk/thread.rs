//! From messages to documents, for all services.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::Conversations;
use crate::document::{Document, Fields, Origin, PlaceUnit, Record};
use crate::load::time::Time;

/// Messages that belong together, in the order of time.
#[derive(Default)]
pub(super) struct Thread {
    pub(super) title: Option<String>,
    pub(super) id: Option<String>,
    /// A document, however long its pauses are.
    pub(super) whole: bool,
    pub(super) unit: PlaceUnit,
    pub(super) messages: Vec<Message>,
    /// More fields of every document.
    pub(super) fields: Fields,
}

/// What one person sent at one time.
#[derive(Default)]
pub(super) struct Message {
    pub(super) name: String,
    /// Empty if nothing of it is text.
    pub(super) text: String,
    pub(super) time: Option<Time>,
    pub(super) path: PathBuf,
    pub(super) place: u64,
    pub(super) id: Option<String>,
    pub(super) reply_to: Option<String>,
    pub(super) forwarded_from: Option<String>,
    /// What it holds beside the text, and how many of it.
    pub(super) left_out: Vec<(&'static str, u64)>,
}

const UNASKED: &str = "answers before the first question";
const UNANSWERED: &str = "questions without an answer";

impl Message {
    /// Counts what is not text.
    pub(super) fn leave_out(&mut self, kind: &'static str, count: u64) {
        if count > 0 {
            self.left_out.push((kind, count));
        }
    }

    /// Counts a message that holds nothing at all.
    pub(super) fn check_empty(&mut self) {
        if !self.says_something() && self.left_out.is_empty() {
            self.leave_out("empty", 1);
        }
    }

    fn says_something(&self) -> bool {
        !self.text.trim().is_empty()
    }
}

impl Thread {
    /// The documents of the thread.
    pub(super) fn records(self, service: &'static str, settings: &Conversations) -> Vec<Record> {
        if self.messages.is_empty() {
            return vec![Record::dropped("conversation without messages")];
        }
        let pause = settings.pause.filter(|_| !self.whole);
        let pause = pause.map(|pause| i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        let apart = |before: &Message, after: &Message| match (before.time, after.time, pause) {
            (Some(before), Some(after), Some(pause)) => {
                after.milliseconds.saturating_sub(before.milliseconds) > pause
            }
            _ => false,
        };
        let stretches = self
            .messages
            .chunk_by(|before, after| !apart(before, after));
        stretches
            .map(|stretch| self.record(stretch, service, settings.answering.as_deref()))
            .collect()
    }

    fn record(&self, stretch: &[Message], service: &str, answering: Option<&str>) -> Record {
        let said: Vec<&Message> = stretch.iter().filter(|one| one.says_something()).collect();
        let Some(first) = said.first() else {
            return Record::dropped("conversation without text");
        };
        let mut left_out: BTreeMap<&str, u64> = BTreeMap::new();
        for (kind, count) in stretch.iter().flat_map(|message| &message.left_out) {
            let sum = left_out.entry(kind).or_default();
            *sum = sum.saturating_add(*count);
        }
        let participants = participants(&said);
        let messages = match answering {
            None => said
                .iter()
                .map(|one| message("user", &[one], false))
                .collect(),
            Some(name) => {
                let Some(turns) = Turns::of(&said, name) else {
                    return Record::dropped("conversation in which the one to answer does not");
                };
                for (kind, count) in [(UNASKED, turns.unasked), (UNANSWERED, turns.unanswered)] {
                    if count > 0 {
                        left_out.insert(kind, count);
                    }
                }
                turns.messages(participants.len() > 2)
            }
        };
        let lines = said.iter().map(|one| format!("{}: {}", one.name, one.text));
        let text = lines.collect::<Vec<_>>().join("\n");
        let mut fields = self.fields.clone();
        let mut set = |name: &str, value: Value| fields.insert(name.into(), value);
        set("kind", json!("conversation"));
        set("service", json!(service));
        set("participants", json!(participants));
        set("messages", Value::Array(messages));
        let date = first.time.map(|time| time.to_string());
        let known = [("title", &self.title), ("id", &self.id), ("date", &date)];
        for (name, value) in known {
            if let Some(value) = value {
                set(name, json!(value));
            }
        }
        if !left_out.is_empty() {
            set("left_out", json!(left_out));
        }
        Record::ready(Ok(Document {
            text,
            fields,
            origin: Origin::of(&first.path, self.unit, first.place),
        }))
    }
}

/// Who speaks, in order of appearance.
fn participants<'a>(said: &[&'a Message]) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    let names = said.iter().map(|message| message.name.as_str());
    names.filter(|name| seen.insert(*name)).collect()
}

/// The messages of a stretch from the first question to the last answer, a slice per turn.
struct Turns<'a> {
    said: Vec<&'a [&'a Message]>,
    answering: &'a str,
    unasked: u64,
    unanswered: u64,
}

impl<'a> Turns<'a> {
    /// `None` if the one to answer does not answer anything.
    fn of(said: &'a [&'a Message], answering: &'a str) -> Option<Self> {
        let answers = |message: &&Message| message.name == answering;
        let first = said.iter().position(|message| !answers(message))?;
        let end = said.iter().rposition(answers)? + 1;
        let exchange = said.get(first..end)?;
        let turns: Vec<_> = exchange
            .chunk_by(|before, after| answers(before) == answers(after))
            .collect();
        (turns.len() > 1).then_some(Self {
            said: turns,
            answering,
            unasked: first as u64,
            unanswered: (said.len() - end) as u64,
        })
    }

    fn messages(&self, several: bool) -> Vec<Value> {
        let turns = self.said.iter().map(|turn| {
            if turn[0].name == self.answering {
                message("assistant", turn, false)
            } else {
                message("user", turn, several)
            }
        });
        turns.collect()
    }
}

/// The message of a turn, as chats' mappings read it.
fn message(role: &str, turn: &[&Message], named: bool) -> Value {
    let lines = turn.iter().map(|one| {
        let name = if named {
            format!("{}: ", one.name)
        } else {
            String::new()
        };
        name + &one.text
    });
    let mut message = Map::new();
    message.insert("role".into(), json!(role));
    message.insert(
        "content".into(),
        json!(lines.collect::<Vec<_>>().join("\n")),
    );
    message.insert("name".into(), json!(participants(turn).join(", ")));
    if let Some(time) = turn[0].time {
        message.insert("time".into(), json!(time.to_string()));
    }
    // Joined messages have no identity of their own.
    if let [one] = turn {
        let known = [
            ("id", &one.id),
            ("reply_to", &one.reply_to),
            ("forwarded_from", &one.forwarded_from),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                message.insert(name.into(), json!(value));
            }
        }
    }
    Value::Object(message)
}
