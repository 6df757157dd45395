//! Where the errors are: the share of wrong outputs in parts of the items, against the rest.

mod cut;

use std::collections::HashMap;

use finetune_data::{Document, Origin};
use serde::{Deserialize, Serialize};

pub(super) use cut::NEAREST;
pub use cut::{Cut, Row};

use super::{Analysis, Correction, fisher_exact};
use crate::{Estimate, EvalError, Result};

/// A part of the items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slice {
    /// What the items were cut by: `field subject`, `length of the question`, `topic`.
    pub by: String,
    /// What these have in common.
    pub value: String,
    /// The numbers of its items.
    pub items: Vec<usize>,
    /// How many of them are wrong.
    pub wrong: usize,
    /// The share of wrong ones.
    pub share: Estimate,
    /// The share of wrong ones among all other items.
    pub rest: Estimate,
    /// The two-sided p-value of Fisher's exact test of the one share against the other.
    pub p_value: f64,
    /// The p-value, corrected for the number of slices.
    pub corrected: f64,
}

impl Slice {
    /// The share of wrong ones less that of the rest.
    pub fn difference(&self) -> f64 {
        self.share.value - self.rest.value
    }
}

/// The slices of an analysis, the clearly worse ones first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slices {
    /// The model.
    pub model: String,
    /// The class that was counted; none if it was every error.
    pub class: Option<String>,
    /// The slices: those worse than the rest at the level first, by how much; then the other ones by their p-value.
    pub slices: Vec<Slice>,
    /// How the p-values were corrected.
    pub correction: Correction,
    /// The corrected p-value below which a slice is clearly different.
    pub level: f64,
    /// How many slices had too few items, or left too few for the rest, and were not tested.
    pub small: usize,
    /// What the items were not cut by, and why.
    pub passed_over: Vec<(String, String)>,
}

impl Slices {
    /// The slices that are clearly worse than the rest.
    pub fn worse(&self) -> impl Iterator<Item = &Slice> {
        self.slices.iter().filter(|slice| self.is_worse(slice))
    }

    fn is_worse(&self, slice: &Slice) -> bool {
        slice.difference() > 0.0 && slice.corrected < self.level
    }
}

/// Cuts items into slices, and tests each against the rest.
///
/// ```
/// use finetune_data::Origin;
/// use finetune_eval::{Classes, Outcome, analysis::{Cut, Slicer, Vocabulary}};
///
/// let outcome = |line: u64| {
///     let topic = ["rank", "bread"][line as usize % 2];
///     let answer = if topic == "rank" { "It is eight." } else { "No idea at all." };
///     Outcome::new(Origin::new("a.jsonl", line), format!("What {topic} is number {line}?"), "It is eight.", answer)
/// };
/// let outcomes: Vec<Outcome> = (1..=40).map(outcome).collect();
/// let analysis = Classes::standard(Vocabulary::new()).analyze("tuned", &outcomes)?;
/// let kind = Cut::by("kind", |row| vec![if row.input.contains("rank") { "rank" } else { "bread" }.to_owned()]);
/// let slices = Slicer::new(&analysis).cut(kind).test()?;
/// assert_eq!(slices.worse().map(|slice| slice.value.as_str()).collect::<Vec<_>>(), ["bread"]);
/// # Ok::<(), finetune_eval::EvalError>(())
/// ```
pub struct Slicer<'a> {
    analysis: &'a Analysis,
    rows: Vec<Row<'a>>,
    cuts: Vec<Cut>,
    passed_over: Vec<(String, String)>,
    class: Option<String>,
    correction: Correction,
    level: f64,
    least: usize,
}

impl<'a> Slicer<'a> {
    /// No cuts yet; slices of 5 items or more, Holm's correction, a level of 0.05.
    pub fn new(analysis: &'a Analysis) -> Self {
        let rows = analysis
            .items
            .iter()
            .map(|item| Row::of_outcome(&item.outcome));
        Self {
            analysis,
            rows: rows.collect(),
            cuts: Vec::new(),
            passed_over: Vec::new(),
            class: None,
            correction: Correction::default(),
            level: 0.05,
            least: 5,
        }
    }

    /// Every cut that can be made: by the fields of the documents, by length, by topic, and, with training rows, by the
    /// nearness of the nearest one.
    ///
    /// # Errors
    /// As [`fields`](Slicer::fields), if there are documents.
    pub fn all(self, documents: &'a [Document], training: &[Row<'_>]) -> Result<Self> {
        let mut slicer = if documents.is_empty() {
            self
        } else {
            self.fields(documents)?
        };
        slicer = slicer.lengths().topics(12);
        if training.is_empty() {
            Ok(slicer)
        } else {
            Ok(slicer.nearness(training))
        }
    }

    /// Cuts by every field of the documents, which are those that the items were made of: their origins are compared. A
    /// field with numbers of more than ten values is cut at its quartiles; one with more than fifty other values, or a
    /// single one, is passed over.
    ///
    /// # Errors
    /// [`EvalError::Unmatched`] if some item has no document.
    pub fn fields(mut self, documents: &'a [Document]) -> Result<Self> {
        let by: HashMap<&Origin, &Document> = documents
            .iter()
            .map(|document| (&document.origin, document))
            .collect();
        for row in &mut self.rows {
            let Some(document) = by.get(row.origin) else {
                return Err(EvalError::Unmatched {
                    before: "the items".into(),
                    after: "the documents".into(),
                    detail: format!("no document lies at {}", row.origin),
                });
            };
            row.fields = Some(&document.fields);
        }
        let mut names: Vec<&String> = documents
            .iter()
            .flat_map(|document| document.fields.keys())
            .collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            match Cut::field(name, &self.rows) {
                Ok(cut) => self.cuts.push(cut),
                Err(reason) => self.passed_over.push((format!("field {name}"), reason)),
            }
        }
        Ok(self)
    }

    /// Cuts by the lengths of question and reference in words, at their quartiles.
    pub fn lengths(mut self) -> Self {
        for cut in [
            Cut::question_length(&self.rows),
            Cut::reference_length(&self.rows),
        ] {
            match cut {
                Ok(cut) => self.cuts.push(cut),
                Err((name, reason)) => self.passed_over.push((name, reason)),
            }
        }
        self
    }

    /// Cuts by at most so many topics of the questions, found by the words that they share.
    pub fn topics(mut self, count: usize) -> Self {
        match Cut::topics(&self.rows, count) {
            Some(cut) => self.cuts.push(cut),
            None => self.passed_over.push((
                "topic".into(),
                "the questions have too few words in common".into(),
            )),
        }
        self
    }

    /// Cuts by how near the nearest training row is to the question: the cosine of their words and pairs of words.
    pub fn nearness(mut self, training: &[Row<'_>]) -> Self {
        self.cuts.push(Cut::nearness(training));
        self
    }

    /// Adds a cut.
    pub fn cut(mut self, cut: Cut) -> Self {
        self.cuts.push(cut);
        self
    }

    /// Counts the items for which this class holds, alone or with others, in place of all wrong ones.
    pub fn class(mut self, name: impl Into<String>) -> Self {
        self.class = Some(name.into());
        self
    }

    /// How p-values are corrected for the number of slices.
    pub fn correction(mut self, correction: Correction) -> Self {
        self.correction = correction;
        self
    }

    /// The corrected p-value below which a slice is clearly different.
    pub fn level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }

    /// The fewest items of a slice, and of the rest.
    pub fn least(mut self, items: usize) -> Self {
        self.least = items.max(1);
        self
    }

    /// The cuts that will be made.
    pub fn cuts(&self) -> &[Cut] {
        &self.cuts
    }

    /// Tests every slice against the rest.
    ///
    /// # Errors
    /// [`EvalError::Setting`] for a class that the analysis does not have.
    pub fn test(&self) -> Result<Slices> {
        let wrong = self.wrong()?;
        let all = wrong.iter().filter(|&&wrong| wrong).count();
        let mut slices = Vec::new();
        let mut small = 0;
        for cut in &self.cuts {
            for (value, items) in cut.groups(&self.rows) {
                let rest = self.rows.len() - items.len();
                if items.len() < self.least || rest < self.least {
                    small += 1;
                    continue;
                }
                let hits = items.iter().filter(|&&item| wrong[item]).count();
                let share =
                    |hits, count| Estimate::of_share(hits, count).unwrap_or(Estimate::bare(0.0, 0));
                let p_value = fisher_exact((hits, items.len()), (all - hits, rest));
                slices.push(Slice {
                    by: cut.name().to_owned(),
                    value,
                    wrong: hits,
                    share: share(hits, items.len()),
                    rest: share(all - hits, rest),
                    p_value,
                    corrected: p_value,
                    items,
                });
            }
        }
        let p_values: Vec<f64> = slices.iter().map(|slice| slice.p_value).collect();
        for (slice, corrected) in slices.iter_mut().zip(self.correction.adjust(&p_values)) {
            slice.corrected = corrected;
        }
        let mut found = Slices {
            model: self.analysis.model.clone(),
            class: self.class.clone(),
            slices: Vec::new(),
            correction: self.correction,
            level: self.level,
            small,
            passed_over: self.passed_over.clone(),
        };
        let (mut worse, mut others): (Vec<Slice>, Vec<Slice>) =
            slices.into_iter().partition(|slice| found.is_worse(slice));
        worse.sort_by(|a, b| b.difference().total_cmp(&a.difference()));
        others.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
        found.slices = worse.into_iter().chain(others).collect();
        Ok(found)
    }

    /// The analysis that is cut.
    pub(super) fn analysis(&self) -> &Analysis {
        self.analysis
    }

    /// How many items there are.
    pub(super) fn items(&self) -> usize {
        self.rows.len()
    }

    /// The items of a slice that are counted as wrong.
    pub(super) fn wrong_items(&self, slice: &Slice) -> Vec<usize> {
        let wrong = self.wrong().unwrap_or_default();
        let is_wrong = |item: &usize| wrong.get(*item).copied().unwrap_or(false);
        slice.items.iter().copied().filter(is_wrong).collect()
    }

    /// Which items are counted.
    fn wrong(&self) -> Result<Vec<bool>> {
        let Some(class) = &self.class else {
            let items = self.analysis.items.iter();
            return Ok(items.map(|item| item.main.is_some()).collect());
        };
        if !self
            .analysis
            .totals
            .iter()
            .any(|total| total.name == *class)
        {
            let known = self
                .analysis
                .totals
                .iter()
                .map(|total| format!("{:?}", total.name));
            return Err(EvalError::Setting {
                what: format!("class {class:?}"),
                reason: format!(
                    "the analysis does not have it; it has {}",
                    known.collect::<Vec<_>>().join(", ")
                ),
            });
        }
        let holds = |item: &super::Judged| item.errors.iter().any(|(name, _)| name == class);
        Ok(self.analysis.items.iter().map(holds).collect())
    }
}
