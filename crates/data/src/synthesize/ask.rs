//! The seam for models that write data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Answers one prompt.
///
/// Implement it for a service, for a model of your own, or for a function in a test. A [`Synthesis`](super::Synthesis)
/// calls it from several threads, and does all else: pace, repetition, budget, cache and checks.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be asked for data",
    note = "implement `Ask`: one prompt in, one answer out"
)]
pub trait Ask: Send + Sync {
    /// The model's name: part of the cache's key and of each document's provenance.
    fn model(&self) -> &str;

    /// Whatever else changes the answers and does not stand in the request; part of the cache's key.
    fn settings(&self) -> String {
        String::new()
    }

    /// Asks once.
    ///
    /// # Errors
    ///
    /// Why there is no answer, and whether it is of use to ask again.
    fn ask(&self, request: &Request) -> Result<Answer, Refusal>;
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request {
    /// Instructions that stand above the prompt.
    pub system: Option<String>,
    /// The prompt.
    pub prompt: String,
    /// The longest answer, in tokens.
    pub max_tokens: u32,
    /// How much the answer is left to chance; 0 takes the likeliest token.
    pub temperature: f64,
    /// The seed of that chance, below 2³¹. A service may pass over it.
    pub seed: u32,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// Why it ends.
    pub ended: Ended,
    /// What it took; `None` if that is not known.
    pub usage: Option<Usage>,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// It is complete.
    Stop,
    /// The greatest number of tokens was reached.
    Length,
    /// A filter of the service stopped it.
    Filter,
}

/// Numbers of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of prompts.
    pub prompt: u64,
    /// Tokens of answers.
    pub completion: u64,
}

impl Usage {
    /// Both together.
    pub fn total(self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            prompt: self.prompt.saturating_add(other.prompt),
            completion: self.completion.saturating_add(other.completion),
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            prompt: self.prompt.saturating_sub(other.prompt),
            completion: self.completion.saturating_sub(other.completion),
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Too many requests, or too much load. It is asked again, not before `after` if that is said.
    Busy {
        /// How long to wait, as the service says.
        after: Option<Duration>,
        /// What the service says.
        message: String,
    },
    /// The service failed. It is asked again.
    Failed {
        /// What the service says.
        message: String,
    },
    /// No answer in time, or half of one. It is asked again, and what it may have cost is counted.
    Lost {
        /// What happened.
        message: String,
    },
    /// A complete answer that is not in the service's own form. It is asked again.
    Unreadable {
        /// What was found.
        message: String,
    },
    /// The service refuses this request and would do so again.
    Rejected {
        /// What the service says.
        message: String,
    },
    /// The service would refuse any request: the run stops.
    Denied {
        /// What the service says.
        message: String,
    },
}

impl Refusal {
    /// The key under which it is counted.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Failed { .. } => "server error",
            Self::Lost { .. } => "no answer",
            Self::Unreadable { .. } => "unreadable answer",
            Self::Rejected { .. } => "rejected",
            Self::Denied { .. } => "denied",
        }
    }

    /// What happened, in words.
    pub fn message(&self) -> &str {
        match self {
            Self::Busy { message, .. }
            | Self::Failed { message }
            | Self::Lost { message }
            | Self::Unreadable { message }
            | Self::Rejected { message }
            | Self::Denied { message } => message,
        }
    }

    /// The same with another message.
    pub(super) fn saying(mut self, text: String) -> Self {
        let (Self::Busy { message, .. }
        | Self::Failed { message }
        | Self::Lost { message }
        | Self::Unreadable { message }
        | Self::Rejected { message }
        | Self::Denied { message }) = &mut self;
        *message = text;
        self
    }

    /// Whether another try may have an answer.
    pub(super) fn is_passing(&self) -> bool {
        !matches!(self, Self::Rejected { .. } | Self::Denied { .. })
    }

    /// Whether tokens may have been used.
    pub(super) fn may_cost(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Unreadable { .. })
    }
}
