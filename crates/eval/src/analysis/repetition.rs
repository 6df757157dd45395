//! Outputs that go round in a loop.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::{
    Finding, Rule,
    prose::{blanked, code, lowered, sentences, tables},
};
use crate::{Outcome, text::chunks};

/// The longest loop that is looked for, in words.
const LONGEST: usize = 24;
/// A word of at least this many characters is searched for a loop within itself.
const LONG_WORD: usize = 20;
/// The length in words of the runs that may not come back.
const RUN: usize = 8;
/// The fewest words of a text that is searched for runs that come back.
const RUN_TEXT: usize = 32;

/// The same words again and again: a loop of consecutive n-grams, a word that repeats a few letters, a line or sentence
/// that comes back, or long runs of words that do. What the reference repeats itself is no error, and neither are code
/// and cells of tables.
///
/// A sentence or line that comes back counts only if the repeats make up enough of the text: a refrain between verses
/// does not, and in verse (four short lines or more) they must be half of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Repetition {
    /// How often a single word must stand in a row; 4 by default.
    pub word: usize,
    /// How often two or more words must stand in a row; 3 by default.
    pub phrase: usize,
    /// How often the same sentence or line of five or more words must come; 2 by default.
    pub sentence: usize,
    /// The share of a text's words in repeats of sentences or of runs of eight words that is too much; 0.25 by default.
    pub share: f64,
}

impl Default for Repetition {
    fn default() -> Self {
        Self {
            word: 4,
            phrase: 3,
            sentence: 2,
            share: 0.25,
        }
    }
}

impl Rule for Repetition {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let found = self.search(&outcome.output);
        match found {
            Some(finding)
                if !outcome
                    .references
                    .iter()
                    .any(|reference| self.search(reference).is_some()) =>
            {
                vec![finding]
            }
            _ => Vec::new(),
        }
    }
}

impl Repetition {
    /// The first kind of repetition that is there.
    fn search(self, text: &str) -> Option<Finding> {
        let (code, tables) = (code(text), tables(text));
        if code.is_empty() && tables.is_empty() {
            return self.search_prose(text);
        }
        let prose = blanked(text, code.iter().chain(&tables));
        self.search_prose(&prose)
    }

    fn search_prose(self, text: &str) -> Option<Finding> {
        let words = words(text);
        self.phrases(text, &words)
            .or_else(|| letters(text, &words))
            .or_else(|| self.sentences(text, words.len()))
            .or_else(|| self.runs(text))
    }

    /// The loop that covers the most words; the shortest phrase of equal ones.
    fn phrases(self, text: &str, words: &[(Range<usize>, String)]) -> Option<Finding> {
        let mut best: Option<(usize, usize, usize)> = None; // words covered, first word, phrase length
        for length in 1..=LONGEST.min(words.len() / 2) {
            let needed = if length == 1 { self.word } else { self.phrase }.max(2);
            let mut run = 0;
            for end in length..words.len() {
                run = if words[end].1 == words[end - length].1 {
                    run + 1
                } else {
                    0
                };
                let covered = run + length;
                if covered / length >= needed && best.is_none_or(|best| covered > best.0) {
                    best = Some((covered, end + 1 - covered, length));
                }
            }
        }
        let (covered, first, length) = best?;
        let span = words[first].0.start..words[first + covered - 1].0.end;
        let phrase = &text[words[first].0.start..words[first + length - 1].0.end];
        Some(Finding::at(
            "loop",
            span,
            format!("“{phrase}” {} times in a row", covered / length),
        ))
    }

    /// The first sentence that comes too often, if the repeats of all are enough of the text.
    fn sentences(self, text: &str, all: usize) -> Option<Finding> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut first = None;
        let mut again = 0;
        for span in sentences(text) {
            let words: Vec<String> = words(&text[span.clone()])
                .into_iter()
                .map(|(_, word)| word)
                .collect();
            if words.len() < 5 {
                continue;
            }
            let times = seen.entry(words.join(" ")).or_default();
            *times += 1;
            if *times > 1 {
                again += words.len();
            }
            if *times == self.sentence.max(2) && first.is_none() {
                let detail = format!("the same sentence {times} times");
                first = Some(Finding::at("sentence again", span, detail));
            }
        }
        let share = self.limit(text);
        first.filter(|_| again as f64 >= share * all as f64)
    }

    /// The share of repeats that is too much of a text.
    fn limit(self, text: &str) -> f64 {
        if is_verse(text) {
            self.share.max(0.5)
        } else {
            self.share
        }
    }

    /// The first run of eight words that came before, if the runs that did are enough of the text.
    fn runs(self, text: &str) -> Option<Finding> {
        let words = lowered(text);
        if words.len() < RUN_TEXT {
            return None;
        }
        let hashes: Vec<u64> = words
            .iter()
            .map(|(_, word)| xxh3_64(word.as_bytes()))
            .collect();
        let mut known: HashSet<&[u64]> = HashSet::new();
        let mut covered = vec![false; words.len()];
        let mut first = None;
        for (at, run) in hashes.windows(RUN).enumerate() {
            if !known.insert(run) {
                covered[at..at + RUN].fill(true);
                first.get_or_insert(at);
            }
        }
        let again = covered.iter().filter(|&&covered| covered).count();
        let share = self.limit(text);
        let at = first.filter(|_| again as f64 >= share * words.len() as f64)?;
        let span = words[at].0.start..words[at + RUN - 1].0.end;
        let detail = format!("{again} of {} words stood before", words.len());
        Some(Finding::at("words again", span, detail))
    }
}

/// Whether a text is set in verse: four lines or more, of which most are short and do not end a sentence.
fn is_verse(text: &str) -> bool {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (mut all, mut short) = (0, 0);
    for line in lines {
        all += 1;
        let brief = line.split_whitespace().count() <= 10;
        short += usize::from(brief && !line.ends_with(['.', ':', ';']));
    }
    all >= 4 && 2 * short > all
}

/// A long word that is a few letters, five times or more.
fn letters(text: &str, words: &[(Range<usize>, String)]) -> Option<Finding> {
    for (span, word) in words {
        let letters: Vec<char> = word.chars().collect();
        if letters.len() < LONG_WORD || !letters.iter().all(|c| c.is_alphanumeric()) {
            continue;
        }
        let period = (1..=4)
            .find(|&period| (period..letters.len()).all(|at| letters[at] == letters[at - period]));
        if let Some(period) = period {
            let unit: String = text[span.clone()].chars().take(period).collect();
            return Some(Finding::at(
                "letters",
                span.clone(),
                format!("“{unit}” {} times", letters.len() / period),
            ));
        }
    }
    None
}

/// The words in lower case without the punctuation around them; a run of punctuation alone is none.
fn words(text: &str) -> Vec<(Range<usize>, String)> {
    chunks(text)
        .into_iter()
        .filter_map(|span| {
            let word = text[span.clone()].trim_matches(|c: char| !c.is_alphanumeric());
            (!word.is_empty()).then(|| (span, word.to_lowercase()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use finetune_data::Origin;
    use proptest::prelude::*;

    use super::*;

    fn found(output: &str, reference: &str) -> Option<(String, String)> {
        let outcome = Outcome::new(Origin::new("a", 1), "", reference, output);
        let finding = Repetition::default().find(&outcome).pop()?;
        Some((finding.rule, output[finding.span?].to_owned()))
    }

    #[test]
    fn loops_sentences_and_letters() {
        let reference = "One short answer.";
        let check = |output: &str, rule: &str, span: &str| {
            assert_eq!(
                found(output, reference),
                Some((rule.into(), span.into())),
                "{output}"
            );
        };
        check("so no no no no yes", "loop", "no no no no");
        check(
            "a model, the model, the model, the model.",
            "loop",
            "model, the model, the model, the model.",
        );
        check(
            "It is a rank of eight. Yes. It is a rank of eight.",
            "sentence again",
            "It is a rank of eight.",
        );
        check(
            "well hahahahahahahahahahaha",
            "letters",
            "hahahahahahahahahahaha",
        );
    }

    #[test]
    fn ordinary_text_is_no_loop() {
        for output in [
            "",
            "very very very good",
            "that that is is",
            "---------------------------------",
            "The rank is the width of the update. The alpha is its scale.",
        ] {
            assert_eq!(found(output, ""), None, "{output}");
        }
    }

    #[test]
    fn what_the_reference_repeats_is_no_error() {
        assert_eq!(found("no no no no", "He said: no no no no no."), None);
    }

    proptest! {
        #[test]
        fn spans_lie_in_the_text(output in "([abé] ?){0,40}[.!\n]?") {
            let outcome = Outcome::new(Origin::new("a", 1), "", "", output.clone());
            for finding in Repetition::default().find(&outcome) {
                prop_assert!(output.get(finding.span.unwrap()).is_some());
            }
        }

        #[test]
        fn every_threefold_phrase_is_found(phrase in "[a-z]{2,6}( [a-z]{2,6}){1,6}") {
            let output = [phrase.as_str(); 3].join(" ");
            prop_assert!(found(&output, "").is_some());
        }
    }
}
