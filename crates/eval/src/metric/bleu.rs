//! BLEU (Papineni et al. 2002), equal to `sacrebleu` 2 with its defaults.

use std::collections::HashMap;
use std::iter::Sum;
use std::ops::Add;
use std::sync::LazyLock;

use finetune_data::template::python::{is_space, words};
use regex::Regex;

/// The longest n-grams that count.
const ORDER: usize = 4;

/// How BLEU parts a text into words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// As `mteval-v13a` does (`tokenize="13a"`).
    #[default]
    Mteval,
    /// By Unicode's punctuation and symbols (`tokenize="intl"`).
    International,
}

/// What the BLEU of a corpus is computed from: the counts of its segments, summed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct BleuCounts {
    correct: [usize; ORDER],
    total: [usize; ORDER],
    output: usize,
    reference: usize,
}

impl Add for BleuCounts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        for order in 0..ORDER {
            self.correct[order] += other.correct[order];
            self.total[order] += other.total[order];
        }
        self.output += other.output;
        self.reference += other.reference;
        self
    }
}

impl Sum for BleuCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), Add::add)
    }
}

impl BleuCounts {
    /// The counts of a text against its references.
    pub(crate) fn of<R: AsRef<str>>(references: &[R], output: &str, words: Words) -> Self {
        let tokens = |text: &str| match words {
            Words::Mteval => tokens_13a(text),
            Words::International => tokens_intl(text),
        };
        let output = tokens(output.trim_end_matches(is_space));
        let references: Vec<_> = references
            .iter()
            .map(|text| tokens(text.as_ref().trim_end_matches(is_space)))
            .collect();
        let mut counts = Self {
            output: output.len(),
            reference: closest(output.len(), references.iter().map(Vec::len)),
            ..Self::default()
        };
        for order in 1..=ORDER {
            let mut most: HashMap<&[String], usize> = HashMap::new();
            for reference in &references {
                for (gram, count) in grams(reference, order) {
                    let known = most.entry(gram).or_default();
                    *known = count.max(*known);
                }
            }
            for (gram, count) in grams(&output, order) {
                counts.total[order - 1] += count;
                counts.correct[order - 1] += count.min(most.get(gram).copied().unwrap_or(0));
            }
        }
        counts
    }

    /// The score from 0 to 100. An order without a match counts as half a match, the next one as a quarter, and so on.
    pub(crate) fn score(&self) -> f64 {
        if self.correct.iter().all(|count| *count == 0) {
            return 0.0;
        }
        let mut smoothing = 1.0;
        let mut logs = 0.0;
        for (&correct, &total) in self.correct.iter().zip(&self.total) {
            // A text that is shorter than an order has a precision of nothing, whose logarithm is taken as very small.
            let precision = match (correct, total) {
                (_, 0) => 0.0,
                (0, total) => {
                    smoothing *= 2.0;
                    100.0 / (smoothing * total as f64)
                }
                (correct, total) => 100.0 * correct as f64 / total as f64,
            };
            logs += if precision == 0.0 {
                -9_999_999_999.0
            } else {
                precision.ln()
            };
        }
        self.brevity() * (logs / ORDER as f64).exp()
    }

    fn brevity(&self) -> f64 {
        if self.output >= self.reference {
            1.0
        } else if self.output == 0 {
            0.0
        } else {
            (1.0 - self.reference as f64 / self.output as f64).exp()
        }
    }
}

/// BLEU from 0 to 100 over a corpus of references and outputs, one reference each.
///
/// ```
/// use finetune_eval::metric::{Words, bleu};
///
/// let score = bleu(&[("the cat sat on the mat", "the cat sat on a mat")], Words::Mteval);
/// assert!((score - 53.7285).abs() < 1e-4);
/// ```
pub fn bleu(pairs: &[(&str, &str)], words: Words) -> f64 {
    let counts = pairs
        .iter()
        .map(|(reference, output)| BleuCounts::of(&[reference], output, words));
    counts.sum::<BleuCounts>().score()
}

/// The length that is nearest, the shorter of equally near ones.
fn closest(length: usize, lengths: impl Iterator<Item = usize>) -> usize {
    lengths
        .min_by_key(|other| (other.abs_diff(length), *other))
        .unwrap_or(0)
}

fn grams(tokens: &[String], order: usize) -> HashMap<&[String], usize> {
    let mut counts = HashMap::new();
    for gram in tokens.windows(order) {
        *counts.entry(gram).or_default() += 1;
    }
    counts
}

type Steps = Vec<(Regex, &'static str)>;

fn steps(patterns: &[(&str, &'static str)]) -> Steps {
    let compile = |pattern: &str| {
        Regex::new(pattern).expect("the pattern is a constant that a test compiles")
    };
    patterns
        .iter()
        .map(|(pattern, by)| (compile(pattern), *by))
        .collect()
}

fn apply(steps: &Steps, text: &str) -> Vec<String> {
    let text = steps.iter().fold(text.to_owned(), |text, (pattern, by)| {
        pattern.replace_all(&text, *by).into_owned()
    });
    words(&text).map(str::to_owned).collect()
}

fn tokens_13a(text: &str) -> Vec<String> {
    static STEPS: LazyLock<Steps> = LazyLock::new(|| {
        steps(&[
            (r"([\{-~\[-` -&\(-\+:-@/])", " $1 "),
            (r"([^0-9])([\.,])", "$1 $2 "),
            (r"([\.,])([^0-9])", " $1 $2"),
            (r"([0-9])(-)", "$1 $2 "),
        ])
    });
    let mut text = text
        .replace("<skipped>", "")
        .replace("-\n", "")
        .replace('\n', " ");
    for (entity, character) in [
        ("&quot;", "\""),
        ("&amp;", "&"),
        ("&lt;", "<"),
        ("&gt;", ">"),
    ] {
        text = text.replace(entity, character);
    }
    apply(&STEPS, &format!(" {text} "))
}

fn tokens_intl(text: &str) -> Vec<String> {
    static STEPS: LazyLock<Steps> = LazyLock::new(|| {
        steps(&[
            (r"(\P{N})(\p{P})", "$1 $2 "),
            (r"(\p{P})(\P{N})", " $1 $2"),
            (r"(\p{S})", " $1 "),
        ])
    });
    apply(&STEPS, text)
}
