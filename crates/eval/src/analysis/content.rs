//! Wrong content, in bands of similarity to the reference.

use serde::{Deserialize, Serialize};

use super::{Finding, Rule};
use crate::{
    Outcome,
    metric::{Normalization, rouge_l, token_f1},
    text::chunks,
};

/// How near an output is to the nearest of its references: the larger of token F1 and ROUGE-L, 0 to 1, of the whole
/// output or of as many of its first words as the reference has. So a right answer that goes on and on is near: what is
/// wrong with it is its length.
///
/// It sees words, not meaning: a right answer in other words is far, and a wrong number in the right sentence is near.
pub fn similarity(outcome: &Outcome) -> f64 {
    let words = chunks(&outcome.output);
    let near = |reference: &String, output: &str| {
        token_f1(reference, output, Normalization::default()).max(rouge_l(reference, output).f1)
    };
    let best = |reference: &String| {
        let expected = reference.split_whitespace().count();
        let whole = near(reference, &outcome.output);
        match expected.checked_sub(1).and_then(|last| words.get(last)) {
            Some(last) if words.len() > expected => {
                whole.max(near(reference, &outcome.output[..last.end]))
            }
            _ => whole,
        }
    };
    outcome.references.iter().map(best).fold(0.0, f64::max)
}

/// The borders of the similarity bands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Content {
    /// Below it the content is wrong; 0.4 by default.
    pub partly: f64,
    /// Below it the content is partly right; 0.7 by default.
    pub right: f64,
}

impl Default for Content {
    fn default() -> Self {
        Self {
            partly: 0.4,
            right: 0.7,
        }
    }
}

impl Content {
    /// The rule for outputs whose similarity lies below `high`.
    pub fn wrong(high: f64) -> impl Rule {
        Self::between(f64::NEG_INFINITY, high)
    }

    /// The rule for outputs whose similarity lies in `low..high`.
    pub fn between(low: f64, high: f64) -> impl Rule {
        move |outcome: &Outcome| {
            if outcome.output.trim().is_empty() || outcome.references.is_empty() {
                return Vec::new();
            }
            let near = similarity(outcome);
            if (low..high).contains(&near) {
                vec![Finding::whole(
                    "similarity",
                    format!("similarity {near:.2}"),
                )]
            } else {
                Vec::new()
            }
        }
    }
}
