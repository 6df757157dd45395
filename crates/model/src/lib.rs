//! Weights and arithmetic: blueprints, parts, families, checkpoints, adapters and generation.

pub mod error;
pub mod noise;
pub mod op;
pub mod tokens;

pub use error::{ModelError, Result};
pub use noise::Noise;
pub use tokens::{Side, Span, Targets, Tokens};
