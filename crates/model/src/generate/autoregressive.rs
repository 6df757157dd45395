//! What the loop of generation needs of a model.

use burn::tensor::Tensor;

use super::cache::Cache;
use super::within::Within;
use crate::blueprint::Predicts;
use crate::error::{ModelError, Result};
use crate::head::CausalLm;
use crate::noise::Noise;
use crate::tokens::{Side, Tokens};

/// A model that writes texts token by token.
///
/// The [`Generator`](super::Generator) chooses tokens, and the model reads them. A state holds what was read by the rows
/// of one batch. Rows leave it ([`select`](Self::select)) and others enter it ([`join`](Self::join)) at any time, and
/// what comes after a row must not depend, but for rounding, on the rows beside it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not write token by token",
    note = "`Generator` takes a `CausalLm`, a model with an encoder and a decoder, or a type that implements `Autoregressive`"
)]
pub trait Autoregressive {
    /// What was read: a cache, and whatever else a row needs to go on, such as what an encoder made of its prompt.
    type State;

    /// The number of tokens to choose from.
    fn vocabulary(&self) -> usize;

    /// The most tokens that a row may hold, those of [`opening`](Self::opening) included; `None` when there is no limit.
    fn longest(&self) -> Option<usize>;

    /// The tokens that stand before the first one that is written: the prompt, for a model that continues it; the
    /// decoder's start, for a model whose encoder reads the prompt.
    fn opening(&self, prompt: &[u32]) -> Vec<u32> {
        prompt.to_vec()
    }

    /// Reads prompts of any lengths, each with its opening.
    ///
    /// # Arguments
    /// - `room`: how many tokens each of them will be continued by, at most
    ///
    /// # Returns
    /// The state, and the logits of the first token after each row, `[rows, vocabulary]`.
    ///
    /// # Errors
    /// When a prompt cannot be read.
    fn read(&self, prompts: &[&[u32]], room: usize) -> Result<(Self::State, Tensor<2>)>;

    /// Reads one more token in every row.
    ///
    /// # Returns
    /// The logits of the next, `[rows, vocabulary]`.
    ///
    /// # Errors
    /// When there is not one id per row.
    fn extend(&self, state: &mut Self::State, ids: &[u32]) -> Result<Tensor<2>>;

    /// Keeps the given rows, in the given order; a row may be kept more than once (beams) or not at all.
    fn select(&self, state: &mut Self::State, rows: &[u32]);

    /// Adds the rows of another state below those of this one.
    fn join(&self, state: &mut Self::State, more: Self::State);
}

/// What a causal model has read.
#[derive(Clone, Debug)]
pub struct Reading(State);

#[derive(Clone, Debug)]
enum State {
    /// Each token once.
    Once(Box<Once>),
    /// The same tokens again as the text grows; row by row.
    Again(Vec<Within>),
}

/// What was read token by token, each once.
#[derive(Clone, Debug)]
pub(super) struct Once {
    /// What was read last, or is read next.
    pub(super) tokens: Tokens,
    pub(super) cache: Cache,
}

impl Once {
    /// Nothing is read yet, and there is `room` for as many tokens besides.
    pub(super) fn new(tokens: Tokens, room: usize) -> Self {
        let cache = Cache::with_room(tokens.length() + room);
        Self { tokens, cache }
    }

    pub(super) fn extend(&mut self, ids: &[u32]) -> Result<()> {
        self.tokens = self.tokens.next(ids)?;
        Ok(())
    }

    pub(super) fn select(&mut self, rows: &[u32]) {
        self.cache.select(rows);
        self.tokens = self.tokens.select(rows);
    }

    pub(super) fn join(&mut self, more: Self) {
        let tokens = self.tokens.join(&more.tokens);
        let places = tokens.past + tokens.length();
        self.cache.join(more.cache, places);
        self.tokens = tokens;
    }
}

impl Autoregressive for CausalLm {
    type State = Reading;

    fn vocabulary(&self) -> usize {
        self.embeddings.tokens.weight.lazy_shape()[0]
    }

    fn longest(&self) -> Option<usize> {
        self.longest()
    }

    fn read(&self, prompts: &[&[u32]], room: usize) -> Result<(Reading, Tensor<2>)> {
        let mut state = if self.predicts() == Predicts::Next {
            let rows: Vec<Vec<Vec<u32>>> = prompts.iter().map(|ids| vec![ids.to_vec()]).collect();
            let tokens = Tokens::new(&rows, None, Side::Left, 0, &self.device())?;
            Reading(State::Once(Box::new(Once::new(tokens, room))))
        } else {
            let rows = prompts.iter().map(|ids| Within::new(self, ids));
            Reading(State::Again(rows.collect::<Result<_>>()?))
        };
        let logits = state.last_logits(self)?;
        Ok((state, logits))
    }

    fn extend(&self, state: &mut Reading, ids: &[u32]) -> Result<Tensor<2>> {
        match &mut state.0 {
            State::Once(once) => once.extend(ids)?,
            State::Again(rows) => {
                if ids.len() != rows.len() {
                    let (found, expected) = (ids.len(), rows.len());
                    let why =
                        format!("found {found} ids; expected one for each of {expected} rows");
                    return Err(ModelError::Tokens { why });
                }
                for (row, id) in rows.iter_mut().zip(ids) {
                    row.extend(*id);
                }
            }
        }
        state.last_logits(self)
    }

    fn select(&self, state: &mut Reading, rows: &[u32]) {
        match &mut state.0 {
            State::Once(once) => once.select(rows),
            State::Again(all) => {
                *all = rows.iter().map(|row| all[*row as usize].clone()).collect();
            }
        }
    }

    fn join(&self, state: &mut Reading, more: Reading) {
        match (&mut state.0, more.0) {
            (State::Once(once), State::Once(more)) => once.join(*more),
            (State::Again(rows), State::Again(more)) => rows.extend(more),
            _ => panic!("the states are of different models"),
        }
    }
}

impl Reading {
    /// The logits after the last token of each row.
    fn last_logits(&mut self, model: &CausalLm) -> Result<Tensor<2>> {
        match &mut self.0 {
            State::Once(once) => {
                let Once { tokens, cache } = &mut **once;
                let hidden = model.hidden(tokens, Noise::off(), Some(cache));
                Ok(model.logits(last_of(hidden, tokens)))
            }
            State::Again(rows) => {
                let logits = rows.iter_mut().map(|row| row.logits(model));
                Ok(Tensor::cat(logits.collect::<Result<_>>()?, 0))
            }
        }
    }
}

/// The hidden state of the last place of each row.
pub(super) fn last_of(hidden: Tensor<2>, tokens: &Tokens) -> Tensor<2> {
    let [_, width] = hidden.dims();
    let (batch, length) = (tokens.batch(), tokens.length());
    hidden
        .reshape([batch, length, width])
        .narrow(1, length - 1, 1)
        .reshape([batch, width])
}
