//! Answers of a model with an encoder.

use burn::tensor::Tensor;

use super::autoregressive::{Autoregressive, Once, last_of};
use crate::error::{ModelError, Result};
use crate::head::Seq2Seq;
use crate::noise::Noise;
use crate::part::Memory;
use crate::tokens::{Side, Tokens};

/// What an encoder made of the prompts, and what the decoder has read.
#[derive(Clone, Debug)]
pub struct Writing {
    memory: Memory,
    once: Once,
}

impl Autoregressive for Seq2Seq {
    type State = Writing;

    fn vocabulary(&self) -> usize {
        self.embeddings.tokens.weight.lazy_shape()[0]
    }

    fn longest(&self) -> Option<usize> {
        self.longest()
    }

    fn opening(&self, _prompt: &[u32]) -> Vec<u32> {
        self.start().into_iter().collect()
    }

    fn read(&self, prompts: &[&[u32]], room: usize) -> Result<(Writing, Tensor<2>)> {
        let Some(start) = self.start() else {
            let why = "neither config.json nor generation_config.json names a decoder_start_token_id; expected the token \
                that stands before an answer";
            return Err(ModelError::Tokens {
                why: why.to_owned(),
            });
        };
        let device = self.device();
        let rows: Vec<Vec<Vec<u32>>> = prompts.iter().map(|ids| vec![ids.to_vec()]).collect();
        let texts = Tokens::new(&rows, None, Side::Right, 0, &device)?;
        let starts = vec![vec![vec![start]]; prompts.len()];
        let starts = Tokens::new(&starts, None, Side::Left, 0, &device)?;
        let mut state = Writing {
            memory: self.memory(&texts, Noise::off()),
            once: Once::new(starts, room),
        };
        let logits = state.last_logits(self);
        Ok((state, logits))
    }

    fn extend(&self, state: &mut Writing, ids: &[u32]) -> Result<Tensor<2>> {
        state.once.extend(ids)?;
        Ok(state.last_logits(self))
    }

    fn select(&self, state: &mut Writing, rows: &[u32]) {
        state.memory = state.memory.select(rows);
        state.once.select(rows);
    }

    fn join(&self, state: &mut Writing, more: Writing) {
        state.once.join(more.once);
        state.memory = state.memory.join(&more.memory);
    }
}

impl Writing {
    /// The logits after the last token of each row.
    fn last_logits(&mut self, model: &Seq2Seq) -> Tensor<2> {
        let Once { tokens, cache } = &mut self.once;
        let hidden = model.decode(tokens, &self.memory, Noise::off(), Some(cache));
        model.logits(last_of(hidden, tokens))
    }
}
