//! The flags of a fine-tuning run, over a file.

use std::path::PathBuf;

use finetune::prelude::*;
use finetune::tuning::Settings;

/// What is trained, on what, and how.
#[derive(clap::Args)]
pub(crate) struct SettingFlags {
    /// A TOML file with any of: model, data, map, template, output, truncation, validation, lora, train.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The base, a Hugging Face folder.
    #[arg(long, value_parser = program::model)]
    model: Option<PathBuf>,
    /// Files of conversations or pairs; or shards of tokens, as `prepare` writes them with the same model, template,
    /// length and truncation, which may be larger than memory.
    #[arg(long, num_args = 1..)]
    data: Vec<PathBuf>,
    /// What to validate on: a share of the data, by a hash of what is asked (0.05 without it, 0 for none), or files of
    /// the same kind as the data.
    #[arg(long, num_args = 1..)]
    validation: Vec<PathBuf>,
    /// The names of the fields: `prompt=question,completion=answer`; detected without it, or with `auto`.
    #[arg(long)]
    map: Option<String>,
    /// chat (the model's own), plain, alpaca, question-answer or custom:PATTERN. An encoder reads the bare prompt
    /// without it.
    #[arg(long)]
    template: Option<String>,
    /// The most tokens of a row.
    #[arg(long)]
    length: Option<usize>,
    /// What becomes of a longer row: refuse (an error), drop, `cut_left`, `cut_right` or `cut_prompt`.
    #[arg(long)]
    truncation: Option<Truncation>,
    /// The rank of a LoRA adapter; without it all weights are trained.
    #[arg(long)]
    lora_rank: Option<usize>,
    /// Epochs.
    #[arg(long, allow_negative_numbers = true)]
    epochs: Option<f64>,
    /// Rows of a micro-batch.
    #[arg(long)]
    rows: Option<usize>,
    /// The peak of the learning rate.
    #[arg(long, allow_negative_numbers = true)]
    learning_rate: Option<f64>,
}

impl SettingFlags {
    /// The file's settings, with the flags over them.
    pub(crate) fn settings(self) -> Result<Settings, Failure> {
        let mut settings = match &self.config {
            None => Settings::default(),
            Some(path) => Settings::read(path)?,
        };
        settings.model = self.model.or(settings.model);
        settings.map = self.map.or(settings.map);
        settings.truncation = self.truncation.unwrap_or(settings.truncation);
        settings.template = self.template.or(settings.template);
        if !self.data.is_empty() {
            settings.data = self.data;
        }
        if !self.validation.is_empty() {
            settings.validation = self.validation.as_slice().into();
        }
        if let Some(rank) = self.lora_rank {
            let alpha = 2.0 * rank as f64;
            let lora = settings.lora.unwrap_or_default();
            settings.lora = Some(LoraConfig {
                rank,
                alpha,
                ..lora
            });
        }
        let train = &mut settings.train;
        train.batch.length = self.length.unwrap_or(train.batch.length);
        train.batch.rows = self.rows.unwrap_or(train.batch.rows);
        train.epochs = self.epochs.unwrap_or(train.epochs);
        train.schedule.peak = self.learning_rate.unwrap_or(train.schedule.peak);
        Ok(settings)
    }
}
