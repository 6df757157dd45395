//! When an answer ends.

use serde::{Deserialize, Serialize};

/// What ends an answer before its greatest length.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stops {
    /// Any of these tokens ends the answer and is not part of it.
    pub tokens: Vec<u32>,
    /// Any of these strings ends the answer where it begins. They may lie across tokens; finding them needs a decoder.
    pub strings: Vec<String>,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// A stop token or a stop string was produced.
    Stop,
    /// The greatest number of new tokens, or the model's greatest length, was reached.
    Length,
    /// The caller asked to end.
    Cancelled,
    /// The rules allowed no token.
    Forbidden,
}

impl Stops {
    /// Stops at these tokens.
    pub fn at(tokens: impl IntoIterator<Item = u32>) -> Self {
        Self {
            tokens: tokens.into_iter().collect(),
            strings: Vec::new(),
        }
    }

    /// The text before the first stop string, and whether there was one.
    pub fn cut<'t>(&self, text: &'t str) -> (&'t str, bool) {
        let first = self
            .strings
            .iter()
            .filter(|s| !s.is_empty())
            .filter_map(|s| text.find(s.as_str()))
            .min();
        first.map_or((text, false), |at| (&text[..at], true))
    }

    /// How much of a growing text can be shown: what stands before the first stop string and before an end that may
    /// still become one.
    ///
    /// # Returns
    /// A length in bytes, on a character's border.
    pub fn shown(&self, text: &str) -> usize {
        let (before, stopped) = self.cut(text);
        if stopped {
            return before.len();
        }
        let held = self
            .strings
            .iter()
            .map(|stop| begun(text, stop))
            .max()
            .unwrap_or(0);
        text.len() - held
    }
}

/// Looks for stop strings in a text that comes piece by piece.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The end of the text that may still become a stop string.
    held: String,
}

impl Watch {
    /// Whether a stop string is complete with this piece.
    pub(super) fn reached(&mut self, stops: &Stops, piece: &str) -> bool {
        self.held.push_str(piece);
        let (_, found) = stops.cut(&self.held);
        self.held.drain(..stops.shown(&self.held));
        found
    }
}

/// The bytes at the end of `text` that are a beginning of `stop`.
fn begun(text: &str, stop: &str) -> usize {
    (1..stop.len())
        .rev()
        .filter(|n| stop.is_char_boundary(*n))
        .find(|n| text.ends_with(&stop[..*n]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops() -> Stops {
        Stops {
            tokens: vec![],
            strings: vec!["\n\n".to_owned(), "Question:".to_owned()],
        }
    }

    #[test]
    fn the_first_stop_string_cuts() {
        assert_eq!(stops().cut("yes Question: no\n\n"), ("yes ", true));
        assert_eq!(stops().cut("yes"), ("yes", false));
    }

    #[test]
    fn a_stop_string_is_found_in_any_pieces() {
        let text = "yes\nQuest \u{e9} QuesQuestion: no";
        let end = text.find("Question:").unwrap() + "Question:".len();
        let chars: Vec<String> = text.chars().map(String::from).collect();
        for size in 1..=chars.len() {
            let mut watch = Watch::default();
            let mut read = 0;
            let found = chars.chunks(size).any(|piece| {
                let piece = piece.concat();
                read += piece.len();
                watch.reached(&stops(), &piece)
            });
            assert!(found, "pieces of {size}");
            assert!(
                (end..end + size).contains(&read),
                "pieces of {size}: {read}"
            );
        }
        let mut watch = Watch::default();
        assert!(
            !chars[..10]
                .iter()
                .any(|piece| watch.reached(&stops(), piece))
        );
    }

    #[test]
    fn what_may_become_a_stop_string_is_held_back() {
        assert_eq!(stops().shown("yes\n"), 3);
        assert_eq!(stops().shown("yes Quest"), 4);
        assert_eq!(stops().shown("yes Quests"), 10);
        assert_eq!(stops().shown("yes Question: no"), 4);
    }
}
