//! The prompt, a separator, the completion.

use crate::error::Result;
use crate::example::Conversation;

use super::{Piece, Template, answer, exchanges, tidy};

/// The prompt, a separator, the completion, the tokenizer's EOS token; nothing else.
///
/// A system text stands first, with the separator after it. Several exchanges follow each other directly, each closed
/// by the EOS token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// What stands between prompt and completion. Spaces at its end belong to the completion.
    pub separator: String,
}

impl Default for Plain {
    /// A line break as the separator.
    fn default() -> Self {
        Self {
            separator: "\n".to_owned(),
        }
    }
}

impl Plain {
    /// With another separator; TRL uses none.
    pub fn new(separator: impl Into<String>) -> Self {
        Self {
            separator: separator.into(),
        }
    }
}

impl Template for Plain {
    fn render(&self, conversation: &Conversation, open: bool) -> Result<Vec<Piece>> {
        let (system, list) = exchanges(conversation, open)?;
        let mut pieces = vec![Piece::begin()];
        if let Some(system) = system {
            pieces.extend([Piece::text(system), Piece::literal(&self.separator)]);
        }
        for exchange in list {
            pieces.push(Piece::text(exchange.question));
            answer(&mut pieces, &self.separator, exchange.answer);
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

    #[test]
    fn the_completion_and_the_end_are_learned() {
        let pieces = Plain::default()
            .render(&Conversation::pair("2+2?", "4"), false)
            .unwrap();
        assert_eq!(
            pieces,
            [
                Piece::begin(),
                Piece::text("2+2?"),
                Piece::literal("\n"),
                Piece::text("4").learned(),
                Piece::end(),
            ]
        );
    }

    #[test]
    fn a_space_before_the_completion_is_not_part_of_the_prompt() {
        let template = Plain::new(" ");
        let pair = Conversation::pair("2+2=", "4");
        assert_eq!(
            template.render(&pair, true).unwrap(),
            [Piece::begin(), Piece::text("2+2=")]
        );
        assert_eq!(
            template.render(&pair, false).unwrap()[2],
            Piece::literal(" ").learned()
        );
    }
}
