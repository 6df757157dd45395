//! What a run does, as plain data.

use serde::{Deserialize, Serialize};

use crate::error::{Fault, Result, TrainError};
use crate::schedule::Schedule;

/// The configuration of a run. Every field has a default; a field that does not exist is refused by name.
///
/// ```
/// use finetune_train::TrainConfig;
///
/// let config: TrainConfig = serde_json::from_str(r#"{"epochs": 2, "schedule": {"peak": 3e-4}}"#)?;
/// assert_eq!(config.accumulate, 1);
/// assert!(serde_json::from_str::<TrainConfig>(r#"{"epoch": 2}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Fixes the order of the data and all randomness of the model (dropout). Default 42.
    pub seed: u64,
    /// How often the data is seen; parts of an epoch are allowed. Ignored where `steps` is set. Default 3.
    pub epochs: f64,
    /// The number of optimizer steps, instead of `epochs`. Default none.
    pub steps: Option<u64>,
    /// Micro-batches per optimizer step. Their losses are summed and divided once, so any split of the same rows gives
    /// the same step. Default 1.
    pub accumulate: u64,
    /// How rows become micro-batches.
    pub batch: BatchConfig,
    /// The learning rate.
    pub schedule: Schedule,
    /// The optimizer.
    pub optimizer: OptimizerConfig,
    /// When to validate and what to do with the result.
    pub validation: ValidationConfig,
    /// When to save and how much to keep.
    pub checkpoint: CheckpointConfig,
}

/// How rows become micro-batches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchConfig {
    /// Rows per micro-batch; a packed row counts as one. Default 8.
    pub rows: usize,
    /// The longest row, in tokens; packed rows are filled up to it. A longer document is refused. Default 1024.
    pub length: usize,
    /// Whether several documents share a row. They never see each other. Default false.
    pub pack: bool,
    /// The order of the rows. Default `"shuffled"`.
    pub order: Order,
}

/// The order in which rows are seen; always a pure function of (seed, epoch).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// A new random order in every epoch.
    #[default]
    Shuffled,
    /// As the rows came.
    Sequential,
    /// Random, but rows of like length share a batch, so that less is padded.
    Grouped,
}

/// `AdamW` and the clipping of its gradients.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerConfig {
    /// Decay of the first moment, in `[0, 1)`. Default 0.9.
    pub beta1: f64,
    /// Decay of the second moment, in `[0, 1)`. Default 0.999.
    pub beta2: f64,
    /// Added to the root of the second moment. Default 1e-8.
    pub epsilon: f64,
    /// Decoupled weight decay of tensors of rank 2 and more; norms and biases have none. Default 0.
    pub weight_decay: f64,
    /// The largest global norm of the gradient (all tensors together); larger ones are scaled down to it. 0 turns
    /// clipping off. Default 1.
    pub clip: f64,
}

/// When to validate and what to do with the result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ValidationConfig {
    /// Optimizer steps between validations. Default: none, at the end of every epoch. The last step always validates.
    pub every: Option<u64>,
    /// Whether to validate before the first step too. Default true.
    pub first: bool,
    /// Whether the model with the lowest validation loss is kept and returned, not the last one. Default true.
    pub keep_best: bool,
    /// Stop after this many validations in a row without a new best. Default: never.
    pub patience: Option<u64>,
    /// By how much a loss (nats per target) must fall to count as a new best for `patience`. Default 0.
    pub margin: f64,
}

/// When to save and how much to keep. These fields may change between a run and its resumption.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckpointConfig {
    /// Optimizer steps between checkpoints. Default: none, only at the end, on a signal and for a new best.
    pub every: Option<u64>,
    /// How many of the newest checkpoints stay; the best one stays besides. Default 2.
    pub keep: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            epochs: 3.0,
            steps: None,
            accumulate: 1,
            batch: BatchConfig::default(),
            schedule: Schedule::default(),
            optimizer: OptimizerConfig::default(),
            validation: ValidationConfig::default(),
            checkpoint: CheckpointConfig::default(),
        }
    }
}

impl BatchConfig {
    /// The same with the rows as they came, to validate on.
    pub(crate) fn in_order(&self) -> Self {
        Self {
            order: Order::Sequential,
            ..self.clone()
        }
    }
}

impl Default for BatchConfig {
    fn default() -> Self {
        Self {
            rows: 8,
            length: 1024,
            pack: false,
            order: Order::Shuffled,
        }
    }
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip: 1.0,
        }
    }
}

impl Default for ValidationConfig {
    fn default() -> Self {
        Self {
            every: None,
            first: true,
            keep_best: true,
            patience: None,
            margin: 0.0,
        }
    }
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self {
            every: None,
            keep: 2,
        }
    }
}

impl TrainConfig {
    /// Checks every number.
    ///
    /// # Errors
    ///
    /// [`TrainError::ConfigInvalid`] with all faults at once, each with its field and value.
    pub fn validate(&self) -> Result<()> {
        let mut faults = self.own_faults();
        faults.extend(self.batch.faults());
        faults.extend(self.schedule.faults());
        faults.extend(self.optimizer.faults());
        faults.extend(self.validation.faults());
        faults.extend(self.checkpoint.faults());
        if faults.is_empty() {
            Ok(())
        } else {
            Err(TrainError::ConfigInvalid { faults })
        }
    }

    fn own_faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if self.steps.is_none() && !(self.epochs > 0.0 && self.epochs <= MOST_EPOCHS) {
            faults.push(Fault::new(
                "epochs",
                self.epochs,
                "must be a positive number up to a million",
            ));
        }
        faults.extend(positive("steps", self.steps));
        faults.extend(positive("accumulate", Some(self.accumulate)));
        faults
    }
}

impl BatchConfig {
    fn faults(&self) -> Vec<Fault> {
        let mut faults = positive("batch.rows", Some(self.rows as u64));
        // A row of one token has nothing to predict.
        if self.length < 2 {
            faults.push(Fault::new(
                "batch.length",
                self.length,
                "must be at least 2",
            ));
        }
        faults
    }
}

impl OptimizerConfig {
    fn faults(&self) -> Vec<Fault> {
        let share = |x: f64| (0.0..1.0).contains(&x);
        let natural = |x: f64| x.is_finite() && x >= 0.0;
        [
            (
                share(self.beta1),
                "beta1",
                self.beta1,
                "must be at least 0 and below 1",
            ),
            (
                share(self.beta2),
                "beta2",
                self.beta2,
                "must be at least 0 and below 1",
            ),
            (
                self.epsilon.is_finite() && self.epsilon > 0.0,
                "epsilon",
                self.epsilon,
                "must be a positive number",
            ),
            (
                natural(self.weight_decay),
                "weight_decay",
                self.weight_decay,
                "must be 0 or a positive number",
            ),
            (
                natural(self.clip),
                "clip",
                self.clip,
                "must be a positive number, or 0 for no clipping",
            ),
        ]
        .into_iter()
        .filter(|(good, ..)| !good)
        .map(|(_, field, value, rule)| Fault::new(format!("optimizer.{field}"), value, rule))
        .collect()
    }
}

impl ValidationConfig {
    fn faults(&self) -> Vec<Fault> {
        let mut faults = positive("validation.every", self.every);
        faults.extend(positive("validation.patience", self.patience));
        if !(self.margin.is_finite() && self.margin >= 0.0) {
            let rule = "must be 0 or a positive number";
            faults.push(Fault::new("validation.margin", self.margin, rule));
        }
        faults
    }
}

impl CheckpointConfig {
    fn faults(&self) -> Vec<Fault> {
        let mut faults = positive("checkpoint.every", self.every);
        faults.extend(positive("checkpoint.keep", Some(self.keep as u64)));
        faults
    }
}

/// More is a slip of the finger.
const MOST_EPOCHS: f64 = 1e6;

fn positive(field: &str, value: Option<u64>) -> Vec<Fault> {
    match value {
        Some(0) => vec![Fault::new(field, 0, "must be at least 1")],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Decay;

    #[test]
    fn the_default_is_valid_and_survives_a_file() {
        let config = TrainConfig::default();
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<TrainConfig>(&text).unwrap(), config);
        assert_eq!(serde_json::from_str::<TrainConfig>("{}").unwrap(), config);
    }

    #[test]
    fn all_faults_are_named_at_once() {
        let mut config = TrainConfig {
            epochs: f64::NAN,
            accumulate: 0,
            ..TrainConfig::default()
        };
        config.batch.rows = 0;
        config.batch.length = 1;
        config.schedule.peak = -1.0;
        config.schedule.warmup = 1.5;
        config.schedule.floor = 2.0;
        config.schedule.decay = Decay::Polynomial { power: 0.0 };
        config.optimizer.beta2 = 1.0;
        config.optimizer.epsilon = 0.0;
        config.optimizer.weight_decay = f64::INFINITY;
        config.optimizer.clip = -1.0;
        config.validation.every = Some(0);
        config.validation.margin = -0.5;
        config.checkpoint.keep = 0;
        let message = config.validate().unwrap_err().to_string();
        for part in [
            "epochs = NaN",
            "accumulate = 0",
            "batch.rows = 0",
            "batch.length = 1",
            "schedule.peak = -1",
            "schedule.warmup = 1.5",
            "schedule.floor = 2",
            "schedule.decay.polynomial.power = 0",
            "optimizer.beta2 = 1",
            "optimizer.epsilon = 0",
            "optimizer.weight_decay = inf",
            "optimizer.clip = -1",
            "validation.every = 0",
            "validation.margin = -0.5",
            "checkpoint.keep = 0",
        ] {
            assert!(message.contains(part), "no `{part}` in:\n{message}");
        }
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        for (text, name) in [
            (r#"{"lr": 1}"#, "`lr`"),
            (r#"{"optimizer": {"eps": 1}}"#, "`eps`"),
            (r#"{"schedule": {"decay": "steps"}}"#, "`steps`"),
            (r#"{"schedule": {"decay": {"restarts": {"n": 1}}}}"#, "`n`"),
            (r#"{"batch": {"size": 1}}"#, "`size`"),
            (r#"{"validation": {"best": true}}"#, "`best`"),
            (r#"{"checkpoint": {"last": 1}}"#, "`last`"),
        ] {
            let error = serde_json::from_str::<TrainConfig>(text).unwrap_err();
            assert!(error.to_string().contains(name), "{text}: {error}");
        }
    }
}
