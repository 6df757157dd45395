//! Forward passes that score tokens.

use burn::tensor::{Int, Tensor, TensorData};
use finetune_model::{ModelError, Side, Tokens};
use rayon::prelude::*;

use super::{Local, encode::Job};
use crate::{Result, Score};

/// About how many logits are held at once (64 MiB of `f32`).
const LOGITS: usize = 1 << 24;

/// A row of a batch: an input, and the jobs that it serves.
struct Row<'j> {
    source: &'j [u32],
    input: &'j [u32],
    jobs: Vec<usize>,
    /// How many of its last places predict something for one of its jobs.
    reach: usize,
}

/// What a place predicts: the likeliest token, the log of the sum of all exponentials, and the logits that are asked for.
struct Place {
    likeliest: u32,
    log_sum: f64,
    asked: Vec<f64>,
}

impl Local {
    /// Scores every job. Equal inputs are read once; inputs of like length share a batch.
    pub(super) fn run(&self, jobs: &[Job]) -> Result<Vec<Score>> {
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (&jobs[a], &jobs[b]);
            let by_length = b.length().cmp(&a.length());
            by_length.then_with(|| (&a.source, &a.input).cmp(&(&b.source, &b.input)))
        });
        let mut rows: Vec<Row<'_>> = Vec::new();
        for index in order {
            let job = &jobs[index];
            match rows.last_mut() {
                Some(row) if (row.source, row.input) == (&job.source, &job.input) => {
                    row.jobs.push(index);
                    row.reach = row.reach.max(job.targets.len());
                }
                _ => rows.push(Row {
                    source: &job.source,
                    input: &job.input,
                    jobs: vec![index],
                    reach: job.targets.len(),
                }),
            }
        }
        let mut scores = vec![
            Score {
                log_likelihood: 0.0,
                greedy: true,
                tokens: 0
            };
            jobs.len()
        ];
        let mut start = 0;
        while start < rows.len() {
            // Rows come from the longest to the shortest, so the first one is as long as the batch.
            let length = rows[start].source.len() + rows[start].input.len();
            let count = (self.batch_tokens / length).max(1);
            let end = (start + count).min(rows.len());
            self.batch(&rows[start..end], jobs, &mut scores)?;
            start = end;
        }
        Ok(scores)
    }

    fn batch(&self, rows: &[Row<'_>], jobs: &[Job], scores: &mut [Score]) -> Result<()> {
        let device = self.model.device();
        let inputs: Vec<Vec<Vec<u32>>> = rows.iter().map(|row| vec![row.input.to_vec()]).collect();
        let tokens = Tokens::new(&inputs, None, Side::Right, 0, &device)?;
        let sources: Vec<&[u32]> = rows.iter().map(|row| row.source).collect();
        let hidden = self.model.hidden(&sources, &tokens)?;
        let length = tokens.length();
        // Every place that predicts something, with the targets of each job that reaches it.
        let mut places: Vec<i32> = Vec::new();
        let mut asked: Vec<Vec<(usize, u32)>> = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            for back in (1..=row.reach).rev() {
                places.push((number * length + row.input.len() - back) as i32);
                let target = |&job: &usize| {
                    let targets = &jobs[job].targets;
                    Some((job, *targets.get(targets.len().checked_sub(back)?)?))
                };
                asked.push(row.jobs.iter().filter_map(target).collect());
            }
        }
        let chunk = (LOGITS / self.model.vocabulary()).max(1);
        for (places, asked) in places.chunks(chunk).zip(asked.chunks(chunk)) {
            let ids = TensorData::new(places.to_vec(), [places.len()]);
            let some = hidden
                .clone()
                .select(0, Tensor::<1, Int>::from_data(ids, &device));
            let logits = self.model.logits(some).into_data().convert::<f32>();
            let logits: Vec<f32> = logits.try_into_vec().map_err(|error| ModelError::Tokens {
                why: format!("the logits cannot be read: {error:?}"),
            })?;
            let width = logits.len() / places.len();
            let read: Vec<Place> = logits
                .par_chunks(width)
                .zip(asked)
                .map(|(logits, asked)| place(logits, asked))
                .collect();
            for (place, asked) in read.into_iter().zip(asked) {
                for (&(job, target), logit) in asked.iter().zip(place.asked) {
                    let score = &mut scores[job];
                    score.log_likelihood += logit - place.log_sum;
                    score.greedy &= place.likeliest == target;
                    score.tokens += 1;
                }
            }
        }
        Ok(())
    }
}

/// Reads the logits of a place.
fn place(logits: &[f32], asked: &[(usize, u32)]) -> Place {
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
        asked: asked
            .iter()
            .map(|(_, id)| {
                logits
                    .get(*id as usize)
                    .map_or(f64::NEG_INFINITY, |logit| f64::from(*logit))
            })
            .collect(),
    }
}
