//! How a question is put to a model.

use finetune_data::{Conversation, Role, Turn};
use serde::{Deserialize, Serialize};

use crate::{Context, Prompt};

/// How a question is put to a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Prompting {
    /// As plain text in a fixed form: for base models, which know no template.
    Text(TextForm),
    /// As a conversation that the engine renders with its own template, the examples as earlier turns: for models that
    /// were tuned with that template.
    Template {
        /// Solved examples, each a conversation that ends with an answer.
        shots: Vec<Conversation>,
    },
}

impl Prompting {
    /// The question alone, as text.
    pub fn bare() -> Self {
        Self::Text(TextForm::bare())
    }

    /// `Question: …` and `Answer: …` after the solved examples, as text.
    pub fn few_shot(shots: Vec<Conversation>) -> Self {
        Self::Text(TextForm {
            shots,
            ..TextForm::question_answer()
        })
    }

    /// The engine's template, without examples.
    pub fn template() -> Self {
        Self::Template { shots: Vec::new() }
    }

    /// The prompt for a conversation whose answer is left out.
    pub fn prompt(&self, asked: &Conversation, max_tokens: usize) -> Prompt {
        match self {
            Self::Text(form) => Prompt {
                context: Context::Text(form.render(asked)),
                stop: form.stop.clone(),
                max_tokens,
            },
            Self::Template { shots } => Prompt::new(with_shots(asked, shots), max_tokens),
        }
    }
}

/// The shots' turns stand after the question's system turn and before its first other turn.
fn with_shots(asked: &Conversation, shots: &[Conversation]) -> Conversation {
    let mut whole = asked.clone();
    let start = usize::from(
        asked
            .turns
            .first()
            .is_some_and(|turn| turn.role == Role::System),
    );
    let earlier = shots.iter().flat_map(|shot| {
        shot.turns
            .iter()
            .filter(|turn| turn.role != Role::System)
            .cloned()
    });
    whole
        .turns
        .splice(start..start, earlier.collect::<Vec<Turn>>());
    whole
}

/// A question as plain text: `description`, the shots, and the question, each `question` + text + `answer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextForm {
    /// Stands before everything, followed by `separator` if it is not empty.
    pub description: String,
    /// Stands before each question.
    pub question: String,
    /// Stands between a question and its answer; the prompt ends with it.
    pub answer: String,
    /// Stands between a shot's `answer` and its text. Not at the end of the prompt, where a trailing space would hinder
    /// most tokenizers.
    pub delimiter: String,
    /// Stands after each shot.
    pub separator: String,
    /// Solved examples, each a conversation that ends with an answer.
    pub shots: Vec<Conversation>,
    /// Texts that end the model's answer.
    pub stop: Vec<String>,
}

impl Default for TextForm {
    fn default() -> Self {
        Self::question_answer()
    }
}

impl TextForm {
    /// The question, a line break, nothing else; an empty line ends the answer.
    pub fn bare() -> Self {
        Self {
            description: String::new(),
            question: String::new(),
            answer: "\n".into(),
            delimiter: String::new(),
            separator: "\n\n".into(),
            shots: Vec::new(),
            stop: vec!["\n\n".into()],
        }
    }

    /// `Question: …\nAnswer:`; an empty line or the next `Question:` ends the answer.
    pub fn question_answer() -> Self {
        Self {
            question: "Question: ".into(),
            answer: "\nAnswer:".into(),
            delimiter: " ".into(),
            stop: vec!["\n\n".into(), "\nQuestion:".into()],
            ..Self::bare()
        }
    }

    /// The text of the prompt.
    pub fn render(&self, asked: &Conversation) -> String {
        let mut text = self.description.clone();
        if !text.is_empty() {
            text.push_str(&self.separator);
        }
        for shot in &self.shots {
            text.push_str(&self.asked(shot));
            text.push_str(&self.delimiter);
            text.push_str(shot.answer().unwrap_or_default());
            text.push_str(&self.separator);
        }
        text.push_str(&self.asked(asked));
        text
    }

    fn asked(&self, conversation: &Conversation) -> String {
        format!(
            "{}{}{}",
            self.question,
            conversation.question(),
            self.answer
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_shots_as_text() {
        let prompting =
            Prompting::few_shot(vec![Conversation::pair("What is rank?", "The width.")]);
        let prompt = prompting.prompt(&Conversation::prompt("What is alpha?"), 20);
        assert_eq!(
            prompt.context,
            Context::from(
                "Question: What is rank?\nAnswer: The width.\n\nQuestion: What is alpha?\nAnswer:"
            )
        );
        assert_eq!(prompt.stop, ["\n\n", "\nQuestion:"]);
    }

    #[test]
    fn few_shots_as_turns_follow_the_system_turn() {
        let mut asked = Conversation::prompt("q");
        asked.turns.insert(0, Turn::new(Role::System, "be brief"));
        let prompting = Prompting::Template {
            shots: vec![Conversation::pair("a", "b")],
        };
        let Context::Conversation(whole) = prompting.prompt(&asked, 5).context else {
            panic!("a conversation")
        };
        let texts: Vec<_> = whole.turns.iter().map(|turn| turn.text.as_str()).collect();
        assert_eq!(texts, ["be brief", "a", "b", "q"]);
    }

    #[test]
    fn bare_is_the_question_and_a_line_break() {
        let prompt = Prompting::bare().prompt(&Conversation::pair("Why?", "Because."), 5);
        assert_eq!(prompt.context, Context::from("Why?\n"));
    }
}
