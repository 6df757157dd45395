//! Rows of benchmarks that stand in training data, and the figures without them.

use std::collections::BTreeMap;

use finetune_data::quality::{Contamination, Duplicates, Sample as Text, Target};
use finetune_data::{Document, Origin};
use serde::{Deserialize, Serialize};

use super::{Figure, Results, Sample};
use crate::suite::benchmark::metrics_of;
use crate::suite::definition::Definition;
use crate::{Metric, Result, Run};

/// The rows of a task that stand in training data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaks {
    /// How many rows were looked for.
    pub searched: usize,
    /// How many were too short to be found by a run of words; as near duplicates they are found.
    pub too_short: u64,
    /// Those that were found, by their number.
    pub found: Vec<Leak>,
    /// The figures of the task without them; none if nothing is left.
    pub clean: BTreeMap<String, Figure>,
}

/// A row of a task that stands in training data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leak {
    /// The number of the row in its split, from 0.
    pub index: usize,
    /// Where the training row stands.
    pub training: Origin,
    /// The share of the row's words in shared runs; of a near duplicate, the similarity of the texts.
    pub share: f64,
    /// The longest run of words that both have, as the training row writes it; empty for a near duplicate without one.
    pub text: String,
}

impl Results {
    /// Looks for the rows of all tasks in training data: by runs of 13 words that both have (8 for short rows), and as
    /// near duplicates. Of each row the strongest finding is kept.
    ///
    /// # Errors
    /// If a task's definition does not read, or a metric cannot be measured over what is left.
    pub fn against(mut self, training: &[Document]) -> Result<Self> {
        let rows: Vec<Text<'_>> = training.iter().map(Text::from).collect();
        let runs = self.runs();
        let mut leaks = BTreeMap::new();
        for run in &runs {
            let samples = &self.samples[&run.task];
            let (before, after) = frame(samples);
            let texts: Vec<String> = samples
                .iter()
                .map(|sample| sample.text(before, after))
                .collect();
            let items: Vec<Text<'_>> = samples
                .iter()
                .zip(&texts)
                .map(|(sample, text)| Text {
                    text: text.as_str().into(),
                    target: Target::Text,
                    origin: &sample.origin,
                })
                .collect();
            let (found, too_short) = find(&rows, &items)?;
            let definition = Definition::of(&run.task, self.tasks[&run.task].definition.clone())?;
            leaks.insert(
                run.task.clone(),
                Leaks {
                    searched: samples.len(),
                    too_short,
                    clean: without(run, &found, &definition)?,
                    found: found.into_values().collect(),
                },
            );
        }
        self.leaks = leaks;
        Ok(self)
    }
}

impl Sample {
    /// What is looked for in training data: the question without the first `before` and the last `behind` bytes; where it
    /// is too short to be found by a run of words, with its choices, or with its answers where it has none.
    fn text(&self, before: usize, behind: usize) -> String {
        let enough = Contamination::default().short_words;
        let mut text = self.question[before..self.question.len() - behind].to_owned();
        if text.split_whitespace().count() >= enough {
            return text;
        }
        let after = if self.choices.is_empty() {
            &self.references
        } else {
            &self.choices
        };
        for line in after {
            text.push('\n');
            text.push_str(line);
        }
        text
    }
}

/// How many bytes all questions begin and end with in common, as with `Question: ` and `Answer:`: the task's wording, which
/// no training row has around a question.
fn frame(samples: &[Sample]) -> (usize, usize) {
    let [first, others @ ..] = samples else {
        return (0, 0);
    };
    if others.is_empty() {
        return (0, 0);
    }
    let same = |pair: &(char, char)| pair.0 == pair.1;
    let mut shared = first.question.as_str();
    for other in others {
        let pairs = shared.chars().zip(other.question.chars());
        let length: usize = pairs.take_while(same).map(|(one, _)| one.len_utf8()).sum();
        shared = &shared[..length];
    }
    let before = shared.len();
    let mut shared = &first.question[before..];
    for other in others {
        let pairs = shared
            .chars()
            .rev()
            .zip(other.question[before..].chars().rev());
        let length: usize = pairs.take_while(same).map(|(one, _)| one.len_utf8()).sum();
        shared = &shared[shared.len() - length..];
    }
    (before, shared.len())
}

/// The findings by the number of the item, and how many items were too short for runs of words.
fn find(rows: &[Text<'_>], items: &[Text<'_>]) -> Result<(BTreeMap<usize, Leak>, u64)> {
    let overlaps = Contamination::default().find(rows, items)?;
    let mut found: BTreeMap<usize, Leak> = BTreeMap::new();
    let mut keep = |leak: Leak| {
        let known = found.get(&leak.index);
        if known.is_none_or(|known| leak.share > known.share) {
            found.insert(leak.index, leak);
        }
    };
    for overlap in overlaps.found {
        keep(Leak {
            index: overlap.item,
            training: overlap.row_origin,
            share: overlap.share,
            text: overlap.row_text,
        });
    }
    let duplicates = Duplicates::default().leaks(rows, items)?;
    for (row, leak) in rows.iter().zip(duplicates) {
        if let Some(leak) = leak {
            keep(Leak {
                index: leak.test,
                training: row.origin.clone(),
                share: leak.similarity,
                text: String::new(),
            });
        }
    }
    Ok((found, overlaps.too_short))
}

/// The figures of a run without the items that were found.
fn without(
    run: &Run,
    found: &BTreeMap<usize, Leak>,
    definition: &Definition,
) -> Result<BTreeMap<String, Figure>> {
    let clean = run
        .outcomes
        .iter()
        .enumerate()
        .filter(|(index, _)| !found.contains_key(index));
    let clean: Vec<_> = clean.map(|(_, outcome)| outcome.clone()).collect();
    if clean.is_empty() {
        return Ok(BTreeMap::new());
    }
    let metrics = metrics_of(definition)?;
    let metrics: Vec<Box<dyn Metric>> = metrics
        .into_iter()
        .map(|metric| Box::new(metric) as _)
        .collect();
    let run = Run::of_outcomes(&run.model, &run.task, &metrics, clean)?;
    Ok(run
        .measured
        .iter()
        .map(|one| (one.metric.clone(), Figure::of(one)))
        .collect())
}
