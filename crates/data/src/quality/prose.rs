//! Whether a text reads like prose.
//!
//! The quality rules of Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher" (2021),
//! section A.1.1. They were made for English web pages. Words are what white space separates.

use serde::{Deserialize, Serialize};

/// What Gopher asks an English text to have two of.
const STOP_WORDS: [&str; 8] = ["the", "be", "to", "of", "and", "that", "have", "with"];

/// Measures of a text.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prose {
    /// The number of words.
    pub words: usize,
    /// The mean length of a word in characters.
    pub word_length: f64,
    /// Number signs (`#`) and ellipses (`…` or `...`) for each word.
    pub symbols: f64,
    /// The share of lines that begin with a bullet.
    pub bullets: f64,
    /// The share of lines that end with an ellipsis.
    pub ellipses: f64,
    /// The share of words with a letter in them.
    pub alphabetic: f64,
    /// How many different ones of "the", "be", "to", "of", "and", "that", "have", "with" occur.
    pub stop_words: usize,
}

/// What a text should have. The defaults are Gopher's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProseLimits {
    /// The fewest words. Default 50.
    pub least_words: usize,
    /// The most words. Default 100,000.
    pub most_words: usize,
    /// The least and the greatest mean length of a word. Default 3 and 10.
    pub word_length: [f64; 2],
    /// The most symbols for each word. Default 0.1.
    pub symbols: f64,
    /// The greatest share of lines with a bullet. Default 0.9.
    pub bullets: f64,
    /// The greatest share of lines that end with an ellipsis. Default 0.3.
    pub ellipses: f64,
    /// The least share of words with a letter. Default 0.8.
    pub alphabetic: f64,
    /// The fewest different stop words; 0 for texts that are not English. Default 2.
    pub stop_words: usize,
}

impl Default for ProseLimits {
    fn default() -> Self {
        Self {
            least_words: 50,
            most_words: 100_000,
            word_length: [3.0, 10.0],
            symbols: 0.1,
            bullets: 0.9,
            ellipses: 0.3,
            alphabetic: 0.8,
            stop_words: 2,
        }
    }
}

impl Prose {
    /// Measures a text.
    pub fn of(text: &str) -> Self {
        let (mut words, mut characters, mut alphabetic) = (0, 0, 0);
        let mut stop_words = [false; STOP_WORDS.len()];
        for word in text.split_whitespace() {
            words += 1;
            characters += word.chars().count();
            alphabetic += usize::from(word.contains(char::is_alphabetic));
            let bare = word.trim_matches(|character: char| !character.is_alphanumeric());
            if let Some(place) = STOP_WORDS
                .iter()
                .position(|stop| stop.eq_ignore_ascii_case(bare))
            {
                stop_words[place] = true;
            }
        }
        let symbols =
            text.matches('#').count() + text.matches('…').count() + text.matches("...").count();
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let of_lines = |holds: &dyn Fn(&str) -> bool| {
            let number = lines.iter().filter(|line| holds(line)).count();
            number as f64 / lines.len().max(1) as f64
        };
        let of_words = |count: usize| count as f64 / words.max(1) as f64;
        Self {
            words,
            word_length: of_words(characters),
            symbols: of_words(symbols),
            bullets: of_lines(&|line| line.starts_with(['•', '‣', '▪', '●', '*', '-'])),
            ellipses: of_lines(&|line| line.ends_with('…') || line.ends_with("...")),
            alphabetic: of_words(alphabetic),
            stop_words: stop_words.into_iter().filter(|&found| found).count(),
        }
    }
}

impl ProseLimits {
    /// The first rule that a text breaks, if it breaks one.
    pub fn fault(&self, found: &Prose) -> Option<String> {
        let [shortest, longest] = self.word_length;
        let least = |name: &str, found: f64, limit: f64| {
            (found < limit).then(|| format!("{name} {found:.2}, expected at least {limit}"))
        };
        let most = |name: &str, found: f64, limit: f64| {
            (found > limit).then(|| format!("{name} {found:.2}, expected at most {limit}"))
        };
        [
            least("words:", found.words as f64, self.least_words as f64),
            most("words:", found.words as f64, self.most_words as f64),
            least("mean length of a word:", found.word_length, shortest),
            most("mean length of a word:", found.word_length, longest),
            most("symbols for each word:", found.symbols, self.symbols),
            most("share of lines with a bullet:", found.bullets, self.bullets),
            most(
                "share of lines with an ellipsis:",
                found.ellipses,
                self.ellipses,
            ),
            least(
                "share of words with a letter:",
                found.alphabetic,
                self.alphabetic,
            ),
            least(
                "English stop words:",
                found.stop_words as f64,
                self.stop_words as f64,
            ),
        ]
        .into_iter()
        .flatten()
        .next()
    }
}
