//! Outputs that go round in a loop.

use std::{collections::HashMap, ops::Range};

use serde::{Deserialize, Serialize};

use super::{Finding, Rule};
use crate::{Outcome, text::chunks};

/// The longest loop that is looked for, in words.
const LONGEST: usize = 24;
/// A word of at least this many characters is searched for a loop within itself.
const LONG_WORD: usize = 20;

/// The same words again and again: a loop of consecutive n-grams, a sentence that comes back, or a word that repeats a
/// few letters. What the reference repeats itself is no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Repetition {
    /// How often a single word must stand in a row; 4 by default.
    pub word: usize,
    /// How often two or more words must stand in a row; 3 by default.
    pub phrase: usize,
    /// How often the same sentence of five or more words must come; 2 by default.
    pub sentence: usize,
}

impl Default for Repetition {
    fn default() -> Self {
        Self {
            word: 4,
            phrase: 3,
            sentence: 2,
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
        let words = words(text);
        self.phrases(text, &words)
            .or_else(|| letters(text, &words))
            .or_else(|| self.sentences(text))
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

    /// The first sentence that comes too often.
    fn sentences(self, text: &str) -> Option<Finding> {
        let mut seen: HashMap<String, usize> = HashMap::new();
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
            if *times >= self.sentence.max(2) {
                return Some(Finding::at(
                    "sentence again",
                    span,
                    format!("the same sentence {times} times"),
                ));
            }
        }
        None
    }
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

/// The sentences: up to a full stop, question or exclamation mark before whitespace, or a line's end.
fn sentences(text: &str) -> Vec<Range<usize>> {
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
