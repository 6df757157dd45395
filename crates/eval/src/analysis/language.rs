//! Outputs in another language than their references.

use std::{collections::HashSet, ops::Range};

use finetune_data::quality::{Language, UNKNOWN};
use serde::{Deserialize, Serialize};

use super::{
    Finding, Rule,
    english::is_common,
    prose::{blanked, code, lowered, quoted, tables},
};
use crate::Outcome;

/// A paragraph in another language than the references, or, where these are too short to tell, than
/// [`expected`](WrongLanguage::expected).
///
/// The language is told by [`finetune_data::quality::Language`], which calls short texts unknown; nothing unknown is
/// wrong. Code, tables and quotations do not count, nor do paragraphs of which 40 % of the words stand in the question or
/// in a reference. Languages that are easily taken for each other count as one: Danish, Norwegian and Swedish; Spanish,
/// Portuguese and Catalan; Dutch and Afrikaans; and so on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WrongLanguage {
    /// The expected languages by their ISO 639-3 codes, where the references do not tell; none by default.
    pub expected: Vec<String>,
    /// The fewest letters of a paragraph whose language is told; texts in a script of one language need a quarter.
    /// 60 by default.
    pub letters: usize,
    /// The least confidence, from 0 to 1; 0.95 by default.
    pub confidence: f64,
}

impl Default for WrongLanguage {
    fn default() -> Self {
        Self {
            expected: Vec::new(),
            letters: 60,
            confidence: 0.95,
        }
    }
}

/// Languages that short texts do not tell apart.
const ALIKE: [&[&str]; 12] = [
    &["afr", "nld"],
    &["aze", "tuk", "tur"],
    &["bel", "bul", "mkd", "rus", "srp", "ukr"],
    &["cat", "por", "spa"],
    &["ces", "slk"],
    &["dan", "nob", "swe"],
    &["est", "fin"],
    &["hin", "mar", "nep"],
    &["hrv", "slv", "srp"],
    &["ind", "jav", "tgl"],
    &["lav", "lit"],
    &["cmn", "jpn"],
];

impl Rule for WrongLanguage {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let output = &outcome.output;
        let mut known: Option<HashSet<String>> = None;
        let mut expected: Option<Vec<&str>> = None;
        let (code, quoted, tables) = (code(output), quoted(output), tables(output));
        let prose = blanked(output, code.iter().chain(&quoted).chain(&tables));
        let mut findings = Vec::new();
        for span in paragraphs(&prose) {
            let part = &prose[span.clone()];
            if letters(part) < self.letters.div_ceil(4) {
                continue;
            }
            let known = known.get_or_insert_with(|| {
                let texts = outcome.references.iter().chain([&outcome.input]);
                texts
                    .flat_map(|text| lowered(text))
                    .map(|(_, word)| word)
                    .collect()
            });
            if share(part, |word| known.contains(word)) >= 0.4 {
                continue;
            }
            let expected = expected.get_or_insert_with(|| self.languages(outcome));
            if expected.is_empty() {
                return Vec::new();
            }
            let english = expected.contains(&"eng") && share(part, is_common) >= 0.3;
            let found = if english { "eng" } else { self.of(part) };
            if found != UNKNOWN && !expected.iter().any(|language| alike(language, found)) {
                let detail = format!("{found}; expected {}", expected.join(" or "));
                findings.push(Finding::at("language", span, detail));
            }
        }
        findings
    }
}

impl WrongLanguage {
    /// The languages that the references are in, or the expected ones.
    fn languages<'a>(&'a self, outcome: &Outcome) -> Vec<&'a str> {
        let mut found: Vec<&str> = outcome
            .references
            .iter()
            .map(|text| Language::default().of(text))
            .filter(|language| *language != UNKNOWN)
            .collect();
        found.sort_unstable();
        found.dedup();
        if found.is_empty() {
            found.extend(self.expected.iter().map(String::as_str));
        }
        found
    }

    /// The language of a paragraph, or [`UNKNOWN`].
    fn of(&self, text: &str) -> &'static str {
        let end = text
            .char_indices()
            .nth(600)
            .map_or(text.len(), |(at, _)| at);
        let teller = Language {
            letters: self.letters,
            confidence: self.confidence,
            ..Language::default()
        };
        teller.of(&text[..end])
    }
}

fn alike(a: &str, b: &str) -> bool {
    a == b
        || ALIKE
            .iter()
            .any(|group| group.contains(&a) && group.contains(&b))
}

/// The share of the words of a text for which a condition holds; 0 for a text without words.
fn share(text: &str, holds: impl Fn(&str) -> bool) -> f64 {
    let words = lowered(text);
    let count = words.iter().filter(|(_, word)| holds(word)).count();
    count as f64 / words.len().max(1) as f64
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphabetic()).count()
}

/// The stretches between empty lines.
fn paragraphs(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    let mut open = false;
    for line in text.split_inclusive('\n') {
        let end = at + line.trim_end().len();
        let blank = line.trim().is_empty();
        match found.last_mut().filter(|_| open && !blank) {
            Some(last) => last.end = end,
            None if !blank => found.push(at..end),
            None => {}
        }
        open = !blank;
        at += line.len();
    }
    found
}
