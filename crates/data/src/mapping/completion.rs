//! Prompts with their completions.

use std::str::FromStr;

use serde_json::Value;

use super::fields::Fields;
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
const INPUT: [&str; 2] = ["input", "context"];
/// Names that a system prompt has.
pub(super) const SYSTEM: [&str; 2] = ["system", "system_prompt"];

/// Maps a record with a prompt and a completion to a conversation of two turns, or three with a system prompt.
///
/// By default the fields are found by their usual names: `prompt` and `completion`, `instruction` (with `input` or
/// `context`) and `output` or `response`, `question` and `answer`, and some more. An input that is not empty stands
/// behind the instruction after an empty line, and both are kept in
/// [`Conversation::fields`] as `instruction` and `input`. All other fields are kept there under their names.
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
            let likely = fields.first(&INPUT)?;
            (prompt_name == "instruction" && likely != completion_name).then_some(likely)
        });
        let system = self.system.as_deref().or_else(|| fields.first(&SYSTEM));
        let prompt = fields.take_content(&prompt_name)?;
        let input = input
            .map(|name| fields.take_optional(name))
            .transpose()?
            .flatten();
        let system = system
            .map(|name| fields.take_optional(name))
            .transpose()?
            .flatten();
        let completion = fields.take_content(&completion_name)?;
        let mut turns = Vec::new();
        turns.extend(system.map(|text| Turn::new(Role::System, text)));
        let asked = match &input {
            Some(input) => format!("{prompt}\n\n{input}"),
            None => prompt.clone(),
        };
        turns.push(Turn::new(Role::User, asked));
        turns.push(Turn::new(Role::Assistant, completion));
        let mut rest = fields.rest;
        if let Some(input) = input {
            rest.insert("instruction".into(), Value::String(prompt));
            rest.insert("input".into(), Value::String(input));
        }
        Ok(Conversation {
            turns,
            tools: Vec::new(),
            fields: rest,
            origin: fields.origin,
        })
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
            fields.missing(
                missing,
                fields.suggest(&[("prompt", &PROMPT), ("completion", &COMPLETION)]),
            )
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
