//! An answer in the making.

use super::autoregressive::Autoregressive;
use super::generator::{Generated, Generator, OnToken, Pieces};
use super::stop::{Finish, Watch};
use crate::noise::Noise;

/// What comes after a step.
pub(super) enum Next {
    /// Rows to go on with: which of the answer's rows each continues, and by which token.
    Rows(Vec<(usize, u32)>),
    /// Nothing more.
    Over(Generated),
}

/// An answer in the making.
pub(super) struct Answer<'d> {
    number: usize,
    prompt: Vec<u32>,
    context: Vec<u32>,
    /// The tokens of the context that were not written here.
    opening: usize,
    /// The most tokens to write.
    limit: usize,
    /// The answer as text, where stop strings are looked for in it.
    text: Option<(Pieces<'d>, Watch)>,
}

impl<'d> Answer<'d> {
    pub(super) fn new<M: Autoregressive>(
        generator: &Generator<'d, M>,
        number: usize,
        prompt: &[u32],
    ) -> Self {
        let decoder = generator
            .decoder
            .filter(|_| !generator.stops.strings.is_empty());
        let context = generator.model.opening(prompt);
        let opening = context.len();
        let left = generator.longest.map(|longest| longest - opening);
        Self {
            number,
            prompt: prompt.to_vec(),
            opening,
            context,
            limit: left.map_or(generator.new_tokens, |left| left.min(generator.new_tokens)),
            text: decoder.map(|decoder| (decoder(), Watch::default())),
        }
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn prompt(&self) -> &[u32] {
        &self.prompt
    }

    /// The rows that the answer has now.
    pub(super) fn rows(&self) -> usize {
        1
    }

    /// The most rows that it will ever have.
    pub(super) fn most_rows(&self) -> usize {
        1
    }

    /// Chooses the next token.
    pub(super) fn step<M: Autoregressive>(
        &mut self,
        generator: &Generator<'_, M>,
        logits: &mut [f32],
        on_token: &mut OnToken<'_>,
    ) -> Next {
        match self.extend(generator, logits, on_token) {
            Some(finish) => Next::Over(Generated {
                ids: self.context[self.opening..].to_vec(),
                finish,
            }),
            None => Next::Rows(self.context.last().map(|id| (0, *id)).into_iter().collect()),
        }
    }

    /// Adds a token; tells when the answer has ended.
    fn extend<M: Autoregressive>(
        &mut self,
        generator: &Generator<'_, M>,
        logits: &mut [f32],
        on_token: &mut OnToken<'_>,
    ) -> Option<Finish> {
        let made = self.context.len() - self.opening;
        if made == self.limit {
            return Some(Finish::Length);
        }
        let noise = Noise::new(generator.sampling.seed, self.number as u64, made as u64);
        let id = generator.sampling.choose(logits, &self.context, noise);
        if generator.stops.tokens.contains(&id) {
            return Some(Finish::Stop);
        }
        self.context.push(id);
        let told = on_token(self.number, id);
        if let Some((pieces, watch)) = &mut self.text
            && watch.reached(&generator.stops, &pieces(id))
        {
            return Some(Finish::Stop);
        }
        if told.is_break() {
            return Some(Finish::Cancelled);
        }
        (made + 1 == self.limit).then_some(Finish::Length)
    }
}
