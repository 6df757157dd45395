//! Following the texts of a conversation through a template.

use std::borrow::Cow;

use minijinja::Value;

use crate::error::{DataError, Place, Result};
use crate::example::{Role, Turn};

use super::ChatTemplate;
use super::jinja::{Budget, is_space};
use super::marks::{Marks, Rendered, Style};

/// A conversation on its way through a template.
pub(super) struct Following<'a> {
    pub(super) chat: &'a ChatTemplate,
    pub(super) turns: &'a [Turn],
    pub(super) place: Place,
    marks: Marks,
}

impl<'a> Following<'a> {
    /// # Errors
    ///
    /// If the texts hold nearly all of the characters that mark texts.
    pub(super) fn new(chat: &'a ChatTemplate, turns: &'a [Turn], place: Place) -> Result<Self> {
        let marks = Marks::unused(turns.iter().map(|turn| turn.text.as_str()));
        let marks = marks.ok_or_else(|| DataError::TemplateCheck {
            name: chat.engine.name().to_owned(),
            message: format!(
                "at {place} the texts hold nearly all of U+FDD0 to U+FDEF, which mark texts"
            ),
        })?;
        Ok(Self {
            chat,
            turns,
            place,
            marks,
        })
    }

    /// The render of the first turns as they are, without following their texts.
    pub(super) fn bare(&self, count: usize, open: bool) -> Result<Rendered> {
        let turns = self.turns[..count].iter();
        let plain = turns.map(|turn| (turn.role, Cow::Borrowed(turn.text.as_str())));
        Ok(self.marks.read(&self.run(plain, open)?, count))
    }

    /// The render of the first turns with marks around their texts. `None` if the template refuses them so.
    pub(super) fn marked(&self, styles: &[Style], open: bool) -> Option<Rendered> {
        let handled = &self.chat.engine.handled;
        let marked = self.turns.iter().zip(styles).enumerate();
        let marked = marked.map(|(number, (turn, style))| {
            let text = self.marks.mark(&turn.text, number, *style, handled);
            (turn.role, Cow::Owned(text))
        });
        let rendered = self.run(marked, open).ok()?;
        Some(self.marks.read(&rendered, styles.len()))
    }

    /// The render of all turns, with the place of every text.
    ///
    /// # Errors
    ///
    /// What the template says; [`DataError::TemplateCheck`] if a text with markup comes out so changed that it cannot
    /// be told from the template's own.
    pub(super) fn whole(&self, open: bool) -> Result<Rendered> {
        let mut bare = self.bare(self.turns.len(), open)?;
        let mut styles = vec![Style::Whole; self.turns.len()];
        let mut torn = vec![true; self.turns.len()];
        if let Some(marked) = self.marked(&styles, open)
            && marked.text == bare.text
        {
            if !marked.torn.contains(&true) {
                bare.texts = marked.texts;
                return Ok(bare);
            }
            torn = marked.torn;
        }
        // The template takes some of the texts apart. Follow their parts, if it is at strings that it looks for.
        let mut taken = Vec::new();
        for (number, turn) in self.turns.iter().enumerate() {
            let mut handled = self.chat.engine.handled.iter();
            if torn[number] && handled.any(|string| turn.text.contains(string.as_str())) {
                styles[number] = Style::Parts;
                taken.push(number);
            }
        }
        let followed = |styles: &[Style]| {
            let marked = self.marked(styles, open)?;
            (marked.text == bare.text && !marked.torn.contains(&true)).then_some(marked)
        };
        if let Some(mut marked) = followed(&styles).filter(|_| !taken.is_empty()) {
            // A text that comes through as a whole is followed as a whole, or what stands between its parts would pass
            // for the template's.
            for number in taken.into_iter().filter(|_| torn.iter().all(|torn| *torn)) {
                styles[number] = Style::Whole;
                match followed(&styles) {
                    Some(better) => marked = better,
                    None => styles[number] = Style::Parts,
                }
            }
            bare.texts = marked.texts;
            return Ok(bare);
        }
        if self.turns.iter().all(|turn| harmless(&turn.text)) {
            return Ok(bare);
        }
        Err(DataError::TemplateCheck {
            name: self.chat.engine.name().to_owned(),
            message: format!(
                "at {} it renders the texts so changed that its own control tokens cannot be told from theirs; remove \
                 markup such as <…> from the record, or correct the template",
                self.place
            ),
        })
    }

    fn run<'t>(
        &self,
        turns: impl Iterator<Item = (Role, Cow<'t, str>)>,
        open: bool,
    ) -> Result<String> {
        let mut bytes = 0;
        let messages: Vec<Value> = turns
            .map(|(role, text)| {
                bytes += text.len();
                Value::from_pairs([("role", role.name()), ("content", &text)])
            })
            .collect();
        let budget = Budget::of(messages.len(), bytes);
        let variables = self.chat.variables(Value::from(messages), open);
        let engine = &self.chat.engine;
        engine.render(variables, Some(self.marks.generation), budget, &self.place)
    }
}

/// Whether a text has none of the characters that control tokens are made of.
fn harmless(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_alphanumeric() || is_space(c) || ".,;:!?'\"()-%$&+*/=".contains(c))
}

/// The strings that a template looks for in texts: the arguments of `split`, and what stands before `in`.
///
/// Only these may lie between two parts of a text that a template takes apart and puts together again.
pub(super) fn handled(source: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for quote in ['"', '\''] {
        let mut places = source.match_indices(quote).map(|(place, _)| place);
        while let (Some(start), Some(end)) = (places.next(), places.next()) {
            let text = &source[start + 1..end];
            let before = source[..start].trim_end();
            let splits = [
                "split(",
                "replace(",
                "startswith(",
                "endswith(",
                "partition(",
            ]
            .iter()
            .any(|call| before.ends_with(call));
            let looked_for = source[end + 1..].trim_start().starts_with("in ")
                || source[end + 1..].trim_start().starts_with("not in ");
            let long = text.chars().any(|c| !is_space(c)) && text.len() > 1;
            if (splits || looked_for) && long && !text.contains('\n') {
                found.push(text.to_owned());
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_that_a_template_looks_for_are_known() {
        let source = "{% if '</think>' in c %}{{ c.split(\"</think>\")[-1].split('<think>')[0] }}{{ '<|x|>' }}";
        assert_eq!(handled(source), ["</think>", "<think>"]);
    }
}
