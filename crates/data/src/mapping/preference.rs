//! Pairs of a better and a worse answer.

use std::str::FromStr;

use super::completion::PROMPT;
use super::fields::Fields;
use super::margin::{self, Margin};
use super::offer::Part;
use super::turns::{Asked, answer, behind, check_follows, complete, take_tools, take_turns};
use super::{Mapping, assignments};
use crate::document::Document;
use crate::error::{DataError, Result};
use crate::example::{Preference, Role, Turn};

/// Names that the better answer has.
pub(super) const CHOSEN: [&str; 8] = [
    "chosen",
    "preferred",
    "better",
    "accepted",
    "response_chosen",
    "chosen_response",
    "preferred_output",
    "response_j",
];
/// Names that the worse answer has.
pub(super) const REJECTED: [&str; 7] = [
    "rejected",
    "dispreferred",
    "worse",
    "response_rejected",
    "rejected_response",
    "non_preferred_output",
    "response_k",
];
/// Names of the ratings of both.
const RATINGS: [(&str, &str); 6] = [
    ("chosen-rating", "rejected-rating"),
    ("chosen_rating", "rejected_rating"),
    ("chosen_avg_rating", "rejected_avg_rating"),
    ("chosen_score", "rejected_score"),
    ("score_chosen", "score_rejected"),
    ("chosen_reward", "rejected_reward"),
];
pub(super) const PARTS: [Part; 3] = [
    ("prompt", &PROMPT),
    ("chosen", &CHOSEN),
    ("rejected", &REJECTED),
];

/// Maps a record with a chosen and a rejected answer to a preference.
///
/// Each of prompt, chosen and rejected answer is a text, a message or a list of messages. The prompt has a field of its
/// own (with an `input` beside an `instruction`, and a system prompt), or it is what both answers begin with: the
/// common messages of two lists, the common words of two texts. A text that is a transcript
/// (`\n\nHuman: …\n\nAssistant: …`, as in HH-RLHF) is read as its turns. `OpenAI`'s form (`input.messages`,
/// `preferred_output`, `non_preferred_output`) is one of these.
///
/// Tools, calls, their results and thoughts are read as a [`ChatMapping`](super::ChatMapping) reads them. An answer may go
/// on behind the results of the tools that it calls; no user speaks in it.
///
/// Where the record rates both answers (`chosen-rating` and `rejected-rating`, `score_chosen` and `score_rejected` and
/// the like), one with equal ratings is left out, since it says nothing of which is better; and one whose ratings differ
/// by less than the margin.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PreferenceMapping {
    /// The field of the prompt.
    pub prompt: Option<String>,
    /// The field of an input that belongs to the prompt; it may be missing or empty in a record.
    pub input: Option<String>,
    /// The field of the better answer.
    pub chosen: Option<String>,
    /// The field of the worse answer.
    pub rejected: Option<String>,
    /// The field of the system prompt; it may be missing or empty in a record.
    pub system: Option<String>,
    /// How far apart ratings must be.
    pub margin: Margin,
}

impl Mapping for PreferenceMapping {
    type Example = Preference;

    fn example(&self, document: Document) -> Result<Preference> {
        let mut fields = Fields::from(document);
        let find = |set: &Option<String>, usual: &[&str]| {
            set.clone()
                .or_else(|| fields.first(usual).map(String::from))
        };
        let (chosen, rejected) =
            match (find(&self.chosen, &CHOSEN), find(&self.rejected, &REJECTED)) {
                (Some(chosen), Some(rejected)) => (chosen, rejected),
                (found, _) => {
                    let missing = if found.is_some() {
                        "rejected"
                    } else {
                        "chosen"
                    };
                    return Err(fields.missing(missing, fields.suggest(&PARTS)));
                }
            };
        self.check_ratings(&fields)?;
        let asked = Asked {
            prompt: self.prompt.clone(),
            input: self.input.clone(),
            system: self.system.clone(),
        };
        let system = asked.take_system(&mut fields)?;
        let prompt = asked.take(&mut fields)?;
        let chosen = take_turns(&mut fields, &chosen, Role::Assistant)?;
        let rejected = take_turns(&mut fields, &rejected, Role::Assistant)?;
        preference(prompt, system, chosen, rejected, fields)
    }
}

impl PreferenceMapping {
    fn check_ratings(&self, fields: &Fields) -> Result<()> {
        let Some((chosen, rejected)) = fields.pair(&RATINGS) else {
            return Ok(());
        };
        let rating = |name: &str| fields.view().get(name).and_then(margin::quantity);
        match (rating(chosen), rating(rejected)) {
            (Some(chosen), Some(rejected)) => self.margin.check(chosen, rejected, fields),
            _ => Ok(()),
        }
    }
}

/// The preference between two answers; what both begin with belongs to the prompt.
///
/// # Errors
///
/// If no prompt is left, somebody else than the assistant and its tools speaks in an answer, or both are equal.
pub(super) fn preference(
    prompt: Vec<Turn>,
    system: Option<String>,
    chosen: Vec<Turn>,
    rejected: Vec<Turn>,
    mut fields: Fields,
) -> Result<Preference> {
    let (prompt, chosen, rejected) = shared(prompt, chosen, rejected);
    let (prompt, chosen, rejected) = if prompt.is_empty() {
        begun(chosen, rejected)
    } else {
        (prompt, chosen, rejected)
    };
    let prompt = complete(prompt, system, &fields)?;
    if chosen == rejected {
        let place = fields.place();
        return Err(DataError::NoPreference { place });
    }
    let chosen = answer(chosen, "chosen", &fields)?;
    let rejected = answer(rejected, "rejected", &fields)?;
    for answer in [&chosen, &rejected] {
        check_follows(&prompt, answer, &fields)?;
    }
    Ok(Preference {
        prompt,
        tools: take_tools(&mut fields)?,
        chosen,
        rejected,
        origin: fields.origin,
    })
}

/// Moves what both answers begin with behind the prompt; one turn at least is left of each.
fn shared(
    mut prompt: Vec<Turn>,
    chosen: Vec<Turn>,
    rejected: Vec<Turn>,
) -> (Vec<Turn>, Vec<Turn>, Vec<Turn>) {
    let (mut chosen, mut rejected) = (behind(&prompt, chosen), behind(&prompt, rejected));
    let same = chosen.iter().zip(&rejected).take_while(|(a, b)| a == b);
    let begin = same
        .count()
        .min(chosen.len().min(rejected.len()).saturating_sub(1));
    prompt.extend(chosen.drain(..begin));
    rejected.drain(..begin);
    (prompt, chosen, rejected)
}

/// The words that two texts begin with as a prompt, and what is left of each. The white space between stays with the
/// answers. Nothing is a prompt if an answer is more than a text.
fn begun(mut chosen: Vec<Turn>, mut rejected: Vec<Turn>) -> (Vec<Turn>, Vec<Turn>, Vec<Turn>) {
    if let ([better], [worse]) = (&mut *chosen, &mut *rejected)
        && is_text(better)
        && is_text(worse)
        && let Some(prompt) = begin_alike(&better.text, &worse.text)
    {
        let prompt = prompt.to_owned();
        for turn in [better, worse] {
            turn.text.drain(..prompt.len());
        }
        return (vec![Turn::new(Role::User, prompt)], chosen, rejected);
    }
    (Vec::new(), chosen, rejected)
}

/// Whether a turn is a text of the assistant and nothing else.
fn is_text(turn: &Turn) -> bool {
    *turn == Turn::new(Role::Assistant, turn.text.as_str())
}

/// The words that two texts begin with, if there are such.
fn begin_alike<'a>(one: &'a str, other: &str) -> Option<&'a str> {
    let same = one
        .char_indices()
        .zip(other.chars())
        .find(|((_, a), b)| a != b)
        .map_or(one.len().min(other.len()), |((at, _), _)| at);
    let common = &one[..same];
    // The words differ behind the last white space, wherever the letters do.
    let words = common.rfind(char::is_whitespace).unwrap_or(0);
    let prompt = common[..words].trim_end();
    (!prompt.trim().is_empty()).then_some(prompt)
}

impl FromStr for PreferenceMapping {
    type Err = DataError;

    /// Reads `prompt=FIELD,chosen=FIELD,rejected=FIELD`, with `input=FIELD` and `system=FIELD` where there are such, and
    /// `margin=NUMBER`.
    fn from_str(text: &str) -> Result<Self> {
        let mut mapping = Self::default();
        let known = ["prompt", "input", "chosen", "rejected", "system", "margin"];
        for (name, field) in assignments(text, &known)? {
            match name.as_str() {
                "prompt" => mapping.prompt = Some(field),
                "input" => mapping.input = Some(field),
                "chosen" => mapping.chosen = Some(field),
                "rejected" => mapping.rejected = Some(field),
                "system" => mapping.system = Some(field),
                _ => mapping.margin = field.parse()?,
            }
        }
        Ok(mapping)
    }
}
