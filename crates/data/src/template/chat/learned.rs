//! What a model learns of a render, when the template does not say so itself.
//!
//! A template without `{% generation %}` is asked twice: what it renders up to an answer ends where the answer begins,
//! and what it renders with the answer ends where the answer ends. Both must be the beginning of the whole render,
//! otherwise the template rewrites earlier turns and what would be learned is not what the model will see.

use std::ops::Range;

use crate::error::{DataError, Result, quoted};
use crate::example::Role;

use super::Learn;
use super::follow::Following;
use super::jinja::is_space;
use super::marks::Rendered;

impl Following<'_> {
    /// What is learned of a whole render.
    ///
    /// # Errors
    ///
    /// [`DataError::TemplateCheck`] if the template does not say what is learned, and rewrites earlier turns.
    pub(super) fn learned(&self, whole: &Rendered) -> Result<Vec<Range<usize>>> {
        if self.chat.engine.has_generation {
            return Ok(self.tagged(whole));
        }
        let mut answers: Vec<usize> = (0..self.turns.len())
            .filter(|&number| self.turns[number].role == Role::Assistant)
            .collect();
        if self.chat.learn == Learn::Last {
            answers.drain(..answers.len().saturating_sub(1));
        }
        let spans = answers.into_iter().map(|number| self.answer(number, whole));
        Ok(union(spans.collect::<Result<_>>()?))
    }

    /// The spans of `{% generation %}`.
    fn tagged(&self, whole: &Rendered) -> Vec<Range<usize>> {
        let spans = union(whole.generation.clone());
        if self.chat.learn == Learn::Every {
            return spans;
        }
        // What follows the last text that is not an answer.
        let asked = self
            .turns
            .iter()
            .rposition(|turn| turn.role != Role::Assistant);
        let from = asked.and_then(|number| self.text_of(number, whole).last());
        let from = from.map_or(0, |span| span.end);
        spans
            .into_iter()
            .filter(|span| span.start >= from)
            .collect()
    }

    /// The span of an answer with its end of turn.
    fn answer(&self, number: usize, whole: &Rendered) -> Result<Range<usize>> {
        let name = self.chat.engine.name();
        let stands = self.text_of(number, whole).last();
        let start = if number == 0 {
            stands.map_or(0, |span| span.start)
        } else {
            let before = self.bare(number, true)?.text;
            prefix(name, Part::Prompt, number, &before, &whole.text)?;
            before.len()
        };
        let text_end = stands.map_or(start, |span| span.end.max(start));
        // What the template renders up to here, when more follows, must be the same, or this answer would be learned
        // as the model never gives it.
        let more = number + 1 < self.turns.len();
        let closed = more.then(|| self.bare(number + 1, false)).transpose()?;
        let closed = closed
            .as_ref()
            .map_or(whole.text.as_str(), |closed| &closed.text);
        let end = self
            .known_end(number, whole, text_end)
            .unwrap_or_else(|| self.found_end(number, &whole.text, closed, text_end));
        if !closed.starts_with(&whole.text[..end]) {
            prefix(name, Part::Answered, number + 1, closed, &whole.text)?;
        }
        Ok(start..end)
    }

    /// Where an answer's turn ends, if it ends as in the probe.
    fn known_end(&self, number: usize, whole: &Rendered, text_end: usize) -> Option<usize> {
        // A text that could not be followed ends nobody knows where.
        self.text_of(number, whole).last()?;
        let end = self.chat.probe().end.as_deref()?;
        // White space at the text's end stands outside of the marks, if the template leaves it there.
        let text = self.turns[number].text.as_str();
        let space = text.len() - text.trim_end_matches(is_space).len();
        [text_end + space, text_end]
            .into_iter()
            .find_map(|text_end| {
                let begins = whole.text.get(text_end..)?.starts_with(end);
                begins.then_some(text_end + end.len())
            })
    }

    /// Where an answer's turn ends, from what the template renders with and without more.
    fn found_end(&self, number: usize, whole: &str, closed: &str, text_end: usize) -> usize {
        let mut tails = vec![&whole[text_end..]];
        tails.extend(closed.get(text_end..));
        let opened = self.bare(number + 1, true);
        if let Ok(opened) = &opened {
            tails.extend(opened.text.get(text_end..));
        }
        text_end + end_of_turn(&tails).len()
    }
}

/// How many bytes two texts have in common at their start, on a character border of both.
fn common(a: &str, b: &str) -> usize {
    let mut length = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    while !a.is_char_boundary(length) {
        length -= 1;
    }
    length
}

/// The end of a turn, of which `tails` show what may follow an answer: another turn, the end, a prompt for an answer.
///
/// That is what they have in common, without white space at its end, and without the beginning of a token that they
/// happen to share (`<|` of `<|user|>` and `<|assistant|>`).
pub(super) fn end_of_turn<'a>(tails: &[&'a str]) -> &'a str {
    let Some((first, others)) = tails.split_first() else {
        return "";
    };
    let length = others
        .iter()
        .fold(first.len(), |length, other| common(&first[..length], other));
    let shared = &first[..length];
    let whole = if tails.iter().all(|tail| tail.len() == length) {
        shared
    } else {
        // Cut back to the last closing bracket or white space.
        let closed = shared
            .rfind(|c: char| is_space(c) || ">]})）】」".contains(c))
            .map_or(0, |place| {
                place + shared[place..].chars().next().map_or(0, char::len_utf8)
            });
        &shared[..closed]
    };
    let trimmed = whole.trim_end_matches(is_space);
    // An end of nothing but white space is an end all the same, if it is a line's.
    if trimmed.is_empty() && whole.contains('\n') {
        whole
    } else {
        trimmed
    }
}

/// What is compared with the whole render.
#[derive(Clone, Copy)]
enum Part {
    /// The prompt for an answer to be generated.
    Prompt,
    /// The conversation up to and with an answer.
    Answered,
}

/// Checks that the render of the first `messages` messages is how the whole one begins.
///
/// # Errors
///
/// [`DataError::TemplateCheck`] that shows where they part.
fn prefix(name: &str, part: Part, messages: usize, text: &str, whole: &str) -> Result<()> {
    if whole.starts_with(text) {
        return Ok(());
    }
    let place = common(text, whole);
    let rest = |text: &str| quoted(&text[place..].chars().take(40).collect::<String>());
    let (first, all) = (rest(text), rest(whole));
    let message = match part {
        Part::Prompt => format!(
            "asked for an answer after {messages} messages it writes {first} at byte {place}, but {all} where the \
             answer is given; a model that learns the one would be asked with the other. Set the template's variable \
             for it (such as enable_thinking), or put {{% generation %}} around what the assistant writes"
        ),
        Part::Answered => format!(
            "it rewrites earlier turns: with the first {messages} messages it writes {first} at byte {place}, with all \
             of them {all}; what is learned would not be what the model will write. Learn the last answer only, or put \
             {{% generation %}} around what the assistant writes"
        ),
    };
    Err(DataError::TemplateCheck {
        name: name.to_owned(),
        message,
    })
}

/// Joins spans that touch or overlap, in order.
pub(super) fn union(mut spans: Vec<Range<usize>>) -> Vec<Range<usize>> {
    spans.sort_by_key(|span| (span.start, span.end));
    let mut joined: Vec<Range<usize>> = Vec::with_capacity(spans.len());
    for span in spans.into_iter().filter(|span| !span.is_empty()) {
        match joined.last_mut() {
            Some(last) if last.end >= span.start => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_turn_is_what_all_continuations_share() {
        for (tails, expected) in [
            (
                &[
                    "<|im_end|>\n<|im_start|>user\n",
                    "<|im_end|>\n",
                    "<|im_end|>\n<|im_start|>assistant\n",
                ][..],
                "<|im_end|>",
            ),
            (
                &["<|end|>\n<|endoftext|>", "<|end|>\n<|assistant|>\n"],
                "<|end|>",
            ),
            (
                &[
                    "<|end|>\n<|user|>\n",
                    "<|end|>\n<|endoftext|>",
                    "<|end|>\n<|assistant|>\n",
                ],
                "<|end|>",
            ),
            (&[" </s><s>[INST] ", " </s>", " </s>"], " </s>"),
            (&["\nUser: ", "\n", "\nAssistant:"], "\n"),
            (&["</s>", "</s>"], "</s>"),
            (&["Human: ", "", "Assistant:"], ""),
            (&[" user: ", " "], ""),
            (
                &["<｜end▁of▁sentence｜>", "<｜end▁of▁sentence｜><｜User｜>"],
                "<｜end▁of▁sentence｜>",
            ),
        ] {
            assert_eq!(end_of_turn(tails), expected, "{tails:?}");
        }
    }

    #[test]
    fn a_rewritten_turn_is_shown() {
        let check = |part, expected: &str| {
            let error = prefix("t", part, 3, "abc X", "abc Y")
                .unwrap_err()
                .to_string();
            assert!(
                error.contains(expected) && error.contains("\"X\" at byte 4"),
                "{error}"
            );
        };
        check(
            Part::Answered,
            "rewrites earlier turns: with the first 3 messages",
        );
        check(Part::Prompt, "asked for an answer after 3 messages");
    }

    #[test]
    fn spans_are_joined() {
        assert_eq!(union(vec![5..7, 0..2, 2..4, 6..6]), [0..4, 5..7]);
    }
}
