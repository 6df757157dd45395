//! Making new tokens.
//!
//! The [`Generator`] chooses tokens and knows no model; what it needs of one is [`Autoregressive`].

mod answer;
mod autoregressive;
mod batch;
mod beams;
pub mod cache;
mod generator;
mod line;
mod process;
mod rules;
mod sampling;
mod search;
mod seq2seq;
pub(crate) mod settings;
mod stop;
mod within;

pub use autoregressive::{Autoregressive, Reading};
pub use beams::{Beams, Early};
pub use generator::{Decoder, Generated, Generator, Pieces};
pub use process::Text;
pub use rules::Rules;
pub use sampling::Sampling;
pub use seq2seq::Writing;
pub use settings::{Length, Settings};
pub use stop::{Finish, Stops};
