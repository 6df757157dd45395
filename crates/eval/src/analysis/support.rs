//! Statements that the given context does not support.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use finetune_data::Origin;

use super::{
    Finding, Rule,
    english::is_common,
    numbers::{numbers, same},
    prose::{code, lowered, sentences, touches, words},
};
use crate::Outcome;

/// Texts that answers must keep to, by the origin of the item.
pub type Contexts = HashMap<Origin, String>;

/// The fewest words of content by which a sentence is judged.
const WORDS: usize = 4;
/// The share of them that the context must lack.
const LACKING: f64 = 0.6;
/// Letters from which on words are compared, so that forms of a word are equal.
const STEM: usize = 5;

/// A sentence says what neither the context of the item, nor its question, nor a reference says: a number, a name, or
/// more than half of its words of content (at least four).
///
/// Words are compared by their first five letters. It sees words, not meaning: a false statement in the context's words
/// passes, and a true one in other words may not. Items without a context are not judged.
#[derive(Clone, Debug)]
pub struct Unsupported {
    contexts: Arc<Contexts>,
}

impl Unsupported {
    /// Judged against these contexts.
    pub fn new(contexts: impl Into<Arc<Contexts>>) -> Self {
        Self {
            contexts: contexts.into(),
        }
    }
}

impl Rule for Unsupported {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let Some(context) = self.contexts.get(&outcome.origin) else {
            return Vec::new();
        };
        let given = Given::new(
            outcome
                .references
                .iter()
                .chain([context, &outcome.input])
                .map(String::as_str),
        );
        let output = &outcome.output;
        let code = code(output);
        let names = names(output);
        let mut findings = Vec::new();
        for span in sentences(output) {
            if touches(&code, &span) {
                continue;
            }
            let sentence = &output[span.clone()];
            for number in numbers(sentence) {
                if !given.has_number(&number) {
                    let at = span.start + number.span.start..span.start + number.span.end;
                    let detail = format!("the context does not have “{}”", number.written);
                    findings.push(Finding::at("number without support", at, detail));
                }
            }
            for name in names.iter().filter(|name| span.contains(&name.start)) {
                let word = &output[name.clone()];
                if !given.has(&word.to_lowercase()) {
                    let detail = format!("the context does not have “{word}”");
                    findings.push(Finding::at("name without support", name.clone(), detail));
                }
            }
            findings.extend(
                given
                    .unsaid(sentence)
                    .map(|detail| Finding::at("words without support", span.clone(), detail)),
            );
        }
        findings
    }
}

/// What a statement may rest on.
struct Given {
    stems: HashSet<String>,
    numbers: Vec<super::numbers::Number>,
}

impl Given {
    fn new<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut given = Self {
            stems: HashSet::new(),
            numbers: Vec::new(),
        };
        for text in texts {
            given
                .stems
                .extend(lowered(text).iter().map(|(_, word)| stem(word)));
            given.numbers.extend(numbers(text));
        }
        given
    }

    fn has(&self, word: &str) -> bool {
        self.stems.contains(&stem(word))
    }

    /// Whether a number is given, or small enough to have been counted.
    fn has_number(&self, number: &super::numbers::Number) -> bool {
        let counted = |value: &f64| (0.0..=10.0).contains(value) && value.fract() == 0.0;
        number.values.iter().all(counted) || self.numbers.iter().any(|other| same((number, other)))
    }

    /// What of a sentence is not given, if it is too much.
    fn unsaid(&self, sentence: &str) -> Option<String> {
        let content = lowered(sentence);
        let content = content
            .iter()
            .map(|(_, word)| word.as_str())
            .filter(|word| word.chars().count() > 3 && !is_common(word));
        let content: Vec<&str> = content.collect();
        let lacking: Vec<&str> = content
            .iter()
            .copied()
            .filter(|word| !self.has(word))
            .collect();
        let much = content.len() >= WORDS && lacking.len() as f64 >= LACKING * content.len() as f64;
        much.then(|| format!("the context does not have {}", lacking.join(", ")))
    }
}

/// The first letters of a word.
fn stem(word: &str) -> String {
    word.chars().take(STEM).collect()
}

/// Words of four letters or more with a capital inside a sentence; none where every fourth word has one, as in a language
/// that writes all nouns so, or in a heading.
fn names(text: &str) -> Vec<std::ops::Range<usize>> {
    let words = words(text);
    let capitals: Vec<_> = words
        .iter()
        .filter(|word| word.capital && word.is_name)
        .collect();
    if words.len() >= 8 && capitals.len() * 4 > words.len() {
        return Vec::new();
    }
    capitals
        .into_iter()
        .map(|word| word.span.clone())
        .filter(|span| span.len() > 3 && !is_common(&text[span.clone()].to_lowercase()))
        .collect()
}
