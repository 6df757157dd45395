//! Turns out of the fields of a record: a text, a transcript, a message, or a list of messages.

use serde_json::Value;

use super::chat::{ChatMapping, MESSAGES, check_order};
use super::completion::{INPUT, PROMPT, SYSTEM};
use super::fields::{Fields, View};
use super::offer::Part;
use super::tools;
use crate::error::{DataError, Result};
use crate::example::{Role, Turn};

/// Where a prompt stands in a record; what is not named is found by its usual names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Asked {
    pub(super) prompt: Option<String>,
    pub(super) input: Option<String>,
    pub(super) system: Option<String>,
}

impl Asked {
    /// The name of the field that holds the prompt.
    pub(super) fn name(&self, fields: View<'_>) -> Option<String> {
        let usual = || prompt_name(fields).map(String::from);
        self.prompt.clone().or_else(usual)
    }

    /// The turns of the prompt without the system's; none if there is no prompt. An input that belongs to an
    /// instruction stands behind it after an empty line.
    pub(super) fn take(&self, fields: &mut Fields) -> Result<Vec<Turn>> {
        let Some(name) = self.name(fields.view()) else {
            return Ok(Vec::new());
        };
        let input = self
            .input
            .as_deref()
            .or_else(|| input_name(fields.view(), &name));
        let input = input.map(|name| fields.take_optional(name)).transpose()?;
        let mut turns = take_turns(fields, &name, Role::User)?;
        if let (Some(input), Some(turn)) = (input.flatten(), turns.last_mut()) {
            turn.text.extend(["\n\n", &input]);
        }
        Ok(turns)
    }

    /// The turns of the prompt with the system's, checked: an answer can follow.
    pub(super) fn take_whole(&self, fields: &mut Fields) -> Result<Vec<Turn>> {
        let system = self.take_system(fields)?;
        let turns = self.take(fields)?;
        complete(turns, system, fields)
    }

    /// What a system prompt in a field of its own says.
    pub(super) fn take_system(&self, fields: &mut Fields) -> Result<Option<String>> {
        let name = self.system.as_deref().or_else(|| fields.first(&SYSTEM));
        let text = name.map(|name| fields.take_optional(name)).transpose()?;
        Ok(text.flatten())
    }
}

/// The field that a prompt has by its usual names.
pub(super) fn prompt_name(fields: View<'_>) -> Option<&'static str> {
    fields.first(&PROMPT).or_else(|| fields.first(&MESSAGES))
}

/// The field of an input beside an instruction.
pub(super) fn input_name(fields: View<'_>, prompt: &str) -> Option<&'static str> {
    fields.first(&INPUT).filter(|_| prompt == "instruction")
}

/// Puts the system prompt before the turns of a prompt, and checks that an answer can follow.
pub(super) fn complete(
    mut prompt: Vec<Turn>,
    system: Option<String>,
    fields: &Fields,
) -> Result<Vec<Turn>> {
    const WANTED: [Part; 1] = [("prompt", &PROMPT)];
    put_system(&mut prompt, system);
    if !prompt.iter().any(|turn| turn.role == Role::User) {
        return Err(fields.missing("prompt", fields.suggest(&WANTED)));
    }
    prompt.push(Turn::new(Role::Assistant, ""));
    check_order(&prompt, &fields.place())?;
    prompt.pop();
    Ok(prompt)
}

/// Takes the tools that the record declares.
pub(super) fn take_tools(fields: &mut Fields) -> Result<Vec<Value>> {
    let place = fields.place();
    match tools::find(&fields.rest) {
        Some(name) => tools::declared(fields.take(name)?, name, &place),
        None => Ok(Vec::new()),
    }
}

/// Puts a system prompt before the turns, unless they begin with one.
pub(super) fn put_system(turns: &mut Vec<Turn>, system: Option<String>) {
    if let Some(text) = system
        && turns.first().is_none_or(|turn| turn.role != Role::System)
    {
        turns.insert(0, Turn::new(Role::System, text));
    }
}

/// A text as one turn of `role`, or the turns of a transcript, of a message or of a list of messages.
pub(super) fn take_turns(fields: &mut Fields, name: &str, role: Role) -> Result<Vec<Turn>> {
    match fields.take(name)? {
        Value::String(text) => {
            fields.check_content(name, &text)?;
            let turns = transcript(&text, role);
            let turns = turns.unwrap_or_else(|| vec![Turn::new(role, text)]);
            for turn in &turns {
                fields.check_content(name, &turn.text)?;
            }
            Ok(turns)
        }
        messages @ Value::Array(_) => list(fields, name, messages),
        Value::Object(mut object) => match object.remove("messages") {
            Some(messages) => {
                put_tools(fields, &format!("{name}.tools"), object.remove("tools"))?;
                list(fields, &format!("{name}.messages"), messages)
            }
            None => list(fields, name, Value::Array(vec![Value::Object(object)])),
        },
        other => Err(fields.wrong_type(name, &other, "string, message or array of messages")),
    }
}

/// Leaves of an answer what stands behind the prompt: lists may repeat it.
pub(super) fn behind(prompt: &[Turn], mut answer: Vec<Turn>) -> Vec<Turn> {
    if answer.len() > prompt.len() && answer.starts_with(prompt) {
        answer.drain(..prompt.len());
    }
    answer
}

/// The turns of an answer: those of the assistant, with the results of tools between them.
///
/// # Errors
///
/// If it does not end with the assistant, or somebody else speaks in it; if one of its turns says and calls nothing.
pub(super) fn answer(turns: Vec<Turn>, name: &str, fields: &Fields) -> Result<Vec<Turn>> {
    let place = fields.place();
    let Some(last) = turns.last() else {
        return Err(DataError::EmptyConversation { place });
    };
    let speaks = |turn: &Turn| matches!(turn.role, Role::User | Role::System);
    if turns.len() > 1 && turns.iter().any(speaks) {
        return Err(DataError::Unsupported {
            place,
            what: "a judgement of answers of several turns".into(),
            hint: "Leave what the assistant answers to the last question behind the prompt",
        });
    }
    if last.role != Role::Assistant {
        return Err(DataError::RoleOrder {
            place,
            turn: turns.len(),
            found: format!("{} last", last.role),
            expected: "an assistant turn",
        });
    }
    let says = |turn: &&Turn| turn.role == Role::Assistant && turn.tools.is_none();
    let mut said = turns.iter().filter(says);
    said.try_for_each(|turn| fields.check_content(name, &turn.text))?;
    Ok(turns)
}

/// Checks that an answer can follow a prompt.
pub(super) fn check_follows(prompt: &[Turn], answer: &[Turn], fields: &Fields) -> Result<()> {
    check_order(&[prompt, answer].concat(), &fields.place())
}

fn list(fields: &Fields, name: &str, messages: Value) -> Result<Vec<Turn>> {
    ChatMapping::default().turns(name, messages, &fields.place())
}

/// Puts the tools of a prompt where those of the record stand.
fn put_tools(fields: &mut Fields, name: &str, tools: Option<Value>) -> Result<()> {
    let declares = |tools: &Value| match tools {
        Value::Array(tools) => !tools.is_empty(),
        Value::String(tools) => !matches!(tools.trim(), "" | "[]"),
        _ => false,
    };
    let Some(tools) = tools.filter(declares) else {
        return Ok(());
    };
    if let Some(other) = tools::find(&fields.rest)
        && fields.rest.get(other).is_some_and(declares)
    {
        return Err(fields.unexpected(name, "tools", format!("none beside those of {other}")));
    }
    fields.rest.insert("tools".into(), tools);
    Ok(())
}

/// The turns of a transcript that begins with `\n\nHuman:` and goes on with `\n\nAssistant:` and so on, as in the data
/// set HH-RLHF. One of a prompt may end with `\n\nAssistant:`, where the answer belongs.
fn transcript(text: &str, role: Role) -> Option<Vec<Turn>> {
    const SPEAKERS: [(&str, Role); 2] = [("Human:", Role::User), ("Assistant:", Role::Assistant)];
    let mut turns: Vec<Turn> = Vec::new();
    for part in text.strip_prefix("\n\n")?.split("\n\n") {
        let said = SPEAKERS
            .iter()
            .find_map(|(name, role)| Some((*role, part.strip_prefix(name)?)));
        match (said, turns.last_mut()) {
            (Some((role, said)), _) => turns.push(Turn::new(role, said)),
            (None, Some(turn)) => turn.text.extend(["\n\n", part]),
            (None, None) => return None,
        }
    }
    for turn in &mut turns {
        turn.text = turn.text.trim().to_owned();
    }
    let open = |turn: &Turn| turn.role == Role::Assistant && turn.text.is_empty();
    if role == Role::User && turns.len() > 1 && turns.last().is_some_and(open) {
        turns.pop();
    }
    Some(turns)
}
