//! Weights and arithmetic: blueprints, parts, families, checkpoints, adapters and generation.
//!
//! A [`Checkpoint`] opens a Hugging Face folder. Its [`family`] turns `config.json` into a
//! [blueprint](blueprint::Blueprint) and a [table of names](checkpoint::names::Names), and never sees a tensor. One
//! [`Trunk`], built from the [parts](part), serves every family; a [`head`] makes it a [`CausalLm`], a [`Classifier`],
//! a [`TokenClassifier`], a [`MaskedLm`], a [`Discriminator`] or, with a decoder, a [`Seq2Seq`]. All of them read
//! [`Tokens`], whose padding and packed documents are known by place.
//!
//! What holds everywhere: no layer keeps state between calls (the [`Cache`] is passed in) · randomness is a function of
//! its place ([`Noise`]) · parameters are known by path ([`weights`]) · every weight that came in goes out.

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
pub use generate::{Beams, Finish, Generated, Generator, Sampling, Stops};
pub use head::{
    CausalLm, Classifier, Discriminator, Head, MaskedLm, Network, Seq2Seq, TokenClassifier, Trunk,
};
pub use noise::Noise;
pub use tokens::{Branch, Convention, Order, Side, Span, Targets, Tokens};
