//! Marks that tell, after rendering, which bytes came from the record and which the template wants learned.
//!
//! A mark is a noncharacter that occurs nowhere in the conversation. The texts are rendered with marks around them,
//! and the marks are taken out of the result. Marks stand inside the white space at a text's ends, so that a template
//! that trims its texts trims the same.

use std::ops::Range;

use super::jinja::is_space;

/// How a text is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// Around the whole text.
    Whole,
    /// Around each part between strings that the template itself looks for in texts, such as `</think>`.
    Parts,
    /// Not at all.
    Bare,
}

/// The characters that mark one render.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks {
    start: char,
    end: char,
    bits: [char; 2],
    /// Around what stands between `{% generation %}` and `{% endgeneration %}`.
    pub(super) generation: [char; 2],
}

/// A render without its marks, and what they said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Rendered {
    /// The text.
    pub(super) text: String,
    /// The spans of `{% generation %}`, in bytes of the text.
    pub(super) generation: Vec<Range<usize>>,
    /// For every text of the conversation, where it stands.
    pub(super) texts: Vec<Vec<Range<usize>>>,
    /// The texts of which a mark was lost or torn from its partner.
    pub(super) torn: Vec<bool>,
}

/// The first of the 32 noncharacters U+FDD0 to U+FDEF; all begin with the same two bytes.
const FIRST: u32 = 0xFDD0;

impl Marks {
    /// Marks that occur in none of these texts, if there are enough.
    pub(super) fn unused<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut used = [false; 32];
        for text in texts {
            for character in text.chars().filter(|&c| is_mark(c)) {
                used[(u32::from(character) - FIRST) as usize] = true;
            }
        }
        let mut free = (0..32)
            .filter(|&index| !used[index as usize])
            .filter_map(|index| char::from_u32(FIRST + index));
        let mut next = || free.next();
        Some(Self {
            start: next()?,
            end: next()?,
            bits: [next()?, next()?],
            generation: [next()?, next()?],
        })
    }

    /// The text of this number with marks. `handled` are the strings at which [`Style::Parts`] takes it apart.
    pub(super) fn mark(
        &self,
        text: &str,
        number: usize,
        style: Style,
        handled: &[String],
    ) -> String {
        let mut marked = String::with_capacity(text.len() + 32);
        match style {
            Style::Bare => marked.push_str(text),
            Style::Whole => self.wrap(&mut marked, text, number),
            Style::Parts => {
                let mut rest = text;
                while let Some((place, found)) = first_of(rest, handled) {
                    self.wrap(&mut marked, &rest[..place], number);
                    marked.push_str(found);
                    rest = &rest[place + found.len()..];
                }
                self.wrap(&mut marked, rest, number);
            }
        }
        marked
    }

    fn wrap(&self, marked: &mut String, text: &str, number: usize) {
        let core = text.trim_matches(is_space);
        if core.is_empty() {
            marked.push_str(text);
            return;
        }
        let lead = text.len() - text.trim_start_matches(is_space).len();
        marked.push_str(&text[..lead]);
        self.sign(marked, self.start, number);
        marked.push_str(core);
        self.sign(marked, self.end, number);
        marked.push_str(&text[lead + core.len()..]);
    }

    /// A mark with the number of its text.
    fn sign(&self, marked: &mut String, mark: char, number: usize) {
        marked.push(mark);
        let mut bits = number + 1;
        while bits > 0 {
            marked.push(self.bits[bits & 1]);
            bits >>= 1;
        }
    }

    /// Takes the marks out of a render of `count` texts.
    pub(super) fn read(&self, marked: &str, count: usize) -> Rendered {
        let mut rendered = Rendered {
            text: String::with_capacity(marked.len()),
            texts: vec![Vec::new(); count],
            torn: vec![false; count],
            ..Rendered::default()
        };
        // The text that is open (with where it began), and the beginnings of open generation spans.
        let mut open: Option<(usize, usize)> = None;
        let mut generations = Vec::new();
        let mut rest = marked;
        let tear = |torn: &mut Vec<bool>, number: Option<usize>| match number {
            Some(number) => torn[number] = true,
            // Nobody knows whose mark it was.
            None => torn.fill(true),
        };
        while let Some(place) = rest.find(is_mark) {
            rendered.text.push_str(&rest[..place]);
            let mut characters = rest[place..].chars();
            let character = characters.next().unwrap_or(self.end);
            rest = characters.as_str();
            let here = rendered.text.len();
            if character == self.start {
                let number;
                (number, rest) = self.number(rest, count);
                if open.is_some() || number.is_none() {
                    tear(&mut rendered.torn, open.map(|open| open.0));
                    tear(&mut rendered.torn, number);
                }
                open = number.map(|number| (number, here));
            } else if character == self.end {
                let number;
                (number, rest) = self.number(rest, count);
                match open.take() {
                    Some((begun, start)) if Some(begun) == number => {
                        rendered.texts[begun].push(start..here);
                    }
                    other => {
                        if let Some((begun, _)) = other {
                            rendered.torn[begun] = true;
                        }
                        tear(&mut rendered.torn, number);
                    }
                }
            } else if character == self.generation[0] {
                generations.push(here);
            } else if character == self.generation[1] {
                if let Some(start) = generations.pop() {
                    rendered.generation.push(start..here);
                }
            } else if self.bits.contains(&character) {
                tear(&mut rendered.torn, None);
            } else {
                rendered.text.push(character);
            }
        }
        rendered.text.push_str(rest);
        if let Some((number, _)) = open {
            rendered.torn[number] = true;
        }
        rendered
    }

    /// Reads the number after a start mark.
    fn number<'a>(&self, text: &'a str, count: usize) -> (Option<usize>, &'a str) {
        let mut number = 0_usize;
        let mut rest = text;
        for shift in 0..usize::BITS - 1 {
            let bit = if let Some(after) = rest.strip_prefix(self.bits[0]) {
                rest = after;
                0
            } else if let Some(after) = rest.strip_prefix(self.bits[1]) {
                rest = after;
                1
            } else {
                break;
            };
            number |= bit << shift;
        }
        (number.checked_sub(1).filter(|&number| number < count), rest)
    }
}

/// Whether a character could be a mark.
fn is_mark(character: char) -> bool {
    (FIRST..FIRST + 32).contains(&u32::from(character))
}

/// The first of the strings in a text, the longest where several begin at the same place.
fn first_of<'a>(text: &str, strings: &'a [String]) -> Option<(usize, &'a str)> {
    strings
        .iter()
        .filter_map(|string| {
            text.find(string.as_str())
                .map(|place| (place, string.as_str()))
        })
        .min_by_key(|(place, string)| (*place, usize::MAX - string.len()))
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)] // lists of spans, not of numbers
mod tests {
    use super::*;

    #[test]
    fn marks_come_out_as_they_went_in() {
        let texts = [" one\n", "", "tw\u{FDD0}o", "\u{85}", "five"];
        let marks = Marks::unused(texts).unwrap();
        let marked: Vec<String> = texts
            .iter()
            .enumerate()
            .map(|(number, text)| marks.mark(text, number, Style::Whole, &[]))
            .collect();
        let rendered = marks.read(&marked.join("|"), texts.len());
        assert_eq!(rendered.text, texts.join("|"));
        assert_eq!(rendered.torn, [false; 5]);
        assert_eq!(
            rendered.texts,
            [vec![1..4], vec![], vec![7..13], vec![], vec![17..21]]
        );
    }

    #[test]
    fn a_lost_mark_is_noticed() {
        let marks = Marks::unused([]).unwrap();
        let marked = marks.mark("abc", 1, Style::Whole, &[]);
        let end = marked.find(marks.end).unwrap();
        assert_eq!(marks.read(&marked[..end], 2).torn, [false, true]);
        let start = marked.find('a').unwrap();
        assert_eq!(marks.read(&marked[start..], 2).torn, [false, true]);
        assert_eq!(
            marks.read(&marked[..marked.len() - 6], 2).torn,
            [true, true]
        );
    }

    #[test]
    fn parts_leave_handled_strings_unmarked() {
        let marks = Marks::unused([]).unwrap();
        let handled = ["</think>".to_owned(), "<think>".to_owned()];
        let marked = marks.mark("<think>\na\n</think>\n\nb", 0, Style::Parts, &handled);
        assert!(marked.contains("\n</think>\n\n"));
        let rendered = marks.read(&marked, 1);
        assert_eq!(rendered.texts, [vec![8..9, 20..21]]);
    }

    #[test]
    fn a_text_with_every_mark_leaves_none() {
        let all: String = (0..32).filter_map(|i| char::from_u32(FIRST + i)).collect();
        assert!(Marks::unused([all.as_str()]).is_none());
    }
}
