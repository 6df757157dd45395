//! Beam search: several texts at once, of which the best go on.

use super::answer::{Next, Task};
use super::autoregressive::Autoregressive;
use super::beams::{Beams, Early};
use super::generator::{Generated, Generator, OnToken};
use super::process::log_sum;
use super::stop::Finish;
use crate::noise::Noise;

/// A text that goes on, or has ended.
#[derive(Clone)]
struct Beam {
    context: Vec<u32>,
    log_probs: Vec<f64>,
    score: f64,
}

/// A continuation of a beam.
struct Candidate {
    row: usize,
    id: u32,
    /// The sum with the token.
    score: f64,
    /// What candidates are chosen by: the score, and noise where they are drawn.
    key: f64,
}

/// The beams of one prompt.
pub(super) struct Search {
    running: Vec<Beam>,
    /// The best that have ended, the best first.
    ended: Vec<Generated>,
    made: usize,
}

impl Search {
    pub(super) fn new(task: &Task) -> Self {
        let start = Beam {
            context: task.opening.clone(),
            log_probs: Vec::new(),
            score: 0.0,
        };
        Self {
            running: vec![start],
            ended: Vec::new(),
            made: 0,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.running.len()
    }

    /// Continues the best texts. The tokens of those that are returned are told when all is over.
    pub(super) fn step<M: Autoregressive>(
        &mut self,
        generator: &Generator<'_, M>,
        task: &Task,
        logits: &mut [f32],
        on_token: &mut OnToken<'_>,
    ) -> Next {
        let rows = if self.made == task.limit {
            Vec::new()
        } else {
            self.extend(generator, task, logits)
        };
        if rows.is_empty() || self.is_over(&generator.beams, task.limit) {
            return Next::Over(self.best(generator.answers, task, on_token));
        }
        Next::Rows(rows)
    }

    /// One step of the search; what goes on, or nothing.
    fn extend<M: Autoregressive>(
        &mut self,
        generator: &Generator<'_, M>,
        task: &Task,
        logits: &mut [f32],
    ) -> Vec<(usize, u32)> {
        let beams = &generator.beams;
        let width = logits.len() / self.running.len();
        logits.chunks_mut(width).for_each(normalize);
        let own = logits.to_vec();
        let candidates = self.candidates(generator, task, logits);
        let full = self.ended.len() == beams.count;
        let open = !(full && beams.early_stopping == Early::AtOnce);
        self.made += 1;
        let mut going: Vec<(usize, Beam)> = Vec::new();
        for (rank, candidate) in candidates.iter().enumerate() {
            let log_prob = f64::from(own[candidate.row * width + candidate.id as usize]);
            let is_end = generator.stops.tokens.contains(&candidate.id);
            let beam = self.running[candidate.row].grown(candidate, log_prob, is_end);
            let stops = is_end || reaches(generator, &beam.context[task.opening.len()..]);
            let finish = if stops {
                Some(Finish::Stop)
            } else {
                (self.made == task.limit).then_some(Finish::Length)
            };
            match finish {
                None => going.push((candidate.row, beam)),
                // Those of lower rank are there so that enough can go on.
                Some(finish) if open && rank < beams.count => {
                    let score = beam.score / (self.made as f64).powf(beams.length_penalty);
                    let end = is_end.then_some(log_prob);
                    self.ended.push(beam.end(task, finish, score, end));
                }
                Some(_) => {}
            }
        }
        self.keep_best(going, beams.count)
    }

    /// Keeps the best of those that have ended and of those that go on; says which rows these are.
    fn keep_best(&mut self, mut going: Vec<(usize, Beam)>, count: usize) -> Vec<(usize, u32)> {
        let score = |made: &Generated| made.score.unwrap_or(f64::NEG_INFINITY);
        self.ended.sort_by(|a, b| score(b).total_cmp(&score(a)));
        self.ended.truncate(count);
        going.sort_by(|(_, a), (_, b)| b.score.total_cmp(&a.score));
        going.truncate(count);
        let last = |beam: &Beam| beam.context.last().copied().unwrap_or(0);
        let rows = going.iter().map(|(row, beam)| (*row, last(beam))).collect();
        self.running = going.into_iter().map(|(_, beam)| beam).collect();
        rows
    }

    /// The best continuations of all beams, from their log-probabilities: so many that enough of them do not end.
    fn candidates<M: Autoregressive>(
        &self,
        generator: &Generator<'_, M>,
        task: &Task,
        scores: &mut [f32],
    ) -> Vec<Candidate> {
        let (sampling, ends) = (&generator.sampling, &generator.stops.tokens);
        let width = scores.len() / self.running.len();
        let noise = Noise::new(sampling.seed, task.number as u64, self.made as u64);
        let count = (1 + ends.len()).max(2) * generator.beams.count;
        let mut best: Vec<Candidate> = Vec::new();
        for (row, (beam, scores)) in self
            .running
            .iter()
            .zip(scores.chunks_mut(width))
            .enumerate()
        {
            let text = task.text(&beam.context, ends);
            sampling.process(scores, &text, 1 + ends.len().max(1));
            if generator.beams.renormalize_logits {
                normalize(scores);
            }
            let open = scores.iter().enumerate();
            let open = open.filter(|(_, score)| **score > f32::NEG_INFINITY);
            best.extend(open.map(|(id, score)| {
                let score = beam.score + f64::from(*score);
                let drawn = if sampling.is_greedy() {
                    0.0
                } else {
                    gumbel(noise.uniform((row * width + id) as u64))
                };
                Candidate {
                    row,
                    id: id as u32,
                    score,
                    key: score + drawn,
                }
            }));
            // The first of equals stays before the others: rows and ids ascend.
            let order = |a: &Candidate, b: &Candidate| {
                b.key
                    .total_cmp(&a.key)
                    .then((a.row, a.id).cmp(&(b.row, b.id)))
            };
            if best.len() > count {
                best.select_nth_unstable_by(count, order);
                best.truncate(count);
            }
            best.sort_unstable_by(order);
        }
        best
    }

    /// Whether nothing better is to be expected.
    fn is_over(&self, beams: &Beams, limit: usize) -> bool {
        let worst = self.ended.get(beams.count - 1).and_then(|made| made.score);
        let (Some(worst), Some(best)) = (worst, self.running.first()) else {
            return false;
        };
        let length = match beams.early_stopping {
            Early::AtOnce => return true,
            Early::Impossible if beams.length_penalty > 0.0 => limit,
            Early::Impossible | Early::Unlikely => self.made,
        };
        best.score / (length as f64).powf(beams.length_penalty) <= worst
    }

    /// The best that have ended, or one that says that there is none.
    fn best(&mut self, count: usize, task: &Task, on_token: &mut OnToken<'_>) -> Vec<Generated> {
        let mut best = std::mem::take(&mut self.ended);
        best.truncate(count);
        if best.is_empty() {
            let finish = if task.limit == 0 {
                Finish::Length
            } else {
                Finish::Forbidden
            };
            best.push(Generated {
                prompt: task.asked,
                ids: Vec::new(),
                log_probs: Vec::new(),
                end_log_prob: None,
                score: None,
                finish,
            });
        }
        for (turn, made) in best.iter_mut().enumerate() {
            let told = |id: &u32| on_token(task.number + turn, *id).is_break();
            if let Some(last) = made.ids.iter().position(told) {
                made.ids.truncate(last + 1);
                made.log_probs.truncate(last + 1);
                made.end_log_prob = None;
                made.finish = Finish::Cancelled;
            }
        }
        best
    }
}

impl Beam {
    /// The text with one more token; a token that ends it is not part of it.
    fn grown(&self, candidate: &Candidate, log_prob: f64, is_end: bool) -> Self {
        let mut beam = self.clone();
        beam.score = candidate.score;
        if !is_end {
            beam.context.push(candidate.id);
            beam.log_probs.push(log_prob);
        }
        beam
    }

    fn end(self, task: &Task, finish: Finish, score: f64, end: Option<f64>) -> Generated {
        let mut context = self.context;
        Generated {
            prompt: task.asked,
            ids: context.split_off(task.opening.len()),
            log_probs: self.log_probs,
            end_log_prob: end,
            score: Some(score),
            finish,
        }
    }
}

/// Whether the text of an answer holds a stop string.
fn reaches<M: Autoregressive>(generator: &Generator<'_, M>, ids: &[u32]) -> bool {
    generator.watched().is_some_and(|decoder| {
        let mut pieces = decoder();
        let text: String = ids.iter().map(|id| pieces(*id)).collect();
        generator.stops.cut(&text).1
    })
}

/// Logits become log-probabilities.
fn normalize(scores: &mut [f32]) {
    let sum = log_sum(scores);
    if sum.is_finite() {
        for score in scores {
            *score = (f64::from(*score) - sum) as f32;
        }
    }
}

/// Noise whose greatest sums with log-probabilities are draws without replacement (Kool et al. 2019).
fn gumbel(uniform: f32) -> f64 {
    // Half a step up: never 0.
    -(-(f64::from(uniform) + f64::from(2f32.powi(-25))).ln()).ln()
}
