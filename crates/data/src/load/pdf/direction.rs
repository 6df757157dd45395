//! Lines in which words run in both directions.
//!
//! A PDF draws glyphs from left to right whatever they say. The parser puts a line that has letters of a right-to-left
//! script into the order of reading by turning the whole of it around, words of the other direction with it. Where a piece
//! of text holds both, it is put together here from its glyphs instead.

use pdf_oxide::layout::{TextChar, TextSpan};

/// A glyph belongs to a piece of text whose baseline is this near, in sizes of the text.
const NEAR: f32 = 0.3;

/// Whether a piece of text holds words of both directions.
pub(super) fn mixed(span: &TextSpan) -> bool {
    let holds = |way: Way| span.text.chars().any(|character| Way::of(character) == way);
    span.rotation_degrees == 0.0 && holds(Way::Left) && holds(Way::Right)
}

/// Puts pieces of text that hold both directions into the order of reading. One whose glyphs are not found stays as it is.
pub(super) fn mend(spans: &mut [TextSpan], mut glyphs: Vec<TextChar>) {
    glyphs.retain(|glyph| glyph.bbox.x.is_finite() && glyph.bbox.y.is_finite());
    glyphs.sort_by(|a, b| {
        a.bbox
            .y
            .total_cmp(&b.bbox.y)
            .then(a.bbox.x.total_cmp(&b.bbox.x))
    });
    for span in spans.iter_mut().filter(|span| mixed(span)) {
        let near = NEAR * span.font_size;
        let (low, high) = (span.bbox.y - near, span.bbox.y + near);
        let start = glyphs.partition_point(|glyph| glyph.bbox.y < low);
        let end = glyphs.partition_point(|glyph| glyph.bbox.y <= high);
        let (left, right) = (span.bbox.x - near, span.bbox.x + span.bbox.width + near);
        let own = glyphs.get(start..end).unwrap_or_default().iter();
        let mut own: Vec<&TextChar> = own
            .filter(|glyph| (left..right).contains(&glyph.bbox.x))
            .collect();
        own.sort_by(|a, b| a.bbox.x.total_cmp(&b.bbox.x));
        let seen: Vec<char> = own.into_iter().map(|glyph| glyph.char).collect();
        if letters(seen.iter().copied()) == letters(span.text.chars()) {
            span.text = read(&seen);
        }
    }
}

/// All characters but white space, whatever their order.
fn letters(text: impl Iterator<Item = char>) -> Vec<char> {
    let mut letters: Vec<char> = text
        .filter(|character| !character.is_whitespace())
        .collect();
    letters.sort_unstable();
    letters
}

/// How a character is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From left to right.
    Left,
    /// From right to left: Hebrew, Arabic, Syriac, Thaana, N'Ko and their presentation forms.
    Right,
    /// A digit: from left to right among its kind.
    Digit,
    /// As what stands around it.
    Either,
}

impl Way {
    fn of(character: char) -> Self {
        match character {
            '\u{590}'..='\u{65f}'
            | '\u{66a}'..='\u{6ef}'
            | '\u{6fa}'..='\u{8ff}'
            | '\u{fb1d}'..='\u{fdff}'
            | '\u{fe70}'..='\u{fefe}'
                if character.is_alphabetic() =>
            {
                Self::Right
            }
            _ if character.is_numeric() => Self::Digit,
            _ if character.is_alphabetic() => Self::Left,
            _ => Self::Either,
        }
    }
}

/// The order of reading of characters that stand from left to right. The line runs as most of its letters do: the rules
/// of Unicode (UAX 9), from the end to the beginning, as far as what is seen tells it.
fn read(seen: &[char]) -> String {
    let count = |way: Way| {
        seen.iter()
            .filter(|character| Way::of(**character) == way)
            .count()
    };
    if count(Way::Left) > count(Way::Right) {
        return turned(seen, |way| way == Way::Right);
    }
    let around: Vec<char> = seen.iter().rev().copied().collect();
    turned(&around, |way| matches!(way, Way::Left | Way::Digit))
}

/// The text with the longest stretches turned around that begin and end with characters that run the other way.
fn turned(text: &[char], other: impl Fn(Way) -> bool) -> String {
    let way = |at: usize| Way::of(text[at]);
    let mut read = String::new();
    let mut at = 0;
    while at < text.len() {
        if !other(way(at)) {
            read.push(text[at]);
            at += 1;
            continue;
        }
        // The last character that belongs to the stretch.
        let mut last = at;
        for next in at + 1..text.len() {
            if other(way(next)) && joined(way(last), &text[last + 1..next], way(next)) {
                last = next;
            } else if way(next) != Way::Either {
                break;
            }
        }
        read.extend(text[at..=last].iter().rev());
        at = last + 1;
    }
    read
}

/// Whether two characters that run the same way do so as one stretch, given what stands between them. A number that words
/// do not follow closely stands for itself.
fn joined(one: Way, between: &[char], another: Way) -> bool {
    let sign = matches!(between, [] | ['.' | ',' | ':' | '/' | '-' | '\u{2013}']);
    match (one, another) {
        (Way::Digit, Way::Digit) => sign,
        (Way::Digit, _) | (_, Way::Digit) => sign || between == [' '],
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is seen from left to right, and how it is read. Letters stand for themselves.
    #[test]
    fn words_of_both_directions_are_read_each_in_its_own() {
        let cases = [
            ("abc גבא def", "abc אבג def"),
            ("I have seen ד גבא.", "I have seen אבג ד."),
            (
                ".דגבא אבגד )Old mill( 1874 תא",
                "את 1874 (Old mill) דגבא אבגד.",
            ),
            ("3.5 kg ,12 גבא abc דד", "דד abc אבג 12, 3.5 kg"),
            ("1875-1874 12 אבגד a", "a דגבא 12 1875-1874"),
            ("abc", "abc"),
            ("", ""),
        ];
        for (seen, expected) in cases {
            let seen: Vec<char> = seen.chars().collect();
            assert_eq!(read(&seen), expected);
        }
    }

    proptest! {
        #[test]
        fn no_character_is_lost(seen in "[ab אב12.,() ]{0,20}") {
            let seen: Vec<char> = seen.chars().collect();
            let mut found: Vec<char> = read(&seen).chars().collect();
            let mut expected = seen;
            found.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(found, expected);
        }
    }
}
