//! Two answers and a field that says which is better.

use std::str::FromStr;

use serde_json::Value;

use super::completion::PROMPT;
use super::fields::{Fields, Part, View};
use super::margin::{self, Margin};
use super::preference::preference;
use super::turns::{Asked, prompt_name, take_turns};
use super::{Mapping, assignments};
use crate::document::Document;
use crate::error::{DataError, Result};
use crate::example::{Preference, Role};

const ANSWERS: [(&str, &str); 8] = [
    ("response_0", "response_1"),
    ("response_1", "response_2"),
    ("response_a", "response_b"),
    ("answer_0", "answer_1"),
    ("output_1", "output_2"),
    ("conversation_a", "conversation_b"),
    ("human_ref_A", "human_ref_B"),
    ("responses.0", "responses.1"),
];
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
                match said {
                    Some(said) if first.contains(&said) => Ok(true),
                    Some(said) if second.contains(&said) => Ok(false),
                    Some(said) if TIES.contains(&said.as_str()) => {
                        Err(fields.left_out("without a winner", format!("{field} is {said:?}")))
                    }
                    None if value(field)?.is_null() => {
                        Err(fields.left_out("without a winner", format!("{field} is null")))
                    }
                    said => {
                        let expected = format!(
                            "{} (the first) or {} (the second)",
                            first.join("|"),
                            second.join("|")
                        );
                        let said = said.unwrap_or_else(|| {
                            value(field).map(Value::to_string).unwrap_or_default()
                        });
                        Err(fields.unexpected(field, &said, expected))
                    }
                }
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
                _ => Err(fields.left_out("without a rating", "an answer has no rating")),
            },
        }
    }
}

/// A value as a choice is written: whole numbers without a fraction, texts in lower case.
fn said(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_ascii_lowercase()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(number) if number.fract() == 0.0 => format!("{number:.0}"),
            _ => number.to_string(),
        }),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The form of a data set that many use.
#[derive(Clone, Copy)]
struct Known {
    /// The field of the prompt, where it has no usual name.
    prompt: Option<&'static str>,
    first: &'static str,
    second: &'static str,
    told: Told,
}

#[derive(Clone, Copy)]
enum Told {
    /// By the field, with the values that say first and second.
    Choice(
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
    ),
    Ratings(&'static str, &'static str),
}

/// The forms, each found by the fields of both answers and of the verdict.
const KNOWN: [Known; 11] = [
    Known {
        prompt: Some("history"),
        first: "human_ref_A",
        second: "human_ref_B",
        told: Told::Choice("labels", &["1"], &["0"]),
    },
    usual(0, Told::Choice("better_response_id", &["0"], &["1"])),
    usual(
        1,
        Told::Choice("preference_strength", &["-3", "-2", "-1"], &["1", "2", "3"]),
    ),
    usual(1, Told::Choice("preference", &["1"], &["2"])),
    usual(4, Told::Choice("preference", &["1"], &["2"])),
    usual(
        5,
        Told::Choice("winner", &["model_a", "a"], &["model_b", "b"]),
    ),
    usual(
        2,
        Told::Choice(
            "winner",
            &["model_a", "response_a", "a"],
            &["model_b", "response_b", "b"],
        ),
    ),
    usual(
        2,
        Told::Choice("preference", &["response_a", "a"], &["response_b", "b"]),
    ),
    Known {
        prompt: Some("question.full_text"),
        first: "answer_0",
        second: "answer_1",
        told: Told::Ratings("score_0", "score_1"),
    },
    Known {
        prompt: Some("info.post"),
        first: "summaries.0.text",
        second: "summaries.1.text",
        told: Told::Choice("choice", &["0"], &["1"]),
    },
    usual(7, Told::Choice("choice", &["0"], &["1"])),
];

/// A form whose prompt has a usual name.
const fn usual(answers: usize, told: Told) -> Known {
    let (first, second) = ANSWERS[answers];
    Known {
        prompt: None,
        first,
        second,
        told,
    }
}

impl Known {
    fn of(record: View<'_>) -> Option<Self> {
        KNOWN.into_iter().find(|known| {
            let told = match known.told {
                Told::Choice(field, ..) => record.0.contains_key(field),
                Told::Ratings(first, second) => record.has(first) && record.has(second),
            };
            // Of a list of answers the two must be all.
            let third = known.second.replace(".1", ".2");
            let two = third == known.second || !record.has(&third);
            let asked = known.prompt.is_none_or(|prompt| record.has(prompt));
            told && two && asked && record.has(known.first) && record.has(known.second)
        })
    }

    fn compared(self) -> Compared {
        let owned = |values: &[&str]| values.iter().copied().map(String::from).collect();
        Compared {
            first: self.first.into(),
            second: self.second.into(),
            verdict: match self.told {
                Told::Choice(field, first, second) => Verdict::Choice {
                    field: field.into(),
                    first: owned(first),
                    second: owned(second),
                },
                Told::Ratings(first, second) => Verdict::Ratings {
                    first: first.into(),
                    second: second.into(),
                    margin: Margin::default(),
                },
            },
        }
    }
}

/// The parts of a mapping for a record of a known form, with the values that its choice has.
pub(super) fn found(record: View<'_>) -> Option<(Vec<(&'static str, String)>, String)> {
    let known = Known::of(record)?;
    let mut parts = Vec::new();
    if let Some(prompt) = known.prompt.or_else(|| prompt_name(record)) {
        parts.push(("prompt", prompt.into()));
    }
    parts.extend([
        ("first", known.first.into()),
        ("second", known.second.into()),
    ]);
    let values = match known.told {
        Told::Choice(field, first, second) => {
            parts.push(("choice", field.into()));
            format!(
                ",first_if={},second_if={}",
                first.join("|"),
                second.join("|")
            )
        }
        Told::Ratings(first, second) => {
            parts.extend([
                ("first_score", first.into()),
                ("second_score", second.into()),
            ]);
            String::new()
        }
    };
    Some((parts, values))
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
                found: crate::error::quoted(text),
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
