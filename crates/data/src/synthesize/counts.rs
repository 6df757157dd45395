//! What became of every prompt.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::ask::Usage;
use crate::load::Reason;

/// What became of the prompts of one run. Nothing is lost: `prompts = answered + cached + failed`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Counts {
    /// Prompts to be asked: documents × seeds × draws.
    pub prompts: u64,
    /// Prompts with a valid answer of this run.
    pub answered: u64,
    /// Prompts whose valid answer was in the cache already.
    pub cached: u64,
    /// Prompts without a valid answer, by reason, with the message of the first.
    pub failed: BTreeMap<&'static str, Reason>,
    /// Documents made.
    pub documents: u64,
    /// Requests sent, repetitions among them.
    pub requests: u64,
    /// Answers of this run that did not have the form asked for, by reason.
    pub invalid: BTreeMap<&'static str, Reason>,
    /// Tokens taken by this run. Where a service does not say how many, the most that it can be.
    pub usage: Usage,
    /// What they cost by the budget's price.
    pub cost: f64,
}

impl Counts {
    /// Whether every prompt is accounted for.
    pub fn balanced(&self) -> bool {
        self.prompts == self.answered + self.cached + self.failures()
    }

    /// Prompts without a valid answer.
    pub fn failures(&self) -> u64 {
        self.failed.values().map(|reason| reason.count).sum()
    }
}

/// Adds one to the count of a reason.
pub(super) fn blame(
    reasons: &mut BTreeMap<&'static str, Reason>,
    reason: &'static str,
    message: &str,
) {
    let known = reasons.entry(reason).or_insert_with(|| Reason {
        count: 0,
        first: message.to_owned(),
    });
    known.count += 1;
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} documents from {} prompts: {} answered, {} cached, {} failed; {} requests, {} + {} tokens",
            self.documents,
            self.prompts,
            self.answered,
            self.cached,
            self.failures(),
            self.requests,
            self.usage.prompt,
            self.usage.completion
        )?;
        if self.cost > 0.0 {
            write!(f, ", cost {:.4}", self.cost)?;
        }
        for (title, reasons) in [("failed", &self.failed), ("invalid", &self.invalid)] {
            for (reason, Reason { count, first }) in reasons {
                write!(f, "\n  {title}: {count} {reason}, first: {first}")?;
            }
        }
        Ok(())
    }
}
