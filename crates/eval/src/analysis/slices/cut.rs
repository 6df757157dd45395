//! What items and training rows are cut by.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use finetune_data::{Conversation, Document, Fields, Labeled, Origin, Value};
use rayon::prelude::*;

use crate::{
    Outcome,
    analysis::{
        prose::units,
        similar::{Index, Sums},
        topics::Topics,
    },
};

/// The most values of a field that is no number.
const VALUES: usize = 50;
/// The most values of a field of numbers whose values are slices by themselves.
const NUMBERS: usize = 10;
/// The longest value of a field, in characters.
const VALUE: usize = 80;
/// The name of the cut by nearness.
pub(in crate::analysis) const NEAREST: &str = "nearest training row";
/// The borders of nearness, and what lies below each.
const NEARNESS: [(f64, &str); 4] = [
    (0.2, "below 0.2: nothing like it"),
    (0.4, "0.2 to 0.4"),
    (0.7, "0.4 to 0.7"),
    (f64::INFINITY, "0.7 or more: nearly the same"),
];

/// A question with its answer, an item or a training row, as cuts see it.
#[derive(Clone, Debug)]
pub struct Row<'a> {
    /// Where it lies.
    pub origin: &'a Origin,
    /// What is asked.
    pub input: Cow<'a, str>,
    /// The right answer.
    pub reference: Cow<'a, str>,
    /// The fields of its document, where they are known.
    pub fields: Option<&'a Fields>,
}

impl<'a> Row<'a> {
    /// An item, with its main reference and without fields.
    pub fn of_outcome(outcome: &'a Outcome) -> Self {
        Self {
            origin: &outcome.origin,
            input: Cow::Borrowed(&outcome.input),
            reference: Cow::Borrowed(outcome.reference()),
            fields: None,
        }
    }

    /// A training row with the fields of the document that it was made of.
    pub fn with_fields(mut self, document: &'a Document) -> Self {
        self.fields = Some(&document.fields);
        self
    }
}

impl<'a> From<&'a Conversation> for Row<'a> {
    /// Everything before the last answer, and that answer.
    fn from(conversation: &'a Conversation) -> Self {
        Self {
            origin: &conversation.origin,
            input: Cow::Owned(conversation.question()),
            reference: Cow::Borrowed(conversation.answer().unwrap_or_default()),
            fields: None,
        }
    }
}

impl<'a> From<&'a Labeled> for Row<'a> {
    fn from(example: &'a Labeled) -> Self {
        Self {
            origin: &example.origin,
            input: example.whole().into(),
            reference: Cow::Owned(example.label.to_string()),
            fields: None,
        }
    }
}

/// A way to cut rows into slices. A row can be in several slices of a cut, or in none.
#[derive(Clone)]
pub struct Cut {
    name: String,
    of: Arc<Of>,
}

/// The slices that a row is in.
type Of = dyn Fn(&Row<'_>) -> Vec<String> + Send + Sync;

impl std::fmt::Debug for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cut")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Cut {
    /// A cut by a function of a row: the slices that it is in.
    pub fn by(
        name: impl Into<String>,
        of: impl Fn(&Row<'_>) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            of: Arc::new(of),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The slices that a row is in.
    pub fn slices(&self, row: &Row<'_>) -> Vec<String> {
        (self.of)(row)
    }

    /// The rows of every slice, by the slice's name.
    pub(crate) fn groups(&self, rows: &[Row<'_>]) -> BTreeMap<String, Vec<usize>> {
        let slices: Vec<Vec<String>> = rows.par_iter().map(|row| self.slices(row)).collect();
        let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (number, slices) in slices.into_iter().enumerate() {
            let slices: BTreeSet<String> = slices.into_iter().collect();
            for slice in slices {
                groups.entry(slice).or_default().push(number);
            }
        }
        groups
    }

    /// By a field of the documents; or why not.
    pub(super) fn field(name: &str, rows: &[Row<'_>]) -> Result<Self, String> {
        let values = || rows.iter().filter_map(|row| row.fields?.get(name));
        let numbers: Vec<f64> = values().filter_map(Value::as_f64).collect();
        let field = name.to_owned();
        let title = format!("field {name}");
        let different: BTreeSet<u64> = numbers.iter().map(|number| number.to_bits()).collect();
        if different.len() > NUMBERS && numbers.len() == values().count() {
            let bins = Bins::of(numbers).ok_or("most rows have the same value")?;
            return Ok(Self::by(title, move |row| {
                let value = row.fields.and_then(|fields| fields.get(&field)?.as_f64());
                value.map(|value| bins.name(value)).into_iter().collect()
            }));
        }
        let mut seen: HashSet<String> = HashSet::new();
        for value in values() {
            let named = named(value).ok_or("its values are objects or long texts")?;
            seen.extend(named);
            if seen.len() > VALUES {
                return Err(format!("it has more than {VALUES} values"));
            }
        }
        if seen.len() < 2 {
            return Err("it has a single value".into());
        }
        Ok(Self::by(title, move |row| {
            let value = row.fields.and_then(|fields| fields.get(&field));
            value.and_then(named).unwrap_or_default()
        }))
    }

    /// By the length of the question; or its name and why not.
    pub(super) fn question_length(rows: &[Row<'_>]) -> Result<Self, (String, String)> {
        Self::length("length of the question", rows, input)
    }

    /// By the length of the reference; or its name and why not.
    pub(super) fn reference_length(rows: &[Row<'_>]) -> Result<Self, (String, String)> {
        Self::length("length of the reference", rows, reference)
    }

    fn length(
        name: &str,
        rows: &[Row<'_>],
        of: for<'r> fn(&'r Row<'_>) -> &'r str,
    ) -> Result<Self, (String, String)> {
        let words = move |row: &Row<'_>| units(of(row)).len() as f64;
        let lengths: Vec<f64> = rows.par_iter().map(words).collect();
        let bins = Bins::of(lengths)
            .ok_or_else(|| (name.to_owned(), "most rows have the same length".to_owned()))?;
        Ok(Self::by(name, move |row| {
            vec![format!("{} words", bins.name(words(row)))]
        }))
    }

    /// By topics of the questions.
    pub(super) fn topics(rows: &[Row<'_>], count: usize) -> Option<Self> {
        let texts: Vec<&str> = rows.iter().map(|row| &*row.input).collect();
        let topics = Topics::of(&texts, count, 0)?;
        Some(Self::by("topic", move |row| {
            topics
                .topic(&row.input)
                .map(str::to_owned)
                .into_iter()
                .collect()
        }))
    }

    /// By the nearness of the nearest of some training rows; a row at the same place as one of them is compared with the
    /// others.
    pub(super) fn nearness(training: &[Row<'_>]) -> Self {
        let index = Index::new(training.iter().map(|row| &*row.input));
        let places: Vec<Origin> = training.iter().map(|row| row.origin.clone()).collect();
        Self::by(NEAREST, move |row| {
            thread_local! {
                static SUMS: std::cell::RefCell<Sums> = std::cell::RefCell::default();
            }
            let found = SUMS.with_borrow_mut(|sums| index.nearest(&row.input, 2, None, sums));
            let other = found.iter().find(|(near, _)| places[*near] != *row.origin);
            let near = other.map_or(0.0, |(_, cosine)| *cosine);
            let band = NEARNESS.iter().find(|(below, _)| near < *below);
            band.map(|(_, name)| (*name).to_owned())
                .into_iter()
                .collect()
        })
    }
}

fn input<'r>(row: &'r Row<'_>) -> &'r str {
    &row.input
}

fn reference<'r>(row: &'r Row<'_>) -> &'r str {
    &row.reference
}

/// The names of a field's value: a text, a number, a truth value, or a list of them. `None` for what is no name.
fn named(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Bool(value) => Some(vec![value.to_string()]),
        Value::Number(value) => Some(vec![value.to_string()]),
        Value::String(value) if value.chars().count() <= VALUE => Some(vec![value.clone()]),
        Value::Array(values) => {
            let names: Option<Vec<Vec<String>>> = values
                .iter()
                .map(|value| if value.is_array() { None } else { named(value) })
                .collect();
            Some(names?.concat())
        }
        Value::String(_) | Value::Object(_) => None,
    }
}

/// Numbers in four parts of about the same size.
struct Bins {
    /// The greatest number of each part but the last.
    edges: Vec<f64>,
}

impl Bins {
    /// `None` if there are fewer than two parts.
    fn of(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.sort_by(f64::total_cmp);
        let most = *numbers.last()?;
        let quartile = |quarter: usize| numbers[(numbers.len() * quarter / 4).saturating_sub(1)];
        let mut edges: Vec<f64> = [1, 2, 3].map(quartile).to_vec();
        edges.dedup();
        edges.retain(|edge| *edge < most);
        (!edges.is_empty()).then_some(Self { edges })
    }

    fn name(&self, number: f64) -> String {
        let part = self.edges.iter().position(|edge| number <= *edge);
        match part {
            Some(0) => format!("up to {}", self.edges[0]),
            Some(part) => format!("over {} to {}", self.edges[part - 1], self.edges[part]),
            None => format!("over {}", self.edges[self.edges.len() - 1]),
        }
    }
}
