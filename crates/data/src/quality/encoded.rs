//! What encoding will do to rows: which are cut, which never end, and which spell control tokens.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::sample::readable;
use crate::document::Origin;
use crate::encode::{EncodeReport, Encoded, Encoder};
use crate::error::DataError;
use crate::example::Conversation;

/// What encoding did to one conversation, under the encoder's own length and policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedRow {
    /// The counts of this row; `longest` is its length in tokens before anything was cut.
    pub report: EncodeReport,
    /// Whether an answer is learned, but none of the tokens at which generation stops is learned after it. The model
    /// learns to go on for ever.
    pub endless: bool,
    /// Why the row cannot be encoded, if it cannot.
    pub fault: Option<String>,
}

impl EncodedRow {
    /// Whether the row is longer than the encoder allows, and so is cut, dropped or refused.
    pub fn truncated(&self) -> bool {
        self.report.cut > 0 || self.report.too_long > 0
    }

    /// Encodes conversations one by one, so that the fault of one says nothing of the others: in parallel, in the order
    /// in which they came.
    pub fn of_all(encoder: &Encoder, conversations: &[Conversation]) -> Vec<Self> {
        let stops = encoder.stops();
        let rows = conversations.par_iter();
        rows.map(|conversation| Self::of(encoder, &stops, conversation))
            .collect()
    }

    fn of(encoder: &Encoder, stops: &[u32], conversation: &Conversation) -> Self {
        let mut checked = Self {
            report: EncodeReport {
                rows: 1,
                ..EncodeReport::default()
            },
            endless: false,
            fault: None,
        };
        match encoder.encode_all(std::slice::from_ref(conversation)) {
            Ok((rows, report)) => {
                checked.endless = rows.iter().any(|row| endless(&row.encoded, stops));
                checked.report = report;
            }
            Err(DataError::TooManyTokens { found, .. }) => {
                checked.report.too_long = 1;
                checked.report.longest = found as u64;
            }
            Err(error) => {
                checked.report.untrainable = 1;
                checked.fault = Some(error.to_string());
            }
        }
        checked
    }
}

/// Whether the last stretch of learned tokens has none at which generation stops.
fn endless(row: &Encoded, stops: &[u32]) -> bool {
    let Some(last) = row.learn.iter().rposition(|&learn| learn) else {
        return false;
    };
    let first = row.learn[..last].iter().rposition(|&learn| !learn);
    let answer = first.map_or(0, |before| before + 1)..=last;
    !row.ids[answer].iter().any(|id| stops.contains(id))
}

/// A row as the model sees it: the text of each token, and whether it is learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownRow {
    /// Where it comes from.
    pub origin: Origin,
    /// The tokens in order: text, and whether it is learned.
    pub tokens: Vec<(String, bool)>,
    /// How many more tokens the row has.
    pub left_out: u64,
}

impl ShownRow {
    /// The tokens of a conversation, at most so many; `None` if it gives no row.
    pub fn of(encoder: &Encoder, conversation: &Conversation, most: usize) -> Option<Self> {
        let (rows, _) = encoder
            .encode_all(std::slice::from_ref(conversation))
            .ok()?;
        let row = rows.into_iter().next()?;
        Some(Self {
            tokens: encoder.show(&row.encoded).take(most).collect(),
            left_out: row.encoded.ids.len().saturating_sub(most) as u64,
            origin: readable(&row.origin),
        })
    }
}
