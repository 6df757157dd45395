//! Pairs of a better and a worse answer.

use std::str::FromStr;

use super::completion::PROMPT;
use super::fields::Fields;
use super::margin::{self, Margin};
use super::offer::Part;
use super::turns::{Asked, answer, behind, complete, take_turns};
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
/// If no prompt is left, an answer is not one turn of the assistant, or both are equal.
pub(super) fn preference(
    prompt: Vec<Turn>,
    system: Option<String>,
    chosen: Vec<Turn>,
    rejected: Vec<Turn>,
    fields: Fields,
) -> Result<Preference> {
    let place = fields.place();
    let (prompt, chosen, rejected) = shared(prompt, chosen, rejected);
    let (chosen, rejected) = (answer(chosen, &place)?, answer(rejected, &place)?);
    let (prompt, chosen, rejected) = if prompt.is_empty() {
        begun(&chosen, &rejected)
    } else {
        (prompt, chosen, rejected)
    };
    let prompt = complete(prompt, system, &fields)?;
    if chosen == rejected {
        return Err(DataError::NoPreference { place });
    }
    fields.check_content("chosen", &chosen)?;
    fields.check_content("rejected", &rejected)?;
    Ok(Preference {
        prompt,
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
/// answers.
fn begun(chosen: &str, rejected: &str) -> (Vec<Turn>, String, String) {
    let same = chosen
        .char_indices()
        .zip(rejected.chars())
        .find(|((_, a), b)| a != b)
        .map_or(chosen.len().min(rejected.len()), |((at, _), _)| at);
    let common = &chosen[..same];
    // The words differ behind the last white space, wherever the letters do.
    let words = common.rfind(char::is_whitespace).unwrap_or(0);
    let prompt = common[..words].trim_end();
    if prompt.trim().is_empty() {
        return (Vec::new(), chosen.into(), rejected.into());
    }
    let rest = |text: &str| text[prompt.len()..].to_owned();
    (
        vec![Turn::new(Role::User, prompt)],
        rest(chosen),
        rest(rejected),
    )
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
