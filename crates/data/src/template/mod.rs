//! Templates: from a conversation to pieces of text, each learned or not.
//!
//! A template knows neither token ids nor a vocabulary. It says which text stands in a row, who wrote it (the template
//! or the record) and what the model shall learn to write; the tokenizer joins the pieces and tokenizes them once.

use std::fmt;

use crate::error::{DataError, Place, Result, quoted};
use crate::example::{Conversation, Role, Turn, nearest};
use crate::tokenizer::Tokenizer;

mod alpaca;
mod chat;
mod custom;
mod part;
mod plain;
pub mod python;
mod question;

pub use alpaca::Alpaca;
pub use chat::{ChatTemplate, Clock, Learn, Moment};
pub use custom::CustomTemplate;
pub use plain::Plain;
pub use question::QuestionAnswer;

use part::Part;

/// Who wrote a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The template. Only here may a text such as `<|im_end|>` become a control token.
    Template,
    /// The record. Whatever stands here is text, and never becomes a control token.
    Text,
    /// What the tokenizer puts before a text of its own accord, such as its BOS token. The piece has no text.
    Begin,
    /// The end of an answer: the tokenizer's EOS token. The piece has no text.
    End,
}

/// A stretch of a rendered conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The text; empty for [`Source::Begin`] and [`Source::End`].
    pub text: String,
    /// Whether the model learns to write it.
    pub learn: bool,
    /// Who wrote it.
    pub source: Source,
}

impl Piece {
    /// The template's own text, not learned.
    pub fn literal(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            learn: false,
            source: Source::Template,
        }
    }

    /// Text of the record, not learned.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            learn: false,
            source: Source::Text,
        }
    }

    /// What the tokenizer puts before a text, not learned.
    pub fn begin() -> Self {
        Self {
            text: String::new(),
            learn: false,
            source: Source::Begin,
        }
    }

    /// The end of an answer, learned: without it a model never learns to stop.
    pub fn end() -> Self {
        Self {
            text: String::new(),
            learn: true,
            source: Source::End,
        }
    }

    /// The same piece, learned.
    pub fn learned(mut self) -> Self {
        self.learn = true;
        self
    }
}

/// Renders conversations.
///
/// This is the seam for prompt formats. A template is used for training, for evaluation and for generation, so the
/// three cannot differ: with `open` it renders exactly what stands before the answer when it renders the whole.
///
/// Spaces before an answer belong to the answer, not to the prompt: most tokenizers glue a space to the word after it,
/// and a prompt that ends with a space asks for a token that training never showed.
pub trait Template: Send + Sync {
    /// The conversation as pieces of text.
    ///
    /// With `open` a last answer is left out, and the text ends where an answer begins: the prompt for generation.
    ///
    /// # Errors
    ///
    /// If the conversation does not fit the template: a role or field is missing, or stands where it cannot.
    fn render(&self, conversation: &Conversation, open: bool) -> Result<Vec<Piece>>;

    /// The text with which every answer ends, if the template writes one; `None` if answers end with the tokenizer's
    /// EOS token ([`Source::End`]) or with nothing.
    fn ends_with(&self) -> Option<&str> {
        None
    }

    /// Everything that its pieces depend on beside the conversation, as text: rows that were made with other settings
    /// are other rows, and are not taken for its own ([`Shard`](crate::shard::Shard)).
    ///
    /// By default, how it renders a few conversations. Override it if that does not show every setting.
    fn settings(&self) -> String {
        let turns = [
            Role::System,
            Role::User,
            Role::Assistant,
            Role::User,
            Role::Assistant,
        ];
        let turns: Vec<Turn> = (turns.iter().zip(["a", "b", "c", "d", "e"]))
            .map(|(role, text)| Turn::new(*role, text))
            .collect();
        let probes = [&turns[1..3], &turns[..3], &turns[1..], &turns];
        let rendered = probes.map(|probe| {
            let conversation = Conversation::new(probe.to_vec());
            match self.render(&conversation, false) {
                Ok(pieces) => format!("{pieces:?}"),
                Err(error) => error.to_string(),
            }
        });
        rendered.join("\n")
    }
}

/// Makes a template for a tokenizer; the second argument is what follows a colon in its name.
type Make = Box<dyn Fn(&Tokenizer, &str) -> Result<Box<dyn Template>> + Send + Sync>;

/// The templates that can be asked for by name.
pub struct Templates {
    list: Vec<(String, Make)>,
}

impl Default for Templates {
    /// `plain`, `alpaca`, `question-answer`, `chat` (the template of the tokenizer's folder) and
    /// `custom:PATTERN` (see [`CustomTemplate`]; `\n` stands for a line break).
    fn default() -> Self {
        Self { list: Vec::new() }
            .with("plain", |_, _| Ok(Box::new(Plain::default())))
            .with("alpaca", |_, _| Ok(Box::new(Alpaca)))
            .with("question-answer", |_, _| {
                Ok(Box::new(QuestionAnswer::default()))
            })
            .with("chat", |tokenizer, _| {
                Ok(Box::new(ChatTemplate::of(tokenizer)?))
            })
            .with("custom", |_, pattern| {
                // On a command line a line break is hard to write.
                let pattern = pattern.replace("\\n", "\n");
                Ok(Box::new(CustomTemplate::new(&pattern)?))
            })
    }
}

impl Templates {
    /// Adds a template; it hides an earlier one of the same name.
    pub fn with(
        mut self,
        name: &str,
        make: impl Fn(&Tokenizer, &str) -> Result<Box<dyn Template>> + Send + Sync + 'static,
    ) -> Self {
        self.list.retain(|(known, _)| known != name);
        self.list.push((name.to_owned(), Box::new(make)));
        self
    }

    /// The names, in the order of the list.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|(name, _)| name.as_str())
    }

    /// The template of this name for a tokenizer. What follows a colon is an argument: `custom:Q: {prompt}\nA: {completion}`.
    ///
    /// # Errors
    ///
    /// [`DataError::NoTemplate`] with the known names, or what the template says of the tokenizer or the argument.
    pub fn get(&self, name: &str, tokenizer: &Tokenizer) -> Result<Box<dyn Template>> {
        let (head, argument) = name.split_once(':').unwrap_or((name, ""));
        match self.list.iter().find(|(known, _)| known == head) {
            Some((_, make)) => make(tokenizer, argument),
            None => Err(DataError::NoTemplate {
                name: quoted(name),
                known: self.known(head),
            }),
        }
    }

    fn known(&self, name: &str) -> String {
        let mut known = self.names().collect::<Vec<_>>().join(", ");
        if let Some(near) = nearest(name, self.names()) {
            known = format!("{known}; did you mean \"{near}\"?");
        }
        known
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// The turns to render: all of them, or those before the last answer.
fn turns(conversation: &Conversation, open: bool) -> Result<&[Turn]> {
    let turns = conversation.turns.as_slice();
    let turns = match turns.split_last() {
        Some((last, before)) if open && last.role == Role::Assistant => before,
        _ => turns,
    };
    if turns.is_empty() {
        return Err(DataError::EmptyConversation {
            place: Place::from(&conversation.origin),
        });
    }
    Ok(turns)
}

/// Refuses what only the template of a model can write.
fn words_only(conversation: &Conversation) -> Result<()> {
    let parts = [Part::Tools, Part::Calls, Part::Thoughts];
    let has = |part: &Part| part.is_in(&conversation.turns, &conversation.tools);
    let Some(part) = parts.into_iter().find(has) else {
        return Ok(());
    };
    Err(DataError::Unsupported {
        place: Place::from(&conversation.origin),
        what: format!("{part} in a template of questions and answers"),
        hint: "Use the template chat, or take them out of the record",
    })
}

/// A question with its answer, `None` where the answer is to be written.
struct Exchange<'a> {
    question: &'a str,
    answer: Option<&'a str>,
}

/// Takes a conversation apart for templates that know questions and answers only: an optional system text, then
/// questions and answers in turn.
///
/// # Errors
///
/// [`DataError::RoleOrder`] where the order is another one, or the last answer is missing though the row is not open;
/// [`DataError::Unsupported`] if there are tools or thoughts.
fn exchanges(conversation: &Conversation, open: bool) -> Result<(Option<&str>, Vec<Exchange<'_>>)> {
    words_only(conversation)?;
    let all = turns(conversation, open)?;
    let wrong = |turn: usize, found: String, expected: &'static str| DataError::RoleOrder {
        place: Place::from(&conversation.origin),
        turn,
        found,
        expected,
    };
    let system = all
        .first()
        .filter(|turn| turn.role == Role::System)
        .map(|turn| turn.text.as_str());
    let rest = &all[usize::from(system.is_some())..];
    let mut list: Vec<Exchange<'_>> = Vec::with_capacity(rest.len().div_ceil(2));
    for (index, turn) in rest.iter().enumerate() {
        let number = index + 1 + usize::from(system.is_some());
        match (turn.role, list.last_mut()) {
            (Role::Assistant, Some(last)) if last.answer.is_none() => {
                last.answer = Some(&turn.text);
            }
            (Role::User, Some(last)) if last.answer.is_none() => {
                return Err(wrong(number, turn.role.to_string(), "assistant"));
            }
            (Role::User, _) => list.push(Exchange {
                question: &turn.text,
                answer: None,
            }),
            (role, _) => {
                return Err(wrong(
                    number,
                    role.to_string(),
                    "user; for other roles use the template chat",
                ));
            }
        }
    }
    let answered = list.last().is_some_and(|last| last.answer.is_some());
    if answered == open || list.is_empty() {
        let expected = if open { "user" } else { "assistant" };
        return Err(wrong(all.len() + 1, "the end".to_owned(), expected));
    }
    Ok((system, list))
}

/// Adds what stands before an answer, and the answer itself unless it is to be written. Spaces at the end of `before`
/// go with the answer.
fn answer(pieces: &mut Vec<Piece>, before: &str, text: Option<&str>) {
    let prompt = before.trim_end_matches(' ');
    pieces.push(Piece::literal(prompt));
    if let Some(text) = text {
        pieces.push(Piece::literal(&before[prompt.len()..]).learned());
        pieces.push(Piece::text(text).learned());
    }
}

/// Removes empty pieces and joins neighbours of the same kind.
fn tidy(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut tidied: Vec<Piece> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let has_text = matches!(piece.source, Source::Template | Source::Text);
        if has_text && piece.text.is_empty() {
            continue;
        }
        match tidied.last_mut() {
            Some(last) if has_text && last.source == piece.source && last.learn == piece.learn => {
                last.text.push_str(&piece.text);
            }
            _ => tidied.push(piece),
        }
    }
    tidied
}

/// Line and column, from 1, of a byte of a text.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |place| place + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(list: &[(Role, &str)]) -> Conversation {
        Conversation::new(
            list.iter()
                .map(|(role, text)| Turn::new(*role, *text))
                .collect(),
        )
    }

    #[test]
    fn exchanges_want_questions_and_answers_in_turn() {
        let conversation = roles(&[
            (Role::System, "s"),
            (Role::User, "q"),
            (Role::Assistant, "a"),
        ]);
        let (system, list) = exchanges(&conversation, false).unwrap();
        assert_eq!(system, Some("s"));
        assert_eq!((list[0].question, list[0].answer), ("q", Some("a")));
        let (_, list) = exchanges(&conversation, true).unwrap();
        assert_eq!(list[0].answer, None);
    }

    #[test]
    fn exchanges_name_the_turn_that_is_out_of_order() {
        let check = |list: &[(Role, &str)], open: bool, expected: &str| {
            let Err(error) = exchanges(&roles(list), open).map(|_| ()) else {
                panic!("expected an error with {expected}");
            };
            let error = error.to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(&[(Role::User, "q")], false, "turn 2: found the end");
        check(
            &[(Role::User, "q"), (Role::User, "q")],
            false,
            "turn 2: found user; expected assistant",
        );
        check(
            &[(Role::Assistant, "a"), (Role::User, "q")],
            true,
            "turn 1: found assistant",
        );
        check(
            &[(Role::User, "q"), (Role::Tool, "t")],
            false,
            "turn 2: found tool",
        );
        check(&[(Role::System, "s")], false, "turn 2: found the end");
        check(&[], false, "no turns");
    }

    #[test]
    fn a_pattern_from_a_command_line_has_line_breaks() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/assets/base");
        let tokenizer = Tokenizer::open(folder).unwrap();
        let name = r"custom:Q: {prompt}\nA: {completion}";
        let template = Templates::default().get(name, &tokenizer).unwrap();
        let pieces = template
            .render(&roles(&[(Role::User, "why?")]), true)
            .unwrap();
        let text: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
        assert_eq!(text, "Q: why?\nA:");
    }

    #[test]
    fn names_are_found_and_slips_corrected() {
        let templates = Templates::default();
        assert_eq!(
            templates.names().collect::<Vec<_>>(),
            ["plain", "alpaca", "question-answer", "chat", "custom"]
        );
        let known = templates.known("alpacca");
        assert!(known.contains("did you mean \"alpaca\"?"), "{known}");
    }
}
