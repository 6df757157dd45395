//! Outputs that are empty, and outputs that were cut off.

use super::{Finding, Rule};
use crate::{Finish, Outcome};

/// Nothing but whitespace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl Rule for Empty {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        if outcome.output.trim().is_empty() {
            vec![Finding::whole("empty", "no text")]
        } else {
            Vec::new()
        }
    }
}

/// Generation ran into the limit of tokens: the model did not end its answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct CutOff;

impl Rule for CutOff {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        if outcome.finished != Some(Finish::Length) {
            return Vec::new();
        }
        vec![Finding::whole("no end", "it ran into the limit of tokens")]
    }
}
