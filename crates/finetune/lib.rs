//! Fine-tuning language models, whole and for real, on burn.
//!
//! Four crates under one name: [`data`] turns files into token ids, [`model`] holds weights and arithmetic, [`train`] is
//! the loop, [`eval`] asks, judges and reports. [`tuning`] makes a run of a file of settings. The [`prelude`] has what most
//! programs name.

pub use burn;
pub use finetune_data as data;
pub use finetune_eval as eval;
pub use finetune_model as model;
pub use finetune_train as train;

pub mod program;
pub mod tuning;

/// What most programs name.
pub mod prelude {
    pub use burn::tensor::Device;

    pub use crate::data::encode::{Encoder, Row, Truncation};
    pub use crate::data::example::{Conversation, Role, Turn};
    pub use crate::data::load::{Loaders, OnError};
    pub use crate::data::mapping::{AnyChat, Mapping};
    pub use crate::data::template::Templates;
    pub use crate::data::tokenizer::Tokenizer;
    pub use crate::model::checkpoint::Checkpoint;
    pub use crate::model::lora::{self, LoraConfig};
    pub use crate::model::{CausalLm, Classifier, Generator, Noise, Sampling, Stops, device};
    pub use crate::program::{self, Failure};
    pub use crate::train::{Batches, JsonLines, Objective, Progress, TrainConfig, Trainer};
}

/// Compiles the programs of the documents, and runs those that can run.
#[cfg(doctest)]
mod documents {
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/adding.md")]
    struct Adding;
    #[doc = include_str!("../../docs/backends.md")]
    struct Backends;
    #[doc = include_str!("../../docs/formats.md")]
    struct Formats;
    #[doc = include_str!("../../docs/guide.md")]
    struct Guide;
}
