//! The training loop: optimizer, schedules, objectives, observers and checkpoints that a killed run resumes from.
//!
//! The loop names no model and no objective. An [`Objective`] gives the *sum* of a batch's losses; the loop adds the
//! sums of a whole accumulation window and divides once by its number of targets, so that any split into micro-batches
//! gives the same step. Randomness is a function of (seed, step, micro-step, site) and the order of the data one of
//! (seed, epoch), so a run that was killed and resumed ends with the same bytes as one that was not.

pub mod batch;
pub mod config;
pub mod error;
pub mod event;
pub mod objective;
pub mod observe;
pub mod optimizer;
mod resume;
pub mod schedule;
pub mod signal;
pub mod trainer;

pub use batch::{Batch, Batches};
pub use config::{
    BatchConfig, CheckpointConfig, OptimizerConfig, Order, TrainConfig, ValidationConfig,
};
pub use error::{Fault, Result, TrainError};
pub use event::{Best, Event, Observer, Outcome, Saved, Start, Step, Summary, Validation};
pub use objective::Objective;
pub use observe::{EarlyStopping, JsonLines, Progress};
pub use optimizer::AdamW;
pub use schedule::{Decay, Fall, Schedule};
pub use trainer::{Trained, Trainer};
