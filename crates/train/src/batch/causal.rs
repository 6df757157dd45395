//! Batches for causal language models.

use std::borrow::Cow;

use burn::tensor::Device;
use finetune_data::Origin;
use finetune_data::encode::Row;
use finetune_data::pack::pack;
use finetune_model::{Side, Targets, Tokens};

use super::order;
use super::rows::{self, Specials};
use super::store::Rows;
use super::{Batch, Batches};
use crate::config::BatchConfig;
use crate::error::Result;

/// Rows of tokens, each with one document or several that do not see each other, and what is to be predicted in them.
#[derive(Clone, Debug)]
pub struct CausalBatch {
    /// The tokens, padded on the right by place.
    pub tokens: Tokens,
    /// The learned tokens, each at the place of the token before it. The first token of a document is never one.
    pub targets: Targets,
    /// Where the documents come from, in the order of the rows.
    pub origins: Vec<Origin>,
    /// Tokens without padding.
    pub count: usize,
}

impl Batch for CausalBatch {
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

impl CausalBatch {
    /// A batch of rows.
    ///
    /// # Arguments
    ///
    /// - `rows`: for each row its documents
    /// - `side`: where the padding goes; training pads on the right
    /// - `pad`: the id that fills it
    ///
    /// # Errors
    ///
    /// When a row is empty.
    pub fn new(rows: &[Vec<&Row>], side: Side, pad: u32, device: &Device) -> Result<Self> {
        let ids: Vec<Vec<Vec<u32>>> = rows
            .iter()
            .map(|row| {
                row.iter()
                    .map(|document| document.encoded.ids.clone())
                    .collect()
            })
            .collect();
        let tokens = Tokens::new(&ids, None, side, pad, device)?;
        let length = tokens.length() as u32;
        let mut targets = Targets::default();
        for (number, (row, spans)) in rows.iter().zip(tokens.spans.iter()).enumerate() {
            let start = number as u32 * length;
            for (document, span) in row.iter().zip(spans) {
                for place in rows::targets(&document.encoded) {
                    targets.places.push(start + span.start + place as u32 - 1);
                    targets.ids.push(document.encoded.ids[place]);
                }
            }
        }
        Ok(Self {
            tokens,
            targets,
            origins: rows
                .iter()
                .flatten()
                .map(|row| row.origin.clone())
                .collect(),
            count: ids.iter().flatten().map(Vec::len).sum(),
        })
    }
}

/// Encoded rows as batches: padded on the right, or packed, in an order that (seed, epoch) fixes.
///
/// Rows on disk are read when their batch comes; what is held of each is its length and its place, some 50 bytes.
#[derive(Clone, Debug)]
pub struct CausalBatches {
    rows: Rows,
    /// Which documents share a row.
    bins: Vec<Vec<usize>>,
    lengths: Vec<usize>,
    config: BatchConfig,
    seed: u64,
    specials: Specials,
    device: Device,
}

impl CausalBatches {
    /// Checks the rows and packs them, if the configuration says so.
    ///
    /// # Arguments
    ///
    /// - `rows`: documents, at most `config.length` tokens each: in memory (`Vec<Row>`), or on disk
    ///   ([`Shards`](finetune_data::shard::Shards))
    /// - `seed`: fixes the order; usually [`TrainConfig::seed`](crate::TrainConfig::seed)
    /// - `specials`: ids with a meaning, usually those of the [`Encoder`](finetune_data::encode::Encoder) that made the
    ///   rows (`&encoder`); a stop token must be learned somewhere
    /// - `device`: where the batches go
    ///
    /// # Errors
    ///
    /// When there are no rows, or rows that would waste the run: without a learned token, longer than the batches,
    /// begun by two begin-of-text tokens, or none that learns a stop token.
    pub fn new(
        rows: impl Into<Rows>,
        config: &BatchConfig,
        seed: u64,
        specials: impl Into<Specials>,
        device: &Device,
    ) -> Result<Self> {
        let (rows, specials) = (rows.into(), specials.into());
        rows::check(rows.iter(), config.length, &specials)?;
        Ok(Self::unchecked(rows, config, seed, specials, device))
    }

    /// Rows to validate on: in order, whatever the configuration says, and free to have no stop token.
    ///
    /// # Errors
    ///
    /// As [`CausalBatches::new`], but for the stop token.
    pub fn validation(
        rows: impl Into<Rows>,
        config: &BatchConfig,
        specials: impl Into<Specials>,
        device: &Device,
    ) -> Result<Self> {
        let (rows, mut specials) = (rows.into(), specials.into());
        specials.stop.clear();
        rows::check(rows.iter(), config.length, &specials)?;
        let config = config.in_order();
        Ok(Self::unchecked(rows, &config, 0, specials, device))
    }

    fn unchecked(
        rows: Rows,
        config: &BatchConfig,
        seed: u64,
        specials: Specials,
        device: &Device,
    ) -> Self {
        let tokens = rows.lengths();
        let bins = if config.pack {
            pack(&tokens, config.length)
        } else {
            (0..rows.len()).map(|row| vec![row]).collect()
        };
        let lengths = bins
            .iter()
            .map(|bin| bin.iter().map(|row| tokens[*row]).sum())
            .collect();
        Self {
            rows,
            bins,
            lengths,
            config: config.clone(),
            seed,
            specials,
            // The ids of a batch are constants: they need no autodiff, and a validation has none.
            device: device.clone().without_autodiff(),
        }
    }

    /// The documents.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// Tokens of an epoch, without padding.
    pub fn tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// Targets of an epoch.
    pub fn targets(&self) -> usize {
        self.rows
            .iter()
            .map(|row| rows::targets(&row.encoded).count())
            .sum()
    }

    fn batch(&self, bins: &[usize]) -> Result<CausalBatch> {
        let rows: Vec<Vec<Cow<Row>>> = bins
            .iter()
            .map(|bin| {
                self.bins[*bin]
                    .iter()
                    .map(|row| self.rows.get(*row))
                    .collect()
            })
            .collect();
        let rows: Vec<Vec<&Row>> = rows
            .iter()
            .map(|row| row.iter().map(AsRef::as_ref).collect())
            .collect();
        CausalBatch::new(&rows, Side::Right, self.specials.pad, &self.device)
    }
}

impl Batches<CausalBatch> for CausalBatches {
    fn per_epoch(&self, _epoch: u64) -> u64 {
        self.bins.len().div_ceil(self.config.rows) as u64
    }

    fn epoch(&self, epoch: u64, from: u64) -> Box<dyn Iterator<Item = Result<CausalBatch>> + '_> {
        let rest = order::epoch(&self.config, self.seed, &self.lengths, epoch, from);
        Box::new(rest.map(|bins| self.batch(&bins)))
    }

    fn fingerprint(&self) -> String {
        rows::fingerprint(&self.config, self.seed, |hash| {
            for row in self.rows.iter() {
                rows::digest(hash, &row.encoded);
            }
        })
    }
}
