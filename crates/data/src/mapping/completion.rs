//! Prompts with their completions.

use std::str::FromStr;

use serde_json::Value;

use super::chat::check_order;
use super::fields::{Fields, is_list_of_objects};
use super::offer::Part;
use super::tools;
use super::turns::{behind, input_name, put_system, take_turns};
use super::{Mapping, assignments};
use crate::document::Document;
use crate::error::{DataError, Result};
use crate::example::{Conversation, Role, Turn};

/// Names of prompt and completion that belong together, the surer ones first.
pub(super) const PAIRS: [(&str, &str); 12] = [
    ("prompt", "completion"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("question", "answer"),
    ("question", "response"),
    ("prompt", "response"),
    ("query", "response"),
    ("query", "answer"),
    ("problem", "solution"),
    ("prompt", "answer"),
    ("prompt", "output"),
    ("input", "output"),
];
/// Names that a prompt has.
pub(super) const PROMPT: [&str; 6] = [
    "prompt",
    "instruction",
    "question",
    "query",
    "problem",
    "input",
];
/// Names that a completion has.
pub(super) const COMPLETION: [&str; 6] = [
    "completion",
    "output",
    "response",
    "answer",
    "solution",
    "target",
];
/// Names that the input of an instruction has.
pub(super) const INPUT: [&str; 2] = ["input", "context"];
/// Names that a system prompt has.
pub(super) const SYSTEM: [&str; 2] = ["system", "system_prompt"];

pub(super) const PARTS: [Part; 2] = [("prompt", &PROMPT), ("completion", &COMPLETION)];

/// Maps a record with a prompt and a completion to a conversation of two turns, or three with a system prompt.
///
/// By default the fields are found by their usual names: `prompt` and `completion`, `instruction` (with `input` or
/// `context`) and `output` or `response`, `question` and `answer`, and some more. An input that is not empty stands
/// behind the instruction after an empty line, and both are kept in
/// [`Conversation::fields`] as `instruction` and `input`. All other fields are kept there under their names. Prompt and
/// completion may be lists of messages instead of texts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CompletionMapping {
    /// The field of the prompt.
    pub prompt: Option<String>,
    /// The field of an input that belongs to the prompt; it may be missing or empty in a record.
    pub input: Option<String>,
    /// The field of the completion.
    pub completion: Option<String>,
    /// The field of the system prompt; it may be missing or empty in a record.
    pub system: Option<String>,
}

impl Mapping for CompletionMapping {
    type Example = Conversation;

    fn example(&self, document: Document) -> Result<Conversation> {
        let mut fields = Fields::from(document);
        let (prompt_name, completion_name) = self.names(&fields)?;
        // Not only absent: an `input` that is the prompt itself is no input beside it.
        let input = self.input.as_deref().or_else(|| {
            let likely = input_name(fields.view(), &prompt_name);
            likely.filter(|likely| *likely != completion_name)
        });
        let system = self.system.as_deref().or_else(|| fields.first(&SYSTEM));
        let input = input
            .map(|name| fields.take_optional(name))
            .transpose()?
            .flatten();
        let system = system
            .map(|name| fields.take_optional(name))
            .transpose()?
            .flatten();
        let tools = declared(&prompt_name, &completion_name, &mut fields)?;
        let prompt = said(&mut fields, &prompt_name, Role::User)?;
        let completion = said(&mut fields, &completion_name, Role::Assistant)?;
        let completion = behind(&prompt, completion);
        let kept = match (&input, prompt.as_slice()) {
            (Some(input), [turn]) => Some((turn.text.clone(), input.clone())),
            _ => None,
        };
        let mut turns = prompt;
        if let (Some(input), Some(turn)) = (input, turns.last_mut()) {
            turn.text.extend(["\n\n", &input]);
        }
        put_system(&mut turns, system);
        turns.extend(completion);
        check_order(&turns, &fields.place())?;
        if let Some((instruction, input)) = kept {
            let fields = &mut fields.rest;
            fields.insert("instruction".into(), Value::String(instruction));
            fields.insert("input".into(), Value::String(input));
        }
        Ok(Conversation {
            turns,
            tools,
            fields: fields.rest,
            origin: fields.origin,
        })
    }
}

/// A text as one turn of `role`, or the turns of a list of messages.
fn said(fields: &mut Fields, name: &str, role: Role) -> Result<Vec<Turn>> {
    if fields.view().get(name).is_some_and(is_list_of_objects) {
        return take_turns(fields, name, role);
    }
    Ok(vec![Turn::new(role, fields.take_content(name)?)])
}

/// The tools that the record declares, where it holds messages, which can call them.
fn declared(prompt: &str, completion: &str, fields: &mut Fields) -> Result<Vec<Value>> {
    let messages = |name: &str| fields.view().get(name).is_some_and(is_list_of_objects);
    match tools::find(&fields.rest) {
        Some(name) if messages(prompt) || messages(completion) => {
            let place = fields.place();
            tools::declared(fields.take(name)?, name, &place)
        }
        _ => Ok(Vec::new()),
    }
}

impl CompletionMapping {
    /// The names of prompt and completion in this record.
    fn names(&self, fields: &Fields) -> Result<(String, String)> {
        let detected = match (&self.prompt, &self.completion) {
            (Some(prompt), Some(completion)) => return Ok((prompt.clone(), completion.clone())),
            (Some(prompt), None) => {
                let other: Vec<&str> = COMPLETION
                    .iter()
                    .copied()
                    .filter(|name| name != prompt)
                    .collect();
                fields
                    .first(&other)
                    .map(|completion| (prompt.as_str(), completion))
            }
            (None, Some(completion)) => {
                let other: Vec<&str> = PROMPT
                    .iter()
                    .copied()
                    .filter(|name| name != completion)
                    .collect();
                fields
                    .first(&other)
                    .map(|prompt| (prompt, completion.as_str()))
            }
            (None, None) => fields.pair(&PAIRS),
        };
        let owned =
            |(prompt, completion): (&str, &str)| (prompt.to_string(), completion.to_string());
        detected.map(owned).ok_or_else(|| {
            let prompt_found = self.prompt.is_some() || fields.first(&PROMPT).is_some();
            let missing = if prompt_found { "completion" } else { "prompt" };
            fields.missing(missing, fields.suggest(&PARTS))
        })
    }
}

impl FromStr for CompletionMapping {
    type Err = DataError;

    /// Reads `prompt=FIELD,completion=FIELD`, with `input=FIELD` and `system=FIELD` where there are such.
    fn from_str(text: &str) -> Result<Self> {
        let mut mapping = Self::default();
        for (name, field) in assignments(text, &["prompt", "completion", "input", "system"])? {
            match name.as_str() {
                "prompt" => mapping.prompt = Some(field),
                "completion" => mapping.completion = Some(field),
                "input" => mapping.input = Some(field),
                _ => mapping.system = Some(field),
            }
        }
        Ok(mapping)
    }
}
