//! Fine-tuning as a program does it: settings from a file, rows and batches from what they name, and the run.
//!
//! [`Tuning`] trains a causal model or one with an encoder (T5), whole or with an adapter. [`curve`] trains it on growing
//! parts of the data.

pub mod curve;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;

use crate::data::Conversation;
use crate::data::encode::Encoder;
use crate::data::shard::{EXTENSION, Shards};
use crate::data::split::Parts;
use crate::data::template::Plain;
use crate::data::tokenizer::Tokenizer;
use crate::model::checkpoint::Checkpoint;
use crate::model::{Network, Seq2Seq, lora};
use crate::program::{self, Failure};
use crate::train::batch::{AnswerBatches, CausalBatches, Rows};
use crate::train::objective::NextToken;
use crate::train::{Batch, Batches, Objective, Summary, Trainer};

use settings::split;
pub use settings::{Settings, Validation};

/// A base that is opened to be fine-tuned.
pub struct Tuning {
    settings: Settings,
    checkpoint: Checkpoint,
    encoder: Encoder,
    device: Device,
}

/// Where a run is kept, and where its result goes.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The folder of the run, with its checkpoints and metrics.
    pub run: &'a Path,
    /// Whether to go on with the run that the folder holds.
    pub resume: bool,
    /// The folder of the result: a whole checkpoint, or an adapter. Without it only the run's figures remain.
    pub output: Option<&'a Path>,
}

impl Tuning {
    /// Opens the base with its tokenizer and template.
    ///
    /// # Errors
    ///
    /// When the settings name no model, it does not open, or its tokenizer or template do not fit it.
    pub fn open(settings: Settings, device: Device) -> Result<Self, Failure> {
        let folder = settings.base()?;
        let checkpoint = program::open(folder)?;
        let encoder = match settings.template.as_deref() {
            None if answers(&checkpoint) => {
                Encoder::new(Tokenizer::open(folder)?, Box::new(Plain::new("")))
            }
            name => Encoder::open(folder, name.unwrap_or("chat"))?,
        };
        let encoder = encoder
            .length(settings.train.batch.length)
            .truncation(settings.truncation);
        encoder
            .tokenizer()
            .fits_model(checkpoint.blueprint().embedding.vocabulary)?;
        Ok(Self {
            settings,
            checkpoint,
            encoder,
            device: device.autodiff(),
        })
    }

    /// Trains on the data that the settings name: conversations, or shards of tokens.
    ///
    /// # Errors
    ///
    /// When the data do not read, or training fails or is interrupted.
    pub fn run(&self, place: Place<'_>) -> Result<Summary, Failure> {
        let shard = |path: &PathBuf| path.extension().is_some_and(|name| name == EXTENSION);
        let data = &self.settings.data;
        if answers(&self.checkpoint) || data.is_empty() || !data.iter().all(shard) {
            return self.run_on(
                &self.settings.conversations()?,
                self.settings.train.seed,
                place,
            );
        }
        let model = self.checkpoint.causal_lm(&self.device)?;
        let (batches, held_out) = self.shard_batches()?;
        self.fit(
            model,
            &batches,
            held_out.as_ref(),
            self.settings.train.seed,
            place,
        )
    }

    /// Trains on conversations, with a seed in place of the settings' one.
    ///
    /// # Errors
    ///
    /// When a conversation makes no row, or training fails or is interrupted.
    pub fn run_on(
        &self,
        parts: &Parts<Conversation>,
        seed: u64,
        place: Place<'_>,
    ) -> Result<Summary, Failure> {
        if answers(&self.checkpoint) {
            let model = self.checkpoint.seq2seq(&self.device)?;
            let (batches, held_out) = self.answer_batches(parts, seed, &model)?;
            self.fit(model, &batches, held_out.as_ref(), seed, place)
        } else {
            let model = self.checkpoint.causal_lm(&self.device)?;
            let (batches, held_out) = self.causal_batches(parts, seed)?;
            self.fit(model, &batches, held_out.as_ref(), seed, place)
        }
    }

    /// Trains the model, or an adapter beside it, and writes what was trained.
    fn fit<M: Network + 'static, B: Batch, D: Batches<B>>(
        &self,
        mut model: M,
        batches: &D,
        held_out: Option<&D>,
        seed: u64,
        place: Place<'_>,
    ) -> Result<Summary, Failure>
    where
        NextToken: Objective<M, B>,
    {
        let architecture = self.checkpoint.architecture();
        if let Some(config) = &self.settings.lora {
            model = lora::attach(model, architecture, config)?;
        }
        let mut config = self.settings.train.clone();
        config.seed = seed;
        let trained = Trainer::in_terminal(config, place.run)?
            .resume_if(place.resume)
            .fit(model, &NextToken, batches, held_out)?
            .finished()?;
        match place.output {
            None => {}
            Some(output) if self.settings.lora.is_some() => {
                let base = self.settings.base()?.display().to_string();
                lora::save(&trained.model, architecture, &base, output)?;
            }
            Some(output) => self.checkpoint.save(&trained.model, output).map(drop)?,
        }
        Ok(trained.summary)
    }

    /// Batches of shards to train and to validate on. The same encoder must have made all of them.
    fn shard_batches(&self) -> Result<(CausalBatches, Option<CausalBatches>), Failure> {
        let (settings, encoder, device) = (&self.settings, &self.encoder, &self.device);
        let config = &settings.train;
        let shards = Arc::new(Shards::open(&settings.data, &encoder.fingerprint())?);
        let (train, held_out): (Rows, Rows) = match &settings.validation {
            Validation::Share(share) => {
                let parts = shards.split(&split(*share)?);
                let train = (Arc::clone(&shards), parts.train);
                (train.into(), (shards, parts.validation).into())
            }
            Validation::Files(files) => {
                let held_out = Shards::open(files, &encoder.fingerprint())?;
                (shards.into(), held_out.into())
            }
        };
        println!(
            "{} rows to train on, {} to validate",
            train.len(),
            held_out.len()
        );
        let train = CausalBatches::new(train, &config.batch, config.seed, encoder, device)?;
        if held_out.is_empty() {
            return Ok((train, None));
        }
        let held_out = CausalBatches::validation(held_out, &config.batch, encoder, device)?;
        Ok((train, Some(held_out)))
    }

    /// Batches to train and, if a conversation fell to it, to validate on.
    fn causal_batches(
        &self,
        parts: &Parts<Conversation>,
        seed: u64,
    ) -> Result<(CausalBatches, Option<CausalBatches>), Failure> {
        let (config, encoder, device) = (&self.settings.train.batch, &self.encoder, &self.device);
        let (rows, report) = encoder.encode_all(&parts.train)?;
        println!("{report}");
        let train = CausalBatches::new(rows, config, seed, encoder, device)?;
        if parts.validation.is_empty() {
            return Ok((train, None));
        }
        let (rows, _) = encoder.encode_all(&parts.validation)?;
        let held_out = CausalBatches::validation(rows, config, encoder, device)?;
        Ok((train, Some(held_out)))
    }

    /// The same for a model with an encoder.
    fn answer_batches(
        &self,
        parts: &Parts<Conversation>,
        seed: u64,
        model: &Seq2Seq,
    ) -> Result<(AnswerBatches, Option<AnswerBatches>), Failure> {
        let (config, encoder, device) =
            (&self.settings.train.batch, &self.encoder, &model.device());
        let start = model.start().ok_or(
            "neither config.json nor generation_config.json names a decoder_start_token_id",
        )?;
        let (rows, report) = encoder.answered_all(&parts.train)?;
        println!("{report}");
        let train = AnswerBatches::new(rows, start, config, seed, encoder, device)?;
        if parts.validation.is_empty() {
            return Ok((train, None));
        }
        let (rows, _) = encoder.answered_all(&parts.validation)?;
        let held_out = AnswerBatches::validation(rows, start, config, encoder, device)?;
        Ok((train, Some(held_out)))
    }
}

/// Whether the model has an encoder and answers, instead of going on with a text.
fn answers(checkpoint: &Checkpoint) -> bool {
    checkpoint.architecture().heads.causal.is_none()
}
