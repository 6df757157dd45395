//! The loop: rows are read together, end one by one, and make room for prompts that wait.

use std::collections::VecDeque;

use burn::tensor::Tensor;

use super::answer::{Answer, Next};
use super::autoregressive::Autoregressive;
use super::generator::{Generated, Generator, OnToken};
use crate::error::{ModelError, Result};

/// Answers every prompt.
pub(super) fn run<M: Autoregressive>(
    generator: &Generator<'_, M>,
    prompts: &[Vec<u32>],
    on_token: &mut OnToken<'_>,
) -> Result<Vec<Generated>> {
    // Rows of like length are read together, so that little of it is padding.
    let mut order: Vec<usize> = (0..prompts.len()).collect();
    order.sort_by_key(|number| (prompts[*number].len(), *number));
    let mut waiting: VecDeque<Answer<'_>> = order
        .into_iter()
        .flat_map(|number| Answer::all(generator, number, &prompts[number]))
        .collect();
    let mut made: Vec<(usize, Vec<Generated>)> = Vec::new();
    let mut batch = Batch {
        model: generator.model,
        beams: generator.beams.count,
        state: None,
        answers: Vec::new(),
        logits: Vec::new(),
    };
    loop {
        batch.admit(&mut waiting, generator.batch, generator.new_tokens)?;
        if batch.answers.is_empty() {
            made.sort_by_key(|(number, _)| *number);
            return Ok(made.into_iter().flat_map(|(_, made)| made).collect());
        }
        batch.step(
            &mut |answer, logits| match answer.step(generator, logits, on_token) {
                Next::Rows(rows) => rows,
                Next::Over(generated) => {
                    made.push((answer.task.number, generated));
                    Vec::new()
                }
            },
        )?;
    }
}

/// From an answer and the logits of its rows to the rows to go on with, each with the row that it continues and a token.
type Choose<'c, 'd> = dyn FnMut(&mut Answer<'d>, &mut [f32]) -> Vec<(usize, u32)> + 'c;

/// The rows that are read together, and the answers that are made of them.
struct Batch<'m, 'd, M: Autoregressive> {
    model: &'m M,
    /// The most rows of an answer.
    beams: usize,
    /// What the rows have read; `None` when there are none.
    state: Option<M::State>,
    /// Each has one row or more of the state, in this order.
    answers: Vec<Answer<'d>>,
    /// What may come next in each row, `[rows, vocabulary]`.
    logits: Vec<f32>,
}

impl<'d, M: Autoregressive> Batch<'_, 'd, M> {
    /// Lets those in that have room among `rows` rows, at least one; they are read together.
    fn admit(
        &mut self,
        waiting: &mut VecDeque<Answer<'d>>,
        rows: usize,
        new_tokens: usize,
    ) -> Result<()> {
        let mut taken = self.answers.len() * self.beams;
        let mut entering = Vec::new();
        while !waiting.is_empty() {
            taken += self.beams;
            let first = self.answers.is_empty() && entering.is_empty();
            if taken > rows && !first {
                break;
            }
            entering.extend(waiting.pop_front());
        }
        if entering.is_empty() {
            return Ok(());
        }
        let prompts = entering.iter().map(|answer| answer.task.prompt.as_slice());
        let prompts: Vec<&[u32]> = prompts.collect();
        let (state, logits) = self.model.read(&prompts, new_tokens)?;
        self.logits.extend(host(logits)?);
        self.answers.append(&mut entering);
        match &mut self.state {
            Some(all) => self.model.join(all, state),
            none => *none = Some(state),
        }
        Ok(())
    }

    /// Lets every answer choose the rows to go on with, and reads what was chosen; an answer without rows leaves.
    fn step(&mut self, choose: &mut Choose<'_, 'd>) -> Result<()> {
        let rows: usize = self.answers.iter().map(Answer::rows).sum();
        let vocabulary = self.logits.len() / rows.max(1);
        let (mut kept, mut ids) = (Vec::new(), Vec::new());
        let mut first = 0;
        let logits = &mut self.logits;
        self.answers.retain_mut(|answer| {
            let end = first + answer.rows();
            let next = choose(answer, &mut logits[first * vocabulary..end * vocabulary]);
            kept.extend(next.iter().map(|(row, _)| (first + row) as u32));
            ids.extend(next.iter().map(|(_, id)| *id));
            first = end;
            !next.is_empty()
        });
        self.logits.clear();
        let Some(state) = self.state.as_mut().filter(|_| !kept.is_empty()) else {
            self.state = None;
            return Ok(());
        };
        if !kept.iter().copied().eq(0..rows as u32) {
            self.model.select(state, &kept);
        }
        self.logits = host(self.model.extend(state, &ids)?)?;
        Ok(())
    }
}

fn host(logits: Tensor<2>) -> Result<Vec<f32>> {
    let logits = logits.into_data().convert::<f32>();
    logits.try_into_vec().map_err(|error| ModelError::Tokens {
        why: format!("the logits cannot be read: {error:?}"),
    })
}
