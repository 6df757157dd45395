//! Batches for models with an encoder and a decoder.

use burn::tensor::Device;
use finetune_data::Origin;
use finetune_data::encode::{AnsweredRow, Encoded, Row};
use finetune_model::{Side, Targets, Tokens};

use super::rows::{self, Specials};
use super::{Batch, Batches, CausalBatch};
use super::{order, read};
use crate::config::BatchConfig;
use crate::error::Result;

/// Texts, and what is to be made of them.
#[derive(Clone, Debug)]
pub struct AnswerBatch {
    /// What the encoder reads, one text in each row, padded on the right by place.
    pub source: Tokens,
    /// What the decoder reads: the start token and the answer, padded on the right by place.
    pub answer: Tokens,
    /// The answers' tokens, each at the place of the token before it.
    pub targets: Targets,
    /// Where the rows come from.
    pub origins: Vec<Origin>,
    /// Tokens without padding, of texts and answers.
    pub count: usize,
}

impl Batch for AnswerBatch {
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

/// Texts with their answers as batches, in an order that (seed, epoch) fixes. Rows are not packed.
#[derive(Clone, Debug)]
pub struct AnswerBatches {
    sources: Vec<Row>,
    /// The answers behind the start token.
    answers: Vec<Row>,
    config: BatchConfig,
    seed: u64,
    pad: u32,
    device: Device,
}

impl AnswerBatches {
    /// Checks the rows.
    ///
    /// # Arguments
    ///
    /// - `rows`: texts and answers of at most `config.length` tokens each, the start token not counted
    /// - `start`: the token that the decoder begins with
    /// - `seed`: fixes the order; usually [`TrainConfig::seed`](crate::TrainConfig::seed)
    /// - `specials`: ids with a meaning, usually those of the [`Encoder`](finetune_data::encode::Encoder) that made the
    ///   rows (`&encoder`); a stop token must be learned somewhere
    /// - `device`: where the batches go
    ///
    /// # Errors
    ///
    /// When there are no rows, or rows that would waste the run: an empty answer, a text or an answer longer than the
    /// batches, or no answer that learns a stop token.
    pub fn new(
        rows: Vec<AnsweredRow>,
        start: u32,
        config: &BatchConfig,
        seed: u64,
        specials: impl Into<Specials>,
        device: &Device,
    ) -> Result<Self> {
        let specials = specials.into();
        let (sources, answers): (Vec<Row>, Vec<Row>) =
            rows.into_iter().map(|row| parted(row, start)).unzip();
        for row in &sources {
            rows::check_size(row, config.length)?;
        }
        // An answer may begin with its own begin-of-text token behind the start token.
        let checked = Specials {
            bos: None,
            ..specials.clone()
        };
        rows::check(&answers, config.length.saturating_add(1), &checked)?;
        Ok(Self {
            sources,
            answers,
            config: config.clone(),
            seed,
            pad: specials.pad,
            device: device.clone().without_autodiff(),
        })
    }

    /// Rows to validate on: in order, whatever the configuration says, and free to have no stop token.
    ///
    /// # Errors
    ///
    /// As [`AnswerBatches::new`], but for the stop token.
    pub fn validation(
        rows: Vec<AnsweredRow>,
        start: u32,
        config: &BatchConfig,
        specials: impl Into<Specials>,
        device: &Device,
    ) -> Result<Self> {
        let mut specials = specials.into();
        specials.stop.clear();
        Self::new(rows, start, &config.in_order(), 0, specials, device)
    }

    fn batch(&self, numbers: &[usize]) -> Result<AnswerBatch> {
        let sources: Vec<&Row> = numbers.iter().map(|row| &self.sources[*row]).collect();
        let answers: Vec<Vec<&Row>> = numbers
            .iter()
            .map(|row| vec![&self.answers[*row]])
            .collect();
        // What a decoder reads and learns is what a causal model does.
        let answers = CausalBatch::new(&answers, Side::Right, self.pad, &self.device)?;
        Ok(AnswerBatch {
            source: read::padded(&sources, self.pad, &self.device)?,
            answer: answers.tokens,
            targets: answers.targets,
            origins: answers.origins,
            count: numbers.iter().map(|row| self.length(*row)).sum(),
        })
    }

    /// Tokens of a row, of text and answer.
    fn length(&self, row: usize) -> usize {
        self.sources[row].encoded.ids.len() + self.answers[row].encoded.ids.len()
    }
}

impl Batches<AnswerBatch> for AnswerBatches {
    fn per_epoch(&self, _epoch: u64) -> u64 {
        self.sources.len().div_ceil(self.config.rows) as u64
    }

    fn epoch(&self, epoch: u64, from: u64) -> Box<dyn Iterator<Item = Result<AnswerBatch>> + '_> {
        let lengths: Vec<usize> = (0..self.sources.len())
            .map(|row| self.length(row))
            .collect();
        let rest = order::epoch(&self.config, self.seed, &lengths, epoch, from);
        Box::new(rest.map(|rows| self.batch(&rows)))
    }

    fn fingerprint(&self) -> String {
        rows::fingerprint(&self.config, self.seed, |hash| {
            for (source, answer) in self.sources.iter().zip(&self.answers) {
                rows::digest(hash, &source.encoded);
                rows::digest(hash, &answer.encoded);
            }
        })
    }
}

/// What the encoder reads, and what the decoder reads.
fn parted(row: AnsweredRow, start: u32) -> (Row, Row) {
    let AnsweredRow {
        source,
        answer,
        origin,
    } = row;
    let answer = Encoded {
        ids: [vec![start], answer.ids].concat(),
        learn: [vec![false], answer.learn].concat(),
        kinds: [vec![0], answer.kinds].concat(),
    };
    let row = |encoded, origin| Row { encoded, origin };
    (row(source, origin.clone()), row(answer, origin))
}
