//! Tools in records: what may be called, the calls, and their results.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::chat::wrong_type;
use crate::document::Fields;
use crate::error::{DataError, Place, Result, quoted};
use crate::example::{Role, ToolCall, ToolUse, Turn};
use crate::load::parse;

/// Names that the list of tools has.
const TOOLS: [&str; 2] = ["tools", "functions"];

/// The field of a record that lists tools: by its name, if it holds a list or looks like the JSON text of one.
pub(super) fn find(fields: &Fields) -> Option<&'static str> {
    let is_list = |value: &Value| match value {
        Value::Array(_) => true,
        Value::String(text) => text.trim_start().starts_with('['),
        _ => false,
    };
    let mut names = TOOLS.iter().copied();
    names.find(|name| fields.get(name).is_some_and(is_list))
}

/// The tools that a record declares: a list of descriptions, or its JSON text. A bare function (a `name` with its
/// `parameters`) gets the frame of the `OpenAI` form.
pub(super) fn declared(value: Value, field: &str, place: &Place) -> Result<Vec<Value>> {
    let list = match read(value, field, place)? {
        Value::Null => return Ok(Vec::new()),
        Value::Array(list) => list,
        other => return Err(wrong_type(field, &other, "array of tools", place)),
    };
    let framed = |(index, tool): (usize, Value)| {
        let at = format!("{field}.{index}");
        let tool = match read(tool, &at, place)? {
            Value::Object(tool) => tool,
            other => return Err(wrong_type(&at, &other, "object", place)),
        };
        // Tools of a kind of their own, such as a search, have a type and nothing that could be checked.
        let kind = tool.get("type").and_then(Value::as_str);
        if kind.is_some_and(|kind| kind != "function") {
            return Ok(Value::Object(tool));
        }
        let function = match tool.get("function") {
            Some(Value::Object(function)) => function,
            _ => &tool,
        };
        if !function.get("name").is_some_and(Value::is_string) {
            return Err(missing("name", function, &at, place));
        }
        let whole = tool.contains_key("function");
        Ok(if whole {
            Value::Object(tool)
        } else {
            json!({"type": "function", "function": tool})
        })
    };
    list.into_iter().enumerate().map(framed).collect()
}

/// Takes the calls out of a message: `tool_calls`, or the older `function_call`.
pub(super) fn calls(
    message: &mut Map<String, Value>,
    at: &str,
    place: &Place,
) -> Result<Vec<ToolCall>> {
    let mut calls = Vec::new();
    for name in ["tool_calls", "function_call"] {
        if let Some(value) = message.remove(name) {
            calls.extend(call_list(value, &format!("{at}.{name}"), place)?);
        }
    }
    Ok(calls)
}

/// Whether a role of the `ShareGPT` form says that its message is a call.
pub(super) fn is_call(role: &str) -> bool {
    ["function_call", "tool_call", "tool_calls"]
        .iter()
        .any(|name| role.trim().eq_ignore_ascii_case(name))
}

/// The calls that are the JSON text of a message.
pub(super) fn calls_in(text: &str, field: &str, place: &Place) -> Result<Vec<ToolCall>> {
    let calls = call_list(Value::String(text.to_owned()), field, place)?;
    if calls.is_empty() {
        return Err(DataError::EmptyContent {
            place: place.clone(),
            field: field.to_owned(),
        });
    }
    Ok(calls)
}

/// What a message has to do with tools.
///
/// # Errors
///
/// If somebody else than the assistant calls a tool.
pub(super) fn used(
    role: Role,
    calls: Vec<ToolCall>,
    message: &mut Map<String, Value>,
    at: &str,
    place: &Place,
) -> Result<ToolUse> {
    match role {
        Role::Tool => Ok(ToolUse::Result {
            id: take_text(message, "tool_call_id", at, place)?,
            name: take_text(message, "name", at, place)?,
        }),
        _ if calls.is_empty() => Ok(ToolUse::None),
        Role::Assistant => Ok(ToolUse::Calls(calls)),
        Role::System | Role::User => Err(DataError::Unsupported {
            place: place.clone(),
            what: format!("{at}: a call of a tool by the {role}"),
            hint: "Only the assistant calls tools: correct the role of the message",
        }),
    }
}

/// Checks that every result that names its call answers a call of the assistant's turn before it.
pub(super) fn check_results(turns: &[Turn], place: &Place) -> Result<()> {
    let mut open: Vec<&str> = Vec::new();
    for (index, turn) in turns.iter().enumerate() {
        match &turn.tools {
            ToolUse::Calls(calls) => {
                open = calls.iter().filter_map(|call| call.id.as_deref()).collect();
            }
            ToolUse::Result { id: Some(id), .. } if !open.contains(&id.as_str()) => {
                return Err(DataError::RoleOrder {
                    place: place.clone(),
                    turn: index + 1,
                    found: format!("the result of the call {}", quoted(id)),
                    expected: "the result of a call that the assistant's last turn makes",
                });
            }
            ToolUse::None if turn.role == Role::Assistant => open.clear(),
            ToolUse::None | ToolUse::Result { .. } => {}
        }
    }
    Ok(())
}

/// A list of calls, or one of them, or the JSON text of either.
fn call_list(value: Value, field: &str, place: &Place) -> Result<Vec<ToolCall>> {
    match read(value, field, place)? {
        Value::Null => Ok(Vec::new()),
        Value::Array(list) => {
            let calls = list.into_iter().enumerate();
            let calls = calls.map(|(index, value)| call(value, &format!("{field}.{index}"), place));
            calls.collect()
        }
        one => Ok(vec![call(one, field, place)?]),
    }
}

/// A call, with or without the frame `{"id": …, "type": "function", "function": …}`.
fn call(value: Value, field: &str, place: &Place) -> Result<ToolCall> {
    let mut frame = match read(value, field, place)? {
        Value::Object(frame) => frame,
        other => return Err(wrong_type(field, &other, "object", place)),
    };
    let id = take_text(&mut frame, "id", field, place)?;
    let mut function = match frame.remove("function") {
        Some(Value::Object(function)) => function,
        None => frame,
        Some(other) => {
            return Err(wrong_type(
                &format!("{field}.function"),
                &other,
                "object",
                place,
            ));
        }
    };
    let name = take_text(&mut function, "name", field, place)?
        .ok_or_else(|| missing("name", &function, field, place))?;
    let at = format!("{field}.arguments");
    let arguments = match function.remove("arguments") {
        None | Some(Value::Null) => json!({}),
        Some(Value::String(text)) if text.trim().is_empty() => json!({}),
        Some(arguments) => arguments,
    };
    match read(arguments.clone(), &at, place)? {
        Value::Object(_) => Ok(ToolCall {
            id,
            name,
            arguments,
        }),
        other => Err(wrong_type(&at, &other, "object", place)),
    }
}

/// A value, or the one whose JSON text it is; a text without content is null.
fn read(value: Value, field: &str, place: &Place) -> Result<Value> {
    match value {
        Value::String(text) if text.trim().is_empty() => Ok(Value::Null),
        Value::String(text) => {
            // The text has lines and columns of its own, which would not be found in the file.
            parse::value(&text, &Place::at(Path::new(field), 1, 1)).map_err(|error| {
                DataError::JsonSyntax {
                    place: place.clone(),
                    message: error.to_string(),
                }
            })
        }
        other => Ok(other),
    }
}

/// Takes a text out, if it is there.
fn take_text(
    fields: &mut Map<String, Value>,
    name: &str,
    at: &str,
    place: &Place,
) -> Result<Option<String>> {
    match fields.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(wrong_type(&format!("{at}.{name}"), &other, "string", place)),
    }
}

fn missing(field: &str, found: &Map<String, Value>, at: &str, place: &Place) -> DataError {
    let found: Vec<String> = found.keys().map(|name| quoted(name)).collect();
    DataError::MissingField {
        place: place.clone(),
        field: quoted(&format!("{at}.{field}")),
        found: found.join(", "),
        hint: "A tool has a name: {\"name\": …, \"arguments\": …}".to_owned(),
    }
}
