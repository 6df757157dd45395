//! How texts are written: the settings, and what is refused.

use std::ops::ControlFlow;

use super::autoregressive::Autoregressive;
use super::batch;
use super::beams::Beams;
use super::sampling::Sampling;
use super::settings::{Length, Settings};
use super::stop::{Finish, Stops};
use crate::error::{ModelError, Result};
use crate::head::CausalLm;

/// Begins the text of one answer; stop strings are looked for in it.
pub type Decoder<'d> = dyn Fn() -> Pieces<'d> + 'd;

/// Takes the ids of an answer one by one and gives the text that each adds. What is not yet a whole character comes with
/// a later id.
pub type Pieces<'d> = Box<dyn FnMut(u32) -> String + 'd>;

/// Is called with the number of an answer and its next token; `Break` ends that answer.
pub(super) type OnToken<'t> = dyn FnMut(usize, u32) -> ControlFlow<()> + 't;

/// Answers prompts with a model.
///
/// A row of the batch that has ended leaves it, and the next prompt that waits enters. What is written for a prompt
/// depends on the seed and the prompt's number, and not, but for rounding, on the batch it is in.
pub struct Generator<'m, M: Autoregressive = CausalLm> {
    pub(super) model: &'m M,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// How many texts are followed at once.
    pub beams: Beams,
    /// How many answers each prompt gets: the best of a search, or as many draws.
    pub answers: usize,
    /// What ends an answer.
    pub stops: Stops,
    /// The greatest number of new tokens per prompt.
    pub new_tokens: usize,
    /// How many rows are read at once.
    pub batch: usize,
    /// The greatest number of tokens of a row, what it opens with included; what the model's positions allow by default.
    pub longest: Option<usize>,
    pub(super) decoder: Option<&'m Decoder<'m>>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The number of the prompt that it answers, from 0.
    pub prompt: usize,
    /// The new tokens, without the stop token.
    pub ids: Vec<u32>,
    /// The logarithm of each new token's probability, as the model gives it: before penalties, rules and temperature.
    pub log_probs: Vec<f64>,
    /// That of the stop token, where one ended the answer.
    pub end_log_prob: Option<f64>,
    /// What a search ordered the answers by (see [`Beams`]).
    pub score: Option<f64>,
    /// Why there are no more.
    pub finish: Finish,
}

impl<'m, M: Autoregressive> Generator<'m, M> {
    /// A greedy generator of at most 64 new tokens, without stops, for a model on a device **without** autodiff.
    pub fn new(model: &'m M) -> Self {
        Self {
            model,
            sampling: Sampling::default(),
            beams: Beams::default(),
            answers: 1,
            stops: Stops::default(),
            new_tokens: 64,
            batch: 16,
            longest: model.longest(),
            decoder: None,
        }
    }

    /// Writes as the settings say.
    pub fn settings(mut self, settings: &Settings) -> Self {
        self.sampling = settings.sampling();
        self.beams = settings.beams;
        self.answers = settings.answers;
        self.stops = Stops {
            tokens: settings.ends.clone(),
            strings: settings.stop_strings.clone(),
        };
        match settings.length {
            Some(Length::New(tokens)) => self.new_tokens = tokens,
            Some(Length::Whole(tokens)) => {
                self.new_tokens = tokens;
                self.longest = Some(self.longest.map_or(tokens, |longest| longest.min(tokens)));
            }
            None => {}
        }
        self
    }

    /// Chooses tokens in another way.
    pub fn sampling(self, sampling: Sampling) -> Self {
        Self { sampling, ..self }
    }

    /// Follows several texts at once.
    pub fn beams(self, beams: Beams) -> Self {
        Self { beams, ..self }
    }

    /// Gives each prompt this many answers.
    pub fn answers(self, answers: usize) -> Self {
        Self { answers, ..self }
    }

    /// Ends answers at these tokens and strings.
    pub fn stops(self, stops: Stops) -> Self {
        Self { stops, ..self }
    }

    /// Makes at most this many tokens per prompt.
    pub fn new_tokens(self, new_tokens: usize) -> Self {
        Self { new_tokens, ..self }
    }

    /// Reads at most this many rows at once.
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

    /// Answers every prompt: in the order of the prompts, and of several answers to one the best first.
    ///
    /// A search may find fewer answers than are asked for, and finds at least one.
    ///
    /// # Errors
    /// See [`Self::stream`].
    pub fn generate(&self, prompts: &[Vec<u32>]) -> Result<Vec<Generated>> {
        self.stream(prompts, &mut |_, _| ControlFlow::Continue(()))
    }

    /// Answers every prompt and tells of each token when it is made.
    ///
    /// # Arguments
    /// - `on_token`: called with the answer's number (the prompt's, where each has one answer) and the new token; `Break`
    ///   ends that answer. Tokens that a search finds are told when it is over
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
        batch::run(self, prompts, on_token)
    }

    /// What makes the text of an answer, where stop strings are looked for in it.
    pub(super) fn watched(&self) -> Option<&'m Decoder<'m>> {
        self.decoder.filter(|_| !self.stops.strings.is_empty())
    }

    fn check(&self, prompts: &[Vec<u32>]) -> Result<()> {
        let mut problems = self.sampling.problems(self.model.vocabulary());
        let greedy = self.sampling.is_greedy();
        problems.extend(self.beams.problems(self.answers, greedy));
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
            let opening = self.model.opening(prompt).len();
            if let Some(longest) = self.longest.filter(|longest| opening >= *longest) {
                problems.push(format!(
                    "prompt {number} has {opening} tokens; the model reads at most {longest}, answer included"
                ));
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
