//! Pairs of a better and a worse answer.

use std::str::FromStr;

use serde_json::Value;

use super::chat::{ChatMapping, check_order};
use super::completion::{PROMPT, SYSTEM};
use super::fields::Fields;
use super::{Mapping, assignments};
use crate::document::Document;
use crate::error::{DataError, Place, Result};
use crate::example::{Preference, Role, Turn};

pub(super) const CHOSEN: [&str; 4] = ["chosen", "preferred", "better", "response_chosen"];
pub(super) const REJECTED: [&str; 4] = ["rejected", "dispreferred", "worse", "response_rejected"];

/// Maps a record with a chosen and a rejected answer to a preference.
///
/// Two forms are found. Flat: `prompt`, `chosen` and `rejected` are texts, with an optional `system`. Conversational:
/// `chosen` and `rejected` are lists of messages that end with the assistant's answer; the prompt is a text or a list
/// of its own, or it is what both lists begin with. A text that is a transcript (`\n\nHuman: …\n\nAssistant: …`, as in
/// HH-RLHF) is read as its turns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreferenceMapping {
    /// The field of the prompt.
    pub prompt: Option<String>,
    /// The field of the better answer.
    pub chosen: Option<String>,
    /// The field of the worse answer.
    pub rejected: Option<String>,
    /// The field of the system prompt; it may be missing or empty in a record.
    pub system: Option<String>,
}

impl Mapping for PreferenceMapping {
    type Example = Preference;

    fn example(&self, document: Document) -> Result<Preference> {
        let mut fields = Fields::from(document);
        let find = |set: &Option<String>, usual: &[&str]| {
            set.clone()
                .or_else(|| fields.first(usual).map(String::from))
        };
        let prompt_name = find(&self.prompt, &PROMPT);
        let system_name = find(&self.system, &SYSTEM);
        let (Some(chosen_name), Some(rejected_name)) =
            (find(&self.chosen, &CHOSEN), find(&self.rejected, &REJECTED))
        else {
            let missing = if find(&self.chosen, &CHOSEN).is_some() {
                "rejected"
            } else {
                "chosen"
            };
            let wanted: [(&str, &[&str]); 3] = [
                ("prompt", &PROMPT),
                ("chosen", &CHOSEN),
                ("rejected", &REJECTED),
            ];
            return Err(fields.missing(missing, fields.suggest(&wanted)));
        };
        let system = system_name
            .map(|name| fields.take_optional(&name))
            .transpose()?
            .flatten();
        let prompt = match prompt_name {
            Some(name) => take_turns(&mut fields, &name, Role::User)?,
            None => Vec::new(),
        };
        let chosen = take_turns(&mut fields, &chosen_name, Role::Assistant)?;
        let rejected = take_turns(&mut fields, &rejected_name, Role::Assistant)?;
        let place = fields.place();
        let (mut prompt, chosen, rejected) = shared(prompt, chosen, rejected, &place)?;
        if let Some(text) = system
            && prompt.first().is_none_or(|turn| turn.role != Role::System)
        {
            prompt.insert(0, Turn::new(Role::System, text));
        }
        if !prompt.iter().any(|turn| turn.role == Role::User) {
            let wanted: [(&str, &[&str]); 1] = [("prompt", &PROMPT)];
            return Err(fields.missing("prompt", fields.suggest(&wanted)));
        }
        let mut whole = prompt.clone();
        whole.push(Turn::new(Role::Assistant, ""));
        check_order(&whole, &place)?;
        if chosen == rejected {
            return Err(DataError::NoPreference { place });
        }
        Ok(Preference {
            prompt,
            chosen,
            rejected,
            origin: fields.origin,
        })
    }
}

/// A text as one turn, or the turns of a list of messages.
fn take_turns(fields: &mut Fields, name: &str, role: Role) -> Result<Vec<Turn>> {
    match fields.take(name)? {
        Value::String(text) => {
            fields.check_content(name, &text)?;
            let turns = transcript(&text).filter(|_| role == Role::Assistant);
            let turns = turns.unwrap_or_else(|| vec![Turn::new(role, text)]);
            for turn in &turns {
                fields.check_content(name, &turn.text)?;
            }
            Ok(turns)
        }
        messages @ Value::Array(_) => ChatMapping::default().turns(name, messages, &fields.place()),
        other => Err(fields.wrong_type(name, &other, "string or array of messages")),
    }
}

/// The turns of a transcript that begins with `\n\nHuman:` and goes on with `\n\nAssistant:` and so on, as in the data
/// set HH-RLHF.
fn transcript(text: &str) -> Option<Vec<Turn>> {
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
    Some(turns)
}

/// Moves what both answers begin with behind the prompt; one turn of the assistant must be left of each.
fn shared(
    mut prompt: Vec<Turn>,
    mut chosen: Vec<Turn>,
    mut rejected: Vec<Turn>,
    place: &Place,
) -> Result<(Vec<Turn>, String, String)> {
    let common = |a: &[Turn], b: &[Turn]| a.iter().zip(b).take_while(|(a, b)| a == b).count();
    // Lists may repeat the prompt that also has a field of its own.
    for answer in [&mut chosen, &mut rejected] {
        if answer.len() > prompt.len() && common(&prompt, answer) == prompt.len() {
            answer.drain(..prompt.len());
        }
    }
    let begin = common(&chosen, &rejected).min(chosen.len().min(rejected.len()).saturating_sub(1));
    prompt.extend(chosen.drain(..begin));
    rejected.drain(..begin);
    Ok((prompt, answer(chosen, place)?, answer(rejected, place)?))
}

fn answer(turns: Vec<Turn>, place: &Place) -> Result<String> {
    match <[Turn; 1]>::try_from(turns) {
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
            let what = "a preference between answers of several turns".into();
            let hint = "Leave one turn of the assistant that differs";
            Err(DataError::Unsupported {
                place: place.clone(),
                what,
                hint,
            })
        }
    }
}

impl FromStr for PreferenceMapping {
    type Err = DataError;

    /// Reads `prompt=FIELD,chosen=FIELD,rejected=FIELD`, with `system=FIELD` where there is one.
    fn from_str(text: &str) -> Result<Self> {
        let mut mapping = Self::default();
        for (name, field) in assignments(text, &["prompt", "chosen", "rejected", "system"])? {
            match name.as_str() {
                "prompt" => mapping.prompt = Some(field),
                "chosen" => mapping.chosen = Some(field),
                "rejected" => mapping.rejected = Some(field),
                _ => mapping.system = Some(field),
            }
        }
        Ok(mapping)
    }
}
