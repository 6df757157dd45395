//! Weights and arithmetic: blueprints, parts, families, checkpoints, adapters and generation.

pub mod blueprint;
pub mod checkpoint;
mod device;
pub mod error;
pub mod family;
pub mod generate;
pub mod head;
pub mod lora;
pub mod noise;
pub mod op;
pub mod part;
pub mod tokens;
pub mod weights;

pub use checkpoint::Checkpoint;
pub use device::device;
pub use error::{ModelError, Result};
pub use family::{Architecture, Families};
pub use generate::cache::Cache;
pub use generate::{Finish, Generated, Generator, Sampling, Stops};
pub use head::{CausalLm, Classifier, Head, MaskedLm, Network};
pub use noise::Noise;
pub use tokens::{Convention, Side, Span, Targets, Tokens};
