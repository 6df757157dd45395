//! The prompt of the Alpaca data set.

use crate::document::Value;
use crate::error::{DataError, Place, Result};
use crate::example::Conversation;

use super::{Exchange, Piece, Template, answer, exchanges, tidy};

/// What stands above an instruction that comes with an input.
const WITH_INPUT: &str = "Below is an instruction that describes a task, paired with an input that provides further \
context. Write a response that appropriately completes the request.";

/// What stands above an instruction alone.
const ALONE: &str = "Below is an instruction that describes a task. Write a response that appropriately completes \
the request.";

/// The Alpaca form: a preamble, then `### Instruction:`, where the record has one `### Input:`, and `### Response:`.
///
/// One exchange; a system text takes the preamble's place. The input is the field `input` that the mapping of
/// instruction, input and output keeps ([`Conversation::fields`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Alpaca;

impl Template for Alpaca {
    fn render(&self, conversation: &Conversation, open: bool) -> Result<Vec<Piece>> {
        let (system, list) = exchanges(conversation, open)?;
        let [exchange] = list.as_slice() else {
            return Err(DataError::RoleOrder {
                place: Place::from(&conversation.origin),
                turn: 3 + usize::from(system.is_some()),
                found: "a further exchange".to_owned(),
                expected: "the end: the template alpaca renders one question with one answer; for more use chat",
            });
        };
        let split = split(conversation, exchange);
        let preamble = match (system, split) {
            (Some(system), _) => Piece::text(system),
            (None, Some(_)) => Piece::literal(WITH_INPUT),
            (None, None) => Piece::literal(ALONE),
        };
        let (instruction, input) = split.map_or((exchange.question, None), |(a, b)| (a, Some(b)));
        let mut pieces = vec![
            Piece::begin(),
            preamble,
            Piece::literal("\n\n### Instruction:\n"),
            Piece::text(instruction),
        ];
        if let Some(input) = input {
            pieces.extend([Piece::literal("\n\n### Input:\n"), Piece::text(input)]);
        }
        answer(&mut pieces, "\n\n### Response:\n", exchange.answer);
        if exchange.answer.is_some() {
            pieces.push(Piece::end());
        }
        Ok(tidy(pieces))
    }

    fn settings(&self) -> String {
        format!("{self:?}")
    }
}

/// Instruction and input apart, if the record keeps them so and they are what the question was made of.
fn split<'a>(
    conversation: &'a Conversation,
    exchange: &Exchange<'_>,
) -> Option<(&'a str, &'a str)> {
    let field = |name: &str| conversation.fields.get(name).and_then(Value::as_str);
    let (instruction, input) = (field("instruction")?, field("input")?);
    let question = exchange.question;
    let whole = question.starts_with(instruction) && question.ends_with(input);
    (whole && !input.trim().is_empty()).then_some((instruction, input))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{Role, Turn};

    fn joined(conversation: &Conversation, open: bool) -> String {
        let pieces = Alpaca.render(conversation, open).unwrap();
        pieces.iter().map(|piece| piece.text.as_str()).collect()
    }

    #[test]
    fn without_input() {
        let text = joined(&Conversation::pair("Name a colour.", "Blue."), false);
        assert_eq!(
            text,
            format!("{ALONE}\n\n### Instruction:\nName a colour.\n\n### Response:\nBlue.")
        );
    }

    #[test]
    fn with_input() {
        let mut conversation = Conversation::pair("Add.\n\n1, 2", "3");
        conversation
            .fields
            .insert("instruction".into(), "Add.".into());
        conversation.fields.insert("input".into(), "1, 2".into());
        assert_eq!(
            joined(&conversation, true),
            format!(
                "{WITH_INPUT}\n\n### Instruction:\nAdd.\n\n### Input:\n1, 2\n\n### Response:\n"
            )
        );
    }

    #[test]
    fn one_exchange_only() {
        let mut conversation = Conversation::pair("a", "b");
        conversation.turns.push(Turn::new(Role::User, "c"));
        let error = Alpaca.render(&conversation, true).unwrap_err().to_string();
        assert!(
            error.contains("turn 3: found a further exchange"),
            "{error}"
        );
    }
}
