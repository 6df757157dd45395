//! Turns out of the fields of a record: a text, a transcript, a message, or a list of messages.

use serde_json::Value;

use super::chat::{ChatMapping, MESSAGES, check_order};
use super::completion::{INPUT, PROMPT, SYSTEM};
use super::fields::{Fields, View};
use super::offer::Part;
use super::tools;
use crate::error::{DataError, Place, Result, quoted};
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
    let place = fields.place();
    if let Some(name) = tools::find(&fields.rest) {
        check_tools(fields.rest.get(name), name, &place)?;
    }
    prompt.push(Turn::new(Role::Assistant, ""));
    check_order(&prompt, &place)?;
    prompt.pop();
    Ok(prompt)
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
                check_tools(
                    object.get("tools"),
                    &format!("{name}.tools"),
                    &fields.place(),
                )?;
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

/// The text of an answer, which is one turn of the assistant.
pub(super) fn answer(turns: Vec<Turn>, place: &Place) -> Result<String> {
    match <[Turn; 1]>::try_from(turns) {
        Ok([turn]) if !turn.tools.is_none() || turn.thought.is_some() => {
            Err(DataError::Unsupported {
                place: place.clone(),
                what: "a judgement of an answer that calls tools or thinks".into(),
                hint: "Write the calls and thoughts into the content as the model shall write them",
            })
        }
        Ok([turn]) if turn.role == Role::Assistant => Ok(turn.text),
        Ok([turn]) => {
            let found = format!("{} last", turn.role);
            Err(DataError::RoleOrder {
                place: place.clone(),
                turn: 1,
                found,
                expected: "an assistant turn",
            })
        }
        Err(_) => {
            let what = "a judgement of answers of several turns".into();
            let hint = "Leave one turn of the assistant behind the prompt";
            Err(DataError::Unsupported {
                place: place.clone(),
                what,
                hint,
            })
        }
    }
}

fn list(fields: &Fields, name: &str, messages: Value) -> Result<Vec<Turn>> {
    ChatMapping::default().turns(name, messages, &fields.place())
}

/// Refuses tools that the answers could call: judged answers are texts.
fn check_tools(tools: Option<&Value>, name: &str, place: &Place) -> Result<()> {
    let declared = match tools {
        Some(Value::Array(tools)) => !tools.is_empty(),
        Some(Value::String(tools)) => !matches!(tools.trim(), "" | "[]"),
        _ => false,
    };
    if !declared {
        return Ok(());
    }
    Err(DataError::Unsupported {
        place: place.clone(),
        what: format!("{}: a prompt with tools", quoted(name)),
        hint: "Write the tools into a system message as the model shall read them",
    })
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
