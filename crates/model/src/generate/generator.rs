//! The loop that makes new tokens.

use std::ops::ControlFlow;

use burn::tensor::Tensor;

use super::reader::Reader;
use super::sample::Sampling;
use super::stop::{Finish, Stops, Watch};
use super::within::Within;
use crate::error::{ModelError, Result};
use crate::head::CausalLm;
use crate::noise::Noise;

/// Begins the text of one answer; stop strings are looked for in it.
pub type Decoder<'d> = dyn Fn() -> Pieces<'d> + 'd;

/// Takes the ids of an answer one by one and gives the text that each adds. What is not yet a whole character comes with
/// a later id.
pub type Pieces<'d> = Box<dyn FnMut(u32) -> String + 'd>;

/// Continues prompts with a model.
///
/// Prompts are read in batches, padded on the left; a row that has ended leaves its batch. What is drawn for a prompt
/// depends on the seed and the prompt's number, never on the batch it is in.
pub struct Generator<'m> {
    model: &'m CausalLm,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// What ends an answer.
    pub stops: Stops,
    /// The greatest number of new tokens per prompt.
    pub new_tokens: usize,
    /// How many prompts are read at once.
    pub batch: usize,
    /// The greatest number of tokens of prompt and answer together; what the model's positions allow by default.
    pub longest: Option<usize>,
    decoder: Option<&'m Decoder<'m>>,
}

/// What was made from one prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The new tokens, without the stop token.
    pub ids: Vec<u32>,
    /// Why there are no more.
    pub finish: Finish,
}

impl<'m> Generator<'m> {
    /// A greedy generator of at most 64 new tokens, without stops, for a model on a device **without** autodiff.
    pub fn new(model: &'m CausalLm) -> Self {
        Self {
            model,
            sampling: Sampling::default(),
            stops: Stops::default(),
            new_tokens: 64,
            batch: 16,
            longest: model.longest(),
            decoder: None,
        }
    }

    /// Chooses tokens in another way.
    pub fn sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// Ends answers at these tokens and strings.
    pub fn stops(self, stops: Stops) -> Self {
        Self { stops, ..self }
    }

    /// Makes at most this many tokens per prompt.
    pub fn new_tokens(self, new_tokens: usize) -> Self {
        Self { new_tokens, ..self }
    }

    /// Reads at most this many prompts at once.
    pub fn batch(self, batch: usize) -> Self {
        Self {
            batch: batch.max(1),
            ..self
        }
    }

    /// Finds stop strings in what this decoder makes of the new tokens: for a tokenizer with a stream,
    /// `|| { let mut stream = tokenizer.stream(); Box::new(move |id| stream.push(id)…) }`.
    pub fn decoder(self, decoder: &'m Decoder<'m>) -> Self {
        Self {
            decoder: Some(decoder),
            ..self
        }
    }

    /// Continues every prompt.
    ///
    /// # Errors
    /// See [`Self::stream`].
    pub fn generate(&self, prompts: &[Vec<u32>]) -> Result<Vec<Generated>> {
        self.stream(prompts, &mut |_, _| ControlFlow::Continue(()))
    }

    /// Continues every prompt and tells of each token when it is made.
    ///
    /// # Arguments
    /// - `on_token`: called with the prompt's number and the new token; `Break` ends that prompt's answer
    ///
    /// # Errors
    /// When a prompt is empty or leaves no room for an answer, a setting is out of its range, or stop strings are
    /// given without a decoder.
    pub fn stream(
        &self,
        prompts: &[Vec<u32>],
        on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Result<Vec<Generated>> {
        self.check(prompts)?;
        // Rows of like length share a batch, so that little of it is padding.
        let mut order: Vec<usize> = (0..prompts.len()).collect();
        order.sort_by_key(|number| (prompts[*number].len(), *number));
        let mut made: Vec<Option<Generated>> = vec![None; prompts.len()];
        for numbers in order.chunks(self.batch) {
            let mut rows: Vec<Row> = numbers
                .iter()
                .map(|number| self.row(*number, &prompts[*number]))
                .collect();
            self.run(&mut rows, on_token, &mut |number, generated| {
                made[number] = Some(generated);
            })?;
        }
        Ok(made.into_iter().flatten().collect())
    }

    fn row(&self, number: usize, prompt: &[u32]) -> Row<'m> {
        let decoder = self.decoder.filter(|_| !self.stops.strings.is_empty());
        Row {
            number,
            context: prompt.to_vec(),
            prompt: prompt.len(),
            text: decoder.map(|decoder| (decoder(), Watch::default())),
        }
    }

    fn run(
        &self,
        rows: &mut Vec<Row<'m>>,
        on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
        on_end: &mut dyn FnMut(usize, Generated),
    ) -> Result<()> {
        let texts = rows.iter().map(|row| row.context.clone()).collect();
        let mut reader = Reader::new(self.model, texts, self.new_tokens)?;
        loop {
            let mut logits = host(reader.logits(self.model)?)?;
            let vocabulary = logits.len() / rows.len();
            let mut staying = Vec::new();
            for (place, (row, logits)) in rows
                .iter_mut()
                .zip(logits.chunks_mut(vocabulary))
                .enumerate()
            {
                match self.extend(row, logits, on_token) {
                    None => staying.push(place as u32),
                    Some(finish) => on_end(row.number, row.end(finish)),
                }
            }
            if staying.is_empty() {
                return Ok(());
            }
            if staying.len() < rows.len() {
                reader.select(&staying);
                let mut place = 0;
                rows.retain(|_| {
                    place += 1;
                    staying.contains(&(place - 1))
                });
            }
            let last: Vec<u32> = rows
                .iter()
                .filter_map(|row| row.context.last().copied())
                .collect();
            reader.extend(&last)?;
        }
    }

    /// Adds a token to a row; tells when the row has ended.
    fn extend(
        &self,
        row: &mut Row<'_>,
        logits: &mut [f32],
        on_token: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Option<Finish> {
        if row.made() == self.new_tokens
            || self
                .longest
                .is_some_and(|longest| row.context.len() >= longest)
        {
            return Some(Finish::Length);
        }
        let noise = Noise::new(self.sampling.seed, row.number as u64, row.made() as u64);
        let id = self.sampling.choose(logits, &row.context, noise);
        if self.stops.tokens.contains(&id) {
            return Some(Finish::Stop);
        }
        row.context.push(id);
        let told = on_token(row.number, id);
        if let Some((pieces, watch)) = &mut row.text
            && watch.reached(&self.stops, &pieces(id))
        {
            return Some(Finish::Stop);
        }
        if told.is_break() {
            return Some(Finish::Cancelled);
        }
        (row.made() == self.new_tokens).then_some(Finish::Length)
    }

    fn check(&self, prompts: &[Vec<u32>]) -> Result<()> {
        let mut problems = self.sampling.problems();
        problems.extend(Within::problems(self.model));
        if !self.stops.strings.is_empty() && self.decoder.is_none() {
            problems.push(
                "stop strings are given without a decoder; expected one that turns ids into text"
                    .to_owned(),
            );
        }
        for (number, prompt) in prompts.iter().enumerate() {
            if prompt.is_empty() {
                problems.push(format!(
                    "prompt {number} is empty; expected at least one token"
                ));
            }
            if let Some(longest) = self.longest.filter(|longest| prompt.len() >= *longest) {
                let found = prompt.len();
                problems.push(format!("prompt {number} has {found} tokens; the model reads at most {longest}, answer included"));
            }
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(ModelError::Tokens {
            why: problems.join("; "),
        })
    }
}

fn host(logits: Tensor<2>) -> Result<Vec<f32>> {
    let logits = logits.into_data().convert::<f32>();
    logits.try_into_vec().map_err(|error| ModelError::Tokens {
        why: format!("the logits cannot be read: {error:?}"),
    })
}

/// A prompt and what was made from it so far.
struct Row<'d> {
    number: usize,
    context: Vec<u32>,
    prompt: usize,
    /// The answer as text, where stop strings are looked for in it.
    text: Option<(Pieces<'d>, Watch)>,
}

impl Row<'_> {
    fn made(&self) -> usize {
        self.context.len() - self.prompt
    }

    fn end(&self, finish: Finish) -> Generated {
        Generated {
            ids: self.context[self.prompt..].to_vec(),
            finish,
        }
    }
}
