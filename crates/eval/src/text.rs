//! How untrusted text is shown, and the word spans that metrics and analysis share.

use std::ops::Range;

/// The longest excerpt of untrusted text in an error message, in characters.
const EXCERPT: usize = 200;

/// Whether a character would act on the reader's screen instead of being seen: controls, and the marks that change the
/// direction of the text around them.
fn is_active(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
}

/// `text` with every control and direction mark written out (`\u{1b}`); line breaks and tabs stay.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\r' => shown.push_str("\\r"),
            c if is_active(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// `text` on one line: as [`visible`], with line breaks and tabs written out as well.
pub(crate) fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// The first 200 characters of `text`. Meant to be printed with `{:?}`, which escapes controls.
pub(crate) fn excerpt(text: &str) -> String {
    shorten(text, EXCERPT)
}

/// The first `limit` characters of `text`, with an ellipsis where something was left out.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        None => text.to_owned(),
        Some((end, _)) => {
            let mut cut = text[..end].to_owned();
            cut.push('…');
            cut
        }
    }
}

/// The byte ranges of the runs of characters that are not whitespace.
pub(crate) fn chunks(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (c.is_whitespace(), start) {
            (true, Some(from)) => {
                found.push(from..at);
                start = None;
            }
            (false, None) => start = Some(at),
            _ => {}
        }
    }
    if let Some(from) = start {
        found.push(from..text.len());
    }
    found
}

/// The text as Markdown that shows it as it is: on one line, with marks escaped.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::new();
    for character in one_line(text).chars() {
        if "\\`*_{}[]<>#|~&!".contains(character) {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn active_characters_are_written_out() {
        assert_eq!(
            visible("a\u{1b}[31mb\u{202e}c\r\n\td"),
            "a\\u{1b}[31mb\\u{202e}c\\r\n\td"
        );
        assert_eq!(one_line("a\n\tb"), "a\\n\\tb");
    }

    #[test]
    fn shortens_by_characters() {
        assert_eq!(shorten("äöü", 3), "äöü");
        assert_eq!(shorten("äöüß", 3), "äöü…");
        assert_eq!(excerpt(&"x".repeat(500)).chars().count(), 201);
    }

    proptest! {
        #[test]
        fn nothing_active_remains(text in "\\PC*|[\\x00-\\x1f\u{202a}-\u{202e}a]*") {
            prop_assert!(one_line(&text).chars().all(|c| !is_active(c) && c != '\n' && c != '\t'));
        }

        #[test]
        fn chunks_are_what_split_whitespace_gives(text in "[ \\n\\ta-cé\u{3000}]*") {
            let ours: Vec<_> = chunks(&text).into_iter().map(|range| &text[range]).collect();
            prop_assert_eq!(ours, text.split_whitespace().collect::<Vec<_>>());
        }
    }
}
