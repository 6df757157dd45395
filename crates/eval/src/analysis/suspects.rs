//! Errors of the data that the model finds: training rows that it cannot learn.

use std::collections::{BTreeMap, HashMap};

use finetune_data::Origin;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{
    CopiedPrompt, CutOff, Empty, Refusal, Repetition, Row, Rule, SpecialTokens,
    similar::{Index, Sums},
};
use crate::{
    Continuation, EvalError, LanguageModel, Outcome, Result,
    metric::{Normalization, token_f1},
    text::shorten,
};

/// The fewest rows of about the same length that a loss is compared with; else it is compared with all.
const PEERS: usize = 20;
/// The most answers of a set of labels.
const LABELS: usize = 20;
/// How many neighbours of a row are looked at.
const NEIGHBOURS: usize = 5;
/// The longest text that is shown, in characters.
const SHOWN: usize = 200;

/// The loss of a training row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowLoss {
    /// Where the row lies.
    pub origin: Origin,
    /// The mean negative log-likelihood of a token of its answer, in nats.
    pub loss: f64,
    /// The number of these tokens.
    pub tokens: usize,
}

/// The losses of rows under a model, in their order: of the answer after the question, with nothing around either. So it
/// is best asked of a model whose `score` knows the template of its training.
///
/// # Errors
/// Whatever the model returns; [`EvalError::AnswerCount`] if it answers too little or too much;
/// [`EvalError::NotFinite`] for a loss that is no number.
pub fn losses(model: &dyn LanguageModel, rows: &[Row<'_>]) -> Result<Vec<RowLoss>> {
    let requests: Vec<Continuation> = rows
        .iter()
        .map(|row| Continuation::new(&*row.input, &*row.reference))
        .collect();
    if requests.is_empty() {
        return Ok(Vec::new());
    }
    let scores = model.score(&requests)?;
    if scores.len() != rows.len() {
        return Err(EvalError::AnswerCount {
            expected: rows.len(),
            found: scores.len(),
        });
    }
    rows.iter()
        .zip(scores)
        .map(|(row, score)| {
            let loss = -score.log_likelihood / score.tokens.max(1) as f64;
            if loss.is_finite() {
                Ok(RowLoss {
                    origin: row.origin.clone(),
                    loss,
                    tokens: score.tokens,
                })
            } else {
                Err(EvalError::NotFinite {
                    origin: row.origin.clone(),
                    score: "loss".into(),
                    value: loss,
                })
            }
        })
        .collect()
}

/// A training row that is probably wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspect {
    /// Where it lies.
    pub origin: Origin,
    /// Its loss per token, in nats.
    pub loss: f64,
    /// The number of tokens.
    pub tokens: usize,
    /// The median loss of rows of about its length.
    pub usual: f64,
    /// How many deviations it lies above that; a deviation is 1.4826 times the median distance from the median, which is
    /// the standard deviation where losses are normal.
    pub deviations: f64,
    /// What it probably is.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<String>,
    /// What it asks, shortened.
    pub input: String,
    /// Its answer, shortened.
    pub reference: String,
}

/// What is probably wrong with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Rows that ask nearly the same have another answer.
    Mislabelled,
    /// Its answer is damaged, or has another form than the others.
    Malformed,
    /// Nothing but its loss is known: wrong, or rare, or hard.
    Unlikely,
}

impl Verdict {
    /// Its name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mislabelled => "mislabelled",
            Self::Malformed => "malformed",
            Self::Unlikely => "unlikely",
        }
    }
}

/// The training rows that are probably wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspects {
    /// How many rows were looked at.
    pub rows: usize,
    /// The most suspicious first.
    pub suspects: Vec<Suspect>,
}

/// When a row is a suspect.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Suspicion {
    /// How many deviations above the usual loss of its length a row must lie; 3 by default.
    pub deviations: f64,
    /// How near the question of a row must be that contradicts, as a cosine; 0.8 by default.
    pub near: f64,
    /// The most suspects that are listed; 100 by default.
    pub listed: usize,
}

impl Default for Suspicion {
    fn default() -> Self {
        Self {
            deviations: 3.0,
            near: 0.8,
            listed: 100,
        }
    }
}

impl Suspicion {
    /// The suspects among training rows, by their losses, which stand in the same order.
    ///
    /// # Errors
    /// [`EvalError::Unmatched`] if rows and losses do not belong together; [`EvalError::NotFinite`] for a loss that is no
    /// number.
    pub fn find(&self, rows: &[Row<'_>], losses: &[RowLoss]) -> Result<Suspects> {
        check(rows, losses)?;
        let usual = Usual::of(losses);
        let above: Vec<(usize, f64, f64)> = losses
            .iter()
            .enumerate()
            .map(|(row, loss)| {
                let (median, deviations) = usual.place(loss);
                (row, median, deviations)
            })
            .filter(|(_, _, deviations)| *deviations >= self.deviations)
            .collect();
        let index = Index::new(rows.iter().map(|row| &*row.input));
        let labels = Labels::of(rows);
        let judge = |sums: &mut Sums, &(row, usual, deviations): &(usize, f64, f64)| {
            let mislabelled = self.contradicted(rows, row, &index, sums);
            let malformed = malformed(&rows[row], &labels);
            let verdict = match (mislabelled.is_empty(), malformed.is_empty()) {
                (_, false) => Verdict::Malformed,
                (false, true) => Verdict::Mislabelled,
                (true, true) => Verdict::Unlikely,
            };
            let loss = &losses[row];
            let mut reasons = vec![format!(
                "loss {:.2} per token, {:.2} is usual for its length ({deviations:.1} deviations)",
                loss.loss, usual
            )];
            reasons.extend(mislabelled);
            reasons.extend(malformed);
            Suspect {
                origin: loss.origin.clone(),
                loss: loss.loss,
                tokens: loss.tokens,
                usual,
                deviations,
                verdict,
                reasons,
                input: shorten(&rows[row].input, SHOWN),
                reference: shorten(&rows[row].reference, SHOWN),
            }
        };
        let mut suspects: Vec<Suspect> = above.par_iter().map_init(Sums::default, judge).collect();
        // A row with a reason beside its loss comes first.
        suspects.sort_by(|a, b| {
            let bare = |suspect: &Suspect| suspect.verdict == Verdict::Unlikely;
            bare(a)
                .cmp(&bare(b))
                .then(b.deviations.total_cmp(&a.deviations))
                .then_with(|| a.origin.cmp(&b.origin))
        });
        suspects.truncate(self.listed);
        Ok(Suspects {
            rows: rows.len(),
            suspects,
        })
    }

    /// The neighbours that ask nearly the same and answer otherwise, if more of them do than answer alike.
    fn contradicted(
        &self,
        rows: &[Row<'_>],
        row: usize,
        index: &Index,
        sums: &mut Sums,
    ) -> Vec<String> {
        let near = index.nearest(&rows[row].input, NEIGHBOURS, Some(row), sums);
        let answer = |row: usize| Normalization::default().apply(&rows[row].reference);
        let own = answer(row);
        let (same, other): (Vec<_>, Vec<_>) = near
            .into_iter()
            .filter(|(_, cosine)| *cosine >= self.near)
            .partition(|(near, _)| {
                answer(*near) == own
                    || token_f1(
                        &rows[*near].reference,
                        &rows[row].reference,
                        Normalization::default(),
                    ) >= 0.5
            });
        if same.len() >= other.len() {
            return Vec::new();
        }
        other
            .into_iter()
            .map(|(near, cosine)| {
                format!(
                    "{} asks nearly the same (similarity {cosine:.2}) and answers “{}”",
                    rows[near].origin,
                    shorten(&rows[near].reference, 60)
                )
            })
            .collect()
    }
}

fn check(rows: &[Row<'_>], losses: &[RowLoss]) -> Result<()> {
    let unmatched = |detail| EvalError::Unmatched {
        before: "the training rows".into(),
        after: "their losses".into(),
        detail,
    };
    if rows.len() != losses.len() {
        return Err(unmatched(format!(
            "{} rows and {} losses",
            rows.len(),
            losses.len()
        )));
    }
    for (row, loss) in rows.iter().zip(losses) {
        if *row.origin != loss.origin {
            return Err(unmatched(format!(
                "the row at {} has the loss of {}",
                row.origin, loss.origin
            )));
        }
        if !loss.loss.is_finite() {
            return Err(EvalError::NotFinite {
                origin: loss.origin.clone(),
                score: "loss".into(),
                value: loss.loss,
            });
        }
    }
    Ok(())
}

/// The usual losses of rows by their length.
struct Usual {
    /// By the power of two of the number of tokens: median and deviation.
    lengths: BTreeMap<u32, (f64, f64)>,
    all: (f64, f64),
}

impl Usual {
    fn of(losses: &[RowLoss]) -> Self {
        let mut lengths: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for loss in losses {
            lengths
                .entry(power(loss.tokens))
                .or_default()
                .push(loss.loss);
        }
        lengths.retain(|_, losses| losses.len() >= PEERS);
        Self {
            lengths: lengths
                .into_iter()
                .map(|(power, losses)| (power, spread(losses)))
                .collect(),
            all: spread(losses.iter().map(|loss| loss.loss).collect()),
        }
    }

    /// The median for a row of this length, and how many deviations the row lies above it.
    fn place(&self, loss: &RowLoss) -> (f64, f64) {
        let &(median, deviation) = self.lengths.get(&power(loss.tokens)).unwrap_or(&self.all);
        (median, (loss.loss - median) / deviation)
    }
}

/// The greatest power of two that a number of tokens reaches.
fn power(tokens: usize) -> u32 {
    tokens.max(1).ilog2()
}

/// Median and deviation, which is at least a hundredth of a nat: of losses that are all alike nothing is far away by
/// rounding alone.
fn spread(mut losses: Vec<f64>) -> (f64, f64) {
    let median = median(&mut losses);
    let mut distances: Vec<f64> = losses.iter().map(|loss| (loss - median).abs()).collect();
    (median, (1.4826 * self::median(&mut distances)).max(0.01))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// The labels that the answers of a data set are, where they are labels.
struct Labels(HashMap<String, usize>);

impl Labels {
    /// The answers with their counts, if at most twenty of them make up 95 % of the rows.
    fn of(rows: &[Row<'_>]) -> Self {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for row in rows {
            *counts.entry(row.reference.trim().to_owned()).or_default() += 1;
        }
        let mut frequent: Vec<usize> = counts.values().copied().collect();
        frequent.sort_unstable_by(|a, b| b.cmp(a));
        let covered: usize = frequent
            .iter()
            .take(LABELS)
            .filter(|count| **count > 1)
            .sum();
        if rows.is_empty() || covered * 20 < rows.len() * 19 {
            counts.clear();
        }
        Self(counts)
    }

    /// Why an answer does not belong to the labels.
    fn fault(&self, answer: &str) -> Option<String> {
        let rare = self.0.get(answer.trim()).is_some_and(|count| *count == 1);
        rare.then(|| {
            format!(
                "its answer “{}” stands nowhere else, and the others are labels",
                shorten(answer, 60)
            )
        })
    }
}

/// What is damaged in a row.
fn malformed(row: &Row<'_>, labels: &Labels) -> Vec<String> {
    let mut outcome = Outcome::new(row.origin.clone(), &*row.input, "", &*row.reference);
    outcome.references.clear();
    let refusal = Refusal::default();
    let rules: [(&str, &dyn Rule); 6] = [
        ("its answer is empty", &Empty),
        ("its answer has marks of a model", &SpecialTokens::default()),
        ("its answer goes round in a loop", &Repetition::default()),
        ("its answer is not whole", &CutOff),
        ("its answer declines", &refusal),
        ("its answer repeats the question", &CopiedPrompt::default()),
    ];
    let mut faults: Vec<String> = Vec::new();
    for (fault, rule) in rules {
        if let Some(finding) = rule.find(&outcome).into_iter().next() {
            faults.push(format!("{fault}: {}", finding.detail));
        }
    }
    if let Some(mark) = MOJIBAKE.iter().find(|mark| row.reference.contains(**mark)) {
        faults.push(format!("its answer was read in a wrong encoding: “{mark}”"));
    }
    faults.extend(labels.fault(&row.reference));
    faults
}

/// What UTF-8 becomes when it is read as Latin-1 or Windows-1252.
const MOJIBAKE: [&str; 8] = ["Ã¤", "Ã¶", "Ã¼", "Ã©", "Ã¨", "â€™", "â€œ", "Â\u{a0}"];
