//! What stands before an answer: description, solved examples and the question, as text or as a conversation.

use finetune_data::{Conversation, Role, Turn};

use crate::Context;

/// How prompts are put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// As text, one thing after the other.
    Text,
    /// As a conversation, rendered by the model's own chat template.
    Chat {
        /// Whether each solved example is a question of the user's and an answer of the assistant's; else all of them
        /// stand in the one question.
        turns: bool,
    },
}

/// A part of a prompt, and what follows it in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) role: Role,
    pub(super) text: String,
    pub(super) delimiter: String,
}

impl Message {
    pub(super) fn system(text: String) -> Self {
        Self {
            role: Role::System,
            text,
            delimiter: String::new(),
        }
    }
}

/// A question, with its answer in solved examples.
pub(super) struct Question<'q> {
    pub(super) text: String,
    pub(super) answer: Option<String>,
    /// The beginning of the answer.
    pub(super) prefix: Option<String>,
    pub(super) target_delimiter: &'q str,
    /// What follows the answer.
    pub(super) end: &'q str,
}

impl Question<'_> {
    /// The messages of a question.
    pub(super) fn messages(self) -> impl Iterator<Item = Message> {
        let prefix = self.prefix.filter(|prefix| !prefix.is_empty());
        let answer = self.answer.filter(|answer| !answer.is_empty());
        let delimited = match (&answer, &prefix) {
            (Some(_), None) => true,
            (_, Some(prefix)) => apart(&self.text, prefix),
            (None, None) => false,
        };
        let delimiter = if delimited { self.target_delimiter } else { "" };
        let question = Message {
            role: Role::User,
            text: self.text,
            delimiter: delimiter.to_owned(),
        };
        let end = if answer.is_some() { self.end } else { "" };
        let answer = match (prefix, answer) {
            (prefix, Some(answer)) => {
                Some(joined(prefix.as_deref().unwrap_or_default(), &answer, " "))
            }
            (prefix, None) => prefix,
        };
        let answer = answer.map(|text| Message {
            role: Role::Assistant,
            text,
            delimiter: end.to_owned(),
        });
        [question].into_iter().chain(answer)
    }
}

/// Both texts, with a delimiter between them unless one of them has white space there.
pub(super) fn joined(before: &str, after: &str, delimiter: &str) -> String {
    if before.is_empty() || after.is_empty() || !apart(before, after) {
        return format!("{before}{after}");
    }
    format!("{before}{delimiter}{after}")
}

/// Whether a delimiter belongs between the texts: neither has white space there. `after` is not empty.
fn apart(before: &str, after: &str) -> bool {
    let last = before.chars().next_back();
    let first = after.chars().next();
    last.is_some_and(|last| !last.is_whitespace()) && !first.is_some_and(char::is_whitespace)
}

/// What a model is given, out of the messages up to where it answers.
pub(super) fn context(form: &Form, messages: Vec<Message>) -> Context {
    match form {
        Form::Text => text(&messages).into(),
        Form::Chat { turns: true } => conversation(messages),
        Form::Chat { turns: false } => conversation(in_one_turn(messages)),
    }
}

fn text(messages: &[Message]) -> String {
    messages
        .iter()
        .flat_map(|message| [message.text.as_str(), message.delimiter.as_str()])
        .collect()
}

/// The turns of the user and the assistant as one question; the system's turn and the beginning of the answer stay.
fn in_one_turn(mut messages: Vec<Message>) -> Vec<Message> {
    let system = messages
        .first()
        .is_some_and(|message| message.role == Role::System);
    let system = system.then(|| messages.remove(0));
    let begun = messages
        .last()
        .is_some_and(|message| message.role == Role::Assistant);
    let begun = begun.then(|| messages.pop()).flatten();
    if let Some(last) = messages.last_mut() {
        last.delimiter.clear();
    }
    let question = Message {
        role: Role::User,
        text: text(&messages),
        delimiter: String::new(),
    };
    system.into_iter().chain([question]).chain(begun).collect()
}

fn conversation(mut messages: Vec<Message>) -> Context {
    let begun = messages
        .last()
        .is_some_and(|message| message.role == Role::Assistant);
    let begun = begun.then(|| messages.pop()).flatten();
    let turns = messages
        .into_iter()
        .map(|message| Turn::new(message.role, message.text));
    let conversation = Conversation::new(turns.collect());
    match begun {
        None => Context::Conversation(conversation),
        Some(begun) => Context::Begun {
            conversation,
            answer: begun.text,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str, answer: Option<&str>, prefix: Option<&str>) -> Vec<(String, String)> {
        let question = Question {
            text: text.into(),
            answer: answer.map(str::to_owned),
            prefix: prefix.map(str::to_owned),
            target_delimiter: " ",
            end: "\n\n",
        };
        question
            .messages()
            .map(|message| (message.text, message.delimiter))
            .collect()
    }

    #[test]
    fn questions_are_delimited_as_the_harness_does() {
        let pair = |text: &str, delimiter: &str| (text.to_owned(), delimiter.to_owned());
        assert_eq!(messages("Q", None, None), [pair("Q", "")]);
        assert_eq!(
            messages("Q", Some("A"), None),
            [pair("Q", " "), pair("A", "\n\n")]
        );
        assert_eq!(
            messages("Q\n", Some("A"), None),
            [pair("Q\n", " "), pair("A", "\n\n")]
        );
        assert_eq!(
            messages("Q", Some("A"), Some("P")),
            [pair("Q", " "), pair("P A", "\n\n")]
        );
        assert_eq!(
            messages("Q\n", Some("A"), Some("P ")),
            [pair("Q\n", ""), pair("P A", "\n\n")]
        );
        assert_eq!(
            messages("Q", None, Some("P")),
            [pair("Q", " "), pair("P", "")]
        );
        assert_eq!(messages("", None, Some("P")), [pair("", ""), pair("P", "")]);
        assert_eq!(messages("Q", Some(""), None), [pair("Q", "")]);
    }

    #[test]
    fn a_conversation_is_put_in_turns_or_in_one() {
        let mut all = vec![Message::system("S".into())];
        for answer in [Some("A"), None] {
            let question = Question {
                text: "Q".into(),
                answer: answer.map(str::to_owned),
                prefix: Some("P".into()),
                target_delimiter: " ",
                end: "\n\n",
            };
            all.extend(question.messages());
        }
        assert_eq!(
            context(&Form::Text, all.clone()),
            Context::from("SQ P A\n\nQ P")
        );
        let turns = |context| match context {
            Context::Begun {
                conversation,
                answer,
            } => {
                let turns: Vec<_> = conversation
                    .turns
                    .iter()
                    .map(|turn| turn.text.clone())
                    .collect();
                (turns, answer)
            }
            other => panic!("{other:?}"),
        };
        let (found, begun) = turns(context(&Form::Chat { turns: true }, all.clone()));
        assert_eq!((found.join("|"), begun), ("S|Q|P A|Q".into(), "P".into()));
        let (found, begun) = turns(context(&Form::Chat { turns: false }, all));
        assert_eq!(
            (found.join("|"), begun),
            ("S|Q P A\n\nQ".into(), "P".into())
        );
    }
}
