//! Answers that are judged good or bad, one by one.

use std::str::FromStr;

use serde_json::Value;

use super::any::is_auto;
use super::chat::MESSAGES;
use super::completion::{self, COMPLETION, PROMPT};
use super::fields::{Fields, View};
use super::offer::Part;
use super::turns::{
    Asked, answer, behind, check_follows, complete, input_name, take_tools, take_turns,
};
use super::{Mapping, assignments};
use crate::document::Document;
use crate::error::{DataError, Result};
use crate::example::{Judged, Role};

/// Names that a judgement has.
pub(super) const GOOD: [&str; 2] = ["label", "kto_tag"];
pub(super) const PARTS: [Part; 3] = [
    ("prompt", &PROMPT),
    ("completion", &COMPLETION),
    ("good", &GOOD),
];

/// Maps a record with an answer that is judged good or bad to a judged answer, as KTO learns from.
///
/// Prompt and completion are texts, messages or lists of messages, found by the names that a
/// [`CompletionMapping`](super::CompletionMapping) knows; or a list of messages ends with the answer. The judgement is
/// found as `label` or `kto_tag`: true or false, also as a text or as 1 or 0. Tools, calls, their results and thoughts are
/// read as a [`ChatMapping`](super::ChatMapping) reads them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JudgedMapping {
    /// The field of the prompt.
    pub prompt: Option<String>,
    /// The field of an input that belongs to the prompt; it may be missing or empty in a record.
    pub input: Option<String>,
    /// The field of the answer.
    pub completion: Option<String>,
    /// The field of a list of messages that ends with the answer, where there is no completion.
    pub messages: Option<String>,
    /// The field of the system prompt; it may be missing or empty in a record.
    pub system: Option<String>,
    /// The field of the judgement.
    pub good: Option<String>,
}

impl Mapping for JudgedMapping {
    type Example = Judged;

    fn example(&self, document: Document) -> Result<Judged> {
        let mut fields = Fields::from(document);
        let Some(name) = self.good.as_deref().or_else(|| fields.first(&GOOD)) else {
            return Err(fields.missing("good", fields.suggest(&PARTS)));
        };
        let value = fields.take(name)?;
        let good = is_good(name, &value, &fields)?;
        let asked = |prompt: Option<String>| Asked {
            prompt,
            input: self.input.clone(),
            system: self.system.clone(),
        };
        let (prompt, turns) = match self.names(&fields)? {
            Names::Completion(prompt, completion) => {
                let prompt = asked(Some(prompt)).take_whole(&mut fields)?;
                let turns = take_turns(&mut fields, &completion, Role::Assistant)?;
                let turns = behind(&prompt, turns);
                (prompt, turns)
            }
            Names::Messages(name) => {
                let system = asked(None).take_system(&mut fields)?;
                let mut turns = take_turns(&mut fields, &name, Role::User)?;
                let last = turns.split_off(turns.len().saturating_sub(1));
                (complete(turns, system, &fields)?, last)
            }
        };
        let answer = answer(turns, "completion", &fields)?;
        check_follows(&prompt, &answer, &fields)?;
        Ok(Judged {
            prompt,
            tools: take_tools(&mut fields)?,
            answer,
            good,
            origin: fields.origin,
        })
    }
}

enum Names {
    Completion(String, String),
    Messages(String),
}

impl JudgedMapping {
    fn names(&self, fields: &Fields) -> Result<Names> {
        if let Some(messages) = &self.messages {
            return Ok(Names::Messages(messages.clone()));
        }
        let pair = fields.pair(&completion::PAIRS);
        let prompt = self.prompt.as_deref().or(pair.map(|(prompt, _)| prompt));
        let answer = self
            .completion
            .as_deref()
            .or(pair.map(|(_, answer)| answer));
        match (prompt, answer, fields.first(&MESSAGES)) {
            (Some(prompt), Some(answer), _) => Ok(Names::Completion(prompt.into(), answer.into())),
            (None, None, Some(messages)) => Ok(Names::Messages(messages.into())),
            (prompt, ..) => {
                let missing = if prompt.is_some() {
                    "completion"
                } else {
                    "prompt"
                };
                Err(fields.missing(missing, fields.suggest(&PARTS)))
            }
        }
    }
}

/// What a judgement says.
pub(super) fn is_good(name: &str, value: &Value, fields: &Fields) -> Result<bool> {
    truth(value).ok_or_else(|| {
        let found = value
            .as_str()
            .map_or_else(|| value.to_string(), String::from);
        fields.unexpected(name, &found, "true or false, or 1 or 0")
    })
}

/// The truth that a value stands for, also as a number or as a text of a table.
pub(super) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => match number.as_f64()? {
            0.0 => Some(false),
            1.0 => Some(true),
            _ => None,
        },
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "1.0" => Some(true),
            "false" | "0" | "0.0" => Some(false),
            _ => None,
        },
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The field that judges the answer of a record. A 0 or 1 is taken for a judgement too: to refuse a record whose label
/// means something else costs a word in the mapping, and to learn a bad answer is never noticed.
pub(super) fn judgement(record: View<'_>) -> Option<&'static str> {
    let judges = |name: &&str| record.get(name).and_then(truth).is_some();
    GOOD.into_iter().find(judges)
}

/// The parts of a mapping for a record with a judged answer.
pub(super) fn found(record: View<'_>) -> Option<Vec<(&'static str, String)>> {
    let good = judgement(record)?;
    let mut parts = Vec::new();
    if let Some((prompt, answer)) = record.pair(&completion::PAIRS) {
        parts.push(("prompt", prompt.into()));
        parts.extend(input_name(record, prompt).map(|name| ("input", name.into())));
        parts.push(("completion", answer.into()));
    } else {
        parts.push(("messages", record.first(&MESSAGES)?.into()));
    }
    parts.push(("good", good.into()));
    Some(parts)
}

impl FromStr for JudgedMapping {
    type Err = DataError;

    /// Reads `prompt=FIELD,completion=FIELD,good=FIELD`, with `input=FIELD` and `system=FIELD` where there are such; or
    /// `messages=FIELD,good=FIELD`. An empty text or `auto` detects.
    fn from_str(text: &str) -> Result<Self> {
        let mut mapping = Self::default();
        if is_auto(text) {
            return Ok(mapping);
        }
        let known = [
            "prompt",
            "input",
            "completion",
            "messages",
            "system",
            "good",
        ];
        for (name, field) in assignments(text, &known)? {
            match name.as_str() {
                "prompt" => mapping.prompt = Some(field),
                "input" => mapping.input = Some(field),
                "completion" => mapping.completion = Some(field),
                "messages" => mapping.messages = Some(field),
                "system" => mapping.system = Some(field),
                _ => mapping.good = Some(field),
            }
        }
        Ok(mapping)
    }
}
