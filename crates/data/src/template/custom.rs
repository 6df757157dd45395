//! A template that the user writes.

use std::borrow::Cow;

use crate::document::Value;
use crate::error::{DataError, Place, Result, quoted};
use crate::example::{Conversation, Role};

use super::{Piece, Template, answer, tidy, turns, words_only};

/// A text with named fields in braces: `Facts: {facts}\nQ: {prompt}\nA: {completion}`.
///
/// * `{completion}` is the answer, and is learned with all that follows it, closed by the tokenizer's EOS token. It
///   stands exactly once.
/// * `{prompt}` is the last question, `{system}` the system text (nothing, if there is none).
/// * any other name is a field of the record ([`Conversation::fields`]): a text, a number or a truth value.
/// * `{{` and `}}` are braces.
///
/// Only the pattern's own text can become control tokens, never a field's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomTemplate {
    /// What stands before the answer, with the spaces that belong to the answer.
    before: Vec<Part>,
    /// What stands after it.
    after: Vec<Part>,
    /// The text after the answer, if it holds no field.
    end: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Field(String),
}

impl CustomTemplate {
    /// Reads a pattern.
    ///
    /// # Errors
    ///
    /// [`DataError::TemplateSyntax`] with line and column: a brace that stands alone, an empty or misspelt name, or
    /// `{completion}` missing or twice.
    pub fn new(pattern: &str) -> Result<Self> {
        let parts = parse(pattern)?;
        let places: Vec<usize> = (0..parts.len())
            .filter(|&index| parts[index] == Part::Field("completion".to_owned()))
            .collect();
        let [place] = places.as_slice() else {
            let found = places.len();
            let message = format!("{{completion}} stands {found} times; expected it exactly once");
            return Err(syntax(pattern, pattern.len(), message));
        };
        let mut before = parts;
        let after = before.split_off(place + 1);
        before.pop();
        let end = match after.as_slice() {
            [Part::Literal(text)] => Some(text.clone()),
            _ => None,
        };
        Ok(Self { before, after, end })
    }
}

impl Template for CustomTemplate {
    fn render(&self, conversation: &Conversation, open: bool) -> Result<Vec<Piece>> {
        words_only(conversation)?;
        let asked = turns(conversation, open)?;
        let reply = conversation.answer().filter(|_| !open);
        if reply.is_none() && !open {
            return Err(DataError::RoleOrder {
                place: Place::from(&conversation.origin),
                turn: asked.len() + 1,
                found: "the end".to_owned(),
                expected: "assistant",
            });
        }
        let mut pieces = vec![Piece::begin()];
        let (last, fields) = match self.before.split_last() {
            Some((Part::Literal(text), rest)) => (text.as_str(), rest),
            _ => ("", self.before.as_slice()),
        };
        for part in fields {
            pieces.push(part.piece(conversation)?);
        }
        answer(&mut pieces, last, reply);
        if reply.is_some() {
            for part in &self.after {
                pieces.push(part.piece(conversation)?.learned());
            }
            pieces.push(Piece::end());
        }
        Ok(tidy(pieces))
    }

    fn ends_with(&self) -> Option<&str> {
        self.end.as_deref()
    }

    fn settings(&self) -> String {
        format!("{self:?}")
    }
}

impl Part {
    fn piece(&self, conversation: &Conversation) -> Result<Piece> {
        match self {
            Self::Literal(text) => Ok(Piece::literal(text)),
            Self::Field(name) => Ok(Piece::text(value(name, conversation)?)),
        }
    }
}

/// The value of a field as text.
fn value<'a>(name: &str, conversation: &'a Conversation) -> Result<Cow<'a, str>> {
    let turn = |role: Role| {
        let mut turns = conversation.turns.iter().rev();
        turns.find(|turn| turn.role == role).map(|turn| &turn.text)
    };
    match (name, conversation.fields.get(name)) {
        ("prompt", None) => turn(Role::User)
            .map(|text| Cow::Borrowed(text.as_str()))
            .ok_or_else(|| missing(name, conversation)),
        ("system", None) => Ok(turn(Role::System).map_or("", String::as_str).into()),
        (_, Some(Value::String(text))) => Ok(text.into()),
        (_, Some(Value::Number(number))) => Ok(number.to_string().into()),
        (_, Some(Value::Bool(truth))) => Ok(truth.to_string().into()),
        (_, Some(other)) => Err(DataError::WrongType {
            place: Place::from(&conversation.origin),
            field: quoted(name),
            found: match other {
                Value::Null => "null",
                Value::Array(_) => "array",
                _ => "object",
            },
            expected: "string, number or boolean",
        }),
        (_, None) => Err(missing(name, conversation)),
    }
}

fn missing(name: &str, conversation: &Conversation) -> DataError {
    let mut found = vec!["prompt", "system", "completion"];
    found.extend(conversation.fields.keys().map(String::as_str));
    DataError::MissingField {
        place: Place::from(&conversation.origin),
        field: quoted(name),
        found: quoted(&found.join(", ")),
        hint: "The template asks for it: correct the template, or add the field".to_owned(),
    }
}

/// Takes a pattern apart.
fn parse(pattern: &str) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = pattern;
    while let Some(place) = rest.find(['{', '}']) {
        let offset = pattern.len() - rest.len() + place;
        literal.push_str(&rest[..place]);
        let (brace, tail) = rest[place..].split_at(1);
        if let Some(after) = tail.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return Err(syntax(pattern, offset, "} without {; write }} for a brace"));
        }
        let Some((name, after)) = tail.split_once('}') else {
            return Err(syntax(pattern, offset, "{ without }; write {{ for a brace"));
        };
        let good = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '.';
        if name.is_empty() || !name.chars().all(good) {
            let message = format!(
                "found the field name {}; expected letters, digits, _ - .",
                quoted(name)
            );
            return Err(syntax(pattern, offset, message));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(Part::Field(name.to_owned()));
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

fn syntax(pattern: &str, offset: usize, message: impl Into<String>) -> DataError {
    let (line, column) = super::line_and_column(pattern, offset);
    DataError::TemplateSyntax {
        name: "custom".to_owned(),
        line,
        column,
        message: message.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_filled_in_and_the_completion_is_learned() {
        let template = CustomTemplate::new("{{{topic}}} {prompt}\n>> {completion}\n##").unwrap();
        let mut pair = Conversation::pair("Why?", "So.");
        pair.fields.insert("topic".into(), "sky".into());
        assert_eq!(
            template.render(&pair, false).unwrap(),
            [
                Piece::begin(),
                Piece::literal("{"),
                Piece::text("sky"),
                Piece::literal("} "),
                Piece::text("Why?"),
                Piece::literal("\n>>"),
                Piece::literal(" ").learned(),
                Piece::text("So.").learned(),
                Piece::literal("\n##").learned(),
                Piece::end(),
            ]
        );
        assert_eq!(template.ends_with(), Some("\n##"));
        assert_eq!(template.render(&pair, true).unwrap().len(), 6);
    }

    #[test]
    fn an_unknown_field_names_the_known_ones() {
        let template = CustomTemplate::new("{subject}: {completion}").unwrap();
        let error = template.render(&Conversation::pair("a", "b"), false);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("\"subject\"") && error.contains("prompt, system"),
            "{error}"
        );
    }

    #[test]
    fn a_broken_pattern_says_where() {
        for (pattern, place, why) in [
            ("a {completion} }", "custom:1:16", "} without {"),
            ("a\nb {completion", "custom:2:3", "{ without }"),
            ("{} {completion}", "custom:1:1", "field name"),
            ("{prompt}", "custom:1:9", "stands 0 times"),
            ("{completion}{completion}", "custom:1:25", "stands 2 times"),
        ] {
            let error = CustomTemplate::new(pattern).unwrap_err().to_string();
            assert!(error.contains(place) && error.contains(why), "{error}");
        }
    }
}
