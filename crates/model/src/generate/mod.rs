//! Making new tokens.
//!
//! The [`Generator`] chooses tokens and knows no model; what it needs of one is [`Autoregressive`].

mod answer;
mod autoregressive;
mod batch;
pub mod cache;
mod generator;
mod sample;
mod seq2seq;
mod stop;
mod within;

pub use autoregressive::{Autoregressive, Reading};
pub use generator::{Decoder, Generated, Generator, Pieces};
pub use sample::Sampling;
pub use seq2seq::Writing;
pub use stop::{Finish, Stops};
