//! The forms in which data sets that many use compare two answers.

use super::comparison::{Compared, Verdict};
use super::fields::View;
use super::margin::Margin;
use super::turns::prompt_name;

/// The form of a data set that many use.
#[derive(Clone, Copy)]
pub(super) struct Known {
    /// The field of the prompt, where it has no usual name.
    pub(super) prompt: Option<&'static str>,
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
        ..usual(
            "human_ref_A",
            "human_ref_B",
            Told::Choice("labels", &["1"], &["0"]),
        )
    },
    usual(
        "response_0",
        "response_1",
        Told::Choice("better_response_id", &["0"], &["1"]),
    ),
    usual(
        "response_1",
        "response_2",
        Told::Choice("preference_strength", &["-3", "-2", "-1"], &["1", "2", "3"]),
    ),
    usual(
        "response_1",
        "response_2",
        Told::Choice("preference", &["1"], &["2"]),
    ),
    usual(
        "output_1",
        "output_2",
        Told::Choice("preference", &["1"], &["2"]),
    ),
    usual(
        "conversation_a",
        "conversation_b",
        Told::Choice("winner", &["model_a", "a"], &["model_b", "b"]),
    ),
    usual(
        "response_a",
        "response_b",
        Told::Choice(
            "winner",
            &["model_a", "response_a", "a"],
            &["model_b", "response_b", "b"],
        ),
    ),
    usual(
        "response_a",
        "response_b",
        Told::Choice("preference", &["response_a", "a"], &["response_b", "b"]),
    ),
    Known {
        prompt: Some("question.full_text"),
        ..usual("answer_0", "answer_1", Told::Ratings("score_0", "score_1"))
    },
    Known {
        prompt: Some("info.post"),
        ..usual(
            "summaries.0.text",
            "summaries.1.text",
            Told::Choice("choice", &["0"], &["1"]),
        )
    },
    usual(
        "responses.0",
        "responses.1",
        Told::Choice("choice", &["0"], &["1"]),
    ),
];

/// A form whose prompt has a usual name.
const fn usual(first: &'static str, second: &'static str, told: Told) -> Known {
    Known {
        prompt: None,
        first,
        second,
        told,
    }
}

impl Known {
    /// The form of a record.
    pub(super) fn of(record: View<'_>) -> Option<Self> {
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

    /// Its fields, as a mapping names them.
    pub(super) fn compared(self) -> Compared {
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
