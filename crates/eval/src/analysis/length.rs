//! Outputs that are too long or too short against the reference.

use serde::{Deserialize, Serialize};

use super::{Finding, Rule};
use crate::{Outcome, text::chunks};

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
        let Some(expected) = outcome.references.iter().map(|text| count(text)).max() else {
            return Vec::new();
        };
        let found = chunks(&outcome.output);
        let limit = expected as f64 * self.ratio;
        if found.len() as f64 <= limit || found.len() < expected + self.words {
            return Vec::new();
        }
        let excess = found[limit as usize].start..outcome.output.trim_end().len();
        vec![Finding::at("length", excess, detail(found.len(), expected))]
    }
}

/// Fewer words than `ratio` times the shortest reference, and at least `words` words fewer than it. An empty output is
/// not short but [empty](super::Empty).
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
        let Some(expected) = outcome.references.iter().map(|text| count(text)).min() else {
            return Vec::new();
        };
        let found = count(&outcome.output);
        let short = (found as f64) < expected as f64 * self.ratio && found + self.words <= expected;
        if found == 0 || !short {
            Vec::new()
        } else {
            vec![Finding::whole("length", detail(found, expected))]
        }
    }
}

fn count(text: &str) -> usize {
    text.split_whitespace().count()
}

fn detail(found: usize, expected: usize) -> String {
    format!("{found} words, the reference has {expected}")
}
