//! What a model learns of a render, when the template does not say so itself.
//!
//! A template without `{% generation %}` is asked twice: what it renders up to an answer ends where the answer begins,
//! and what it renders with the answer ends where the answer ends. Both must be the beginning of the whole render,
//! otherwise the template rewrites earlier turns and what would be learned is not what the model will see.

use std::ops::Range;

use crate::error::{DataError, Result, quoted};

use super::jinja::is_space;

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
    // An end of nothing but white space is an end all the same.
    if trimmed.is_empty() { whole } else { trimmed }
}

/// Checks that `part` is how `whole` begins.
///
/// # Errors
///
/// [`DataError::TemplateCheck`] that shows where they part.
pub(super) fn prefix(name: &str, messages: usize, part: &str, whole: &str) -> Result<()> {
    if whole.starts_with(part) {
        return Ok(());
    }
    let place = common(part, whole);
    let rest = |text: &str| quoted(&text[place..].chars().take(40).collect::<String>());
    Err(DataError::TemplateCheck {
        name: name.to_owned(),
        message: format!(
            "it rewrites earlier turns: with the first {messages} messages it renders {} at byte {place}, with all of \
             them {}; what is learned would not be what the model will see. Learn the last answer only, or put \
             {{% generation %}} around what the assistant writes",
            rest(part),
            rest(whole),
        ),
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
        let error = prefix("t", 3, "abc X", "abc Y").unwrap_err().to_string();
        assert!(
            error.contains("first 3 messages")
                && error.contains("\"X\"")
                && error.contains("byte 4"),
            "{error}"
        );
    }

    #[test]
    fn spans_are_joined() {
        assert_eq!(union(vec![5..7, 0..2, 2..4, 6..6]), [0..4, 5..7]);
    }
}
