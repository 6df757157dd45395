//! What became of one item.

use std::collections::BTreeMap;

use finetune_data::Origin;
use serde::{Deserialize, Serialize};

use crate::{EvalError, Finish, Result};

/// One graded item: what was asked, what was expected, what came, and its scores.
///
/// It keeps its [`Origin`], so that an error in a report points at a line of a file. Plain data: it can be made by hand
/// from the outputs of any system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Where the document stands.
    pub origin: Origin,
    /// What the model was asked, as a reader should see it (the question, not the whole prompt).
    pub input: String,
    /// The accepted answers, the main one first. Empty for plain text, where nothing is answered.
    #[serde(default)]
    pub references: Vec<String>,
    /// What the model answered: the generated text, or the label or choice it prefers.
    pub output: String,
    /// Why generation ended, where the model generated.
    #[serde(default)]
    pub finished: Option<Finish>,
    /// The per-item scores by name, for example `exact_match` and `f1`.
    #[serde(default)]
    pub scores: BTreeMap<String, f64>,
    /// The log-likelihoods in the order of the choices, in nats, where the model scored continuations.
    #[serde(default)]
    pub log_likelihoods: Vec<f64>,
    /// What was judged of the answer, by the name of the filter that took it out; empty where all of it was.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub judged: BTreeMap<String, String>,
}

impl Outcome {
    /// An outcome with one reference and no scores.
    pub fn new(
        origin: Origin,
        input: impl Into<String>,
        reference: impl Into<String>,
        output: impl Into<String>,
    ) -> Self {
        Self {
            origin,
            input: input.into(),
            references: vec![reference.into()],
            output: output.into(),
            finished: None,
            scores: BTreeMap::new(),
            log_likelihoods: Vec::new(),
            judged: BTreeMap::new(),
        }
    }

    /// The main reference; empty where there is none.
    pub fn reference(&self) -> &str {
        self.references.first().map_or("", String::as_str)
    }

    /// Adds a per-item score.
    pub fn with_score(mut self, name: impl Into<String>, value: f64) -> Self {
        self.scores.insert(name.into(), value);
        self
    }

    /// The score `name`, for the metric `metric`.
    ///
    /// # Errors
    /// [`EvalError::MissingScore`] if the outcome lacks it, [`EvalError::NotFinite`] if it is not a finite number.
    pub fn score(&self, metric: &str, name: &str) -> Result<f64> {
        let value = *self
            .scores
            .get(name)
            .ok_or_else(|| EvalError::MissingScore {
                origin: self.origin.clone(),
                metric: metric.to_owned(),
                score: name.to_owned(),
                found: self.scores.keys().cloned().collect(),
            })?;
        if value.is_finite() {
            Ok(value)
        } else {
            Err(EvalError::NotFinite {
                origin: self.origin.clone(),
                score: name.to_owned(),
                value,
            })
        }
    }
}
