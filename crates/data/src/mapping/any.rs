//! Records to conversations, whichever of the usual forms they have.

use std::str::FromStr;

use super::chat::MESSAGES;
use super::{ChatMapping, CompletionMapping, Mapping};
use crate::document::Document;
use crate::error::{DataError, Result};
use crate::example::Conversation;

/// Maps a record to a conversation: a chat if it has a list of messages, else a prompt with its completion.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AnyChat {
    /// By the fields that each record has, as [`ChatMapping`] and [`CompletionMapping`] find them.
    #[default]
    Detect,
    /// Every record is a list of messages.
    Chat(ChatMapping),
    /// Every record is a prompt with its completion.
    Completion(CompletionMapping),
}

impl Mapping for AnyChat {
    type Example = Conversation;

    fn example(&self, document: Document) -> Result<Conversation> {
        match self {
            Self::Chat(mapping) => mapping.example(document),
            Self::Completion(mapping) => mapping.example(document),
            Self::Detect
                if MESSAGES
                    .iter()
                    .any(|name| document.fields.contains_key(*name)) =>
            {
                ChatMapping::default().example(document)
            }
            Self::Detect => CompletionMapping::default().example(document),
        }
    }
}

impl FromStr for AnyChat {
    type Err = DataError;

    /// Reads a chat's mapping if the text maps `messages`, `role`, `content` or `tools`, else that of a prompt with its
    /// completion; an empty text detects.
    fn from_str(text: &str) -> Result<Self> {
        let chat = |part: &str| {
            let name = part.split('=').next().unwrap_or_default().trim();
            matches!(name, "messages" | "role" | "content" | "tools")
        };
        if text.trim().is_empty() {
            Ok(Self::Detect)
        } else if text.split(',').any(chat) {
            text.parse().map(Self::Chat)
        } else {
            text.parse().map(Self::Completion)
        }
    }
}
