//! Outputs that are too long or too short against the reference.

use serde::{Deserialize, Serialize};

use super::{Finding, Rule, content::answers, prose::units};
use crate::{Finish, Outcome};

/// More words than `ratio` times the longest reference, and at least `words` words more than it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TooLong {
    /// The factor over the longest reference; 2 by default.
    pub ratio: f64,
    /// The least excess in words, so that short references are not judged by a word or two; 8 by default.
    pub words: usize,
}

impl Default for TooLong {
    fn default() -> Self {
        Self {
            ratio: 2.0,
            words: 8,
        }
    }
}

impl Rule for TooLong {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        if outcome.references.is_empty() {
            return Vec::new();
        }
        let expected = longest(outcome);
        let found = units(&outcome.output);
        let limit = expected as f64 * self.ratio;
        if found.len() as f64 <= limit || found.len() < expected + self.words {
            return Vec::new();
        }
        let excess = found[limit as usize].start..outcome.output.trim_end().len();
        let ended = match outcome.finished {
            Some(Finish::Length) => ", and the limit of tokens ended it",
            Some(Finish::Stop) => ", and the model ended it",
            None => "",
        };
        let detail = format!("{}{ended}", detail(found.len(), expected));
        vec![Finding::at("length", excess, detail)]
    }
}

/// Fewer words than `ratio` times the shortest reference, and at least `words` words fewer than it, of the model's own
/// accord: an output at the limit of tokens is not short but [cut off](super::CutOff), and an empty one is
/// [empty](super::Empty). An answer that has all that the reference adds to the question is not too short, however
/// much the reference says around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TooShort {
    /// The factor under the shortest reference; 0.5 by default.
    pub ratio: f64,
    /// The least shortfall in words; 4 by default.
    pub words: usize,
}

impl Default for TooShort {
    fn default() -> Self {
        Self {
            ratio: 0.5,
            words: 4,
        }
    }
}

impl Rule for TooShort {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let lengths = outcome.references.iter().map(|text| units(text).len());
        let Some(expected) = lengths.min() else {
            return Vec::new();
        };
        let found = units(&outcome.output).len();
        let short = (found as f64) < expected as f64 * self.ratio && found + self.words <= expected;
        if found == 0 || !short || outcome.finished == Some(Finish::Length) || answers(outcome) {
            Vec::new()
        } else {
            vec![Finding::whole("length", detail(found, expected))]
        }
    }
}

/// The words of the longest reference; 0 without references.
pub(super) fn longest(outcome: &Outcome) -> usize {
    let lengths = outcome.references.iter().map(|text| units(text).len());
    lengths.max().unwrap_or(0)
}

fn detail(found: usize, expected: usize) -> String {
    format!("{found} words, the reference has {expected}")
}
