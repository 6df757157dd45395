//! Repetition inside a text.
//!
//! The rules and thresholds are those of Rae et al., "Scaling Language Models: Methods, Analysis & Insights from
//! Training Gopher" (2021), section A.1.1 and table A1. Where that leaves room, we hold: lines and paragraphs are
//! compared without white space at their ends, and empty ones do not count; words are what white space separates;
//! characters of runs of words are those of the words; a line or paragraph is a duplicate if it stood before.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::words::gram_hash;

/// Shares of a text that repeat, each from 0 to 1.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repetition {
    /// Of the lines, those that stood before.
    pub lines: f64,
    /// Of the paragraphs, those that stood before.
    pub paragraphs: f64,
    /// Of the characters of lines, those in lines that stood before.
    pub line_characters: f64,
    /// Of the characters of paragraphs, those in paragraphs that stood before.
    pub paragraph_characters: f64,
    /// Of the characters of words, those in occurrences of the most frequent run of 2, 3 and 4 words, if it stands
    /// there more than once. Characters where occurrences overlap count once.
    pub top: [f64; 3],
    /// Of the characters of words, those in any run of 5, 6, 7, 8, 9 and 10 words that stands there more than once.
    /// Characters in several such runs count once.
    pub duplicate: [f64; 6],
}

/// The greatest shares that are fine. The defaults are Gopher's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepetitionLimits {
    /// Default 0.3.
    pub lines: f64,
    /// Default 0.3.
    pub paragraphs: f64,
    /// Default 0.2.
    pub line_characters: f64,
    /// Default 0.2.
    pub paragraph_characters: f64,
    /// For runs of 2, 3 and 4 words. Default 0.2, 0.18 and 0.16.
    pub top: [f64; 3],
    /// For runs of 5 to 10 words. Default 0.15, 0.14, 0.13, 0.12, 0.11 and 0.1.
    pub duplicate: [f64; 6],
    /// The fewest words of a text that the rules for runs of words are applied to. They were made for whole documents:
    /// in a question of ten words, two that recur are no fault. Default 50, Gopher's shortest document.
    pub least_words: usize,
}

impl Default for RepetitionLimits {
    fn default() -> Self {
        Self {
            lines: 0.3,
            paragraphs: 0.3,
            line_characters: 0.2,
            paragraph_characters: 0.2,
            top: [0.2, 0.18, 0.16],
            duplicate: [0.15, 0.14, 0.13, 0.12, 0.11, 0.1],
            least_words: 50,
        }
    }
}

impl Repetition {
    /// Measures a text.
    pub fn of(text: &str) -> Self {
        let (lines, line_characters) = repeated(text.lines());
        let paragraphs = paragraphs(text);
        let (paragraphs, paragraph_characters) = repeated(paragraphs.iter().map(String::as_str));
        let words: Vec<&str> = text.split_whitespace().collect();
        let runs = Runs {
            hashes: words.iter().map(|word| xxh3_64(word.as_bytes())).collect(),
            lengths: words.iter().map(|word| word.chars().count()).collect(),
        };
        Self {
            lines,
            paragraphs,
            line_characters,
            paragraph_characters,
            top: [2, 3, 4].map(|size| runs.top(size)),
            duplicate: [5, 6, 7, 8, 9, 10].map(|size| runs.duplicate(size)),
        }
    }
}

impl RepetitionLimits {
    /// The first rule that a text of so many words (separated by white space) breaks, if it breaks one.
    pub fn fault(&self, found: &Repetition, words: usize) -> Option<String> {
        let mut rules = vec![
            ("duplicate lines".to_owned(), found.lines, self.lines),
            (
                "duplicate paragraphs".to_owned(),
                found.paragraphs,
                self.paragraphs,
            ),
            (
                "characters in duplicate lines".to_owned(),
                found.line_characters,
                self.line_characters,
            ),
            (
                "characters in duplicate paragraphs".to_owned(),
                found.paragraph_characters,
                self.paragraph_characters,
            ),
        ];
        if words >= self.least_words {
            let top = found.top.iter().zip(self.top).zip(2..);
            rules.extend(top.map(|((&found, limit), size)| {
                (
                    format!("characters in the most frequent {size} words"),
                    found,
                    limit,
                )
            }));
            let duplicate = found.duplicate.iter().zip(self.duplicate).zip(5..);
            rules.extend(duplicate.map(|((&found, limit), size)| {
                (
                    format!("characters in repeated runs of {size} words"),
                    found,
                    limit,
                )
            }));
        }
        let (name, found, limit) = rules.into_iter().find(|(_, found, limit)| found > limit)?;
        Some(format!(
            "{:.0} % {name}, expected at most {:.0} %",
            found * 100.0,
            limit * 100.0
        ))
    }
}

/// The stretches of lines between empty lines.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines() {
        let line = line.trim();
        match paragraphs.last_mut() {
            Some(last) if !line.is_empty() => {
                if !last.is_empty() {
                    last.push('\n');
                }
                last.push_str(line);
            }
            Some(last) if !last.is_empty() => paragraphs.push(String::new()),
            _ => {}
        }
    }
    paragraphs
}

/// The shares of parts that stood before, by number and by characters.
fn repeated<'a>(parts: impl Iterator<Item = &'a str>) -> (f64, f64) {
    let mut seen = HashSet::new();
    let (mut count, mut again, mut characters, mut again_characters) = (0, 0, 0, 0);
    for part in parts.map(str::trim).filter(|part| !part.is_empty()) {
        let length = part.chars().count();
        count += 1;
        characters += length;
        if !seen.insert(part) {
            again += 1;
            again_characters += length;
        }
    }
    (share(again, count), share(again_characters, characters))
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// The words of a text: their hashes, and their lengths in characters.
struct Runs {
    hashes: Vec<u64>,
    lengths: Vec<usize>,
}

impl Runs {
    fn counts(&self, size: usize) -> HashMap<u64, usize> {
        let mut counts = HashMap::new();
        for run in self.hashes.windows(size) {
            *counts.entry(gram_hash(run)).or_default() += 1;
        }
        counts
    }

    /// The share of characters in runs that are chosen by their hash.
    fn covered(&self, size: usize, chosen: impl Fn(u64) -> bool) -> f64 {
        let mut covered = vec![false; self.hashes.len()];
        for (start, run) in self.hashes.windows(size).enumerate() {
            if chosen(gram_hash(run)) {
                covered[start..start + size].fill(true);
            }
        }
        let lengths = self.lengths.iter().zip(covered);
        let inside: usize = lengths
            .filter(|(_, covered)| *covered)
            .map(|(length, _)| length)
            .sum();
        share(inside, self.lengths.iter().sum())
    }

    /// Of runs that are equally frequent the one that stands first is the top.
    fn top(&self, size: usize) -> f64 {
        let counts = self.counts(size);
        let most = counts.values().copied().max().unwrap_or(0);
        let runs = self.hashes.windows(size).map(gram_hash);
        match runs.into_iter().find(|hash| counts[hash] == most) {
            Some(top) if most > 1 => self.covered(size, |hash| hash == top),
            _ => 0.0,
        }
    }

    fn duplicate(&self, size: usize) -> f64 {
        let counts = self.counts(size);
        self.covered(size, |hash| counts[&hash] > 1)
    }
}
