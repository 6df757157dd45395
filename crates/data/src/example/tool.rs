//! Tools: the calls that a model makes, and what the tools give back.

use serde::{Deserialize, Serialize};

use crate::document::Value;

/// What a turn has to do with tools.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolUse {
    /// Nothing.
    #[default]
    None,
    /// The model calls these tools, in this order, after what it says.
    Calls(Vec<ToolCall>),
    /// The text is what a tool gave back.
    Result {
        /// The call that it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
        /// The tool.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

impl ToolUse {
    /// The calls; empty if there are none.
    pub fn calls(&self) -> &[ToolCall] {
        match self {
            Self::Calls(calls) => calls,
            Self::None | Self::Result { .. } => &[],
        }
    }

    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    pub(crate) fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// A call of a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The name by which the result refers to the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The tool.
    pub name: String,
    /// The arguments by name: an object, or the text of one in JSON, as the record has it. A template gets what it asks
    /// for.
    pub arguments: Value,
}

impl ToolCall {
    /// A call without a name of its own.
    pub fn new(name: impl Into<String>, arguments: Value) -> Self {
        Self {
            id: None,
            name: name.into(),
            arguments,
        }
    }
}
