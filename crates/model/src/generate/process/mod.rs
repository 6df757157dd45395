//! What is done to the scores of the next token, step by step.

mod rule;
mod share;

use super::sampling::Sampling;

pub(super) use share::{likeliest_first, log_sum};

/// A text in the making, as the rules see it.
#[derive(Clone, Copy, Debug)]
pub struct Text<'t> {
    /// The prompt.
    pub prompt: &'t [u32],
    /// What the model has read as the beginning of the next token: the opening, and what was written after it.
    pub context: &'t [u32],
    /// How many tokens of the context were not written here.
    pub opening: usize,
    /// The most tokens that are written.
    pub limit: usize,
    /// The tokens that end a text.
    pub ends: &'t [u32],
}

impl Text<'_> {
    /// The number of tokens that were written.
    pub fn made(&self) -> usize {
        self.context.len() - self.opening
    }
}

/// One step from logits (or log-probabilities) to what tokens are chosen by.
#[derive(Debug)]
pub(super) enum Process<'s> {
    PenalizePrompt(f64),
    Penalize(f64),
    NoRepeat(usize),
    NoRepeatOfPrompt(usize),
    BadWords(&'s [Vec<u32>]),
    NoEndBeforeLength(usize),
    NoEndBeforeMade(usize),
    ForceFirst(u32),
    ForceLast(&'s [u32]),
    HastenEnd { start: usize, factor: f64 },
    Suppress(&'s [u32]),
    SuppressFirst { tokens: &'s [u32], at: usize },
    Temperature(f64),
    TopK(usize),
    TopP { share: f64, keep: usize },
    MinP { share: f64, keep: usize },
    TypicalP { share: f64, keep: usize },
    Epsilon { cutoff: f64, keep: usize },
    Eta { cutoff: f64, keep: usize },
}

/// The steps that the settings ask for, in the order of transformers 5.23 (`GenerationMixin._get_logits_processor`).
pub(super) fn all<'s>(sampling: &'s Sampling, text: &Text<'_>, keep: usize) -> Vec<Process<'s>> {
    let rules = &sampling.rules;
    let opening = text.opening;
    let forced_first = rules.forced_bos_token_id;
    let after_forced = usize::from(opening <= 1 && forced_first.is_some());
    let drawn = !sampling.is_greedy();
    // Settings that are off, compared to the bit.
    let on = |value: f64, off: f64| value.to_bits() != off.to_bits();
    let steps = [
        on(rules.encoder_repetition_penalty, 1.0)
            .then_some(Process::PenalizePrompt(rules.encoder_repetition_penalty)),
        on(sampling.repetition_penalty, 1.0)
            .then_some(Process::Penalize(sampling.repetition_penalty)),
        (rules.no_repeat_ngram_size > 0).then_some(Process::NoRepeat(rules.no_repeat_ngram_size)),
        (rules.encoder_no_repeat_ngram_size > 0).then_some(Process::NoRepeatOfPrompt(
            rules.encoder_no_repeat_ngram_size,
        )),
        (!rules.bad_words_ids.is_empty()).then_some(Process::BadWords(&rules.bad_words_ids)),
        (rules.min_length > 0).then_some(Process::NoEndBeforeLength(rules.min_length)),
        (rules.min_new_tokens > 0).then_some(Process::NoEndBeforeMade(rules.min_new_tokens)),
        forced_first.map(Process::ForceFirst),
        (!rules.forced_eos_token_id.is_empty())
            .then_some(Process::ForceLast(&rules.forced_eos_token_id)),
        rules
            .exponential_decay_length_penalty
            .map(|(start, factor)| Process::HastenEnd { start, factor }),
        (!rules.suppress_tokens.is_empty()).then_some(Process::Suppress(&rules.suppress_tokens)),
        (!rules.begin_suppress_tokens.is_empty()).then_some(Process::SuppressFirst {
            tokens: &rules.begin_suppress_tokens,
            at: opening + after_forced,
        }),
        (drawn && on(sampling.temperature, 1.0))
            .then_some(Process::Temperature(sampling.temperature)),
        sampling
            .top_k
            .filter(|_| drawn)
            .map(|k| Process::TopK(k.max(keep))),
        (drawn && sampling.top_p < 1.0).then_some(Process::TopP {
            share: sampling.top_p,
            keep,
        }),
        (drawn && sampling.min_p > 0.0).then_some(Process::MinP {
            share: sampling.min_p,
            keep,
        }),
        (drawn && sampling.typical_p < 1.0).then_some(Process::TypicalP {
            share: sampling.typical_p,
            keep,
        }),
        (drawn && sampling.epsilon_cutoff > 0.0).then_some(Process::Epsilon {
            cutoff: sampling.epsilon_cutoff,
            keep,
        }),
        (drawn && sampling.eta_cutoff > 0.0).then_some(Process::Eta {
            cutoff: sampling.eta_cutoff,
            keep,
        }),
    ];
    steps.into_iter().flatten().collect()
}

impl Process<'_> {
    /// Changes the scores of the next token of a text.
    pub(super) fn apply(&self, scores: &mut [f32], text: &Text<'_>) {
        match *self {
            Process::PenalizePrompt(penalty) => rule::penalize(scores, text.prompt, 1.0 / penalty),
            Process::Penalize(penalty) => rule::penalize(scores, text.context, penalty),
            Process::NoRepeat(size) => rule::no_repeat(scores, text.context, text.context, size),
            Process::NoRepeatOfPrompt(size) => {
                rule::no_repeat(scores, text.prompt, text.context, size);
            }
            Process::BadWords(runs) => rule::bad_words(scores, text, runs),
            Process::NoEndBeforeLength(length) if text.context.len() < length => {
                rule::suppress(scores, text.ends);
            }
            Process::NoEndBeforeMade(made) if text.made() < made => {
                rule::suppress(scores, text.ends);
            }
            Process::ForceFirst(token) if text.context.len() == 1 => rule::force(scores, &[token]),
            Process::ForceLast(tokens) if text.made() + 1 == text.limit => {
                rule::force(scores, tokens);
            }
            Process::HastenEnd { start, factor } if text.made() > start => {
                rule::hasten(scores, text.ends, factor, text.made() - start);
            }
            Process::Suppress(tokens) => rule::suppress(scores, tokens),
            Process::SuppressFirst { tokens, at } if text.context.len() == at => {
                rule::suppress(scores, tokens);
            }
            Process::NoEndBeforeLength(_)
            | Process::NoEndBeforeMade(_)
            | Process::ForceFirst(_)
            | Process::ForceLast(_)
            | Process::HastenEnd { .. }
            | Process::SuppressFirst { .. } => {}
            Process::Temperature(temperature) => {
                let temperature = temperature as f32;
                for score in scores {
                    *score /= temperature;
                }
            }
            Process::TopK(count) => share::top_k(scores, count),
            Process::TopP { share, keep } => share::top_p(scores, share, keep),
            Process::MinP { share, keep } => share::min_p(scores, share, keep),
            Process::TypicalP { share, keep } => share::typical_p(scores, share, keep),
            Process::Epsilon { cutoff, keep } => share::at_least(scores, keep, |_| cutoff),
            Process::Eta { cutoff, keep } => share::at_least(scores, keep, |entropy| {
                cutoff.min(cutoff.sqrt() * (-entropy).exp())
            }),
        }
    }
}
