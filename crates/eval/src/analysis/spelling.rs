//! Misspelt words.

use std::{ops::Range, sync::Arc};

use super::{Finding, Rule, Vocabulary};
use crate::{Outcome, text::chunks};

/// A word that is not known but near a known one, with that one.
///
/// Known are the words of a [`Vocabulary`], of the item's references and of its question. Left out are names (a capital
/// inside a sentence, or more than one), words with digits, code (between backticks, or with signs that prose does not
/// have), addresses, words of fewer than three letters, and scripts that do not put spaces between words.
///
/// A word that is near no known word, or begins with another letter, is probably a rare one that the vocabulary lacks, and
/// is not counted, unless [`strict`](Misspelt::strict) says so: use that with a vocabulary that is meant to be complete.
/// The larger the vocabulary, the fewer right words are taken for misspelt ones: for a pretrained model, add its
/// pretraining texts.
#[derive(Clone)]
pub struct Misspelt {
    vocabulary: Arc<Vocabulary>,
    strict: bool,
}

impl Misspelt {
    /// Misspelt against this vocabulary.
    pub fn new(vocabulary: impl Into<Arc<Vocabulary>>) -> Self {
        Self {
            vocabulary: vocabulary.into(),
            strict: false,
        }
    }

    /// Counts every unknown word, whether or not a known one is near.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }
}

impl Rule for Misspelt {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let mut own: Option<Vocabulary> = None;
        let mut findings = Vec::new();
        for word in words(&outcome.output).into_iter().filter(Word::is_prose) {
            let text = &outcome.output[word.span.clone()];
            if self.vocabulary.contains(text) {
                continue;
            }
            let own = own.get_or_insert_with(|| {
                Vocabulary::of_texts(outcome.references.iter().chain([&outcome.input]))
            });
            if own.contains(text) {
                continue;
            }
            let near = [own.nearest(text), self.vocabulary.nearest(text)];
            match near
                .into_iter()
                .flatten()
                .min_by_key(|(_, distance)| *distance)
            {
                // A capital at the start of a sentence may be a name; only a single slip makes it a misspelling.
                Some((known, distance))
                    if begins_alike(text, &known) && !(word.capital && distance > 1) =>
                {
                    findings.push(Finding::at(
                        "near a known word",
                        word.span,
                        format!("“{text}”: “{known}”?"),
                    ));
                }
                _ if self.strict && !word.capital => {
                    findings.push(Finding::at("unknown word", word.span, format!("“{text}”")));
                }
                _ => {}
            }
        }
        findings
    }
}

/// Whether two words begin with the same letter, or with the same two letters swapped: slips hardly ever change the first
/// letter, and other words often do.
fn begins_alike(word: &str, known: &str) -> bool {
    let two = |text: &str| {
        let mut letters = text.chars().flat_map(char::to_lowercase);
        (letters.next(), letters.next())
    };
    let ((a, b), (x, y)) = (two(word), two(known));
    a == x || (a == y && b == x)
}

/// A run of letters, with hyphens and slashes as borders and apostrophes inside.
pub(super) struct Word {
    /// Its bytes.
    pub(super) span: Range<usize>,
    /// Whether it begins with a capital.
    capital: bool,
    /// Whether it is a name, an abbreviation, code, an address, or stands beside digits.
    special: bool,
}

impl Word {
    /// Whether it should be spelt as in a dictionary.
    fn is_prose(&self) -> bool {
        !self.special && self.span.len() > 2
    }
}

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<Word> {
    let code = code(text);
    let mut found = Vec::new();
    let mut fresh = true; // whether a sentence begins here
    let mut last = 0;
    for chunk in chunks(text) {
        fresh |= text[last..chunk.start].contains('\n');
        last = chunk.end;
        let part = &text[chunk.clone()];
        let special = is_code(part)
            || code
                .iter()
                .any(|code| code.start < chunk.end && chunk.start < code.end);
        for piece in pieces(part) {
            let word = &part[piece.clone()];
            let capital = word.starts_with(char::is_uppercase);
            let mixed = word.chars().skip(1).any(char::is_uppercase);
            let name = (capital && !fresh) || mixed || word.chars().any(unspaced);
            let span = chunk.start + piece.start..chunk.start + piece.end;
            found.push(Word {
                span,
                capital,
                special: special || name,
            });
            fresh = false;
        }
        fresh |= part
            .trim_end_matches(['"', '\'', '”', '’', ')', ']', '*', '_'])
            .ends_with(['.', '!', '?', ':', '…']);
    }
    found
}

/// The byte ranges between backticks; a fence that does not close runs to the end.
fn code(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = text[at..].find('`').map(|offset| at + offset) {
        let fence = if text[start..].starts_with("```") {
            "```"
        } else {
            "`"
        };
        let inside = start + fence.len();
        let rest = &text[inside..];
        let end = match rest.find(fence) {
            Some(offset) if fence.len() == 3 || !rest[..offset].contains('\n') => {
                inside + offset + fence.len()
            }
            _ if fence.len() == 3 => text.len(),
            _ => {
                at = inside;
                continue;
            }
        };
        found.push(start..end);
        at = end;
    }
    found
}

/// Whether a run without whitespace is an address, a path, a number or code rather than words of prose.
fn is_code(part: &str) -> bool {
    let inner = part.trim_matches(|c: char| !c.is_alphanumeric());
    inner
        .chars()
        .any(|c| c.is_ascii_digit() || "_\\=<>{}[]()#$@~|^*+&%:.".contains(c))
        || part.contains("()")
}

/// The runs of letters, with single apostrophes inside.
fn pieces(part: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (at, c) in part.char_indices() {
        let end = at + c.len_utf8();
        let joins = |c: char| c == '\'' || c == '’';
        if !c.is_alphabetic() && !unicode_mark(c) {
            continue;
        }
        match found.last_mut() {
            Some(last) if last.end == at => last.end = end,
            Some(last)
                if part[last.end..at].chars().count() == 1
                    && part[last.end..at].starts_with(joins) =>
            {
                last.end = end;
            }
            _ => found.push(at..end),
        }
    }
    found
}

/// A combining mark, which belongs to the letter before it.
fn unicode_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{903}' | '\u{93a}'..='\u{94f}')
}

/// A letter of a script that does not put spaces between words.
fn unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use finetune_data::Origin;
    use proptest::prelude::*;

    use super::*;

    fn found(output: &str) -> Vec<(String, String)> {
        let vocabulary = Vocabulary::of_texts([
            "the model trains an adapter of low rank with a learning rate and merges weights",
        ]);
        let outcome = Outcome::new(
            Origin::new("a", 1),
            "What is overfitting?",
            "It memorises the rows.",
            output,
        );
        let findings = Misspelt::new(vocabulary).find(&outcome);
        findings
            .into_iter()
            .map(|finding| (output[finding.span.unwrap()].to_owned(), finding.detail))
            .collect()
    }

    #[test]
    fn names_the_nearest_known_word() {
        let check = |output: &str, word: &str, near: &str| {
            assert_eq!(
                found(output),
                [(word.to_owned(), format!("“{word}”: “{near}”?"))],
                "{output}"
            );
        };
        check("The modle trains.", "modle", "model");
        check("low-rnak adapter", "rnak", "rank");
        check("It is overfiting", "overfiting", "overfitting");
        check("Teh model", "Teh", "the");
        check("it memorizes the rows", "memorizes", "memorises");
    }

    #[test]
    fn leaves_names_numbers_code_and_far_words_alone() {
        for output in [
            "",
            "the Modle of Ranke",
            "`modle` and ```\nmodle rnak\n``` and ```modle",
            "modle_2 model2 src/modle.rs modle::rnak modle() www.modle.org",
            "MODLE LoRRA",
            "giraffes",
            "a bank and a tank",
            "模型训练",
            "the model's rank doesn't",
        ] {
            assert_eq!(found(output), [], "{output}");
        }
    }

    #[test]
    fn strict_counts_far_words() {
        let outcome = Outcome::new(Origin::new("a", 1), "", "low rank", "low flibbertigibbet");
        let findings = Misspelt::new(Vocabulary::new()).strict().find(&outcome);
        assert_eq!(findings[0].rule, "unknown word");
        assert!(Misspelt::new(Vocabulary::new()).find(&outcome).is_empty());
    }

    proptest! {
        #[test]
        fn spans_are_the_words(text in "\\PC*|([a-zé'`. \n]{0,30})") {
            for word in words(&text) {
                prop_assert!(text.get(word.span.clone()).is_some());
                prop_assert!(text[word.span].starts_with(|c: char| c.is_alphabetic() || unicode_mark(c)));
            }
        }

        #[test]
        fn no_known_word_is_misspelt(words in prop::collection::vec("[a-z]{1,9}", 1..20)) {
            let text = words.join(" ");
            let outcome = Outcome::new(Origin::new("a", 1), "", text.clone(), text);
            prop_assert!(Misspelt::new(Vocabulary::new()).strict().find(&outcome).is_empty());
        }
    }
}
