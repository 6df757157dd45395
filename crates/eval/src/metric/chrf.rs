//! chrF and chrF++ (Popović 2015, 2017), equal to `sacrebleu` 2 with its defaults.

use std::collections::HashMap;
use std::hash::Hash;
use std::iter::Sum;
use std::ops::Add;

use finetune_data::template::python::{self, is_space};

/// The longest n-grams of characters.
const CHARACTERS: usize = 6;
/// The longest n-grams of words, in chrF++.
const WORDS: usize = 2;
/// Recall counts as much as four times precision.
const BETA_SQUARED: f64 = 4.0;

/// How many n-grams an output has, how many its reference has, and how many both have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Order {
    output: usize,
    reference: usize,
    shared: usize,
}

/// What the chrF of a corpus is computed from: the counts of its segments, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChrfCounts {
    orders: [Order; CHARACTERS + WORDS],
    words: bool,
}

impl Add for ChrfCounts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        for (sum, order) in self.orders.iter_mut().zip(other.orders) {
            sum.output += order.output;
            sum.reference += order.reference;
            sum.shared += order.shared;
        }
        self.words |= other.words;
        self
    }
}

impl Sum for ChrfCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

impl ChrfCounts {
    /// The counts of a text against the reference that fits it best; with `words`, n-grams of words count too (chrF++).
    pub(crate) fn of<R: AsRef<str>>(references: &[R], output: &str, words: bool) -> Self {
        let mut best: Option<Self> = None;
        for reference in references {
            let counts = Self::pair(reference.as_ref(), output, words);
            if best.is_none_or(|best| counts.score() > best.score()) {
                best = Some(counts);
            }
        }
        best.unwrap_or_default()
    }

    fn pair(reference: &str, output: &str, words: bool) -> Self {
        let characters = |text: &str| text.chars().filter(|c| !is_space(*c)).collect::<Vec<_>>();
        let mut counts = Self {
            words,
            ..Self::default()
        };
        let (expected, found) = (characters(reference), characters(output));
        for order in 0..CHARACTERS {
            counts.orders[order] = Order::of(&expected, &found, order + 1);
        }
        if words {
            let (expected, found) = (split(reference), split(output));
            for order in 0..WORDS {
                counts.orders[CHARACTERS + order] = Order::of(&expected, &found, order + 1);
            }
        }
        counts
    }

    /// The score from 0 to 100.
    pub(crate) fn score(&self) -> f64 {
        let used = if self.words {
            CHARACTERS + WORDS
        } else {
            CHARACTERS
        };
        let there = self.orders[..used]
            .iter()
            .filter(|order| order.output > 0 && order.reference > 0);
        let (mut precision, mut recall, mut count) = (0.0, 0.0, 0.0);
        for order in there {
            precision += order.shared as f64 / order.output as f64;
            recall += order.shared as f64 / order.reference as f64;
            count += 1.0;
        }
        if precision + recall == 0.0 {
            return 0.0;
        }
        let (precision, recall) = (precision / count, recall / count);
        100.0 * (1.0 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall)
    }
}

impl Order {
    fn of<T: Eq + Hash>(reference: &[T], output: &[T], order: usize) -> Self {
        let (expected, found) = (grams(reference, order), grams(output, order));
        let shared = found.iter().map(|(gram, count)| {
            expected
                .get(gram)
                .map_or(0, |expected| *expected.min(count))
        });
        Self {
            // An order that the reference does not have is not held against the output.
            output: if expected.is_empty() {
                0
            } else {
                found.values().sum()
            },
            reference: expected.values().sum(),
            shared: shared.sum(),
        }
    }
}

fn grams<T: Eq + Hash>(units: &[T], order: usize) -> HashMap<&[T], usize> {
    let mut counts = HashMap::new();
    for gram in units.windows(order) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

/// chrF from 0 to 100 over a corpus of references and outputs, one reference each; with `words`, chrF++.
///
/// ```
/// let pairs = [("the cat sat on the mat", "the cat sat on a mat")];
/// assert!((finetune_eval::metric::chrf(&pairs, false) - 65.9797).abs() < 1e-4);
/// ```
pub fn chrf(pairs: &[(&str, &str)], words: bool) -> f64 {
    let counts = pairs
        .iter()
        .map(|(reference, output)| ChrfCounts::of(&[reference], output, words));
    counts.sum::<ChrfCounts>().score()
}

/// Words, and a punctuation mark at the end of one, else at its beginning, as a word of its own.
fn split(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in python::words(text) {
        let last = word.len() - word.chars().next_back().map_or(0, char::len_utf8);
        let mark = |text: &str| text.starts_with(|c: char| c.is_ascii_punctuation());
        if last == 0 {
            words.push(word);
        } else if mark(&word[last..]) {
            words.extend([&word[..last], &word[last..]]);
        } else if mark(word) {
            words.extend([&word[..1], &word[1..]]);
        } else {
            words.push(word);
        }
    }
    words
}
