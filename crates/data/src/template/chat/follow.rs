//! Following the texts of a conversation through a template.

use std::ops::Range;

use crate::error::{DataError, Place, Result, quoted};
use crate::example::Turn;

use super::ChatTemplate;
use super::jinja::{Budget, is_space};
use super::marks::{Marks, Rendered, Style};
use super::message::{Given, Kind, Messages, is_plain};

/// A conversation on its way through a template.
pub(super) struct Following<'a> {
    pub(super) chat: &'a ChatTemplate,
    pub(super) turns: &'a [Turn],
    pub(super) place: Place,
    messages: &'a Messages<'a>,
    /// All texts by their number.
    texts: Vec<Given<'a>>,
    /// For every turn, the number of the text that it says.
    said: Vec<usize>,
    /// How many texts there are up to the end of every turn; before that, how many the tools have.
    counts: Vec<usize>,
    marks: Marks,
}

impl<'a> Following<'a> {
    /// # Errors
    ///
    /// If the texts hold nearly all of the characters that mark texts.
    pub(super) fn new(
        chat: &'a ChatTemplate,
        turns: &'a [Turn],
        messages: &'a Messages<'a>,
        place: Place,
    ) -> Result<Self> {
        let mut texts = Vec::new();
        messages.values(turns.len(), |text| {
            texts.push(text);
            String::new()
        });
        let marks = Marks::unused(texts.iter().map(|text| text.text));
        let marks = marks.ok_or_else(|| DataError::TemplateCheck {
            name: chat.engine.name().to_owned(),
            message: format!(
                "at {place} the texts hold nearly all of U+FDD0 to U+FDEF, which mark texts"
            ),
        })?;
        // A turn that says nothing has a number that no text has.
        let mut said = vec![usize::MAX; turns.len()];
        let mut counts = vec![0; turns.len() + 1];
        for (number, text) in texts.iter().enumerate() {
            counts[text.message.map_or(0, |message| message + 1)] = number + 1;
            if let Some(message) = text.message.filter(|_| text.kind == Kind::Said) {
                said[message] = number;
            }
        }
        for turn in 1..counts.len() {
            counts[turn] = counts[turn].max(counts[turn - 1]);
        }
        Ok(Self {
            chat,
            turns,
            place,
            messages,
            texts,
            said,
            counts,
            marks,
        })
    }

    /// Where in a render of all turns the text stands that a turn says.
    pub(super) fn text_of<'r>(&self, turn: usize, rendered: &'r Rendered) -> &'r [Range<usize>] {
        let texts = rendered.texts.get(self.said[turn]);
        texts.map_or(&[], Vec::as_slice)
    }

    /// The render of the first turns as they are, without following their texts.
    pub(super) fn bare(&self, count: usize, open: bool) -> Result<Rendered> {
        let rendered = self.run(count, open, |_, text| text.to_owned())?;
        Ok(self.marks.read(&rendered, self.counts[count]))
    }

    /// The render of the first turns with marks around their texts. `None` if the template refuses them so.
    pub(super) fn marked(&self, count: usize, styles: &[Style], open: bool) -> Option<Rendered> {
        let handled = &self.chat.engine.handled;
        let mark = |number: usize, text: &str| {
            let style = styles.get(number).copied().unwrap_or(Style::Whole);
            self.marks.mark(text, number, style, handled)
        };
        let rendered = self.run(count, open, mark).ok()?;
        Some(self.marks.read(&rendered, self.counts[count]))
    }

    /// The render of all turns, with the place of every text.
    ///
    /// # Errors
    ///
    /// What the template says; [`DataError::TemplateCheck`] if a text with markup comes out so changed that it cannot
    /// be told from the template's own.
    pub(super) fn whole(&self, open: bool) -> Result<Rendered> {
        let all = self.turns.len();
        let mut bare = self.bare(all, open)?;
        let texts = &self.texts;
        let mut styles = vec![Style::Whole; texts.len()];
        let mut torn = vec![true; texts.len()];
        if let Some(marked) = self.marked(all, &styles, open)
            && marked.text == bare.text
        {
            if !marked.torn.contains(&true) {
                self.check_calls(&marked)?;
                bare.texts = marked.texts;
                return Ok(bare);
            }
            torn = marked.torn;
        }
        // A template may compare the names of tools with those that it knows.
        for (style, text) in styles.iter_mut().zip(texts) {
            if text.kind == Kind::Called && is_plain(text.text) {
                *style = Style::Bare;
            }
        }
        // The template takes some of the texts apart. Follow their parts, if it is at strings that it looks for.
        let mut taken = Vec::new();
        for (number, text) in texts.iter().enumerate() {
            let mut handled = self.chat.engine.handled.iter();
            if torn[number] && handled.any(|string| text.text.contains(string.as_str())) {
                styles[number] = Style::Parts;
                taken.push(number);
            }
        }
        let followed = |styles: &[Style]| {
            let marked = self.marked(all, styles, open)?;
            (marked.text == bare.text && !marked.torn.contains(&true)).then_some(marked)
        };
        let changed = styles.iter().any(|style| *style != Style::Whole);
        if let Some(mut marked) = followed(&styles).filter(|_| changed) {
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
        if texts.iter().all(|text| harmless(text.text)) {
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

    /// Refuses a render in which a call is missing.
    fn check_calls(&self, marked: &Rendered) -> Result<()> {
        let mut numbered = self.texts.iter().enumerate();
        let missing = numbered
            .find(|(number, text)| text.kind == Kind::Called && marked.texts[*number].is_empty());
        let Some((_, call)) = missing else {
            return Ok(());
        };
        Err(DataError::TemplateCheck {
            name: self.chat.engine.name().to_owned(),
            message: format!(
                "at {} it leaves out a call of {}; use a template that writes several calls in one turn, or give each a \
                 turn of its own",
                self.place,
                quoted(call.text)
            ),
        })
    }

    /// Renders the first turns; `write` gets the texts with their numbers.
    fn run(
        &self,
        count: usize,
        open: bool,
        write: impl Fn(usize, &str) -> String,
    ) -> Result<String> {
        let mut numbers = 0..;
        let [tools, messages] = self.messages.values(count, |text| {
            write(numbers.next().unwrap_or_default(), text.text)
        });
        let mut variables = self.chat.variables(messages, open);
        if !self.messages.tools.is_empty() {
            variables.insert("tools".to_owned(), tools);
        }
        let (values, bytes) = self.messages.size();
        let engine = &self.chat.engine;
        let marks = Some(self.marks.generation);
        engine.render(variables, marks, Budget::of(values, bytes), &self.place)
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
