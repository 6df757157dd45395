//! From lines to paragraphs: words that a line's end divided are whole again, ligatures are letters.

use std::collections::HashSet;

use super::layout::Line;

/// The distance of lines, in their usual one, from which on a paragraph ends.
const PARAGRAPH_GAP: f32 = 1.25;
/// The distance of rows of a table, in sizes of the text, from which on another table begins.
const ROW_GAP: f32 = 3.0;
/// How much larger or smaller, as a ratio, the text of another paragraph is.
const SIZE_RATIO: f32 = 1.1;
/// Marks that lists begin their items with.
const BULLETS: [char; 9] = ['•', '◦', '▪', '‣', '·', '–', '—', '*', '\u{f0b7}'];

/// The words with a hyphen inside that stand within the lines of a document, in lower case.
///
/// A word that a line's end divides at a hyphen loses it, unless the document writes it with the hyphen elsewhere:
/// nothing else tells `well-known` from `every-where`, and what the author wrote is the best dictionary.
pub(super) fn hyphenated<'a>(lines: impl Iterator<Item = &'a Line>) -> HashSet<String> {
    let words = lines.flat_map(|line| line.text.split_whitespace());
    words
        .map(|word| {
            word.trim_matches(|c: char| !c.is_alphanumeric())
                .to_lowercase()
        })
        .filter(|word| word.contains(is_hyphen))
        .map(|word| word.replace(is_hyphen, "-"))
        .collect()
}

/// The text of a page's lines: paragraphs with an empty line between them, each on one line. A line that ends where
/// the next word would still have fitted was ended on purpose, and stays a line.
pub(super) fn paragraphs(lines: &[Line], hyphenated: &HashSet<String>) -> String {
    let mut text = String::new();
    let mut chunk: Vec<&Line> = Vec::new();
    let usual = usual_distance(lines);
    for line in lines {
        if chunk.last().is_some_and(|last| is_apart(last, line, usual)) {
            push(&mut text, &join(&chunk, hyphenated));
            chunk.clear();
        }
        chunk.push(line);
    }
    push(&mut text, &join(&chunk, hyphenated));
    text
}

fn push(text: &mut String, paragraph: &str) {
    if !text.is_empty() && !paragraph.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(paragraph);
}

/// The median distance between the lines of a column, in points.
fn usual_distance(lines: &[Line]) -> f32 {
    let pairs = lines
        .windows(2)
        .filter(|pair| pair[0].column == pair[1].column);
    let mut distances: Vec<f32> = pairs.map(|pair| pair[0].base - pair[1].base).collect();
    distances.retain(|distance| *distance > 0.0);
    distances.sort_by(f32::total_cmp);
    distances.get(distances.len() / 2).copied().unwrap_or(0.0)
}

fn is_apart(last: &Line, line: &Line, usual: f32) -> bool {
    if last.column != line.column {
        // A paragraph goes on in the next column if its first line there begins in the middle of a sentence.
        let goes_on = line.text.starts_with(char::is_lowercase) && !ends_sentence(&last.text);
        return !goes_on;
    }
    let distance = last.base - line.base;
    let sizes = last.size.max(line.size) / last.size.min(line.size);
    let leading = usual.max(line.size);
    if last.row && line.row {
        return distance > ROW_GAP * line.size || distance <= 0.0;
    }
    sizes > SIZE_RATIO || distance > PARAGRAPH_GAP * leading || distance <= 0.0
}

/// The lines of a paragraph, joined where they were broken for want of room.
fn join(lines: &[&Line], hyphenated: &HashSet<String>) -> String {
    let edge = lines.iter().map(|line| line.right).fold(f32::MIN, f32::max);
    let mut text = String::new();
    let mut last: Option<&Line> = None;
    for line in lines {
        let words = letters(line.text.trim());
        match last {
            None => text.push_str(&words),
            Some(last) if last.column == line.column && is_deliberate(last, line, edge) => {
                let new = line.left > last.left + line.size || ends_sentence(&last.text);
                let listed = is_item(&line.text) || last.row || line.row;
                text.push_str(if new && !listed { "\n\n" } else { "\n" });
                text.push_str(&words);
            }
            Some(_) => append(&mut text, &words, hyphenated),
        }
        last = Some(line);
    }
    text
}

fn is_deliberate(last: &Line, line: &Line, edge: f32) -> bool {
    let characters = line.text.chars().count().max(1) as f32;
    let first = line
        .text
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .chars()
        .count() as f32;
    let needed = (first + 1.0) * (line.right - line.left) / characters;
    let divided = last.text.ends_with(is_hyphen);
    let room = edge - last.right > needed && !divided;
    let indented = line.left > last.left + line.size && ends_sentence(&last.text);
    last.row || line.row || is_item(&line.text) || room || indented
}

/// Whether a line begins as an item of a list does: with a mark, or with a number and a dot or bracket.
fn is_item(line: &str) -> bool {
    let first = line.split_whitespace().next().unwrap_or_default();
    let marked =
        first.chars().count() == 1 && first.starts_with(|c| BULLETS.contains(&c) || c == '-');
    let number = first.trim_end_matches(['.', ')']);
    let numbered = number.len() < first.len() && (1..=3).contains(&number.len());
    marked || numbered && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['"', '\'', ')', '”', '’', '»', ' ']);
    text.ends_with(['.', '!', '?', ':', '。', '！', '？', '…'])
}

fn is_hyphen(character: char) -> bool {
    matches!(character, '-' | '\u{2010}' | '\u{ad}')
}

/// Appends the next line.
fn append(text: &mut String, line: &str, hyphenated: &HashSet<String>) {
    let Some(divided) = text.strip_suffix(is_hyphen) else {
        if !joins_without_space(text, line) {
            text.push(' ');
        }
        return text.push_str(line);
    };
    let soft = text.ends_with('\u{ad}');
    let head = divided
        .rsplit(char::is_whitespace)
        .next()
        .unwrap_or_default();
    let head = head.trim_start_matches(|c: char| !c.is_alphanumeric());
    let tail = line
        .split(|c: char| !c.is_alphabetic() && !is_hyphen(c))
        .next()
        .unwrap_or_default();
    let word = format!("{head}-{tail}")
        .to_lowercase()
        .replace(is_hyphen, "-");
    // `state-of-the-` and `GPT-` go on with their hyphen; so does what begins with a capital, such as `Anglo-Saxon`.
    let letters = !head.is_empty() && head.chars().all(char::is_alphabetic);
    let lower = tail.starts_with(char::is_lowercase);
    let capitals = head.chars().count() > 1 && !head.chars().any(char::is_lowercase);
    if head.is_empty() && !soft {
        // A dash, not a part of a word.
        text.push(' ');
    } else if soft || letters && lower && !capitals && !hyphenated.contains(&word) {
        text.truncate(divided.len());
    }
    text.push_str(line);
}

/// Chinese and Japanese are written without spaces.
fn joins_without_space(text: &str, line: &str) -> bool {
    let wide = |c: char| matches!(c, '\u{3000}'..='\u{30FF}' | '\u{3400}'..='\u{9FFF}' | '\u{FF00}'..='\u{FFEF}');
    text.is_empty()
        || text.chars().next_back().is_some_and(wide) && line.chars().next().is_some_and(wide)
}

/// Ligatures as the letters that they are, and no-break spaces and soft hyphens inside of lines as nothing special.
fn letters(text: &str) -> String {
    let mut letters = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{FB00}' => letters.push_str("ff"),
            '\u{FB01}' => letters.push_str("fi"),
            '\u{FB02}' => letters.push_str("fl"),
            '\u{FB03}' => letters.push_str("ffi"),
            '\u{FB04}' => letters.push_str("ffl"),
            '\u{FB05}' | '\u{FB06}' => letters.push_str("st"),
            '\u{a0}' => letters.push(' '),
            '\u{ad}' if characters.peek().is_some() => {}
            '\0' => {}
            _ => letters.push(character),
        }
    }
    letters
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn block(texts: &[&str]) -> Vec<Line> {
        let lines = texts.iter().enumerate().map(|(index, text)| Line {
            text: (*text).into(),
            left: 0.0,
            right: 100.0,
            base: 500.0 - 12.0 * index as f32,
            size: 10.0,
            row: false,
            column: 0,
        });
        lines.collect()
    }

    fn read(texts: &[&str]) -> String {
        let lines = block(texts);
        paragraphs(&lines, &hyphenated(lines.iter()))
    }

    #[test]
    fn divided_words_are_joined_and_real_hyphens_stay() {
        let cases: [(&[&str], &str); 11] = [
            (&["every-", "where else"], "everywhere else"),
            (
                &["the well-", "known and well-known"],
                "the well-known and well-known",
            ),
            (
                &["a state-of-the-", "art thing"],
                "a state-of-the-art thing",
            ),
            (&["the Anglo-", "Saxon king"], "the Anglo-Saxon king"),
            (&["the DNA-", "based test"], "the DNA-based test"),
            (&["in 1990-", "based"], "in 1990-based"),
            (&["soft\u{ad}", "Ware"], "softWare"),
            (&["a dash -", "then more"], "a dash - then more"),
            (&["(inter-", "national)"], "(international)"),
            (&["eﬃcient ﬁ\u{ad}ne", "ﬂow"], "efficient fine flow"),
            (&["谷の水", "車です"], "谷の水車です"),
        ];
        for (lines, expected) in cases {
            assert_eq!(read(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn lines_become_paragraphs_where_they_were_broken_for_want_of_room() {
        let mut lines = block(&[
            "One sentence that goes",
            "on here.",
            "Another one of them",
            "ends.",
        ]);
        lines[1].right = 40.0;
        assert_eq!(
            paragraphs(&lines, &HashSet::new()),
            "One sentence that goes on here.\n\nAnother one of them ends."
        );
        lines[2].base -= 10.0;
        lines[3].base -= 10.0;
        assert!(paragraphs(&lines, &HashSet::new()).contains("here.\n\nAnother"));
        let items = block(&["Things:", "• a thing that is", "long", "2) another"]);
        assert_eq!(
            paragraphs(&items, &HashSet::new()),
            "Things:\n• a thing that is long\n2) another"
        );
        let mut rows = block(&["a\tb", "c\td"]);
        for line in &mut rows {
            line.row = true;
        }
        assert_eq!(paragraphs(&rows, &HashSet::new()), "a\tb\nc\td");
    }

    proptest! {
        /// Whatever the lines are, no letter of them is lost, and none is added.
        #[test]
        fn no_letter_is_lost(texts in prop::collection::vec("[a-zA-Zäß\\-\u{ad}•. 0-9]{0,12}", 0..12), right in 0.0_f32..200.0) {
            let mut lines = block(&texts.iter().map(String::as_str).collect::<Vec<_>>());
            for line in lines.iter_mut().step_by(2) {
                line.right = right;
            }
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            let found = paragraphs(&lines, &hyphenated(lines.iter()));
            prop_assert_eq!(letters(&found), letters(&texts.concat()));
        }

        #[test]
        fn any_text_can_be_mended(texts in prop::collection::vec("\\PC{0,12}", 0..6)) {
            read(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
}
