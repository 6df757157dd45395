//! Which of the usual formats a data set has.

use std::fmt;

use serde_json::Value;

use super::chat::MESSAGES;
use super::completion::{self, PROMPT};
use super::fields::Fields;
use super::label::{self, LABEL};
use super::preference::{CHOSEN, REJECTED};
use super::text::TEXT;
use crate::document::Document;
use crate::error::{Result, quoted};

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
    /// A prompt with a list of completions that have ratings, as in `UltraFeedback`. No mapping reads it as it is:
    /// make preferences of it.
    Rated,
    /// A prompt and a completion that is judged good or bad, as for KTO. No mapping reads the judgement: keep the good
    /// ones, or the bad ones are learned too.
    Judged,
    /// A text with a label.
    Label,
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
    /// # Ok::<(), finetune_data::DataError>(())
    /// ```
    pub fn detect(documents: &[Document]) -> Result<Detected> {
        let mut found: Vec<Detected> = Vec::new();
        for document in documents {
            let Some((format, mapping)) = classify(document) else {
                continue;
            };
            match found
                .iter_mut()
                .find(|known| known.format == format && known.mapping == mapping)
            {
                Some(known) => known.records += 1,
                None => found.push(Detected {
                    format,
                    mapping,
                    records: 1,
                    of: documents.len(),
                }),
            }
        }
        let most = found.iter().map(|detected| detected.records).max();
        let first = found
            .into_iter()
            .find(|detected| Some(detected.records) == most);
        first.ok_or_else(|| {
            let first = documents.first().cloned();
            let fields = Fields::from(first.unwrap_or_else(|| Document {
                text: String::new(),
                fields: crate::document::Fields::new(),
                origin: crate::document::Origin::default(),
            }));
            let completion =
                fields.suggest(&[("prompt", &PROMPT), ("completion", &completion::COMPLETION)]);
            fields.missing(
                "prompt",
                format!(
                    "{completion}; or \"messages=FIELD\", \"text=FIELD,label=FIELD\", \
                     \"prompt=FIELD,chosen=FIELD,rejected=FIELD\", \"text=FIELD\""
                ),
            )
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages with role and content",
            Self::ShareGpt => "messages with from and value (ShareGPT)",
            Self::Alpaca => "instructions with their output (Alpaca)",
            Self::Completion => "prompts with their completion",
            Self::Preference => "preferences between two answers",
            Self::Rated => "prompts with rated completions",
            Self::Judged => "prompts with a completion that is judged good or bad",
            Self::Label => "texts with a label",
            Self::LabeledPair => "pairs of texts with a label",
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
    /// The mapping that reads it, as text for the mapping of its kind; empty if there is none, or none is
    /// needed.
    pub mapping: String,
    /// How many documents have it, by these fields.
    pub records: usize,
    /// How many documents were looked at.
    pub of: usize,
}

impl fmt::Display for Detected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in {} of {} records",
            self.format, self.records, self.of
        )?;
        if !self.mapping.is_empty() {
            write!(f, ", by the mapping {}", quoted(&self.mapping))?;
        }
        Ok(())
    }
}

/// The format of one document, with the mapping that reads it. What is most particular comes first.
fn classify(document: &Document) -> Option<(Format, String)> {
    let fields = Fields::from(document.clone());
    if let (Some(chosen), Some(rejected)) = (fields.first(&CHOSEN), fields.first(&REJECTED)) {
        let prompt = fields
            .first(&PROMPT)
            .map_or(String::new(), |prompt| format!("prompt={prompt},"));
        return Some((
            Format::Preference,
            format!("{prompt}chosen={chosen},rejected={rejected}"),
        ));
    }
    if let Some(messages) = fields.first(&MESSAGES)
        && let Some(Value::Array(list)) = document.fields.get(messages)
        && let Some(Value::Object(message)) = list.first()
    {
        let format = if message.contains_key("from") {
            Format::ShareGpt
        } else {
            Format::Messages
        };
        return Some((format, format!("messages={messages}")));
    }
    if document
        .fields
        .get("completions")
        .is_some_and(is_list_of_objects)
        && fields.first(&PROMPT).is_some()
    {
        return Some((Format::Rated, String::new()));
    }
    if let Some((prompt, answer)) = fields.pair(&completion::PAIRS) {
        if document.fields.get("label").is_some_and(Value::is_boolean) {
            return Some((Format::Judged, String::new()));
        }
        let format = if prompt == "instruction" {
            Format::Alpaca
        } else {
            Format::Completion
        };
        return Some((format, format!("prompt={prompt},completion={answer}")));
    }
    let own = !document.text.trim().is_empty();
    if let Some(label) = fields.first(&LABEL)
        && document
            .fields
            .get(label)
            .is_some_and(|label| !label.is_array() && !label.is_object())
    {
        if let Some((text, pair)) = fields.pair(&label::PAIRS) {
            return Some((
                Format::LabeledPair,
                format!("text={text},pair={pair},label={label}"),
            ));
        }
        if let Some(text) = fields.first(&TEXT).filter(|_| !own) {
            return Some((Format::Label, format!("text={text},label={label}")));
        }
    }
    if own {
        return Some((Format::Text, String::new()));
    }
    let text = fields.first(&TEXT)?;
    document.fields[text]
        .is_string()
        .then(|| (Format::Text, format!("text={text}")))
}

fn is_list_of_objects(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|items| items.first().is_some_and(Value::is_object))
}
