//! Learning rates as a pure function of the step.
//!
//! A schedule holds no state: [`Schedule::rate`] gives the rate of any step from the step's number alone, so there is
//! nothing to save and nothing to restore. The formulas are those of transformers' `optimization.py` (5.23), with
//! `t` = the number of optimizer steps already done, `T` = all steps and `W` = the warm-up's steps.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::error::Fault;

/// How the learning rate moves over a run: up from zero, then down to a floor.
///
/// ```
/// use finetune_train::{Decay, Schedule};
///
/// let schedule = Schedule { peak: 1e-3, warmup: 10.0, decay: Decay::Linear, floor: 0.0 };
/// assert_eq!(schedule.rate(0, 110), 0.0);
/// assert_eq!(schedule.rate(10, 110), 1e-3);
/// assert_eq!(schedule.rate(60, 110), 5e-4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// The highest learning rate, reached when the warm-up ends. Default 5e-5.
    pub peak: f64,
    /// How long the rate rises linearly from zero. From 1: that many steps (a whole number). Below 1: that share of
    /// all steps, rounded up. With a warm-up the first step has the rate 0. Default 0.
    pub warmup: f64,
    /// How the rate falls after the warm-up. Default `"linear"`.
    pub decay: Decay,
    /// The lowest rate after the warm-up, as a share of the peak, in `[0, 1]`. Default 0.
    pub floor: f64,
}

/// The shape of a [`Schedule`] after its warm-up. In a file: `"cosine"`, `{ restarts = { cycles = 3 } }`, ….
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Decay {
    /// Stays at the peak.
    Constant,
    /// `(T − t) / (T − W)`.
    Linear,
    /// `½ (1 + cos π·progress)`, with `progress = (t − W) / (T − W)`.
    Cosine,
    /// A cosine that starts again from the peak: `½ (1 + cos(π · (cycles·progress mod 1)))`.
    Restarts {
        /// How many cosines, from 1.
        cycles: u32,
    },
    /// `(1 − progress)^power`.
    Polynomial {
        /// The exponent, positive.
        power: f64,
    },
    /// `1 / √((t + S − W) / S)`, with `S = W`, or 10,000 without a warm-up. Does not depend on `T`.
    InverseSqrt,
    /// Warm-up, a long stay at the peak, a short fall (Hu et al. 2024, `MiniCPM`). As in transformers the warm-up starts
    /// at the floor here.
    WarmupStableDecay {
        /// The length of the fall: from 1 steps, below 1 a share of all steps, rounded up.
        decay: f64,
        /// The shape of the fall.
        #[serde(default)]
        shape: Fall,
    },
}

/// How [`Decay::WarmupStableDecay`] falls, over a progress `p` from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fall {
    /// `½ (1 + cos πp)`; transformers' default.
    #[default]
    Cosine,
    /// `1 − p`.
    Linear,
    /// `1 − √p`.
    OneMinusSqrt,
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            peak: 5e-5,
            warmup: 0.0,
            decay: Decay::Linear,
            floor: 0.0,
        }
    }
}

impl Schedule {
    /// A rate that never changes.
    pub fn constant(peak: f64) -> Self {
        Self {
            peak,
            decay: Decay::Constant,
            ..Self::default()
        }
    }

    /// The learning rate of a step.
    ///
    /// # Arguments
    ///
    /// - `step`: optimizer steps already done, from 0. Beyond `steps` the rate stays where it ended.
    /// - `steps`: all steps of the run.
    pub fn rate(&self, step: u64, steps: u64) -> f64 {
        self.peak * self.factor(step, steps)
    }

    /// The steps of the warm-up in a run of `steps` steps.
    pub fn warmup_steps(&self, steps: u64) -> u64 {
        length(self.warmup, steps)
    }

    fn factor(&self, step: u64, steps: u64) -> f64 {
        let warmup = self.warmup_steps(steps);
        if step < warmup {
            let rise = step as f64 / warmup as f64;
            return match self.decay {
                Decay::WarmupStableDecay { .. } => self.lift(rise),
                _ => rise,
            };
        }
        self.lift(self.shape(step, steps, warmup))
    }

    /// Maps `[0, 1]` to `[floor, 1]`.
    fn lift(&self, factor: f64) -> f64 {
        (factor * (1.0 - self.floor) + self.floor).max(0.0)
    }

    fn shape(&self, step: u64, steps: u64, warmup: u64) -> f64 {
        let span = steps.saturating_sub(warmup).max(1) as f64;
        let progress = ((step - warmup) as f64 / span).min(1.0);
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => steps.saturating_sub(step) as f64 / span,
            Decay::Cosine => half_cosine(progress),
            Decay::Restarts { .. } if progress >= 1.0 => 0.0,
            Decay::Restarts { cycles } => half_cosine((f64::from(cycles) * progress) % 1.0),
            Decay::Polynomial { power } => (1.0 - progress).powf(power),
            Decay::InverseSqrt => {
                let scale = if warmup == 0 { 10_000 } else { warmup };
                1.0 / ((step + scale - warmup) as f64 / scale as f64).sqrt()
            }
            Decay::WarmupStableDecay { decay, shape } => {
                let decay = length(decay, steps);
                let start = steps.saturating_sub(decay).max(warmup);
                if step < start {
                    1.0
                } else {
                    shape.at(((step - start) as f64 / decay.max(1) as f64).min(1.0))
                }
            }
        }
    }

    /// Everything that is wrong with the numbers, whatever the length of the run.
    pub(crate) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut check = |good: bool, field: &str, value: f64, rule: &'static str| {
            if !good {
                faults.push(Fault::new(format!("schedule.{field}"), value, rule));
            }
        };
        let finite = |x: f64| x.is_finite() && x >= 0.0;
        check(
            self.peak.is_finite() && self.peak > 0.0,
            "peak",
            self.peak,
            "must be a positive number",
        );
        check(
            is_length(self.warmup),
            "warmup",
            self.warmup,
            "must be a share below 1 or a whole number of steps",
        );
        check(
            finite(self.floor) && self.floor <= 1.0,
            "floor",
            self.floor,
            "must be between 0 and 1",
        );
        match self.decay {
            Decay::Restarts { cycles: 0 } => {
                check(false, "decay.restarts.cycles", 0.0, "must be at least 1");
            }
            Decay::Polynomial { power } => check(
                power.is_finite() && power > 0.0,
                "decay.polynomial.power",
                power,
                "must be a positive number",
            ),
            Decay::WarmupStableDecay { decay, .. } => check(
                is_length(decay) && decay > 0.0,
                "decay.warmup-stable-decay.decay",
                decay,
                "must be a share below 1 or a whole number of steps, and not 0",
            ),
            _ => {}
        }
        faults
    }

    /// What is wrong in a run of `steps` steps: parts that do not fit into it.
    pub(crate) fn faults_in(&self, steps: u64) -> Vec<Fault> {
        let warmup = self.warmup_steps(steps);
        if warmup > steps {
            let why = format!("must not be longer than the run, which has {steps} steps");
            return vec![Fault::new("schedule.warmup", self.warmup, why)];
        }
        if let Decay::WarmupStableDecay { decay, .. } = self.decay
            && warmup + length(decay, steps) > steps
        {
            let why = format!(
                "must fit with the warm-up of {warmup} steps into the run, which has {steps} steps"
            );
            return vec![Fault::new(
                "schedule.decay.warmup-stable-decay.decay",
                decay,
                why,
            )];
        }
        Vec::new()
    }
}

impl Fall {
    fn at(self, progress: f64) -> f64 {
        match self {
            Self::Cosine => half_cosine(progress),
            Self::Linear => 1.0 - progress,
            Self::OneMinusSqrt => 1.0 - progress.sqrt(),
        }
    }
}

fn half_cosine(progress: f64) -> f64 {
    (0.5 * (1.0 + (PI * progress).cos())).max(0.0)
}

/// A number of steps from a share (below 1, rounded up) or a count.
fn length(value: f64, steps: u64) -> u64 {
    if value < 1.0 {
        (value * steps as f64).ceil() as u64
    } else {
        value as u64
    }
}

fn is_length(value: f64) -> bool {
    value.is_finite() && value >= 0.0 && (value < 1.0 || value.fract() == 0.0)
}
