//! Where tokens stand in a text, by what a service shows of them.
//!
//! The texts of the tokens, one after the other, are not always the whole text: a token that holds a part of a character's
//! bytes is shown as U+FFFD or as nothing, and tokenizers that write a space as a part of the next word may show the word
//! alone.

use std::ops::Range;

/// What stands for bytes that are no character.
const UNREADABLE: char = '\u{FFFD}';

/// Where tokens stand.
#[derive(Debug, PartialEq)]
pub(super) struct Places<'t> {
    text: &'t str,
    spans: Vec<Span>,
}

/// Where a token stands, in bytes.
#[derive(Clone, Debug, PartialEq)]
struct Span {
    bytes: Range<usize>,
    /// Where it ends at the earliest.
    least: usize,
    /// Whether it is one of several tokens that stand together in these bytes, in no known way.
    shared: bool,
}

/// A run of tokens that cannot be read, up to where something can be read again.
struct Run {
    start: usize,
    /// How many times it shows bytes that are no character.
    marks: usize,
    /// How many of its tokens show nothing.
    empty: usize,
    /// The tokens that begin or end in it.
    tokens: Vec<usize>,
}

impl Run {
    /// Whether its tokens may hold a part of a text: spaces, and characters of several bytes, which at least two tokens
    /// show, and which no more than their bytes are shown as.
    fn fits(&self, part: &str) -> bool {
        if !part.chars().all(|c| c == ' ' || !c.is_ascii()) {
            return false;
        }
        let wide = || part.chars().filter(|c| !c.is_ascii());
        let least: usize = wide().map(|c| 1 + usize::from(c != UNREADABLE)).sum();
        let most: usize = wide().map(char::len_utf8).sum();
        least <= self.marks + self.empty && self.marks <= most
    }
}

/// The places of tokens in a text that they make up from its beginning to its end; `None` if they do not.
///
/// # Arguments
/// - `before`: the number of tokens that stand before the text and are no part of it
pub(super) fn places<'t>(text: &'t str, tokens: &[String], before: usize) -> Option<Places<'t>> {
    let mut walk = Walk {
        text,
        at: 0,
        run: None,
        spans: Vec::with_capacity(tokens.len()),
    };
    let before = before.min(tokens.len());
    for _ in 0..before {
        walk.spans.push(Span {
            bytes: 0..0,
            least: 0,
            shared: false,
        });
    }
    for token in &tokens[before..] {
        walk.token(token)?;
    }
    walk.finish()
}

/// Goes through a text, token by token.
struct Walk<'t> {
    text: &'t str,
    at: usize,
    run: Option<Run>,
    spans: Vec<Span>,
}

impl<'t> Walk<'t> {
    fn token(&mut self, token: &str) -> Option<()> {
        let index = self.spans.len();
        // The end becomes known with what follows.
        self.spans.push(Span {
            bytes: self.at..self.at,
            least: self.at,
            shared: false,
        });
        for (number, literal) in token.split(UNREADABLE).enumerate() {
            if number > 0 || token.is_empty() {
                self.gap(index, number > 0);
            }
            if !literal.is_empty() {
                let first = number == 0;
                self.literal(index, literal, first)?;
            }
        }
        Some(())
    }

    /// A part of a token that cannot be read: a mark, or nothing at all.
    fn gap(&mut self, token: usize, mark: bool) {
        let start = self.at;
        let run = self.run.get_or_insert_with(|| Run {
            start,
            marks: 0,
            empty: 0,
            tokens: Vec::new(),
        });
        run.marks += usize::from(mark);
        run.empty += usize::from(!mark);
        if run.tokens.last() != Some(&token) {
            run.tokens.push(token);
        }
        self.spans[token].least = start + usize::from(mark);
    }

    /// Something that stands in the text; `first` if the token begins with it.
    fn literal(&mut self, token: usize, literal: &str, first: bool) -> Option<()> {
        let rest = &self.text[self.at..];
        // Spaces that no token shows belong to the one that follows.
        let start = match self.run.take() {
            None => {
                let spaces = rest.len() - rest.trim_start_matches(' ').len();
                let hidden = (0..=spaces).find(|hidden| rest[*hidden..].starts_with(literal))?;
                self.at += hidden;
                self.at - hidden
            }
            Some(run) => {
                let mut found = rest.match_indices(literal).map(|(at, _)| at);
                let end = found.find(|at| run.fits(&rest[..*at]))?;
                let start = self.at + rest[..end].trim_end_matches(' ').len();
                self.close(&run, start);
                self.at += end;
                start
            }
        };
        self.at += literal.len();
        let span = &mut self.spans[token];
        if first {
            span.bytes.start = start;
        }
        span.bytes.end = self.at;
        span.least = self.at;
        Some(())
    }

    /// Gives the tokens of a run its bytes.
    fn close(&mut self, run: &Run, end: usize) {
        for &token in &run.tokens {
            let span = &mut self.spans[token];
            span.shared = run.tokens.len() > 1;
            span.bytes.start = span.bytes.start.min(run.start);
            span.bytes.end = end;
        }
    }

    fn finish(mut self) -> Option<Places<'t>> {
        let rest = &self.text[self.at..];
        match self.run.take() {
            None if rest.is_empty() => {}
            Some(run) if run.fits(rest) => self.close(&run, self.text.len()),
            _ => return None,
        }
        Some(Places {
            text: self.text,
            spans: self.spans,
        })
    }
}

impl Places<'_> {
    /// The number of tokens.
    pub(super) fn count(&self) -> usize {
        self.spans.len()
    }

    /// Whether the first token holds nothing of the text.
    pub(super) fn is_before_text(&self) -> bool {
        self.spans
            .first()
            .is_some_and(|span| span.bytes == (0..0) && !span.shared)
    }

    /// The first token that holds something of what follows the first `border` bytes; `None` if that cannot be told.
    ///
    /// # Arguments
    /// - `offsets`: where each token, and what follows the text, begins, as the service says, in characters or bytes; may be
    ///   empty
    pub(super) fn first_after(&self, border: usize, offsets: &[usize]) -> Option<usize> {
        let after = |bytes: &Range<usize>| bytes.start >= border || bytes.end > border;
        let from = self.spans.iter().position(|span| after(&span.bytes));
        let from = from.unwrap_or(self.spans.len());
        let parted = |span: &Span| span.shared && span.bytes.start < border;
        if !self.spans.get(from).is_some_and(parted) {
            return Some(from);
        }
        let starts = self.starts(offsets)?;
        (from..self.spans.len()).find(|&index| {
            let end = starts.get(index + 1).map_or(self.text.len(), |end| *end);
            after(&(starts[index]..end.max(self.spans[index].least)))
        })
    }

    /// Where each token begins, in bytes, as the service says in characters or in bytes: as it agrees with what is known.
    /// Of a token that begins and ends inside characters, offsets in characters do not tell that it reaches the second.
    fn starts(&self, offsets: &[usize]) -> Option<Vec<usize>> {
        let count = self.spans.len();
        let base = *offsets.get(usize::from(self.is_before_text()))?;
        let characters = self.text.char_indices().map(|(at, _)| at);
        let characters: Vec<usize> = characters.chain([self.text.len()]).collect();
        let bytes: Vec<usize> = (0..=self.text.len()).collect();
        [characters, bytes].iter().find_map(|unit| {
            let start = |offset: &usize| unit.get(offset.saturating_sub(base)).copied();
            let starts: Vec<usize> = offsets
                .get(..count)?
                .iter()
                .map(start)
                .collect::<Option<_>>()?;
            let known = |(span, start): (&Span, &usize)| {
                span.bytes.start == *start || span.shared && span.bytes.contains(start)
            };
            // What was written begins where the text ends.
            let written = offsets
                .get(count)
                .is_none_or(|offset| start(offset) == Some(self.text.len()));
            let agrees = written && self.spans.iter().zip(&starts).all(known);
            (agrees && starts.is_sorted()).then_some(starts)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(tokens: &[&str]) -> Vec<String> {
        tokens.iter().map(|&token| token.to_owned()).collect()
    }

    #[test]
    fn tokens_that_are_not_those_of_the_text_have_no_place() {
        for (text, tokens) in [
            ("a b", &["a"] as &[&str]),
            ("a b", &["a", " b", " c"]),
            ("a b", &["a", "b", "b"]),
            ("a b", &[]),
            ("ab", &["a b"]),
            ("ab", &["a", "\u{fffd}"]),
            ("aéb", &["a", "\u{fffd}", "\u{fffd}", "\u{fffd}", "b"]),
            ("aéb", &["a", "\u{fffd}", "b"]),
        ] {
            assert_eq!(places(text, &of(tokens), 0), None, "{text} {tokens:?}");
        }
    }

    #[test]
    fn spaces_that_are_not_shown_belong_to_the_next_token() {
        let tokens = of(&["<s>", "", "The", "cat", "", "\u{fffd}", "\u{fffd}", "sat"]);
        let text = "The cat  é sat";
        let places = places(text, &tokens, 1).expect("the tokens are those of the text");
        assert!(places.is_before_text());
        for (border, from) in [("The", 3), ("The cat", 4), ("The cat  é", 7), ("The c", 3)] {
            assert_eq!(
                places.first_after(border.len(), &[]),
                Some(from),
                "{border}"
            );
        }
    }

    /// A piece of a text, and where its bytes are cut: the same for the same character.
    fn piece() -> impl Strategy<Value = (&'static str, &'static [usize])> {
        let pieces: &[(&str, &[usize])] = &[
            ("a", &[]),
            ("bc", &[1]),
            (" ", &[]),
            ("\n", &[]),
            ("é", &[]),
            ("中", &[]),
            ("龘", &[2]),
            ("ß", &[1]),
            ("😀", &[1, 2, 3]),
        ];
        prop::sample::select(pieces)
    }

    proptest! {
        #[test]
        fn tokens_are_found_or_refused_for_every_border(
            pieces in prop::collection::vec((piece(), any::<bool>()), 1..12),
            unit in 0..3,
            hidden in any::<bool>(),
        ) {
            let (mut text, mut cuts) = (String::new(), Vec::new());
            for ((piece, inner), cut) in &pieces {
                if *cut && !text.is_empty() {
                    cuts.push(text.len());
                }
                cuts.extend(inner.iter().map(|at| text.len() + at));
                text.push_str(piece);
            }
            let starts: Vec<usize> = [0].into_iter().chain(cuts).collect();
            let end = |index: usize| starts.get(index + 1).map_or(text.len(), |end| *end);
            let tokens: Vec<String> = (0..starts.len()).map(|index| {
                let bytes = &text.as_bytes()[starts[index]..end(index)];
                let shown = String::from_utf8_lossy(bytes).into_owned();
                if hidden { shown.replace(UNREADABLE, "") } else { shown }
            }).collect();
            let complete = |to: usize| {
                let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
                ends.filter(|end| *end <= to).count()
            };
            let all = starts.iter().copied().chain([text.len()]);
            let offsets: Vec<usize> = match unit {
                0 => Vec::new(),
                1 => all.collect(),
                // A character that is not complete is not counted.
                _ => all.map(complete).collect(),
            };
            // A token that shows some of its characters and hides a part of another without a mark is not to be found.
            let shows = |index: usize, token: &String| {
                token.is_empty() || token.as_bytes() == &text.as_bytes()[starts[index]..end(index)]
            };
            let whole = !hidden || tokens.iter().enumerate().all(|(index, token)| shows(index, token));
            let inside = |at: usize| !text.is_char_boundary(at);
            let whole = whole && (unit != 2 || !(0..starts.len()).any(|index| {
                inside(starts[index]) && inside(end(index)) && (starts[index]..end(index)).any(|at| !inside(at))
            }));
            let found = places(&text, &tokens, 0);
            prop_assert!(found.is_some() || hidden, "{:?} {:?}", text, tokens);
            let Some(places) = found.filter(|_| whole) else {
                return Ok(());
            };
            for (border, _) in text.char_indices() {
                let truth = (0..starts.len()).find(|&index| end(index) > border);
                let from = places.first_after(border, &offsets);
                prop_assert!(from == truth || from.is_none(), "{:?} {:?} {} {:?}", text, tokens, border, from);
                if !hidden && unit > 0 {
                    prop_assert_eq!(from, truth, "{:?} {:?} {}", text, tokens, border);
                }
            }
        }
    }
}
