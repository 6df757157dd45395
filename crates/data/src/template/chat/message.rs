//! Conversations as templates see them, in the form that transformers hands over.
//!
//! Every text of a record that could hold markup goes through a function on its way, which may put marks around it.
//! What consists of letters, digits and `_-.,` alone cannot be a control token; it goes as it is, so that a template
//! can compare it: `type == "string"`. Only what a turn says, what it thinks and whom it calls always goes that way.

use minijinja::Value;
use minijinja::value::Serde;
use serde_json::{Map, json};

use crate::document::Value as Json;
use crate::error::Place;
use crate::example::{ToolCall, ToolUse, Turn};
use crate::load::parse;

use super::json::dumps;

/// How a template wants the turns that call tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct CallForm {
    /// The arguments as JSON text instead of an object.
    pub(super) text: bool,
    /// An empty content instead of none.
    pub(super) content: bool,
}

/// The messages of a conversation and the tools that it declares.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Messages<'t> {
    pub(super) tools: &'t [Json],
    list: Vec<Json>,
}

/// A text on its way into a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Given<'a> {
    pub(super) text: &'a str,
    /// The message that it stands in; `None` in a tool's description.
    pub(super) message: Option<usize>,
    pub(super) kind: Kind,
}

/// What a text is to its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// What it says.
    Said,
    /// The name of a tool that it calls.
    Called,
    /// Anything else.
    Other,
}

impl<'t> Messages<'t> {
    /// The messages of these turns.
    pub(super) fn of(tools: &'t [Json], turns: &[Turn], form: CallForm) -> Self {
        Self {
            tools,
            list: turns.iter().map(|turn| message(turn, form)).collect(),
        }
    }

    /// The tools and the first messages as a template sees them. `write` gets their texts in an order that depends on
    /// nothing else, those of the tools first.
    pub(super) fn values<'a>(
        &'a self,
        count: usize,
        mut write: impl FnMut(Given<'a>) -> String,
    ) -> [Value; 2] {
        let tools = self.tools.iter();
        let mut of_tools = |text, kind| {
            write(Given {
                text,
                message: None,
                kind,
            })
        };
        let tools: Vec<Value> = tools
            .map(|tool| value(tool, Key::Other, &mut of_tools))
            .collect();
        let messages = self.list[..count].iter().enumerate();
        let messages: Vec<Value> = messages
            .map(|(number, message)| {
                let mut of_message = |text, kind| {
                    write(Given {
                        text,
                        message: Some(number),
                        kind,
                    })
                };
                value(message, Key::Message, &mut of_message)
            })
            .collect();
        let tools = if tools.is_empty() {
            Value::from(())
        } else {
            tools.into()
        };
        [tools, messages.into()]
    }

    /// How much there is of it: messages and all that is inside of them, and the bytes of the texts.
    pub(super) fn size(&self) -> (usize, usize) {
        let all = self.tools.iter().chain(&self.list);
        all.map(size)
            .fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }
}

/// The number of values inside a value, and the bytes of the texts.
pub(super) fn size(value: &Json) -> (usize, usize) {
    let add = |sum: (usize, usize), size: (usize, usize)| (sum.0 + size.0, sum.1 + size.1);
    match value {
        Json::String(text) => (1, text.len()),
        Json::Array(items) => items.iter().map(size).fold((1, 0), add),
        Json::Object(entries) => entries
            .iter()
            .map(|(key, value)| add((0, key.len()), size(value)))
            .fold((1, 0), add),
        _ => (1, 8),
    }
}

fn message(turn: &Turn, form: CallForm) -> Json {
    let mut message = Map::new();
    message.insert("role".into(), turn.role.name().into());
    let calls = turn.tools.calls();
    if calls.is_empty() || form.content || !turn.text.is_empty() {
        message.insert("content".into(), turn.text.clone().into());
    }
    if let Some(thought) = &turn.thought {
        // The two names that templates use.
        message.insert("reasoning_content".into(), thought.clone().into());
        message.insert("thinking".into(), thought.clone().into());
    }
    match &turn.tools {
        ToolUse::None => {}
        ToolUse::Calls(calls) => {
            let calls = calls.iter().map(|call| called(call, form)).collect();
            message.insert("tool_calls".into(), Json::Array(calls));
        }
        ToolUse::Result { id, name } => {
            for (key, value) in [("tool_call_id", id), ("name", name)] {
                if let Some(value) = value {
                    message.insert(key.into(), value.clone().into());
                }
            }
        }
    }
    Json::Object(message)
}

fn called(call: &ToolCall, form: CallForm) -> Json {
    let arguments = match &call.arguments {
        Json::String(text) if !form.text => {
            parse::value(text, &Place::default()).unwrap_or_else(|_| call.arguments.clone())
        }
        Json::String(_) => call.arguments.clone(),
        object if form.text => {
            let text = dumps(&Value::from(Serde(object)));
            text.unwrap_or_else(|_| object.to_string()).into()
        }
        object => object.clone(),
    };
    let mut framed = Map::new();
    if let Some(id) = &call.id {
        framed.insert("id".into(), id.clone().into());
    }
    framed.insert("type".into(), "function".into());
    framed.insert(
        "function".into(),
        json!({"name": call.name, "arguments": arguments}),
    );
    Json::Object(framed)
}

/// Under which key of a message a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// It is the message.
    Message,
    Content,
    Thought,
    /// It is the list of calls, or one of them.
    Calls,
    /// It is what a call frames.
    Call,
    /// It is the name of a tool that is called.
    Called,
    Other,
}

impl Key {
    fn inside(self, name: &str) -> Self {
        match (self, name) {
            (Self::Message, "content") => Self::Content,
            (Self::Message, "reasoning_content" | "thinking") => Self::Thought,
            (Self::Message, "tool_calls") => Self::Calls,
            (Self::Calls, "function") => Self::Call,
            (Self::Call, "name") => Self::Called,
            _ => Self::Other,
        }
    }
}

/// A value as a template sees it; `write` gets the texts.
fn value<'a>(json: &'a Json, key: Key, write: &mut impl FnMut(&'a str, Kind) -> String) -> Value {
    match json {
        Json::String(text) => match key {
            Key::Content => write(text, Kind::Said).into(),
            Key::Called => write(text, Kind::Called).into(),
            Key::Thought => write(text, Kind::Other).into(),
            _ if is_plain(text) => text.as_str().into(),
            _ => write(text, Kind::Other).into(),
        },
        Json::Array(items) => {
            let items = items.iter().map(|item| value(item, key, write));
            items.collect::<Vec<_>>().into()
        }
        Json::Object(entries) => {
            let pairs = entries.iter().map(|(name, inside)| {
                let written = if is_plain(name) {
                    Value::from(name.as_str())
                } else {
                    write(name, Kind::Other).into()
                };
                (written, value(inside, key.inside(name), write))
            });
            Value::from_pairs(pairs)
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => Value::from(Serde(json)),
    }
}

/// Whether a text cannot hold a control token.
pub(super) fn is_plain(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ',' | ' '))
}
