//! Misspelt words.

use std::sync::Arc;

use finetune_data::quality::{Language, UNKNOWN};

use super::{
    Finding, Rule, Vocabulary,
    prose::{Word, quoted, touches, words},
    vocabulary::Near,
};
use crate::Outcome;

/// A word that is not known but near a known one, with that one.
///
/// Known are the words of a [`Vocabulary`], of the item's references and of its question. Left out are names (a capital
/// inside a sentence, or more than one), words with digits, code (between backticks, or with signs that prose does not
/// have), addresses, words of fewer than three letters, what is quoted, and scripts that do not put spaces between words.
///
/// A word counts as misspelt if one slip parts it from a known one, two from eight letters on. A slip that often makes
/// another right word is none: another first letter; another ending of the same stem (`trained`, `trainer`); the two
/// spellings of a sound that English writes both ways (`-ise`, `-ize`); any slip but two letters swapped in a word of
/// three or four, and a letter changed for another in a word of five or six. What is left can still be a rare right
/// word: the larger the vocabulary, the fewer are.
///
/// Where the vocabulary has a dictionary of some language, its words are no neighbours for a text that is clearly in
/// another one.
///
/// [`strict`](Misspelt::strict) counts every unknown word: use it with a vocabulary that is meant to be complete.
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
        let output = &outcome.output;
        let mut own: Option<Vocabulary> = None;
        let mut language: Option<&'static str> = None;
        let mut quotations = None;
        let mut findings = Vec::new();
        for word in words(output).into_iter().filter(Word::is_prose) {
            let text = &output[word.span.clone()];
            if self.vocabulary.contains(text) {
                continue;
            }
            let own = own.get_or_insert_with(|| {
                Vocabulary::of_texts(outcome.references.iter().chain([&outcome.input]))
            });
            if own.contains(text)
                || touches(quotations.get_or_insert_with(|| quoted(output)), &word.span)
            {
                continue;
            }
            let mut speaks = |spoken: &str| {
                let language = *language.get_or_insert_with(|| Language::default().of(output));
                language == spoken || language == UNKNOWN
            };
            let near = [own.near(text), self.vocabulary.near(text)];
            let near = near
                .into_iter()
                .flatten()
                .filter(|near| near.language.as_deref().is_none_or(&mut speaks))
                .min_by_key(|near| near.slips);
            match near {
                Some(near) if is_slip(text, &near, word.capital) => {
                    let detail = format!("“{text}”: “{}”?", near.word);
                    findings.push(Finding::at("near a known word", word.span, detail));
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

/// Whether what parts a word from a known one is a slip, rather than what parts two right words.
fn is_slip(word: &str, near: &Near, capital: bool) -> bool {
    let word = word.to_lowercase();
    let known = near.word.as_str();
    let letters = word.chars().count();
    let swapped = letters == known.chars().count() && sorted(&word) == sorted(known);
    let changed = letters == known.chars().count() && !swapped;
    // A capital at the start of a sentence may be a name; only a single slip makes it a misspelling.
    begins_alike(&word, known)
        && (near.slips == 1 || !capital)
        && (letters > 4 || swapped)
        && (letters > 6 || !changed)
        && !inflected(&word, known)
        && spelt_one_way(&word) != spelt_one_way(known)
}

fn sorted(word: &str) -> Vec<char> {
    let mut letters: Vec<char> = word.chars().collect();
    letters.sort_unstable();
    letters
}

/// Whether two words begin with the same letter, or with the same two letters swapped: slips hardly ever change the first
/// letter, and other words often do.
fn begins_alike(word: &str, known: &str) -> bool {
    let two = |text: &str| {
        let mut letters = text.chars();
        (letters.next(), letters.next())
    };
    let ((a, b), (x, y)) = (two(word), two(known));
    a == x || (a == y && b == x)
}

/// Endings that make other words of a stem.
const ENDINGS: [&str; 34] = [
    "", "a", "al", "able", "d", "e", "ed", "en", "er", "ers", "es", "est", "ful", "i", "ian", "ic",
    "ied", "ier", "ies", "ily", "ing", "ion", "ions", "ist", "ive", "ly", "ment", "n", "ness",
    "or", "ors", "r", "s", "y",
];

/// Whether both words are one stem of three letters or more with two of the endings.
fn inflected(word: &str, known: &str) -> bool {
    let same = word.char_indices().zip(known.chars());
    let stem = same
        .take_while(|((_, a), b)| a == b)
        .last()
        .map_or(0, |((at, letter), _)| at + letter.len_utf8());
    let ends = |text: &str, from: usize| ENDINGS.contains(&&text[from..]);
    word.char_indices()
        .map(|(at, _)| at)
        .chain([word.len()])
        .filter(|&at| at >= 3 && at <= stem)
        .any(|at| ends(word, at) && ends(known, at))
}

/// The word with the endings and sounds that British and American English write differently written one way.
fn spelt_one_way(word: &str) -> String {
    let mut word = word.to_owned();
    for (british, american) in [
        ("is", "iz"),
        ("ys", "yz"),
        ("our", "or"),
        ("ogue", "og"),
        ("ence", "ense"),
        ("tre", "ter"),
        ("ll", "l"),
        ("ae", "e"),
        ("oe", "e"),
        ("mme", "m"),
    ] {
        word = word.replace(british, american);
    }
    word
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
            "it memorizes the rows",
            "a trainer and an adaptor",
            "he wrote “modle” and 'rnak'",
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
                prop_assert!(text[word.span].starts_with(|c: char| c.is_alphabetic() || crate::analysis::prose::unicode_mark(c)));
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
