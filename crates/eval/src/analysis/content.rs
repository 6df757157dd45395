//! Wrong content, in bands of similarity to the reference.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Finding, Rule, ending::is_blank, english::is_function_word, prose::lowered};
use crate::{
    Outcome,
    metric::{Normalization, rouge_l, token_f1},
    text::chunks,
};

/// How near an output is to the nearest of its references, 0 to 1: the larger of token F1 and ROUGE-L, of the whole
/// output, of as many of its first words as the reference has (what is wrong with a right answer that goes on and on is
/// its length), or, of an output that is shorter than the reference and has all that this adds to the question, of what both add to
/// it (what is wrong with “Paris.” is not its content).
///
/// It sees words, not meaning: a right answer in other words is far, and a wrong number in the right sentence is near.
pub fn similarity(outcome: &Outcome) -> f64 {
    let words = chunks(&outcome.output);
    let near = |reference: &str, output: &str| {
        token_f1(reference, output, Normalization::default()).max(rouge_l(reference, output).f1)
    };
    let best = |reference: &String| {
        let expected = reference.split_whitespace().count();
        let whole = near(reference, &outcome.output);
        match expected.checked_sub(1).and_then(|last| words.get(last)) {
            Some(last) if words.len() > expected => {
                whole.max(near(reference, &outcome.output[..last.end]))
            }
            _ if whole < 1.0 && words.len() < expected => {
                let core = added(reference, &outcome.input);
                if core.is_empty() || core.len() > CORE {
                    return whole;
                }
                let output = added(&outcome.output, &outcome.input);
                if core.iter().all(|word| output.contains(word)) {
                    whole.max(near(&core.join(" "), &output.join(" ")))
                } else {
                    whole
                }
            }
            _ => whole,
        }
    };
    outcome.references.iter().map(best).fold(0.0, f64::max)
}

/// The most words of an answer that a sentence may be taken to be built around.
const CORE: usize = 5;

/// The words of an answer that the question does not have, without those that hold a sentence together.
fn added(text: &str, question: &str) -> Vec<String> {
    let asked: HashSet<String> = lowered(question)
        .into_iter()
        .map(|(_, word)| word)
        .collect();
    lowered(text)
        .into_iter()
        .map(|(_, word)| word)
        .filter(|word| !asked.contains(word) && !is_function_word(word))
        .collect()
}

/// Whether an output has every word that some reference adds to the question.
pub(super) fn answers(outcome: &Outcome) -> bool {
    let output: HashSet<String> = lowered(&outcome.output)
        .into_iter()
        .map(|(_, word)| word)
        .collect();
    outcome.references.iter().any(|reference| {
        let core = added(reference, &outcome.input);
        !core.is_empty() && core.iter().all(|word| output.contains(word))
    })
}

/// Outputs whose [`similarity`] lies in a band.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Similarity {
    /// The least similarity of the band; 0 by default.
    #[serde(default)]
    pub from: f64,
    /// The similarity below which the band ends.
    pub below: f64,
}

impl Rule for Similarity {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        self.find_at(outcome, similarity(outcome))
    }

    fn find_at(&self, outcome: &Outcome, similarity: f64) -> Vec<Finding> {
        let judged = !is_blank(&outcome.output) && !outcome.references.is_empty();
        if judged && (self.from..self.below).contains(&similarity) {
            let detail = format!("similarity {similarity:.2}");
            vec![Finding::whole("similarity", detail)]
        } else {
            Vec::new()
        }
    }
}
