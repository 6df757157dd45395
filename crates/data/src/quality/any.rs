//! Examples of every kind under one type, and the mapping that makes them of records.

use std::path::Path;
use std::str::FromStr;

use super::sample::Sample;
use crate::document::{Document, Origin};
use crate::error::{DataError, Place, Result};
use crate::example::{Conversation, Labeled, PlainText, Preference};
use crate::load::Loaders;
use crate::mapping::{
    AnyChat, AnyPreference, Detecting, Format, LabelMapping, Mapping, TextMapping,
};

/// An example of whatever kind.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyExample {
    /// A conversation, or a prompt with its completion.
    Chat(Conversation),
    /// A text with a label.
    Label(Labeled),
    /// A better and a worse answer.
    Preference(Preference),
    /// A text to be learned as a whole.
    Text(PlainText),
}

impl AnyExample {
    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        match self {
            Self::Chat(example) => &example.origin,
            Self::Label(example) => &example.origin,
            Self::Preference(example) => &example.origin,
            Self::Text(example) => &example.origin,
        }
    }
}

impl<'a> From<&'a AnyExample> for Sample<'a> {
    fn from(example: &'a AnyExample) -> Self {
        match example {
            AnyExample::Chat(example) => example.into(),
            AnyExample::Label(example) => example.into(),
            AnyExample::Preference(example) => example.into(),
            AnyExample::Text(example) => example.into(),
        }
    }
}

impl From<Conversation> for AnyExample {
    fn from(example: Conversation) -> Self {
        Self::Chat(example)
    }
}

impl From<Labeled> for AnyExample {
    fn from(example: Labeled) -> Self {
        Self::Label(example)
    }
}

impl From<Preference> for AnyExample {
    fn from(example: Preference) -> Self {
        Self::Preference(example)
    }
}

impl From<PlainText> for AnyExample {
    fn from(example: PlainText) -> Self {
        Self::Text(example)
    }
}

/// Makes examples of one kind of records.
///
/// ```
/// use finetune_data::quality::AnyMapping;
///
/// let mapping: AnyMapping = "text=body,label=topic".parse()?;
/// assert_eq!(mapping.kind(), "texts with a label");
/// # Ok::<(), finetune_data::DataError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum AnyMapping {
    /// Conversations.
    Chat(AnyChat),
    /// Texts with a label.
    Label(LabelMapping),
    /// Preferences between two answers.
    Preference(AnyPreference),
    /// Plain texts.
    Text(TextMapping),
}

impl AnyMapping {
    /// How many records are looked at to tell their kind.
    const LOOKED_AT: usize = 100;

    /// What it makes, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Chat(_) => "conversations",
            Self::Label(_) => "texts with a label",
            Self::Preference(_) => "preferences",
            Self::Text(_) => "plain texts",
        }
    }

    /// The mapping for files or folders, told by their first hundred records that can be read. If none can, it is that
    /// of conversations, and reading them says why.
    ///
    /// # Errors
    ///
    /// If a path does not exist or has no loader; if most of the records are of no known format (the message names
    /// their fields), or of one that no mapping reads.
    pub fn detect<P: AsRef<Path>>(loaders: &Loaders, paths: &[P]) -> Result<Self> {
        let mut documents = Vec::new();
        for path in paths {
            let left = Self::LOOKED_AT - documents.len();
            if left == 0 {
                break;
            }
            // A file that is broken from its beginning on yields errors alone.
            let some = loaders.load(path)?.take(Self::LOOKED_AT);
            documents.extend(some.filter_map(Result::ok).take(left));
        }
        if documents.is_empty() {
            return Ok(Self::Chat(AnyChat::Detect));
        }
        Self::of(&documents)
    }

    /// The mapping for most of the documents.
    ///
    /// # Errors
    ///
    /// As [`AnyMapping::detect`].
    pub fn of(documents: &[Document]) -> Result<Self> {
        let detected = Format::detect(documents)?;
        let reads = |formats: &[Format]| formats.contains(&detected.format);
        // Each record may have another of the usual forms. A label beside a text comes before the text alone.
        if reads(AnyChat::READS) {
            Ok(Self::Chat(AnyChat::Detect))
        } else if reads(AnyPreference::READS) {
            Ok(Self::Preference(AnyPreference::Detect))
        } else if reads(LabelMapping::READS) {
            Ok(Self::Label(LabelMapping::default()))
        } else if reads(TextMapping::READS) {
            Ok(Self::Text(TextMapping::default()))
        } else {
            let origin = documents.first().map(|document| &document.origin);
            Err(DataError::Unsupported {
                place: origin.map_or_else(Place::default, Place::from),
                what: detected.to_string(),
                hint: "Say which answers are learned, such as \"prompt=FIELD,completion=FIELD,good=FIELD\"",
            })
        }
    }
}

impl Mapping for AnyMapping {
    type Example = AnyExample;

    fn example(&self, document: Document) -> Result<AnyExample> {
        Ok(match self {
            Self::Chat(mapping) => mapping.example(document)?.into(),
            Self::Label(mapping) => mapping.example(document)?.into(),
            Self::Preference(mapping) => mapping.example(document)?.into(),
            Self::Text(mapping) => mapping.example(document)?.into(),
        })
    }
}

impl FromStr for AnyMapping {
    type Err = DataError;

    /// Reads the mapping of the kind that the names belong to: `label`, `labels` and `pair` to labels, `chosen`, `first`,
    /// `answers` and what belongs to them to preferences, `text` alone to plain texts, and all others to conversations.
    fn from_str(text: &str) -> Result<Self> {
        let has = |wanted: &[&str]| {
            text.split(',').any(|part| {
                let name = part.split('=').next().unwrap_or_default();
                wanted.contains(&name.trim())
            })
        };
        if has(&["label", "labels", "pair", "kind"]) {
            text.parse().map(Self::Label)
        } else if has(&[
            "chosen", "rejected", "first", "second", "answers", "score", "rank",
        ]) {
            text.parse().map(Self::Preference)
        } else if has(&["text"]) {
            text.parse().map(Self::Text)
        } else {
            text.parse().map(Self::Chat)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_names_tell_the_kind() {
        for (text, kind) in [
            ("prompt=a,completion=b", "conversations"),
            ("messages=a", "conversations"),
            ("text=a,label=b", "texts with a label"),
            ("prompt=a,chosen=b,rejected=c,system=d", "preferences"),
            ("prompt=a,first=b,second=c,choice=d", "preferences"),
            ("prompt=a,completion=b,good=c", "conversations"),
            ("text=a,labels=b|c", "texts with a label"),
            ("text=a", "plain texts"),
        ] {
            assert_eq!(text.parse::<AnyMapping>().unwrap().kind(), kind, "{text}");
        }
        assert!("prompt=a,label=b".parse::<AnyMapping>().is_err());
    }

    #[test]
    fn the_records_tell_the_kind() {
        let document = |fields: serde_json::Value| Document {
            text: String::new(),
            fields: serde_json::from_value(fields).unwrap(),
            origin: Origin::default(),
        };
        for (fields, kind) in [
            (
                json!({"messages": [{"role": "user", "content": "a"}]}),
                "conversations",
            ),
            (json!({"instruction": "a", "output": "b"}), "conversations"),
            (json!({"text": "a", "label": "b"}), "texts with a label"),
            (
                json!({"premise": "a", "hypothesis": "b", "label": 1}),
                "texts with a label",
            ),
            (
                json!({"prompt": "a", "chosen": "b", "rejected": "c"}),
                "preferences",
            ),
            (json!({"text": "a"}), "plain texts"),
        ] {
            assert_eq!(AnyMapping::of(&[document(fields)]).unwrap().kind(), kind);
        }
        let judged = document(json!({"prompt": "a", "completion": "b", "label": true}));
        let error = AnyMapping::of(&[judged]).unwrap_err().to_string();
        assert!(
            error.contains("judged") && error.contains("good=FIELD"),
            "{error}"
        );
    }
}
