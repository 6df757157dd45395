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
        let end = outcome.output.trim_end().len();
        let start = outcome.output[..end]
            .rfind(char::is_whitespace)
            .map_or(0, |at| at + 1);
        // `rfind` gives the first byte of the whitespace, which may be longer than one byte.
        let start = (start..end)
            .find(|&at| outcome.output.is_char_boundary(at))
            .unwrap_or(end);
        vec![Finding::at(
            "no end",
            start..end,
            "it ran into the limit of tokens",
        )]
    }
}
