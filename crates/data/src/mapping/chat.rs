//! Chats: lists of messages.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::completion::SYSTEM;
use super::fields::Fields;
use super::offer::Part;
use super::tools;
use super::turns;
use super::{Mapping, assignments};
use crate::document::Document;
use crate::error::{DataError, Place, Result, quoted};
use crate::example::{Conversation, Role, Turn};
use crate::load::parse::type_name;

/// Names that the list of messages has.
pub(super) const MESSAGES: [&str; 3] = ["messages", "conversations", "conversation"];
pub(super) const PARTS: [Part; 1] = [("messages", &MESSAGES)];
const ROLE: [&str; 2] = ["role", "from"];
const CONTENT: [&str; 3] = ["content", "value", "text"];

/// Maps a record with a list of messages to a conversation.
///
/// By default both usual forms are found: `messages` with `role` and `content` (the `OpenAI` form), and `conversations` with
/// `from` and `value` (the `ShareGPT` form, where `human` is the user and `gpt` the assistant). The content is a text or a list
/// of text parts. A system prompt in a field of its own comes first.
///
/// Tools are read in both forms: `tools` (or `functions`) of the record, a list or its JSON text; `tool_calls` (or
/// `function_call`) of a message, or a message from `function_call`; results from `tool`, `function` or `observation`.
/// What the assistant thinks stands in `reasoning_content`, `thinking` or `reasoning`. All other fields of the record
/// are kept in [`Conversation::fields`].
///
/// The turns must be in an order that chat templates render: an optional system turn, then user and assistant in
/// alternation, where the results of tools may stand between two turns of the assistant; and there must be an
/// assistant's turn to learn.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChatMapping {
    /// The field of the record that holds the list.
    pub messages: Option<String>,
    /// The field of a message that holds the role.
    pub role: Option<String>,
    /// The field of a message that holds the text.
    pub content: Option<String>,
    /// The field of the record that holds a system prompt; it may be missing or empty.
    pub system: Option<String>,
    /// The field of the record that holds the tools that may be called; it may be missing or empty.
    pub tools: Option<String>,
}

impl Mapping for ChatMapping {
    type Example = Conversation;

    fn example(&self, document: Document) -> Result<Conversation> {
        let mut fields = Fields::from(document);
        let Some(name) = self.messages.as_deref().or_else(|| fields.first(&MESSAGES)) else {
            return Err(fields.missing("messages", fields.suggest(&PARTS)));
        };
        let system = self.system.as_deref().or_else(|| fields.first(&SYSTEM));
        let system = system
            .map(|name| fields.take_optional(name))
            .transpose()?
            .flatten();
        let messages = fields.take(name)?;
        let place = fields.place();
        let tools = match &self.tools {
            Some(name) => Some(name.as_str()),
            None => tools::find(&fields.rest),
        };
        let tools = match tools {
            Some(name) => tools::declared(fields.take(name)?, name, &place)?,
            None => Vec::new(),
        };
        let mut turns = self.turns(name, messages, &place)?;
        turns::put_system(&mut turns, system);
        check_order(&turns, &place)?;
        if !turns.iter().any(|turn| turn.role == Role::Assistant) {
            let found = "the end of the conversation".into();
            return Err(DataError::RoleOrder {
                place,
                turn: turns.len() + 1,
                found,
                expected: "a turn of the assistant",
            });
        }
        Ok(Conversation {
            turns,
            tools,
            fields: fields.rest,
            origin: fields.origin,
        })
    }
}

impl ChatMapping {
    /// The turns of a list of messages, in whatever order they are.
    pub(super) fn turns(&self, name: &str, messages: Value, place: &Place) -> Result<Vec<Turn>> {
        let messages = match messages {
            Value::Array(messages) => messages,
            other => return Err(wrong_type(name, &other, "array", place)),
        };
        if messages.is_empty() {
            return Err(DataError::EmptyConversation {
                place: place.clone(),
            });
        }
        let named = |(index, message)| match message {
            Value::Object(message) => self.turn(message, &format!("{name}.{index}"), place),
            other => Err(wrong_type(
                &format!("{name}.{index}"),
                &other,
                "object",
                place,
            )),
        };
        messages.into_iter().enumerate().map(named).collect()
    }

    /// The turn of one message. `at` is the message's name in errors.
    fn turn(&self, mut message: Map<String, Value>, at: &str, place: &Place) -> Result<Turn> {
        check_weight(&message, at, place)?;
        let of = |name: &str| format!("{at}.{name}");
        let role = match take(&mut message, self.role.as_deref(), &ROLE) {
            Some(Value::String(role)) => role,
            Some(other) => return Err(wrong_type(&of("role"), &other, "string", place)),
            None => return Err(self.missing(&message, "role", at, place)),
        };
        let mut calls = tools::calls(&mut message, at, place)?;
        let content = take(&mut message, self.content.as_deref(), &CONTENT);
        let mut text = match content {
            Some(Value::String(text)) => text,
            Some(Value::Array(parts)) => joined(parts, &of("content"), place)?,
            None | Some(Value::Null) if !calls.is_empty() => String::new(),
            None => return Err(self.missing(&message, "content", at, place)),
            Some(other) => return Err(wrong_type(&of("content"), &other, "string", place)),
        };
        let role = if tools::is_call(&role) {
            // The ShareGPT form: a message that is nothing but the call.
            calls.extend(tools::calls_in(&text, &of("content"), place)?);
            text.clear();
            Role::Assistant
        } else {
            Role::read(&role, place.clone())?
        };
        if matches!(role, Role::User | Role::Assistant) && calls.is_empty() && is_blank(&text) {
            return Err(DataError::EmptyContent {
                place: place.clone(),
                field: of("content"),
            });
        }
        let mut turn = Turn::new(role, text);
        turn.thought = thought(&mut message, role, at, place)?;
        turn.tools = tools::used(role, calls, &mut message, at, place)?;
        Ok(turn)
    }

    /// The error for a message without one of its parts.
    fn missing(
        &self,
        message: &Map<String, Value>,
        part: &'static str,
        at: &str,
        place: &Place,
    ) -> DataError {
        let set = if part == "role" {
            &self.role
        } else {
            &self.content
        };
        let field = format!("{at}.{}", set.as_deref().unwrap_or(part));
        let found: Vec<String> = message.keys().map(|name| quoted(name)).collect();
        DataError::MissingField {
            place: place.clone(),
            field: quoted(&field),
            found: found.join(", "),
            hint: format!("Map it, such as \"{part}=FIELD\""),
        }
    }
}

/// Takes the field of this name, or the first of the usual names.
fn take(message: &mut Map<String, Value>, name: Option<&str>, usual: &[&str]) -> Option<Value> {
    let there = |name: &&&str| message.contains_key(**name);
    let name = name.or_else(|| usual.iter().find(there).copied())?;
    message.remove(name)
}

/// What the model thinks before it answers, by the names that transformers knows.
fn thought(
    message: &mut Map<String, Value>,
    role: Role,
    at: &str,
    place: &Place,
) -> Result<Option<String>> {
    let names = ["reasoning_content", "thinking", "reasoning"];
    for name in names {
        let field = || format!("{at}.{name}");
        match message.remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if is_blank(&text) => {}
            Some(Value::String(text)) if role == Role::Assistant => return Ok(Some(text)),
            Some(Value::String(_)) => {
                return Err(DataError::Unsupported {
                    place: place.clone(),
                    what: format!("{}: a thought of the {role}", field()),
                    hint: "Only the assistant's are learned: remove it, or write it into the content",
                });
            }
            Some(other) => return Err(wrong_type(&field(), &other, "string", place)),
        }
    }
    Ok(None)
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// Refuses what would change the meaning of a message if it were passed over.
fn check_weight(message: &Map<String, Value>, at: &str, place: &Place) -> Result<()> {
    let weight = message.get("weight").and_then(Value::as_f64);
    if weight.is_some_and(|weight| weight.total_cmp(&1.0).is_ne()) {
        return Err(DataError::Unsupported {
            place: place.clone(),
            what: format!("{at}: a weight other than 1"),
            hint: "Remove the weight, or end the conversation before this message",
        });
    }
    Ok(())
}

/// The texts of content parts, one after the other.
fn joined(parts: Vec<Value>, field: &str, place: &Place) -> Result<String> {
    let mut text = String::new();
    for part in parts {
        let kind = part.get("type").and_then(Value::as_str);
        match part
            .as_str()
            .or_else(|| part.get("text").and_then(Value::as_str))
        {
            Some(part) if kind.is_none_or(|kind| kind == "text") => text.push_str(part),
            _ => {
                let Some(kind) = kind else {
                    return Err(wrong_type(field, &part, "text parts", place));
                };
                let what = format!("{field}: a content part of type {}", quoted(kind));
                return Err(DataError::Unsupported {
                    place: place.clone(),
                    what,
                    hint: "Only text can be learned",
                });
            }
        }
    }
    Ok(text)
}

pub(super) fn wrong_type(
    field: &str,
    found: &Value,
    expected: &'static str,
    place: &Place,
) -> DataError {
    let found = type_name(found);
    DataError::WrongType {
        place: place.clone(),
        field: quoted(field),
        found,
        expected,
    }
}

/// Checks that a template can render the turns: an optional system turn, then user and assistant in alternation, with
/// results of tools between turns of the assistant, each of a call that was made.
pub(super) fn check_order(turns: &[Turn], place: &Place) -> Result<()> {
    let mut before: Option<Role> = None;
    for (index, turn) in turns.iter().enumerate() {
        let (good, expected) = match before {
            None => (
                matches!(turn.role, Role::System | Role::User),
                "a system or user turn",
            ),
            Some(Role::System) => (turn.role == Role::User, "a user turn"),
            Some(Role::User) => (turn.role == Role::Assistant, "an assistant turn"),
            Some(Role::Assistant) => (
                matches!(turn.role, Role::User | Role::Tool),
                "a user or tool turn",
            ),
            Some(Role::Tool) => (
                matches!(turn.role, Role::Assistant | Role::Tool),
                "an assistant or tool turn",
            ),
        };
        if !good {
            let found = match before {
                Some(role) => format!("{} after {role}", turn.role),
                None => format!("{} first", turn.role),
            };
            return Err(DataError::RoleOrder {
                place: place.clone(),
                turn: index + 1,
                found,
                expected,
            });
        }
        before = Some(turn.role);
    }
    tools::check_results(turns, place)
}

impl FromStr for ChatMapping {
    type Err = DataError;

    /// Reads `messages=FIELD`, with `role=FIELD`, `content=FIELD`, `system=FIELD` and `tools=FIELD` where the names
    /// differ.
    fn from_str(text: &str) -> Result<Self> {
        let mut mapping = Self::default();
        for (name, field) in assignments(text, &["messages", "role", "content", "system", "tools"])?
        {
            match name.as_str() {
                "messages" => mapping.messages = Some(field),
                "role" => mapping.role = Some(field),
                "content" => mapping.content = Some(field),
                "system" => mapping.system = Some(field),
                _ => mapping.tools = Some(field),
            }
        }
        Ok(mapping)
    }
}
