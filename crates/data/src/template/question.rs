//! Question and answer, each after its label.

use crate::error::Result;
use crate::example::Conversation;

use super::{Piece, Template, answer, exchanges, tidy};

/// `Question: …`, a line break, `Answer: …`, the tokenizer's EOS token.
///
/// A system text stands first, set off by an empty line; so are further exchanges, which makes the same template fit
/// for few-shot prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionAnswer {
    /// The label before a question.
    pub question: String,
    /// The label before an answer.
    pub answer: String,
}

impl Default for QuestionAnswer {
    /// `Question:` and `Answer:`.
    fn default() -> Self {
        Self {
            question: "Question:".to_owned(),
            answer: "Answer:".to_owned(),
        }
    }
}

impl Template for QuestionAnswer {
    fn render(&self, conversation: &Conversation, open: bool) -> Result<Vec<Piece>> {
        let (system, list) = exchanges(conversation, open)?;
        let mut pieces = vec![Piece::begin()];
        if let Some(system) = system {
            pieces.extend([Piece::text(system), Piece::literal("\n\n")]);
        }
        let before = format!("\n{} ", self.answer);
        for (index, exchange) in list.iter().enumerate() {
            if index > 0 {
                pieces.push(Piece::literal("\n\n"));
            }
            pieces.push(Piece::literal(format!("{} ", self.question)));
            pieces.push(Piece::text(exchange.question));
            answer(&mut pieces, &before, exchange.answer);
            if exchange.answer.is_some() {
                pieces.push(Piece::end());
            }
        }
        Ok(tidy(pieces))
    }

    fn settings(&self) -> String {
        format!("{self:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{Role, Turn};

    fn joined(pieces: &[Piece]) -> String {
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn labels_stand_before_question_and_answer() {
        let template = QuestionAnswer::default();
        let pair = Conversation::pair("Why?", "Because.");
        let pieces = template.render(&pair, false).unwrap();
        assert_eq!(joined(&pieces), "Question: Why?\nAnswer: Because.");
        assert_eq!(pieces.last(), Some(&Piece::end()));
        assert_eq!(
            joined(&template.render(&pair, true).unwrap()),
            "Question: Why?\nAnswer:"
        );
    }

    #[test]
    fn earlier_exchanges_are_a_few_shot_prompt() {
        let conversation = Conversation::new(vec![
            Turn::new(Role::System, "Be brief."),
            Turn::new(Role::User, "1+1?"),
            Turn::new(Role::Assistant, "2"),
            Turn::new(Role::User, "1+2?"),
        ]);
        let pieces = QuestionAnswer::default()
            .render(&conversation, true)
            .unwrap();
        assert_eq!(
            joined(&pieces),
            "Be brief.\n\nQuestion: 1+1?\nAnswer: 2\n\nQuestion: 1+2?\nAnswer:"
        );
    }
}
