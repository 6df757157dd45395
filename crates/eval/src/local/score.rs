//! Forward passes that score tokens.

use burn::tensor::{Int, Tensor, TensorData};
use finetune_model::{ModelError, Side, Tokens};
use rayon::prelude::*;

use super::Local;
use super::encode::Job;
use super::share::{Row, rows};
use crate::{Result, Score};

/// About how many logits are held at once (64 MiB of `f32`).
const LOGITS: usize = 1 << 24;

/// A token that a job asks for at a place of a batch.
#[derive(Clone, Copy)]
struct Ask {
    /// Counted over the whole batch.
    place: u32,
    job: usize,
    target: u32,
}

/// What a place predicts: the likeliest token, the log of the sum of all exponentials, and the logits that are asked for.
struct Place {
    likeliest: u32,
    log_sum: f64,
    asked: Vec<f64>,
}

impl Local {
    /// Scores every job. What inputs have in common is read once; rows of like length share a batch.
    pub(super) fn run(&self, jobs: &[Job]) -> Result<Vec<Score>> {
        let none = Score {
            log_likelihood: 0.0,
            greedy: true,
            tokens: 0,
        };
        let mut scores = vec![none; jobs.len()];
        // No row gets longer than a text may be.
        let room = if self.model.takes_branches() {
            self.batch_tokens.min(self.length)
        } else {
            0
        };
        let rows = rows(jobs, room);
        let mut rest = rows.as_slice();
        while let Some(first) = rest.first() {
            // Rows come from the longest to the shortest, so the first one is as long as the batch.
            let count = (self.batch_tokens / first.length()).clamp(1, rest.len());
            let (batch, later) = rest.split_at(count);
            self.batch(batch, jobs, &mut scores)?;
            rest = later;
        }
        Ok(scores)
    }

    fn batch(&self, rows: &[Row<'_>], jobs: &[Job], scores: &mut [Score]) -> Result<()> {
        let (parts, paths): (Vec<_>, Vec<_>) = rows.iter().map(Row::laid).unzip();
        let tokens = Tokens::branched(&parts, None, Side::Right, 0, &self.model.device())?;
        let sources: Vec<&[u32]> = rows.iter().map(|row| row.source).collect();
        let hidden = self.model.hidden(&sources, &tokens)?;
        let mut asks: Vec<Ask> = Vec::new();
        for (number, (row, paths)) in rows.iter().zip(&paths).enumerate() {
            let first = (number * tokens.length()) as u32;
            for (text, path) in row.texts.iter().zip(paths) {
                for &job in &text.jobs {
                    let targets = &jobs[job].targets;
                    let places = path[path.len() - targets.len()..].iter();
                    asks.extend(places.zip(targets).map(|(place, &target)| Ask {
                        place: first + place,
                        job,
                        target,
                    }));
                }
            }
        }
        asks.sort_by_key(|ask| ask.place);
        let places: Vec<&[Ask]> = asks.chunk_by(|a, b| a.place == b.place).collect();
        for places in places.chunks((LOGITS / self.model.vocabulary()).max(1)) {
            self.ask(&hidden, places, scores)?;
        }
        Ok(())
    }

    /// Adds what is predicted at some places to the scores of the jobs that ask there.
    fn ask(&self, hidden: &Tensor<2>, places: &[&[Ask]], scores: &mut [Score]) -> Result<()> {
        let ids: Vec<i32> = places.iter().map(|asks| asks[0].place as i32).collect();
        let ids = TensorData::new(ids, [places.len()]);
        let ids = Tensor::<1, Int>::from_data(ids, &hidden.device());
        let logits = self.model.logits(hidden.clone().select(0, ids));
        let logits = logits.into_data().convert::<f32>();
        let logits: Vec<f32> = logits.try_into_vec().map_err(|error| ModelError::Tokens {
            why: format!("the logits cannot be read: {error:?}"),
        })?;
        let read: Vec<Place> = logits
            .par_chunks(logits.len() / places.len())
            .zip(places)
            .map(|(logits, asks)| place(logits, asks))
            .collect();
        for (place, asks) in read.into_iter().zip(places) {
            for (ask, logit) in asks.iter().zip(place.asked) {
                let score = &mut scores[ask.job];
                score.log_likelihood += logit - place.log_sum;
                score.greedy &= place.likeliest == ask.target;
                score.tokens += 1;
            }
        }
        Ok(())
    }
}

/// Reads the logits of a place.
fn place(logits: &[f32], asks: &[Ask]) -> Place {
    let mut likeliest = 0;
    for (id, logit) in logits.iter().enumerate() {
        if *logit > logits[likeliest] {
            likeliest = id;
        }
    }
    let most = logits[likeliest];
    let sum: f64 = logits
        .iter()
        .map(|logit| f64::from((logit - most).exp()))
        .sum();
    Place {
        likeliest: likeliest as u32,
        log_sum: f64::from(most) + sum.ln(),
        // A token that the model does not know cannot come; the encoder's check makes this a matter of form.
        asked: asks
            .iter()
            .map(|ask| {
                logits
                    .get(ask.target as usize)
                    .map_or(f64::NEG_INFINITY, |logit| f64::from(*logit))
            })
            .collect(),
    }
}
