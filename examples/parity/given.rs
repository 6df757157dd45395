//! The inputs, as models take them.

use std::error::Error;
use std::path::Path;

use finetune::burn::tensor::{Device, Tensor};
use finetune::data::Origin;
use finetune::model::blueprint::Predicts;
use finetune::model::{Noise, Order, Seq2Seq, Targets, Tokens, op};
use finetune::prelude::*;
use finetune::train::Batch;
use safetensors::SafeTensors;

use super::file::{floats, integers, is_float, length, truths};

/// The inputs.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) tokens: Tokens,
    order: Order,
    ids: Vec<u32>,
    mask: Vec<bool>,
    /// The labels as they are.
    labels: Vec<f32>,
    /// How many of them a row has.
    labels_length: usize,
    /// What a decoder reads, where it is given, and its mask.
    decoder_ids: Option<(Vec<i64>, usize)>,
    decoder_mask: Option<Vec<bool>>,
    /// Those that are classes or tokens.
    pub(super) targets: Targets,
    /// Those that are numbers.
    pub(super) numbers: Vec<f32>,
}

impl Given {
    /// Reads a safetensors file.
    ///
    /// # Errors
    /// When the file does not hold `input_ids`, or a tensor has another type or size than is expected.
    pub(super) fn read(path: &Path, device: &Device) -> Result<Self, Box<dyn Error>> {
        let bytes = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let file = SafeTensors::deserialize(&bytes)?;
        let shape = file.tensor("input_ids")?.shape().to_vec();
        let [_, row] = shape[..] else {
            return Err(format!("input_ids is {shape:?}; expected [batch, length]").into());
        };
        let ids = unsigned(&integers(&file, "input_ids")?.unwrap_or_default());
        let mask = truths(&file, "attention_mask")?.unwrap_or_else(|| vec![true; ids.len()]);
        let mut tokens = Tokens::from_mask(&ids, &mask, row, device)?;
        if let Some(kinds) = integers(&file, "token_type_ids")? {
            tokens = tokens.with_kinds(&unsigned(&kinds))?;
        }
        let labels = floats(&file, "labels")?.unwrap_or_default();
        let targets = if is_float(&file, "labels") {
            Targets::default()
        } else {
            known(&labels)
        };
        Ok(Self {
            order: order(&file, &tokens)?,
            tokens,
            ids,
            mask,
            labels,
            labels_length: length(&file, "labels"),
            decoder_ids: integers(&file, "decoder_input_ids")?
                .map(|ids| (ids, length(&file, "decoder_input_ids"))),
            decoder_mask: truths(&file, "decoder_attention_mask")?,
            targets,
            numbers: Vec::new(),
        })
    }

    pub(super) fn hidden(&self, model: &CausalLm, noise: Noise) -> Tensor<2> {
        match model.predicts() {
            Predicts::Next => model.hidden(&self.tokens, noise, None),
            Predicts::Own(_) => model.ordered(&self.tokens, &self.order, noise),
        }
    }

    /// The loss of a language model.
    pub(super) fn token_loss(&self, model: &CausalLm, noise: Noise) -> Tensor<1> {
        let (tokens, targets) = (&self.tokens, &self.targets);
        let log_probs = match model.predicts() {
            Predicts::Next => model.log_probs(tokens, targets, noise),
            Predicts::Own(_) => model.ordered_log_probs(tokens, &self.order, targets, noise),
        };
        op::sum(log_probs).neg()
    }

    /// The labels at the places that predict them.
    pub(super) fn aligned(&self, model: &CausalLm) -> Self {
        match model.predicts() {
            Predicts::Next => self.shifted(),
            Predicts::Own(_) => self.clone(),
        }
    }

    /// What the decoder reads: as given, or the labels behind the start token, padding where nothing is learned.
    pub(super) fn answer(
        &self,
        model: &Seq2Seq,
        checkpoint: &Checkpoint,
    ) -> Result<Tokens, Box<dyn Error>> {
        let (ids, length) = if let Some((ids, length)) = &self.decoder_ids {
            (ids.clone(), *length)
        } else {
            let start = model.start().ok_or(
                "neither config.json nor generation_config.json names a decoder_start_token_id",
            )?;
            let pad = checkpoint.config()["pad_token_id"].as_i64().unwrap_or(0);
            let shifted = self.labels.chunks(self.labels_length).flat_map(|row| {
                let before = &row[..row.len() - 1];
                let known = before
                    .iter()
                    .map(|id| if *id < 0.0 { pad } else { *id as i64 });
                let all = std::iter::once(i64::from(start)).chain(known);
                all.collect::<Vec<_>>()
            });
            (shifted.collect(), self.labels_length)
        };
        let all = vec![true; ids.len()];
        let mask = self.decoder_mask.as_ref().unwrap_or(&all);
        let device = self.tokens.ids.device();
        Ok(Tokens::from_mask(&unsigned(&ids), mask, length, &device)?)
    }

    /// The labels as numbers, none of which is left out.
    pub(super) fn as_numbers(&self) -> Self {
        Self {
            targets: Targets::default(),
            numbers: self.labels.clone(),
            ..self.clone()
        }
    }

    /// A discriminator judges all text, and nothing else.
    pub(super) fn on_text(&self) -> Self {
        let targets = self.targets.places.iter().zip(&self.targets.ids);
        let text = targets.filter(|(place, _)| self.mask[**place as usize]);
        let (places, ids) = text.map(|(place, id)| (*place, *id)).unzip();
        Self {
            targets: Targets { places, ids },
            ..self.clone()
        }
    }

    pub(super) fn first_row(&self) -> Vec<u32> {
        let length = self.tokens.length();
        self.ids[..length]
            .iter()
            .zip(&self.mask)
            .filter(|(_, real)| **real)
            .map(|(id, _)| *id)
            .collect()
    }

    /// A causal model predicts each label from the place before it.
    fn shifted(&self) -> Self {
        let length = self.tokens.length() as u32;
        let kept = self
            .targets
            .places
            .iter()
            .zip(&self.targets.ids)
            .filter(|(place, _)| **place % length != 0);
        let (places, ids) = kept.map(|(place, id)| (place - 1, *id)).unzip();
        Self {
            targets: Targets { places, ids },
            ..self.clone()
        }
    }
}

impl Batch for Given {
    fn targets(&self) -> usize {
        self.targets.len() + self.numbers.len()
    }

    fn tokens(&self) -> usize {
        self.mask.iter().filter(|one| **one).count()
    }

    fn origins(&self) -> Vec<Origin> {
        Vec::new()
    }
}

/// What each token sees, and which places are asked for.
fn order(file: &SafeTensors<'_>, tokens: &Tokens) -> Result<Order, Box<dyn Error>> {
    let mut order = Order::new(tokens);
    if let Some(hidden) = floats(file, "perm_mask")? {
        order = order.hiding(&hidden.iter().map(|one| *one > 0.0).collect::<Vec<_>>())?;
    }
    if let Some(asked) = floats(file, "target_mapping")? {
        order = order.asking(&asked, tokens)?;
    }
    Ok(order)
}

/// The labels that are learned, each at its own place.
fn known(labels: &[f32]) -> Targets {
    let known = labels
        .iter()
        .enumerate()
        .filter(|(_, label)| **label >= 0.0);
    let (places, ids) = known
        .map(|(place, label)| (place as u32, *label as u32))
        .unzip();
    Targets { places, ids }
}

fn unsigned(numbers: &[i64]) -> Vec<u32> {
    numbers.iter().map(|number| *number as u32).collect()
}
