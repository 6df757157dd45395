//! What a conversation may have beside what is said, and many templates do not write.

use std::fmt;

use crate::document::Value;
use crate::example::{Role, ToolUse, Turn};

/// A part of a conversation that many templates do not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Tools,
    Calls,
    Results,
    Thoughts,
}

impl Part {
    /// Whether these turns, or the tools declared for them, have it.
    pub(super) fn is_in(self, turns: &[Turn], tools: &[Value]) -> bool {
        turns.iter().any(|turn| match self {
            Self::Tools => false,
            Self::Calls => !turn.tools.calls().is_empty(),
            Self::Results => {
                turn.role == Role::Tool || matches!(turn.tools, ToolUse::Result { .. })
            }
            Self::Thoughts => turn.thought.is_some(),
        }) || self == Self::Tools && !tools.is_empty()
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tools => "the tools that the conversation declares",
            Self::Calls => "calls of tools",
            Self::Results => "results of tools",
            Self::Thoughts => "what the assistant thinks",
        })
    }
}
