//! One text, token by token.

use super::answer::{Next, Task};
use super::autoregressive::Autoregressive;
use super::generator::{Generated, Generator, OnToken, Pieces};
use super::process::log_sum;
use super::stop::{Finish, Watch};
use crate::noise::Noise;

/// One text, token by token.
pub(super) struct Line<'d> {
    context: Vec<u32>,
    log_probs: Vec<f64>,
    /// Of the stop token.
    end_log_prob: Option<f64>,
    /// The answer as text, where stop strings are looked for in it.
    text: Option<(Pieces<'d>, Watch)>,
}

impl<'d> Line<'d> {
    pub(super) fn new<M: Autoregressive>(generator: &Generator<'d, M>, task: &Task) -> Self {
        Self {
            context: task.opening.clone(),
            log_probs: Vec::new(),
            end_log_prob: None,
            text: generator
                .watched()
                .map(|decoder| (decoder(), Watch::default())),
        }
    }

    /// Chooses the next token.
    pub(super) fn step<M: Autoregressive>(
        &mut self,
        generator: &Generator<'_, M>,
        task: &Task,
        logits: &mut [f32],
        on_token: &mut OnToken<'_>,
    ) -> Next {
        match self.extend(generator, task, logits, on_token) {
            None => Next::Rows(self.context.last().map(|id| (0, *id)).into_iter().collect()),
            Some(finish) => Next::Over(vec![Generated {
                prompt: task.asked,
                ids: self.context.split_off(task.opening.len()),
                log_probs: std::mem::take(&mut self.log_probs),
                end_log_prob: self.end_log_prob,
                score: None,
                finish,
            }]),
        }
    }

    /// Adds a token; tells when the text has ended.
    fn extend<M: Autoregressive>(
        &mut self,
        generator: &Generator<'_, M>,
        task: &Task,
        logits: &mut [f32],
        on_token: &mut OnToken<'_>,
    ) -> Option<Finish> {
        let made = self.log_probs.len();
        if made == task.limit {
            return Some(Finish::Length);
        }
        let noise = Noise::new(generator.sampling.seed, task.number as u64, made as u64);
        let text = task.text(&self.context, &generator.stops.tokens);
        let given = logits.to_vec();
        let Some(id) = generator.sampling.choose(logits, &text, noise) else {
            return Some(Finish::Forbidden);
        };
        let log_prob = f64::from(given[id as usize]) - log_sum(&given);
        if generator.stops.tokens.contains(&id) {
            self.end_log_prob = Some(log_prob);
            return Some(Finish::Stop);
        }
        self.context.push(id);
        self.log_probs.push(log_prob);
        let told = on_token(task.number, id);
        if let Some((pieces, watch)) = &mut self.text
            && watch.reached(&generator.stops, &pieces(id))
        {
            return Some(Finish::Stop);
        }
        if told.is_break() {
            return Some(Finish::Cancelled);
        }
        (made + 1 == task.limit).then_some(Finish::Length)
    }
}
