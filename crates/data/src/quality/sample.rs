//! A row as the checks of quality see it.

use std::borrow::Cow;

use super::sensitive::Sensitive;
use crate::document::{Document, Origin, Value};
use crate::example::{
    Conversation, Judged, Labeled, PlainText, Preference, Turn, said_last, texts,
};

/// A row: its whole text, what is to be learned of it, and where it comes from. Made from a [`Document`] or an example
/// with `from`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// Everything that stands in the row.
    pub text: Cow<'a, str>,
    /// What is to be learned.
    pub target: Target<'a>,
    /// Where it comes from.
    pub origin: &'a Origin,
}

/// What is to be learned of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Target<'a> {
    /// The text itself.
    Text,
    /// A label of the text.
    Label(String),
    /// An answer to a prompt.
    Answer {
        /// What is asked.
        prompt: Cow<'a, str>,
        /// The answer.
        answer: Cow<'a, str>,
    },
}

impl Sample<'_> {
    /// The beginning of the text, for a report.
    pub(crate) fn excerpt(&self, masks: &Sensitive) -> String {
        excerpt(&self.text, masks)
    }
}

/// The beginning of a text on one line, at most 160 characters. Personal data and secrets are masked, since reports are
/// passed around, and before the text is cut, so that no half of a secret is left.
pub(crate) fn excerpt(text: &str, masks: &Sensitive) -> String {
    const SHOWN: usize = 160;
    let mut shown = String::new();
    for (count, character) in masks.mask(text).0.trim().chars().enumerate() {
        if count == SHOWN {
            shown.push('…');
            break;
        }
        shown.push(if character.is_control() {
            ' '
        } else {
            character
        });
    }
    shown
}

/// The place with a path that can be written as text: what is not Unicode in it is replaced.
pub(crate) fn readable(origin: &Origin) -> Origin {
    let mut origin = origin.clone();
    if origin.path.to_str().is_none() {
        origin.path = origin.path.to_string_lossy().into_owned().into();
    }
    origin
}

impl<'a> From<&'a Document> for Sample<'a> {
    /// The text of the document; of a record without one, all texts of its fields, a line each.
    fn from(document: &'a Document) -> Self {
        let text = if document.text.is_empty() {
            let mut texts = Vec::new();
            for value in document.fields.values() {
                strings(value, &mut texts);
            }
            Cow::Owned(texts.join("\n"))
        } else {
            Cow::Borrowed(document.text.as_str())
        };
        Self {
            text,
            target: Target::Text,
            origin: &document.origin,
        }
    }
}

/// The texts inside a value. The depth of a value that was read is bounded by the loaders.
fn strings<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, texts)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl<'a> From<&'a Conversation> for Sample<'a> {
    /// All turns, a line each; the last answer is what is learned.
    fn from(conversation: &'a Conversation) -> Self {
        let target = conversation.answer().map(|answer| Target::Answer {
            prompt: conversation.question().into(),
            answer: answer.into(),
        });
        Self {
            text: texts(&conversation.turns).into(),
            target: target.unwrap_or(Target::Text),
            origin: &conversation.origin,
        }
    }
}

impl<'a> From<&'a Labeled> for Sample<'a> {
    fn from(example: &'a Labeled) -> Self {
        Self {
            text: example.whole().into(),
            target: Target::Label(example.label.to_string()),
            origin: &example.origin,
        }
    }
}

impl<'a> From<&'a PlainText> for Sample<'a> {
    fn from(example: &'a PlainText) -> Self {
        Self {
            text: example.text.as_str().into(),
            target: Target::Text,
            origin: &example.origin,
        }
    }
}

impl<'a> From<&'a Preference> for Sample<'a> {
    /// The prompt and the chosen answer; the rejected one is part of the text alone.
    fn from(example: &'a Preference) -> Self {
        let [prompt, chosen, rejected] =
            [&example.prompt, &example.chosen, &example.rejected].map(|turns| texts(turns));
        Self {
            text: format!("{prompt}\n{chosen}\n{rejected}").into(),
            target: answered(prompt, &example.chosen),
            origin: &example.origin,
        }
    }
}

impl<'a> From<&'a Judged> for Sample<'a> {
    /// The prompt and the answer, whether it is good or not.
    fn from(example: &'a Judged) -> Self {
        let prompt = texts(&example.prompt);
        Self {
            text: format!("{prompt}\n{}", texts(&example.answer)).into(),
            target: answered(prompt, &example.answer),
            origin: &example.origin,
        }
    }
}

/// The text of an answer as what is learned; the whole if it ends with a call.
fn answered(prompt: String, answer: &[Turn]) -> Target<'_> {
    match said_last(answer) {
        Some(answer) => Target::Answer {
            prompt: prompt.into(),
            answer: answer.into(),
        },
        None => Target::Text,
    }
}
