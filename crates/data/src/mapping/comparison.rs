//! Two answers and a field that says which is better.

use std::str::FromStr;

use serde_json::Value;

use super::completion::PROMPT;
use super::fields::Fields;
use super::known::Known;
use super::margin::{self, Margin};
use super::offer::Part;
use super::preference::preference;
use super::turns::{Asked, take_turns};
use super::{Mapping, assignments};
use crate::document::Document;
use crate::error::{DataError, Result, quoted};
use crate::example::{Preference, Role};

const FIRST: &[&str] = &[
    "first",
    "answer_a",
    "completion_a",
    "response_a",
    "output_a",
];
const SECOND: &[&str] = &[
    "second",
    "answer_b",
    "completion_b",
    "response_b",
    "output_b",
];
const CHOICE: &[&str] = &[
    "choice",
    "winner",
    "preference",
    "better",
    "label",
    "labels",
];
pub(super) const PARTS: [Part; 4] = [
    ("prompt", &PROMPT),
    ("first", FIRST),
    ("second", SECOND),
    ("choice", CHOICE),
];
/// What a choice says that is none.
const TIES: [&str; 6] = ["", "0", "tie", "tie (bothbad)", "both", "neither"];

/// Maps a record with two answers, and a field that says which of them is better, to a preference.
///
/// Found without names are the fields of the data sets SHP, `PKU-SafeRLHF` (by `better_response_id`), `AlpacaFarm`,
/// `HelpSteer2`, the chatbot arena (`conversation_a`, `conversation_b`, `winner`), `WebGPT`, summaries from feedback,
/// and `responses` (two) with `choice`. A record without a winner is left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ComparisonMapping {
    /// The field of the prompt; none if both answers begin with it.
    pub prompt: Option<String>,
    /// The field of an input that belongs to the prompt; it may be missing or empty in a record.
    pub input: Option<String>,
    /// The field of the system prompt; it may be missing or empty in a record.
    pub system: Option<String>,
    /// The fields of both answers and of the verdict; found by their usual names if there are none.
    pub compared: Option<Compared>,
}

/// Two answers and what says which is better.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The field of the first answer.
    pub first: String,
    /// The field of the second answer.
    pub second: String,
    /// Which of both is better.
    pub verdict: Verdict,
}

/// What says which of two answers is better.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// A field that names it. Nothing, a 0 that is neither's value, `tie` and the like say that neither is.
    Choice {
        /// The field.
        field: String,
        /// Its values where the first answer is better: texts in lower case, numbers, `true` or `false`.
        first: Vec<String>,
        /// Its values where the second answer is better.
        second: Vec<String>,
    },
    /// Ratings of both, of which the higher one is better.
    Ratings {
        /// The field of the first answer's.
        first: String,
        /// The field of the second answer's.
        second: String,
        /// How far apart they must be.
        margin: Margin,
    },
}

impl Mapping for ComparisonMapping {
    type Example = Preference;

    fn example(&self, document: Document) -> Result<Preference> {
        let mut fields = Fields::from(document);
        let known = match &self.compared {
            Some(_) => None,
            None => Known::of(fields.view()),
        };
        let Some(compared) = self.compared.clone().or(known.map(Known::compared)) else {
            return Err(fields.missing("choice", fields.suggest(&PARTS)));
        };
        let prompt = known.and_then(|known| known.prompt).map(String::from);
        let asked = Asked {
            prompt: self.prompt.clone().or(prompt),
            input: self.input.clone(),
            system: self.system.clone(),
        };
        let first_is_better = compared.verdict.first_is_better(&fields)?;
        let system = asked.take_system(&mut fields)?;
        let prompt = asked.take(&mut fields)?;
        let first = take_turns(&mut fields, &compared.first, Role::Assistant)?;
        let second = take_turns(&mut fields, &compared.second, Role::Assistant)?;
        let (chosen, rejected) = if first_is_better {
            (first, second)
        } else {
            (second, first)
        };
        preference(prompt, system, chosen, rejected, fields)
    }
}

impl Verdict {
    /// Whether the first answer is the better one.
    fn first_is_better(&self, fields: &Fields) -> Result<bool> {
        let value = |name: &str| {
            let value = fields.view().get(name);
            value.ok_or_else(|| fields.missing(name, fields.suggest(&PARTS)))
        };
        match self {
            Self::Choice {
                field,
                first,
                second,
            } => {
                let said = said(value(field)?);
                if first.contains(&said) || second.contains(&said) {
                    return Ok(first.contains(&said));
                }
                if TIES.contains(&said.as_str()) {
                    let why = format!("{} is {}", quoted(field), quoted(&said));
                    return Err(fields.left_out("without a winner", why));
                }
                let (first, second) = (first.join("|"), second.join("|"));
                let expected = format!("{first} (the first) or {second} (the second)");
                Err(fields.unexpected(field, &said, expected))
            }
            Self::Ratings {
                first,
                second,
                margin,
            } => match (
                margin::quantity(value(first)?),
                margin::quantity(value(second)?),
            ) {
                (Some(first), Some(second)) => {
                    margin.check(first, second, fields)?;
                    Ok(first > second)
                }
                _ => Err(fields.left_out("without two rated answers", "an answer has no rating")),
            },
        }
    }
}

/// A value as a choice is written: whole numbers without a fraction, texts in lower case, nothing for null.
fn said(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        Value::Number(number) => match number.as_f64() {
            Some(number) if number.fract() == 0.0 => format!("{:.0}", number + 0.0),
            _ => number.to_string(),
        },
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

impl FromStr for ComparisonMapping {
    type Err = DataError;

    /// Reads `first=FIELD,second=FIELD` with either `choice=FIELD,first_if=VALUE,second_if=VALUE` (of several values with
    /// `|` between) or `first_score=FIELD,second_score=FIELD,margin=NUMBER`; `prompt`, `input` and `system` as for
    /// [`PreferenceMapping`](super::PreferenceMapping). Without `first_if` and `second_if` 0 and 1 are meant.
    fn from_str(text: &str) -> Result<Self> {
        const KNOWN: [&str; 11] = [
            "prompt",
            "input",
            "system",
            "first",
            "second",
            "choice",
            "first_if",
            "second_if",
            "first_score",
            "second_score",
            "margin",
        ];
        let mut parts = assignments(text, &KNOWN)?;
        let mut take = |name: &str| {
            let at = parts.iter().position(|(part, _)| part == name)?;
            Some(parts.swap_remove(at).1)
        };
        let mapping = Self {
            prompt: take("prompt"),
            input: take("input"),
            system: take("system"),
            compared: None,
        };
        let (first, second) = (take("first"), take("second"));
        let values = |text: Option<String>, usual: &str| {
            let text = text.unwrap_or_else(|| usual.into()).to_ascii_lowercase();
            text.split('|').map(|value| value.trim().into()).collect()
        };
        let verdict = match (take("choice"), take("first_score"), take("second_score")) {
            (Some(field), None, None) => Some(Verdict::Choice {
                field,
                first: values(take("first_if"), "0"),
                second: values(take("second_if"), "1"),
            }),
            (None, Some(first), Some(second)) => {
                let margin = take("margin").map(|margin| margin.parse());
                Some(Verdict::Ratings {
                    first,
                    second,
                    margin: margin.transpose()?.unwrap_or_default(),
                })
            }
            _ => None,
        };
        let (Some(first), Some(second), Some(verdict), true) =
            (first, second, verdict, parts.is_empty())
        else {
            return Err(DataError::Setting {
                name: "mapping".into(),
                found: quoted(text),
                expected: "first=FIELD,second=FIELD with choice=FIELD,first_if=VALUE,second_if=VALUE or with \
                           first_score=FIELD,second_score=FIELD"
                    .into(),
            });
        };
        let compared = Some(Compared {
            first,
            second,
            verdict,
        });
        Ok(Self {
            compared,
            ..mapping
        })
    }
}
