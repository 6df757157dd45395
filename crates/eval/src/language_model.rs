//! The seam to any engine: strings in, strings and numbers out.

use finetune_data::Conversation;
use serde::{Deserialize, Serialize};

use crate::Result;

/// What stands before an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Context {
    /// Text, taken as it is: no template is put around it.
    Text(String),
    /// A conversation that waits for the assistant. The engine renders it with its own template, so that evaluation
    /// asks in the very form in which the model was trained.
    Conversation(Conversation),
    /// A conversation whose answer has begun: the engine goes on where it ends.
    Begun {
        /// The conversation, which waits for the assistant.
        conversation: Conversation,
        /// The beginning of the answer.
        answer: String,
    },
}

impl Context {
    /// What a reader should see of it: the text, or the last question.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Conversation(conversation) | Self::Begun { conversation, .. } => {
                conversation.question()
            }
        }
    }
}

impl From<&str> for Context {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Context {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Conversation> for Context {
    fn from(conversation: Conversation) -> Self {
        Self::Conversation(conversation)
    }
}

/// A request to score: how likely is `text` after `context`?
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// What stands before; an empty text stands for the beginning of a document.
    pub context: Context,
    /// What is scored, with its leading space if it has one.
    pub text: String,
}

impl Continuation {
    /// The continuation `text` of `context`.
    pub fn new(context: impl Into<Context>, text: impl Into<String>) -> Self {
        Self {
            context: context.into(),
            text: text.into(),
        }
    }
}

/// The answer to a [`Continuation`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The sum of the tokens' natural log-probabilities, in nats.
    pub log_likelihood: f64,
    /// Whether greedy decoding would have produced exactly this text.
    pub greedy: bool,
    /// The number of tokens scored.
    pub tokens: usize,
}

/// A request to generate.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// What stands before the answer.
    pub context: Context,
    /// Texts that end the answer; they are not part of it. The model's own end-of-text token always ends it too.
    pub stop: Vec<String>,
    /// The most tokens that may be generated.
    pub max_tokens: usize,
}

impl Prompt {
    /// A prompt without stop texts that may generate `max_tokens` tokens.
    pub fn new(context: impl Into<Context>, max_tokens: usize) -> Self {
        Self {
            context: context.into(),
            stop: Vec::new(),
            max_tokens,
        }
    }

    /// Adds a text that ends the answer.
    pub fn stop(mut self, text: impl Into<String>) -> Self {
        self.stop.push(text.into());
        self
    }
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended it: a stop text or its end-of-text token.
    Stop,
    /// It ran into the limit of tokens.
    Length,
}

/// The answer to a [`Prompt`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// The generated text, without the text that stopped it.
    pub text: String,
    /// Why it ended.
    pub finished: Finish,
    /// The number of tokens generated.
    pub tokens: usize,
}

/// A language model, seen from evaluation: strings at the border.
///
/// Implement it to evaluate any engine: another library, a server, a canned list of answers. An implementation answers
/// every request, in order, and its answers do not depend on how the requests are batched. [`local`](crate::local)
/// holds the one for the models of this project. Errors from outside go into
/// [`EvalError::Engine`](crate::EvalError::Engine).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be evaluated: it is not a `LanguageModel`",
    note = "implement `score` and `generate`; they take and return strings",
    note = "wrap a `CausalLm` of this project in `local::Local`"
)]
pub trait LanguageModel {
    /// The log-likelihood of each continuation after its context.
    ///
    /// # Errors
    /// If the engine fails or a request does not fit it.
    fn score(&self, requests: &[Continuation]) -> Result<Vec<Score>>;

    /// One answer to each prompt.
    ///
    /// # Errors
    /// If the engine fails or a prompt does not fit it.
    fn generate(&self, prompts: &[Prompt]) -> Result<Vec<Generation>>;

    /// The log-likelihood of whole documents, of any length, each token scored once.
    ///
    /// The default scores each as the continuation of nothing; an engine with a limited context cuts the document into
    /// windows instead.
    ///
    /// # Errors
    /// If the engine fails.
    fn rolling(&self, documents: &[String]) -> Result<Vec<Score>> {
        let requests: Vec<_> = documents
            .iter()
            .map(|text| Continuation::new("", text.as_str()))
            .collect();
        self.score(&requests)
    }
}

impl<T: LanguageModel + ?Sized> LanguageModel for &T {
    fn score(&self, requests: &[Continuation]) -> Result<Vec<Score>> {
        (**self).score(requests)
    }

    fn generate(&self, prompts: &[Prompt]) -> Result<Vec<Generation>> {
        (**self).generate(prompts)
    }

    fn rolling(&self, documents: &[String]) -> Result<Vec<Score>> {
        (**self).rolling(documents)
    }
}
