//! What to collect next: for each slice that fails, what the training set has there, and what should be written.

use std::{collections::BTreeMap, path::Path};

use finetune_data::{
    DataError, Document, Fields, Origin,
    synthesize::{self, Recipe},
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    Analysis, RIGHT, Row, Slice, Slicer, Slices,
    similar::{Index, Sums},
    slices::NEAREST as BY_NEARNESS,
};
use crate::{EvalError, Result, text::shorten};

/// The recipe that the prompt file holds.
const RECIPE: &str = include_str!("collect.json");
/// How many rows each prompt asks for.
const BATCH: usize = 3;
/// The most rows that are asked for of a slice.
const MOST: usize = 60;
/// How many training rows near a slice are named, and shown as examples.
const NEAREST: usize = 5;
/// How near a row must be to be named.
const NEAR: f64 = 0.1;
/// The longest text of an example, in characters.
const EXAMPLE: usize = 400;

/// What a failing slice lacks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// The slice.
    pub slice: Slice,
    /// The errors of its wrong items by their main class, the most frequent first.
    pub errors: Vec<(String, usize)>,
    /// How many training rows are in the slice.
    pub rows: usize,
    /// The training rows nearest to its wrong items, the nearest first; none whose similarity is below 0.1.
    pub nearest: Vec<NearRow>,
    /// How many rows should be written: so many that the slice has the share of the training set that it has of the items,
    /// at least as many as it has wrong items, at most 60 at once.
    pub wanted: usize,
}

/// A training row near a slice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearRow {
    /// Where it lies.
    pub origin: Origin,
    /// The cosine of its words and pairs of words with those of the nearest wrong item, 0 to 1.
    pub similarity: f64,
    /// What it asks.
    pub input: String,
    /// Its answer.
    pub reference: String,
}

/// What to collect next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Collection {
    /// The model whose errors these are.
    pub model: String,
    /// How many rows the training set has.
    pub training: usize,
    /// The needs, in the order of the slices.
    pub needs: Vec<Need>,
}

impl Slicer<'_> {
    /// What the slices that are clearly worse lack in the training set. Slices by nearness to it are left out: they say
    /// that rows are missing, and not of what kind.
    ///
    /// The training rows need their documents' fields ([`Row::with_fields`]) for slices by fields to be found in them.
    pub fn collect(&self, slices: &Slices, training: &[Row<'_>]) -> Collection {
        let index = Index::new(training.iter().map(|row| &*row.input));
        let mut groups: BTreeMap<&str, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
        let need = |slice: &Slice| {
            let wrong = self.wrong_items(slice);
            let nearest = self.nearest(&wrong, training, &index);
            let cut = self.cuts().iter().find(|cut| cut.name() == slice.by);
            let rows = cut.map_or(0, |cut| {
                let found = groups
                    .entry(cut.name())
                    .or_insert_with(|| cut.groups(training));
                found.get(&slice.value).map_or(0, Vec::len)
            });
            let share = slice.items.len() as f64 / self.items().max(1) as f64;
            let fair = (share * training.len() as f64).ceil() as usize;
            Need {
                errors: errors(self.analysis(), &wrong),
                rows,
                nearest,
                wanted: fair.saturating_sub(rows).max(wrong.len()).min(MOST),
                slice: slice.clone(),
            }
        };
        Collection {
            model: slices.model.clone(),
            training: training.len(),
            needs: slices
                .worse()
                .filter(|slice| slice.by != BY_NEARNESS)
                .map(need)
                .collect(),
        }
    }

    /// The training rows nearest to some items, each once.
    fn nearest(&self, items: &[usize], training: &[Row<'_>], index: &Index) -> Vec<NearRow> {
        let search = |sums: &mut Sums, &item: &usize| {
            let input = &self.analysis().items[item].outcome.input;
            index.nearest(input, NEAREST, None, sums)
        };
        let found: Vec<Vec<(usize, f64)>> =
            items.par_iter().map_init(Sums::default, search).collect();
        let mut best: BTreeMap<usize, f64> = BTreeMap::new();
        for (row, similarity) in found.into_iter().flatten().filter(|near| near.1 >= NEAR) {
            let known = best.entry(row).or_default();
            *known = known.max(similarity);
        }
        let mut order: Vec<(usize, f64)> = best.into_iter().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        order
            .into_iter()
            .take(NEAREST)
            .map(|(row, similarity)| NearRow {
                origin: training[row].origin.clone(),
                similarity,
                input: training[row].input.to_string(),
                reference: training[row].reference.to_string(),
            })
            .collect()
    }
}

/// The main classes of some items with their counts, the most frequent first.
fn errors(analysis: &Analysis, items: &[usize]) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for &item in items {
        *counts.entry(analysis.items[item].class()).or_default() += 1;
    }
    counts.remove(RIGHT);
    let mut counts: Vec<(String, usize)> = counts
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count))
        .collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts
}

impl Collection {
    /// The recipe for the generator: what is asked for with each of the [`prompts`](Collection::prompts).
    ///
    /// # Panics
    /// Never: the recipe is part of the crate, and a test reads it.
    pub fn recipe() -> Recipe {
        serde_json::from_str(RECIPE).expect("the recipe is part of the crate")
    }

    /// What the generator is asked about: for each need, one document per three rows that are wanted, with training rows
    /// as examples, other ones in each.
    ///
    /// Nothing of the items themselves stands in it, beyond the words that name a topic: rows made of the questions of an
    /// evaluation would make the next one worthless.
    pub fn prompts(&self) -> Vec<Document> {
        let mut prompts = Vec::new();
        for (number, need) in (1..).zip(&self.needs) {
            for batch in 0..need.wanted.div_ceil(BATCH) {
                let shown = need.nearest.len().min(BATCH);
                let examples: Vec<_> = (0..shown)
                    .map(|place| &need.nearest[(batch + place) % need.nearest.len()])
                    .map(|row| {
                        json!({
                            "prompt": shorten(&row.input, EXAMPLE),
                            "completion": shorten(&row.reference, EXAMPLE),
                        })
                    })
                    .collect();
                let errors: Vec<&str> = need.errors.iter().map(|(name, _)| name.as_str()).collect();
                let fields = [
                    (
                        "slice",
                        json!(format!("{}: {}", need.slice.by, need.slice.value)),
                    ),
                    ("errors", json!(errors)),
                    ("examples", json!(examples)),
                    ("need", json!(number)),
                    ("batch", json!(batch + 1)),
                ];
                prompts.push(Document {
                    text: String::new(),
                    fields: fields
                        .into_iter()
                        .map(|(name, value)| (name.to_owned(), value))
                        .collect::<Fields>(),
                    origin: Origin::new("what-to-collect", prompts.len() as u64 + 1),
                });
            }
        }
        prompts
    }

    /// Writes the two files of the generator: `NAME.json`, the recipe, and `NAME.jsonl`, what it is asked about; `path` is
    /// without the ending.
    ///
    /// ```text
    /// cargo run --release --features api --example synthesize -- --endpoint URL --model NAME \
    ///     --prompt collect.json --output new.jsonl collect.jsonl
    /// ```
    ///
    /// # Errors
    /// [`EvalError::Setting`] if nothing is needed, so that no empty file is taken for data; [`EvalError::Io`] or
    /// [`EvalError::Data`] if a file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let prompts = self.prompts();
        if prompts.is_empty() {
            return Err(EvalError::Setting {
                what: "what to collect next".into(),
                reason: "no slice is clearly worse than the rest, so there is nothing to ask for"
                    .into(),
            });
        }
        let path = path.as_ref();
        synthesize::write(path.with_extension("jsonl"), prompts)?;
        let recipe = path.with_extension("json");
        let text = serde_json::to_string_pretty(&Self::recipe()).map_err(|error| {
            EvalError::from(DataError::Setting {
                name: "recipe".into(),
                found: error.to_string(),
                expected: "a recipe that can be written as JSON".into(),
            })
        })?;
        std::fs::write(&recipe, text + "\n").map_err(|source| EvalError::Io {
            path: recipe,
            source,
        })
    }
}
