//! Records to conversations or preferences, whichever of the usual forms they have.

use std::str::FromStr;

use super::chat::MESSAGES;
use super::completion::PAIRS;
use super::detect::refused;
use super::fields::{Fields, View};
use super::judged::{is_good, judgement};
use super::preference::{CHOSEN, REJECTED};
use super::{
    ChatMapping, ComparisonMapping, CompletionMapping, Mapping, PreferenceMapping, RatedMapping,
    known, rated,
};
use crate::document::Document;
use crate::error::{DataError, Result, quoted};
use crate::example::{Conversation, Preference};

/// Maps a record to a conversation: a chat if it has a list of messages, else a prompt with its completion.
///
/// What a record holds besides is not passed over where it says that the answer must not be learned: an answer judged
/// good or bad (KTO's form) is refused until `good=FIELD` says that those judged good are to be learned, and the others
/// left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AnyChat {
    /// By the fields that each record has, as [`ChatMapping`] and [`CompletionMapping`] find them.
    #[default]
    Detect,
    /// Every record is a list of messages.
    Chat(ChatMapping),
    /// Every record is a prompt with its completion.
    Completion(CompletionMapping),
    /// Those whose answers are judged good; a record with a bad one is left out
    /// ([`DataError::LeftOut`]).
    Good {
        /// The field of the judgement: true or false, also as a text or as 1 or 0.
        judgement: String,
        /// How the conversation is read.
        conversation: Box<AnyChat>,
    },
}

impl Mapping for AnyChat {
    type Example = Conversation;

    fn example(&self, document: Document) -> Result<Conversation> {
        match self {
            Self::Chat(mapping) => mapping.example(document),
            Self::Completion(mapping) => mapping.example(document),
            Self::Good {
                judgement,
                conversation,
            } => {
                let mut fields = Fields::from(document);
                let value = fields.take(judgement)?;
                if !is_good(judgement, &value, &fields)? {
                    let why = format!("its answer is judged bad by {}", quoted(judgement));
                    return Err(fields.left_out("judged bad", why));
                }
                conversation.example(fields.into())
            }
            Self::Detect => detected(document),
        }
    }
}

/// The conversation of a record of a form that is found by its fields.
fn detected(document: Document) -> Result<Conversation> {
    let record = View(&document.fields);
    let chat = record.first(&MESSAGES).is_some();
    if !chat && record.pair(&PAIRS).is_none() || judgement(record).is_some() {
        return Err(refused::<AnyChat>(&document));
    }
    if chat {
        ChatMapping::default().example(document)
    } else {
        CompletionMapping::default().example(document)
    }
}

impl FromStr for AnyChat {
    type Err = DataError;

    /// Reads a chat's mapping if the text maps `messages`, `role`, `content` or `tools`, else that of a prompt with its
    /// completion, each with `good=FIELD` where only answers judged good are to be learned; an empty text or `auto`
    /// detects.
    fn from_str(text: &str) -> Result<Self> {
        let good = |part: &str| {
            let (name, field) = part.split_once('=')?;
            (name.trim() == "good").then(|| field.trim().to_owned())
        };
        if let Some(judgement) = text.split(',').find_map(good) {
            let rest: Vec<&str> = text
                .split(',')
                .filter(|part| good(part).is_none())
                .collect();
            if judgement.is_empty() || rest.len() + 1 < text.split(',').count() {
                return Err(DataError::Setting {
                    name: "mapping".into(),
                    found: quoted(text),
                    expected: "good=FIELD once".into(),
                });
            }
            let conversation = Box::new(rest.join(",").parse()?);
            return Ok(Self::Good {
                judgement,
                conversation,
            });
        }
        let chat = ["messages", "role", "content", "tools"];
        if is_auto(text) {
            Ok(Self::Detect)
        } else if maps_any(text, &chat) {
            text.parse().map(Self::Chat)
        } else {
            text.parse().map(Self::Completion)
        }
    }
}

/// Maps a record to a preference: a pair of a chosen and a rejected answer, two answers with a choice, or several rated
/// answers of which the best and the worst are taken.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum AnyPreference {
    /// By the fields that each record has, in the order of the variants below.
    #[default]
    Detect,
    /// Every record has a chosen and a rejected answer.
    Pair(PreferenceMapping),
    /// Every record has two answers and says which is better.
    Comparison(ComparisonMapping),
    /// Every record has rated answers.
    Rated(RatedMapping),
}

impl Mapping for AnyPreference {
    type Example = Preference;

    fn example(&self, document: Document) -> Result<Preference> {
        match self {
            Self::Pair(mapping) => mapping.example(document),
            Self::Comparison(mapping) => mapping.example(document),
            Self::Rated(mapping) => mapping.example(document),
            Self::Detect => {
                let record = View(&document.fields);
                if record.first(&CHOSEN).is_some() && record.first(&REJECTED).is_some() {
                    PreferenceMapping::default().example(document)
                } else if known::found(record).is_some() {
                    ComparisonMapping::default().example(document)
                } else if rated::found(record).is_some() {
                    RatedMapping::default().example(document)
                } else {
                    Err(refused::<Self>(&document))
                }
            }
        }
    }
}

impl FromStr for AnyPreference {
    type Err = DataError;

    /// Reads the mapping of rated answers if the text maps `answers`, `answer`, `score` or `rank`; of compared ones if
    /// it maps `first` or `second`; else of a chosen and a rejected one. An empty text or `auto` detects.
    fn from_str(text: &str) -> Result<Self> {
        if is_auto(text) {
            Ok(Self::Detect)
        } else if maps_any(text, &["first", "second"]) {
            text.parse().map(Self::Comparison)
        } else if maps_any(text, &["answers", "answer", "score", "rank"]) {
            text.parse().map(Self::Rated)
        } else {
            text.parse().map(Self::Pair)
        }
    }
}

/// Whether a mapping is to be found.
pub(super) fn is_auto(text: &str) -> bool {
    matches!(text.trim(), "" | "auto")
}

/// Whether a mapping's text maps one of these parts.
fn maps_any(text: &str, names: &[&str]) -> bool {
    let name = |part: &str| part.split('=').next().unwrap_or_default().trim().to_owned();
    text.split(',')
        .any(|part| names.contains(&name(part).as_str()))
}
