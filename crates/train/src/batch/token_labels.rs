//! Batches in which tokens have labels.

use burn::tensor::Device;
use finetune_data::Origin;
use finetune_data::encode::Row;
use finetune_model::{Targets, Tokens};
use sha2::Digest;

use super::{Batch, Batches};
use super::{order, read, rows};
use crate::config::BatchConfig;
use crate::error::{Result, SHOWN, TrainError};

/// Rows of tokens, some of which have a label: a class, or 1 where a token was replaced, or the hidden token itself.
#[derive(Clone, Debug)]
pub struct TokenLabelBatch {
    /// The tokens, padded on the right by place.
    pub tokens: Tokens,
    /// The labels, each at the place of its token.
    pub targets: Targets,
    /// Where the rows come from.
    pub origins: Vec<Origin>,
    /// Tokens without padding.
    pub count: usize,
}

impl Batch for TokenLabelBatch {
    fn targets(&self) -> usize {
        self.targets.len()
    }

    fn tokens(&self) -> usize {
        self.count
    }

    fn origins(&self) -> Vec<Origin> {
        self.origins.clone()
    }
}

/// A row with a label for each of its tokens; `None` where nothing is learned, as on special tokens and on all but the
/// first token of a word ([`Tokenizer::encode_words`](finetune_data::tokenizer::Tokenizer::encode_words) tells which).
pub type LabeledTokens = (Row, Vec<Option<u32>>);

/// Encoded rows whose tokens have labels as batches, in an order that (seed, epoch) fixes. Rows are not packed.
#[derive(Clone, Debug)]
pub struct TokenLabelBatches {
    rows: Vec<LabeledTokens>,
    config: BatchConfig,
    seed: u64,
    pad: u32,
    device: Device,
}

impl TokenLabelBatches {
    /// # Arguments
    ///
    /// - `classes`: how many labels there are; every label is below
    /// - `seed`: fixes the order
    /// - `pad`: the id behind a row
    ///
    /// # Errors
    ///
    /// When there are no rows, a row is too long or has no label, the labels are not as many as its tokens, or a label
    /// is no class.
    pub fn new(
        rows: Vec<LabeledTokens>,
        classes: usize,
        config: &BatchConfig,
        seed: u64,
        pad: u32,
        device: &Device,
    ) -> Result<Self> {
        if rows.is_empty() {
            return Err(TrainError::NoRows);
        }
        for (row, labels) in &rows {
            rows::check_size(row, config.length)?;
            check(row, labels, classes)?;
        }
        let without = |(_, labels): &&LabeledTokens| labels.iter().all(Option::is_none);
        let origins: Vec<Origin> = rows
            .iter()
            .filter(without)
            .map(|(row, _)| row.origin.clone())
            .collect();
        if !origins.is_empty() {
            return Err(TrainError::NoLabels {
                count: origins.len(),
                origins: origins.into_iter().take(SHOWN).collect(),
            });
        }
        Ok(Self {
            rows,
            config: config.clone(),
            seed,
            pad,
            device: device.clone().without_autodiff(),
        })
    }

    /// The same rows in order, to validate on.
    pub fn in_order(mut self) -> Self {
        self.config = self.config.in_order();
        self
    }

    /// The rows with their labels.
    pub fn rows(&self) -> &[LabeledTokens] {
        &self.rows
    }

    fn batch(&self, numbers: &[usize]) -> Result<TokenLabelBatch> {
        let rows: Vec<&Row> = numbers.iter().map(|row| &self.rows[*row].0).collect();
        let tokens = read::padded(&rows, self.pad, &self.device)?;
        let length = tokens.length();
        let mut targets = Targets::default();
        for (number, row) in numbers.iter().enumerate() {
            for (place, label) in self.rows[*row].1.iter().enumerate() {
                if let Some(label) = label {
                    targets.places.push((number * length + place) as u32);
                    targets.ids.push(*label);
                }
            }
        }
        Ok(TokenLabelBatch {
            tokens: read::with_kinds(tokens, &rows)?,
            targets,
            origins: rows.iter().map(|row| row.origin.clone()).collect(),
            count: rows.iter().map(|row| row.encoded.ids.len()).sum(),
        })
    }
}

impl Batches<TokenLabelBatch> for TokenLabelBatches {
    fn per_epoch(&self, _epoch: u64) -> u64 {
        self.rows.len().div_ceil(self.config.rows) as u64
    }

    fn epoch(
        &self,
        epoch: u64,
        from: u64,
    ) -> Box<dyn Iterator<Item = Result<TokenLabelBatch>> + '_> {
        let lengths: Vec<usize> = self
            .rows
            .iter()
            .map(|(row, _)| row.encoded.ids.len())
            .collect();
        let rest = order::epoch(&self.config, self.seed, &lengths, epoch, from);
        Box::new(rest.map(|rows| self.batch(&rows)))
    }

    fn fingerprint(&self) -> String {
        rows::fingerprint(&self.config, self.seed, |hash| {
            for (row, labels) in &self.rows {
                rows::digest(hash, &row.encoded);
                hash.update(format!("{labels:?}"));
            }
        })
    }
}

fn check(row: &Row, labels: &[Option<u32>], classes: usize) -> Result<()> {
    let wrong = |found: String, expected: String| TrainError::LabelInvalid {
        origin: row.origin.clone(),
        found,
        expected,
    };
    let tokens = row.encoded.ids.len();
    if labels.len() != tokens {
        let found = format!("list of {}", labels.len());
        return Err(wrong(found, format!("one for each of {tokens} tokens")));
    }
    let unknown = |label: &&u32| **label as usize >= classes;
    match labels.iter().flatten().find(unknown) {
        None => Ok(()),
        Some(label) => Err(wrong(label.to_string(), format!("one below {classes}"))),
    }
}
