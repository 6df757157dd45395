//! Which of the usual formats a data set has.

use std::fmt;

use serde_json::Value;

use super::chat::MESSAGES;
use super::completion::{self, PROMPT};
use super::fields::{View, is_list_of_objects, is_list_of_texts};
use super::label::{self, LABEL};
use super::preference::{CHOSEN, REJECTED};
use super::text::TEXT;
use super::turns::{input_name, prompt_name};
use super::{judged, known, rated};
use crate::document::Document;
use crate::error::{DataError, Result, escaped};

/// A usual format of a data set, named by what its records hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Lists of messages with `role` and `content`.
    Messages,
    /// Lists of messages with `from` and `value`.
    ShareGpt,
    /// An instruction, perhaps with an input, and its output.
    Alpaca,
    /// A prompt and its completion, by any of their names.
    Completion,
    /// A better and a worse answer.
    Preference,
    /// Two answers, and which of them is better.
    Comparison,
    /// A prompt with a list of answers that have ratings, as in `UltraFeedback`.
    Rated,
    /// A prompt and an answer that is judged good or bad, as for KTO.
    Judged,
    /// A prompt with a list of steps, each judged, as for process rewards. No mapping reads it.
    Steps,
    /// A text with a label: a class, or a number.
    Label,
    /// A text with any number of labels.
    Labels,
    /// Two texts with a label.
    LabeledPair,
    /// Texts to be learned as a whole.
    Text,
}

impl Format {
    /// The format of most of the documents; of two that are equally frequent, that of the earlier document.
    ///
    /// A few records are enough: it is looked at names and types of fields, not at what texts say.
    ///
    /// # Errors
    ///
    /// [`DataError::MissingField`](crate::DataError::MissingField) if no document has a known format, with the fields
    /// of the first and what they may be mapped to.
    ///
    /// ```
    /// use finetune_data::mapping::Format;
    /// use finetune_data::{Document, Origin};
    ///
    /// let fields = [("question".into(), "Why?".into()), ("answer".into(), "So.".into())];
    /// let document = Document { text: String::new(), fields: fields.into(), origin: Origin::default() };
    /// let detected = Format::detect(&[document])?;
    /// assert_eq!(detected.format, Format::Completion);
    /// assert_eq!(detected.mapping, "prompt=question,completion=answer");
    /// assert_eq!(detected.to_string(), "prompts with completions (question, answer)");
    /// # Ok::<(), finetune_data::DataError>(())
    /// ```
    pub fn detect(documents: &[Document]) -> Result<Detected> {
        let known = documents.iter().filter_map(Detected::of);
        let mut found: Vec<Detected> = Vec::new();
        for one in known {
            let same = |known: &&mut Detected| {
                (known.format, &known.mapping) == (one.format, &one.mapping)
            };
            match found.iter_mut().find(same) {
                Some(known) => known.records += 1,
                None => found.push(one),
            }
        }
        let most = found.iter().map(|detected| detected.records).max();
        let first = found
            .into_iter()
            .find(|detected| Some(detected.records) == most);
        match (first, documents.first()) {
            (Some(first), _) => Ok(Detected {
                of: documents.len(),
                ..first
            }),
            (None, Some(document)) => Err(super::detect::unknown(document)),
            (None, None) => Err(DataError::EmptyDataset {
                place: crate::error::Place::default(),
                blank: 0,
                broken: 0,
                dropped: 0,
            }),
        }
    }

    /// Its name, as it stands before the fields.
    fn name(self) -> &'static str {
        match self {
            Self::Messages => "chats with role and content",
            Self::ShareGpt => "ShareGPT",
            Self::Alpaca => "Alpaca",
            Self::Completion => "prompts with completions",
            Self::Preference => "preferences",
            Self::Comparison => "comparisons of two answers",
            Self::Rated => "rated answers",
            Self::Judged => "answers judged good or bad",
            Self::Steps => "steps judged one by one",
            Self::Label => "labelled texts",
            Self::Labels => "texts with several labels",
            Self::LabeledPair => "labelled pairs of texts",
            Self::Text => "plain texts",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// The format.
    pub format: Format,
    /// The fields that it was found by.
    pub fields: Vec<String>,
    /// The mapping that reads it, as text for the mapping of its kind; empty if there is none, or none is
    /// needed.
    pub mapping: String,
    /// How many documents have it, by these fields.
    pub records: usize,
    /// How many documents were looked at.
    pub of: usize,
}

impl Detected {
    /// The format of one document.
    pub(super) fn of(document: &Document) -> Option<Self> {
        let record = View(&document.fields);
        answers(record)
            .or_else(|| conversation(record))
            .or_else(|| text(record, document))
    }

    fn new(format: Format, parts: Vec<(&'static str, String)>) -> Self {
        let mapping = parts.iter().map(|(part, field)| format!("{part}={field}"));
        Self {
            format,
            mapping: mapping.collect::<Vec<_>>().join(","),
            fields: parts.into_iter().map(|(_, field)| field).collect(),
            records: 1,
            of: 1,
        }
    }
}

impl fmt::Display for Detected {
    /// The format with its fields, and its share if not all records have it: `Alpaca (instruction, output) in 9 of 10
    /// records`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.format.fmt(f)?;
        if !self.fields.is_empty() {
            let fields: Vec<String> = self.fields.iter().map(|field| escaped(field)).collect();
            write!(f, " ({})", fields.join(", "))?;
        }
        if self.records < self.of {
            write!(f, " in {} of {} records", self.records, self.of)?;
        }
        Ok(())
    }
}

/// Answers that are judged in some way. They come first: a record that says which answers are good must not be taken
/// for one whose answers all are.
fn answers(record: View<'_>) -> Option<Detected> {
    if let (Some(chosen), Some(rejected)) = (record.first(&CHOSEN), record.first(&REJECTED)) {
        let mut parts = asked(record);
        parts.extend([("chosen", chosen.into()), ("rejected", rejected.into())]);
        return Some(Detected::new(Format::Preference, parts));
    }
    if let Some((parts, values)) = known::found(record) {
        let mut found = Detected::new(Format::Comparison, parts);
        found.mapping.push_str(&values);
        return Some(found);
    }
    if let Some(parts) = judged::found(record) {
        return Some(Detected::new(Format::Judged, parts));
    }
    if let (Some(prompt), Some(Value::Array(labels))) =
        (record.first(&PROMPT), record.get("labels"))
        && record.get("completions").is_some_and(is_list_of_texts)
        && labels.iter().all(Value::is_boolean)
    {
        let fields = [prompt, "completions", "labels"];
        return Some(Detected {
            fields: fields.map(String::from).into(),
            ..Detected::new(Format::Steps, Vec::new())
        });
    }
    rated::found(record).map(|parts| Detected::new(Format::Rated, parts))
}

/// The parts of a prompt, if it has a field of its own.
fn asked(record: View<'_>) -> Vec<(&'static str, String)> {
    let Some(prompt) = prompt_name(record) else {
        return Vec::new();
    };
    let input = input_name(record, prompt).map(|input| ("input", input.into()));
    std::iter::once(("prompt", prompt.into()))
        .chain(input)
        .collect()
}

fn conversation(record: View<'_>) -> Option<Detected> {
    if let Some(messages) = record.first(&MESSAGES)
        && let Some(list) = record.get(messages).filter(|list| is_list_of_objects(list))
    {
        let format = if list[0].get("from").is_some() {
            Format::ShareGpt
        } else {
            Format::Messages
        };
        return Some(Detected::new(format, vec![("messages", messages.into())]));
    }
    let (prompt, answer) = record.pair(&completion::PAIRS)?;
    let input = input_name(record, prompt).filter(|input| *input != answer);
    let mut parts = vec![("prompt", prompt.into())];
    parts.extend(input.map(|input| ("input", input.into())));
    parts.push(("completion", answer.into()));
    let format = if prompt == "instruction" {
        Format::Alpaca
    } else {
        Format::Completion
    };
    Some(Detected::new(format, parts))
}

fn text(record: View<'_>, document: &Document) -> Option<Detected> {
    let own = !document.text.trim().is_empty();
    if let Some(label) = record.first(&LABEL) {
        let several = match record.get(label) {
            Some(Value::Array(items)) => {
                let scalar =
                    |item: &Value| !item.is_array() && !item.is_object() && !item.is_null();
                items.iter().all(scalar).then_some(true)
            }
            Some(Value::Object(_)) => None,
            _ => Some(false),
        };
        let label = ("label", label.to_owned());
        if let Some(several) = several {
            if let Some((text, pair)) = record.pair(&label::PAIRS) {
                let parts = vec![("text", text.into()), ("pair", pair.into()), label];
                return Some(Detected::new(Format::LabeledPair, parts));
            }
            if let Some(text) = record.first(&TEXT).filter(|_| !own) {
                let format = if several {
                    Format::Labels
                } else {
                    Format::Label
                };
                return Some(Detected::new(format, vec![("text", text.into()), label]));
            }
        }
    }
    if own {
        return Some(Detected::new(Format::Text, Vec::new()));
    }
    let text = record.first(&TEXT)?;
    record
        .get(text)?
        .is_string()
        .then(|| Detected::new(Format::Text, vec![("text", text.into())]))
}
