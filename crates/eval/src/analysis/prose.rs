//! What of a text is prose: its words and sentences, and what is code, a table or quoted.

use std::ops::Range;

use crate::text::chunks;

/// A run of letters, with hyphens and slashes as borders and apostrophes inside.
pub(super) struct Word {
    /// Its bytes.
    pub(super) span: Range<usize>,
    /// Whether it begins with a capital.
    pub(super) capital: bool,
    /// Whether it is a name or an abbreviation: a capital inside a sentence, or more than one.
    pub(super) is_name: bool,
    /// Whether it is a name, an abbreviation, code, an address, or stands beside digits.
    special: bool,
}

impl Word {
    /// Whether it should be spelt as in a dictionary.
    pub(super) fn is_prose(&self) -> bool {
        !self.special && self.span.len() > 2
    }
}

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<Word> {
    let code = code(text);
    let mut found = Vec::new();
    let mut fresh = true; // whether a sentence begins here
    let mut last = 0;
    for chunk in chunks(text) {
        fresh |= text[last..chunk.start].contains('\n');
        last = chunk.end;
        let part = &text[chunk.clone()];
        let special = is_code(part) || touches(&code, &chunk);
        for piece in pieces(part) {
            let word = &part[piece.clone()];
            let capital = word.starts_with(char::is_uppercase);
            let mixed = word.chars().skip(1).any(char::is_uppercase);
            let name = (capital && !fresh) || mixed || word.chars().any(unspaced);
            let span = chunk.start + piece.start..chunk.start + piece.end;
            found.push(Word {
                span,
                capital,
                is_name: name && !special,
                special: special || name,
            });
            fresh = false;
        }
        fresh |= part
            .trim_end_matches(['"', '\'', '”', '’', ')', ']', '*', '_'])
            .ends_with(['.', '!', '?', ':', '…']);
    }
    found
}

/// The byte ranges between backticks; a fence that does not close runs to the end.
pub(super) fn code(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('`').map(|offset| at + offset) {
        let fence = if text[start..].starts_with("```") {
            "```"
        } else {
            "`"
        };
        let inside = start + fence.len();
        let rest = &text[inside..];
        let end = match rest.find(fence) {
            Some(offset) if fence.len() == 3 || !rest[..offset].contains('\n') => {
                inside + offset + fence.len()
            }
            _ if fence.len() == 3 => text.len(),
            _ => {
                at = inside;
                continue;
            }
        };
        found.push(start..end);
        at = end;
    }
    found
}

/// Whether a run without whitespace is an address, a path, a number or code rather than words of prose.
fn is_code(part: &str) -> bool {
    let inner = part.trim_matches(|c: char| !c.is_alphanumeric());
    inner
        .chars()
        .any(|c| c.is_ascii_digit() || "_\\=<>{}[]()#$@~|^*+&%:.".contains(c))
        || part.contains("()")
}

/// The runs of letters, with single apostrophes inside.
fn pieces(part: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, c) in part.char_indices() {
        let end = at + c.len_utf8();
        let joins = |c: char| c == '\'' || c == '’';
        if !c.is_alphabetic() && !unicode_mark(c) {
            continue;
        }
        match found.last_mut() {
            Some(last) if last.end == at => last.end = end,
            Some(last)
                if part[last.end..at].chars().count() == 1
                    && part[last.end..at].starts_with(joins) =>
            {
                last.end = end;
            }
            _ => found.push(at..end),
        }
    }
    found
}

/// A combining mark, which belongs to the letter before it.
pub(super) fn unicode_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}')
}

/// A letter of a script that does not put spaces between words.
pub(super) fn unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// The byte ranges of what stands between quotation marks on one line, the marks included.
pub(super) fn quoted(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut open: Option<(usize, char)> = None;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match open {
            _ if c == '\n' => open = None,
            Some((start, close)) if c == close => {
                found.push(start..at + c.len_utf8());
                open = None;
            }
            None => {
                let close = match c {
                    '"' | '”' => Some(c),
                    '“' => Some('”'),
                    '„' => Some('“'),
                    '«' => Some('»'),
                    '‘' => Some('’'),
                    '「' => Some('」'),
                    // An apostrophe inside a word opens nothing.
                    '\'' if !before.is_alphanumeric() => Some('\''),
                    _ => None,
                };
                open = close.map(|close| (at, close));
            }
            Some(_) => {}
        }
        before = c;
    }
    found
}

/// The byte ranges of the rows of tables: lines with two bars or more around cells, or with tabs between them.
pub(super) fn tables(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if is_table_row(line.trim()) {
            found.push(start..start + line.len());
        }
        start += line.len();
    }
    found
}

fn is_table_row(line: &str) -> bool {
    (line.starts_with('|') && line.matches('|').count() > 1)
        || line.matches(" | ").count() > 1
        || line.matches('\t').count() > 1
}

/// Whether a range overlaps one of the others.
pub(super) fn touches(ranges: &[Range<usize>], span: &Range<usize>) -> bool {
    ranges
        .iter()
        .any(|range| range.start < span.end && span.start < range.end)
}

/// The text with every byte of these ranges as a space; the other bytes keep their places.
pub(super) fn blanked<'a>(
    text: &str,
    ranges: impl IntoIterator<Item = &'a Range<usize>>,
) -> String {
    let mut shown = text.to_owned();
    for range in ranges {
        let spaces = " ".repeat(range.len());
        shown.replace_range(range.clone(), &spaces);
    }
    shown
}

/// The sentences: up to a full stop, question or exclamation mark before whitespace, or a line's end.
pub(super) fn sentences(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if c == '\n' || (c.is_whitespace() && matches!(before, '.' | '!' | '?' | '。')) {
            found.push(start..at);
            start = at;
        }
        before = c;
    }
    found.push(start..text.len());
    found.retain_mut(|span| {
        let part = &text[span.clone()];
        let trimmed = part.trim_start();
        span.start += part.len() - trimmed.len();
        !trimmed.is_empty()
    });
    found
}

/// The byte ranges of what counts as a word for a length: runs without whitespace; where a run has letters of a script
/// without spaces, its words by [`finetune_data::quality::words`], each character one.
pub(super) fn units(text: &str) -> Vec<Range<usize>> {
    let runs = chunks(text);
    if text.is_ascii() || !text.chars().any(unspaced) {
        return runs;
    }
    let mut found = Vec::new();
    for run in runs {
        if text[run.clone()].chars().any(unspaced) {
            let words = finetune_data::quality::words(&text[run.clone()]);
            found.extend(words.map(|(at, word)| run.start + at..run.start + at + word.len()));
        } else {
            found.push(run);
        }
    }
    found
}

/// The words of a text in lower case with their byte ranges: runs of letters and digits.
pub(super) fn lowered(text: &str) -> Vec<(Range<usize>, String)> {
    finetune_data::quality::words(text)
        .map(|(at, word)| (at..at + word.len(), word.to_lowercase()))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str, ranges: Vec<Range<usize>>) -> Vec<&str> {
        ranges.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn quotations_close_on_their_line() {
        for (text, expected) in [
            ("He said “no” and \"yes\".", vec!["“no”", "\"yes\""]),
            ("It's the dogs' 'best' day", vec!["'best'"]),
            ("an open “quote\nand ”no”", vec!["”no”"]),
            ("„so“ «là»", vec!["„so“", "«là»"]),
        ] {
            assert_eq!(shown(text, quoted(text)), expected, "{text}");
        }
    }

    #[test]
    fn rows_of_tables_are_told_from_prose() {
        let text = "See:\n| a | b |\n|---|---|\nx || y is one bar pair\ndone";
        assert_eq!(tables(text).len(), 2);
        assert!(tables("<|im_start|> a || b || c").is_empty());
        assert!(tables("a | b").is_empty());
        assert_eq!(tables("a\tb\tc\n").len(), 1);
    }

    #[test]
    fn lengths_count_characters_where_no_spaces_are_written() {
        assert_eq!(units("It's a model-based 1,000.").len(), 4);
        assert_eq!(
            shown("Tokyoは東京。 ok", units("Tokyoは東京。 ok")),
            ["Tokyo", "は", "東", "京", "ok"]
        );
    }

    proptest! {
        #[test]
        fn ranges_lie_in_the_text(text in "\\PC*|([a-zé'\"“”`|. \n東]{0,30})") {
            for range in quoted(&text).into_iter().chain(tables(&text)).chain(sentences(&text)).chain(units(&text)).chain(code(&text)) {
                prop_assert!(text.get(range).is_some());
            }
            let all = code(&text);
            prop_assert_eq!(blanked(&text, &all).len(), text.len());
        }
    }
}
