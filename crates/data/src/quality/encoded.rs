//! What encoding will do to rows: which are cut, which never end, and which spell control tokens.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::any::AnyExample;
use super::sample::{excerpt, readable};
use super::sensitive::Sensitive;
use crate::document::Origin;
use crate::encode::{EncodeReport, Encoded, Encoder};
use crate::error::{DataError, Result};
use crate::example::{Conversation, Labeled};
use crate::template::Piece;

/// What encoding did to one example, under the encoder's own length and policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EncodedRow {
    /// The counts of this row; `longest` is its length in tokens before anything was cut. A preference counts as two
    /// rows, one for each answer.
    pub report: EncodeReport,
    /// Whether an answer is learned, but none of the tokens at which generation stops is learned after it. The model
    /// learns to go on for ever.
    pub endless: bool,
    /// Why the row cannot be encoded, if it cannot.
    pub fault: Option<String>,
}

impl EncodedRow {
    /// Whether the row is longer than the encoder allows, and so is cut, dropped or refused. A plain text is cut into
    /// blocks, and loses nothing.
    pub fn truncated(&self) -> bool {
        self.report.cut > 0 || self.report.too_long > 0
    }

    /// Encodes examples one by one, so that the fault of one says nothing of the others: in parallel, in the order in
    /// which they came.
    pub fn of_all(encoder: &Encoder, examples: &[AnyExample]) -> Vec<Self> {
        let stops = encoder.stops();
        let rows = examples.par_iter();
        rows.map(|example| Self::of(encoder, &stops, example))
            .collect()
    }

    pub(crate) fn of(encoder: &Encoder, stops: &[u32], example: &AnyExample) -> Self {
        let encoded = match example {
            AnyExample::Chat(chat) => chats(encoder, stops, std::slice::from_ref(chat)),
            AnyExample::Preference(pair) => chats(encoder, stops, &pair.conversations()),
            AnyExample::Label(labeled) => label(encoder, labeled).map(|report| (report, false)),
            AnyExample::Text(text) => encoder
                .text(std::slice::from_ref(text))
                .map(|(_, report)| (report, false)),
        };
        let mut checked = Self {
            report: EncodeReport {
                rows: 1,
                ..EncodeReport::default()
            },
            endless: false,
            fault: None,
        };
        match encoded {
            Ok((report, endless)) => {
                checked.report = report;
                checked.endless = endless;
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

fn chats(
    encoder: &Encoder,
    stops: &[u32],
    conversations: &[Conversation],
) -> Result<(EncodeReport, bool)> {
    let (rows, report) = encoder.encode_all(conversations)?;
    let endless = rows.iter().any(|row| endless(&row.encoded, stops));
    Ok((report, endless))
}

/// The counts of a labelled text. Nothing of it is learned, token by token.
fn label(encoder: &Encoder, example: &Labeled) -> Result<EncodeReport> {
    let fits = encoder.labeled(example)?.ids.len();
    let tokenizer = encoder.tokenizer();
    let whole = tokenizer.encode_pair(&example.text, example.pair.as_deref(), None)?;
    let texts = [Some(&example.text), example.pair.as_ref()];
    let texts = texts
        .into_iter()
        .flatten()
        .map(|text| Piece::text(text.as_str()));
    let spelt = tokenizer.count_pieces(&texts.collect::<Vec<_>>())?.hits;
    let whole = whole.ids.len();
    Ok(EncodeReport {
        rows: 1,
        kept: 1,
        cut: u64::from(whole > fits),
        cut_tokens: (whole - fits) as u64,
        tokens: fits as u64,
        longest: whole as u64,
        spelt_controls: spelt as u64,
        ..EncodeReport::default()
    })
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

/// A row as the model sees it: the text of each token, and whether it is learned. Personal data and secrets of the row
/// are masked before it is encoded. Tokens that are parts of one character are shown as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownRow {
    /// Where it comes from.
    pub origin: Origin,
    /// What is to be known besides: the label of a text, or which of two answers it is.
    pub note: String,
    /// The tokens in order: text, and whether it is learned.
    pub tokens: Vec<(String, bool)>,
    /// How many more tokens the row has.
    pub left_out: u64,
}

impl ShownRow {
    /// The tokens of an example, at most so many: two rows for a preference, the first block of a plain text, and
    /// nothing if the example gives no row.
    pub fn of(encoder: &Encoder, example: &AnyExample, most: usize) -> Vec<Self> {
        let masks = Sensitive::default();
        let mut example = example.clone();
        masks.mask_example(&mut example);
        let chat = |chat: &Conversation| {
            let rows = encoder.encode_all(std::slice::from_ref(chat)).ok()?.0;
            rows.into_iter().next()
        };
        let encoded: Vec<(String, Option<Encoded>)> = match &example {
            AnyExample::Chat(one) => vec![(String::new(), chat(one).map(|row| row.encoded))],
            AnyExample::Preference(pair) => ["chosen", "rejected"]
                .into_iter()
                .zip(pair.conversations())
                .map(|(note, one)| (note.to_owned(), chat(&one).map(|row| row.encoded)))
                .collect(),
            AnyExample::Label(labeled) => {
                let label = excerpt(&labeled.label.to_string(), &masks);
                vec![(format!("label {label}"), encoder.labeled(labeled).ok())]
            }
            AnyExample::Text(text) => {
                let rows = encoder.text(std::slice::from_ref(text)).ok();
                let first = rows.and_then(|(rows, _)| rows.into_iter().next());
                vec![(String::new(), first.map(|row| row.encoded))]
            }
        };
        let shown = encoded.into_iter().filter_map(|(note, encoded)| {
            let (tokens, count) = tokens(encoder, encoded.as_ref()?, most);
            Some(Self {
                left_out: (encoded?.ids.len() - count) as u64,
                origin: readable(example.origin()),
                tokens,
                note,
            })
        });
        shown.collect()
    }

    /// Runs of tokens of which all are learned, or none.
    pub(super) fn runs(&self) -> Vec<(String, bool)> {
        let mut runs: Vec<(String, bool)> = Vec::new();
        for (text, learned) in &self.tokens {
            match runs.last_mut() {
                Some((run, same)) if same == learned => run.push_str(text),
                _ => runs.push((text.clone(), *learned)),
            }
        }
        runs
    }
}

/// The first tokens, at most so many, and how many they are.
fn tokens(encoder: &Encoder, row: &Encoded, most: usize) -> (Vec<(String, bool)>, usize) {
    /// What stands for a part of a character.
    const PART: char = '\u{fffd}';
    /// The most bytes of a character, each of which can be a token.
    const PARTS: usize = 4;
    let end = row.ids.len().min(most);
    let (mut tokens, mut index) = (Vec::with_capacity(end), 0);
    while index < end {
        let (mut text, learned) = (
            encoder.tokenizer().text_at(&row.ids, index),
            row.learn[index],
        );
        let mut next = index + 1;
        if text.contains(PART) {
            let whole = (next + 1..=end.min(index + PARTS)).find_map(|after| {
                let same = row.learn[index..after]
                    .iter()
                    .all(|&learn| learn == learned);
                let text = encoder.tokenizer().decode_all(&row.ids[index..after]);
                let text = text.ok().filter(|text| same && !text.contains(PART))?;
                Some((text, after))
            });
            if let Some((whole, after)) = whole {
                (text, next) = (whole, after);
            }
        }
        tokens.push((text, learned));
        index = next;
    }
    (tokens, end)
}
