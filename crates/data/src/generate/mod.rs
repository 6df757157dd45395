//! Widens hand-written facts into instruction–response pairs: every fact is asked about in many phrasings, and some of
//! them are held out, so that a test asks what was learned in words that were not learned.
//!
//! # Facts
//!
//! A file of JSON lines, one fact per line. Unknown fields are refused by name.
//!
//! ```json
//! {"id": "lora-rank", "topic": "adapters", "kind": "definition", "subject": "the rank of an adapter",
//!  "answer": "The rank is the width of the two small matrices.",
//!  "questions": ["What does the rank of {short} set?"], "slots": {"short": ["LoRA", "an adapter"]}}
//! ```
//!
//! | field | |
//! |---|---|
//! | `id` | required, unique in the file |
//! | `topic` | required; groups facts in a report |
//! | `answer` | required; the completion, taken as it stands (braces in it mean nothing) |
//! | `subject` | a noun phrase, or a list of several names for the same thing; fills `{subject}` |
//! | `kind` | the name of a list in the phrasings file, or a list of such names; without it only `questions` are used |
//! | `questions` | questions of this fact's own, in any number; patterns like the phrasings |
//! | `slots` | further names for placeholders, each a text or a list of texts |
//!
//! A fact needs at least one pattern, from `kind` or from `questions`.
//!
//! # Phrasings
//!
//! One JSON object: lists of patterns by kind, and optional openers.
//!
//! ```json
//! {"kinds": {"definition": ["What is {subject}?", "Explain {subject} in one sentence."],
//!            "why": ["Why does {subject} matter?", "What is {subject} good for?"]},
//!  "openers": ["Quick question: {question}", "I am new to this. {question}"]}
//! ```
//!
//! In a pattern, `{name}` stands for the subject or a slot; where that is a list, the pattern is filled with each of
//! its texts in turn. `{{` and `}}` stand for braces. The first letter of a filled pattern is made a capital. A
//! placeholder that a fact does not fill is an error for a question of its own; a phrasing of a kind that names a slot
//! which the fact lacks is passed over. An opener holds `{question}` once.
//!
//! # What is held out
//!
//! For every fact, a share of its *patterns* is held out (at least one if it has two, never all), chosen by a hash of
//! seed, fact and pattern. Whatever is made of a held-out pattern, with any slot or opener, is held out. Two patterns
//! of a fact that fill to the same question count as one. A question that two facts share is an error: it would have
//! two answers. Questions are compared by letters and digits alone, without case, punctuation and spaces.
//!
//! # Pairs
//!
//! The output is JSON lines again: `{"prompt", "completion", "id", "topic", "held_out"}`.

mod pattern;
mod widen;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

pub use widen::Widening;

use self::pattern::Pattern;
use crate::document::{Document, Origin};
use crate::error::{DataError, Place, Result, escaped, quoted};
use crate::example::Conversation;
use crate::load::{Json, JsonLines, Loaders, OnError};

/// Facts and the phrasings in which they are asked about.
///
/// ```
/// use finetune_data::generate::{Facts, Widening};
///
/// # fn main() -> finetune_data::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let (facts, phrasings) = (folder.path().join("facts.jsonl"), folder.path().join("phrasings.json"));
/// # let fact = r#"{"id": "a", "topic": "t", "kind": "what", "subject": "a token", "answer": "A piece."}"#;
/// # std::fs::write(&facts, fact).unwrap();
/// # std::fs::write(&phrasings, r#"{"kinds": {"what": ["What is {subject}?", "Explain {subject}."]}}"#).unwrap();
/// let pairs = Facts::open(&facts, Some(&phrasings))?.widen(&Widening::default())?;
/// assert_eq!(pairs.iter().filter(|pair| pair.held_out).count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    facts: Vec<Fact>,
    phrasings: Phrasings,
}

/// One fact as it stands in its file; the [module](self) describes the fields.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fact {
    id: String,
    topic: String,
    answer: String,
    #[serde(default)]
    subject: Texts,
    #[serde(default)]
    kind: Texts,
    #[serde(default)]
    questions: Vec<String>,
    #[serde(default)]
    slots: BTreeMap<String, Texts>,
    #[serde(skip)]
    origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Phrasings {
    kinds: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    openers: Vec<String>,
    #[serde(skip)]
    origin: Origin,
}

/// A text, or a list of texts that stand for the same.
#[derive(Debug, Clone, PartialEq, Default)]
struct Texts(Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = |value| match value {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            _ => None,
        };
        let texts = match Value::deserialize(deserializer)? {
            Value::Array(values) => values.into_iter().map(text).collect(),
            value => text(value).map(|text| vec![text]),
        };
        texts.map(Self).ok_or_else(|| {
            serde::de::Error::custom("expected a text, or a list of texts, none of them empty")
        })
    }
}

/// A question about a fact with its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The question.
    pub prompt: String,
    /// The fact's answer.
    pub completion: String,
    /// The fact.
    pub id: String,
    /// The fact's topic.
    pub topic: String,
    /// Whether the wording is one of those kept for the test.
    pub held_out: bool,
    /// The fact's line.
    #[serde(skip)]
    pub origin: Origin,
}

impl Pair {
    /// The pair as a conversation of two turns, with `id` and `topic` among its fields.
    pub fn conversation(&self) -> Conversation {
        let mut conversation =
            Conversation::pair(&self.prompt, &self.completion).with_origin(self.origin.clone());
        conversation
            .fields
            .insert("id".into(), Value::String(self.id.clone()));
        conversation
            .fields
            .insert("topic".into(), Value::String(self.topic.clone()));
        conversation
    }
}

impl Facts {
    /// Reads a file of facts and, if their `kind`s need it, a file of phrasings.
    ///
    /// # Errors
    ///
    /// If a file cannot be read; if a fact or the phrasings do not have the form that the [module](self) describes;
    /// if two facts have the same id, or one names a kind without phrasings.
    pub fn open(facts: &Path, phrasings: Option<&Path>) -> Result<Self> {
        let phrasings = phrasings.map_or(Ok(Phrasings::default()), read_phrasings)?;
        let loaders = Loaders::default().with(JsonLines);
        let (facts, _) = loaders.collect(&[facts], &OnError::Stop, |document| {
            let origin = document.origin.clone();
            let fact: Fact = read(document)?;
            Ok(Fact { origin, ..fact })
        })?;
        let facts = Self { facts, phrasings };
        facts.check()?;
        Ok(facts)
    }

    /// Number of facts.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether there are no facts.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    fn check(&self) -> Result<()> {
        let mut ids = BTreeSet::new();
        for fact in &self.facts {
            if !ids.insert(&fact.id) {
                return Err(fault(
                    &fact.origin,
                    format!(
                        "the id {} stands here twice; expected it once",
                        quoted(&fact.id)
                    ),
                ));
            }
            for (name, text) in [
                ("id", &fact.id),
                ("topic", &fact.topic),
                ("answer", &fact.answer),
            ] {
                if text.trim().is_empty() {
                    return Err(DataError::EmptyContent {
                        place: Place::from(&fact.origin),
                        field: name.into(),
                    });
                }
            }
            if let Some(kind) = fact
                .kind
                .0
                .iter()
                .find(|kind| !self.phrasings.kinds.contains_key(*kind))
            {
                let known: Vec<&str> = self.phrasings.kinds.keys().map(String::as_str).collect();
                let message = format!(
                    "no phrasings of kind {}; known: {}",
                    quoted(kind),
                    escaped(&known.join(", "))
                );
                return Err(fault(&fact.origin, message));
            }
        }
        for opener in &self.phrasings.openers {
            if Pattern::read(opener, &self.phrasings.origin)?.slots() != ["question"] {
                let message = format!(
                    "the opener {} must hold {{question}} once, and nothing else",
                    quoted(opener)
                );
                return Err(fault(&self.phrasings.origin, message));
            }
        }
        Ok(())
    }
}

/// Writes pairs as JSON lines.
///
/// # Errors
///
/// [`DataError::Io`] if the file cannot be written.
pub fn write_pairs(path: &Path, pairs: &[Pair]) -> Result<()> {
    let write = || {
        let mut file = BufWriter::new(File::create(path)?);
        for pair in pairs {
            serde_json::to_writer(&mut file, pair)?;
            file.write_all(b"\n")?;
        }
        file.flush()
    };
    write().map_err(|source| DataError::Io {
        place: Place::file(path),
        operation: "write",
        source,
    })
}

fn read_phrasings(path: &Path) -> Result<Phrasings> {
    let (mut documents, _) = Loaders::default()
        .with(Json)
        .load_all(&[path], &OnError::Stop)?;
    let (Some(document), true) = (documents.pop(), documents.is_empty()) else {
        return Err(fault(
            &Origin::new(path, 1),
            "found several records; expected one object".into(),
        ));
    };
    let origin = document.origin.clone();
    let phrasings: Phrasings = read(document)?;
    Ok(Phrasings {
        origin,
        ..phrasings
    })
}

fn read<T: serde::de::DeserializeOwned>(document: Document) -> Result<T> {
    let fields = Value::Object(document.fields.into_iter().collect());
    serde_json::from_value(fields)
        .map_err(|error| fault(&document.origin, escaped(&error.to_string())))
}

fn fault(origin: &Origin, message: String) -> DataError {
    DataError::Fact {
        place: Place::from(origin),
        message,
    }
}
