//! What a model is trained on: conversations, labelled texts, preferences, judged answers and plain text.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::document::{Fields, Origin, Value};
use crate::error::{DataError, Place, Result, quoted};

mod tool;

pub use tool::{ToolCall, ToolUse};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions that stand above the conversation.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool that the model called.
    Tool,
}

impl Role {
    /// The name that chat templates use: `system`, `user`, `assistant` or `tool`.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One contribution to a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Who speaks.
    pub role: Role,
    /// What is said, exactly as in the record; may be empty where tools are called.
    pub text: String,
    /// What the model thinks before it says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought: Option<String>,
    /// The calls of tools that follow the text, or which call it answers.
    #[serde(default, skip_serializing_if = "ToolUse::is_none")]
    pub tools: ToolUse,
}

impl Turn {
    /// A turn without thoughts and tools.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            text: text.into(),
            thought: None,
            tools: ToolUse::None,
        }
    }

    /// The same turn with calls of tools.
    pub fn calling(mut self, calls: impl IntoIterator<Item = ToolCall>) -> Self {
        self.tools = ToolUse::Calls(calls.into_iter().collect());
        self
    }

    /// The same turn with a thought before it.
    pub fn thinking(mut self, thought: impl Into<String>) -> Self {
        self.thought = Some(thought.into());
        self
    }
}

/// A conversation; a prompt with its completion is one of two turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    /// The turns in order: an optional system turn, then users (or tools) and assistants in alternation.
    pub turns: Vec<Turn>,
    /// The tools that the model may call, each described as the `OpenAI` form has it: `{"type": "function",
    /// "function": {"name": …, "description": …, "parameters": …}}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// Named fields for templates that ask for them: what the mapping did not turn into turns.
    ///
    /// One convention: a record with a separate input (the Alpaca form) keeps `instruction` and `input` here, both
    /// non-empty strings, while its user turn holds the two joined by an empty line; so every template renders the
    /// whole, and one with a slot of its own for the input can fill it.
    #[serde(default, skip_serializing_if = "Fields::is_empty")]
    pub fields: Fields,
    /// Where it comes from.
    #[serde(default)]
    pub origin: Origin,
}

impl Conversation {
    /// A conversation of these turns, from nowhere.
    pub fn new(turns: Vec<Turn>) -> Self {
        Self {
            turns,
            tools: Vec::new(),
            fields: Fields::new(),
            origin: Origin::default(),
        }
    }

    /// A prompt and its completion.
    pub fn pair(prompt: impl Into<String>, completion: impl Into<String>) -> Self {
        Self::new(vec![
            Turn::new(Role::User, prompt),
            Turn::new(Role::Assistant, completion),
        ])
    }

    /// A prompt that waits for its completion.
    pub fn prompt(text: impl Into<String>) -> Self {
        Self::new(vec![Turn::new(Role::User, text)])
    }

    /// The same with tools that the model may call.
    pub fn with_tools(mut self, tools: impl IntoIterator<Item = Value>) -> Self {
        self.tools = tools.into_iter().collect();
        self
    }

    /// The same with another origin.
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// The text of the last turn, if it is the assistant's and calls no tool: the reference against which an answer is
    /// graded.
    pub fn answer(&self) -> Option<&str> {
        said_last(&self.turns)
    }

    /// Whether the last turn is the assistant's.
    fn is_answered(&self) -> bool {
        let last = self.turns.last();
        last.is_some_and(|turn| turn.role == Role::Assistant)
    }

    /// The conversation up to where the assistant's last turn begins.
    pub fn without_answer(&self) -> Self {
        let mut asked = self.clone();
        if asked.is_answered() {
            asked.turns.pop();
        }
        asked
    }

    /// What is asked: the text of every turn before the assistant's last, one after the other. The text to split data
    /// by, so that the same question with two answers never stands on both sides.
    pub fn question(&self) -> String {
        let asked = self.turns.len() - usize::from(self.is_answered());
        texts(&self.turns[..asked])
    }
}

/// The text of the last turn, if it is the assistant's and calls no tool.
pub(crate) fn said_last(turns: &[Turn]) -> Option<&str> {
    let turn = turns.last()?;
    let says = turn.role == Role::Assistant && turn.tools.is_none();
    says.then_some(turn.text.as_str())
}

/// The texts of turns, a line each.
pub(crate) fn texts(turns: &[Turn]) -> String {
    let texts: Vec<&str> = turns.iter().map(|turn| turn.text.as_str()).collect();
    texts.join("\n")
}

/// A text, or a pair of texts, with its label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Labeled {
    /// The text.
    pub text: String,
    /// The second text of a pair, such as a hypothesis for a premise.
    pub pair: Option<String>,
    /// What is to be predicted.
    pub label: Label,
    /// Where it comes from.
    pub origin: Origin,
}

impl Labeled {
    /// The text, and the second one of a pair on a line of its own.
    pub fn whole(&self) -> String {
        match &self.pair {
            Some(pair) => format!("{}\n{pair}", self.text),
            None => self.text.clone(),
        }
    }
}

/// What is to be predicted about a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// A quantity, for regression.
    Number(f64),
    /// A class by name.
    Class(String),
    /// Any number of classes by name, all of which hold; none is a label too.
    Classes(BTreeSet<String>),
}

impl Label {
    /// The classes that hold: one, any number, or a number as it is written.
    pub fn classes(&self) -> BTreeSet<String> {
        match self {
            Self::Classes(classes) => classes.clone(),
            one => BTreeSet::from([one.to_string()]),
        }
    }

    /// Whether it is a list of classes, however many.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Classes(_))
    }
}

impl fmt::Display for Label {
    /// The number or the class; several classes in brackets, which no single class is taken for: `[anger, joy]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Class(class) => class.fmt(f),
            Self::Classes(classes) => {
                let names: Vec<&str> = classes.iter().map(String::as_str).collect();
                write!(f, "[{}]", names.join(", "))
            }
        }
    }
}

/// Two answers to the same prompt, of which one is better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// The turns up to where the answer begins.
    pub prompt: Vec<Turn>,
    /// The tools that the model may call, as in [`Conversation::tools`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// The better answer: turns of the assistant, the results of the tools that it calls between them.
    pub chosen: Vec<Turn>,
    /// The worse answer, likewise.
    pub rejected: Vec<Turn>,
    /// Where it comes from.
    pub origin: Origin,
}

impl Preference {
    /// The prompt with the better and with the worse answer. Rendered, what both begin with is the prompt as generation
    /// sees it, and the rest of each is its answer.
    pub fn conversations(&self) -> [Conversation; 2] {
        [&self.chosen, &self.rejected]
            .map(|answer| answered(&self.prompt, answer, &self.tools, &self.origin))
    }
}

/// A prompt with its answer.
fn answered(prompt: &[Turn], answer: &[Turn], tools: &[Value], origin: &Origin) -> Conversation {
    Conversation::new([prompt, answer].concat())
        .with_tools(tools.to_vec())
        .with_origin(origin.clone())
}

/// One answer to a prompt, judged good or bad, as KTO learns from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Judged {
    /// The turns up to where the answer begins.
    pub prompt: Vec<Turn>,
    /// The tools that the model may call, as in [`Conversation::tools`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Value>,
    /// The answer: turns of the assistant, the results of the tools that it calls between them.
    pub answer: Vec<Turn>,
    /// Whether it is judged good.
    pub good: bool,
    /// Where it comes from.
    pub origin: Origin,
}

impl Judged {
    /// The prompt with the answer.
    pub fn conversation(&self) -> Conversation {
        answered(&self.prompt, &self.answer, &self.tools, &self.origin)
    }
}

/// A text to be learned as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlainText {
    /// The text.
    pub text: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Every name that a role has in the usual data sets, with the role.
const ROLE_NAMES: [(&str, Role); 15] = [
    ("system", Role::System),
    ("user", Role::User),
    ("assistant", Role::Assistant),
    ("tool", Role::Tool),
    ("developer", Role::System),
    ("human", Role::User),
    ("prompter", Role::User),
    ("gpt", Role::Assistant),
    ("chatgpt", Role::Assistant),
    ("bot", Role::Assistant),
    ("model", Role::Assistant),
    ("ai", Role::Assistant),
    ("function", Role::Tool),
    ("function_response", Role::Tool),
    ("observation", Role::Tool),
];

impl FromStr for Role {
    type Err = DataError;

    /// Reads a role by the name it has in the `OpenAI` form (`user`) or the `ShareGPT` form (`human`), in any case.
    fn from_str(name: &str) -> Result<Self> {
        Self::read(name, Place::default())
    }
}

impl Role {
    /// As [`Role::from_str`], with the place for the error.
    pub(crate) fn read(name: &str, place: Place) -> Result<Self> {
        let known = name.trim().to_ascii_lowercase();
        if let Some((_, role)) = ROLE_NAMES.iter().find(|(name, _)| *name == known) {
            return Ok(*role);
        }
        let hint = nearest(&known, ROLE_NAMES.iter().map(|(name, _)| *name))
            .map_or(String::new(), |name| format!("; did you mean \"{name}\"?"));
        Err(DataError::UnknownRole {
            place,
            found: quoted(name),
            hint,
        })
    }
}

/// The candidate that is fewest edits away from a name, if it is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    // Nobody mistypes a longer name, and the distance takes time by the product of the lengths.
    if name.len() > 64 {
        return None;
    }
    let (distance, best) = candidates
        .into_iter()
        .map(|candidate| (strsim::levenshtein(name, candidate), candidate))
        .min()?;
    (distance <= best.chars().count().max(name.chars().count()) / 3).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_the_names_of_both_forms() {
        for (name, role) in [
            ("user", Role::User),
            ("Human", Role::User),
            ("gpt", Role::Assistant),
            ("tool", Role::Tool),
        ] {
            assert_eq!(name.parse::<Role>().unwrap(), role);
        }
    }

    #[test]
    fn an_unknown_role_suggests_the_nearest() {
        let error = "systm".parse::<Role>().unwrap_err().to_string();
        assert!(
            error.contains("\"systm\"") && error.contains("did you mean \"system\"?"),
            "{error}"
        );
        let error = "zebra crossing".parse::<Role>().unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{error}");
    }

    #[test]
    fn a_conversation_knows_its_question_and_answer() {
        let conversation = Conversation::pair("Why?", "Because.");
        assert_eq!(conversation.answer(), Some("Because."));
        assert_eq!(conversation.question(), "Why?");
        assert_eq!(conversation.without_answer(), Conversation::prompt("Why?"));
        assert_eq!(Conversation::prompt("Why?").answer(), None);
    }
}
