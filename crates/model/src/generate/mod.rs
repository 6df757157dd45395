//! Making new tokens.

pub mod cache;
mod generator;
mod sample;
mod stop;

pub use generator::{Decoder, Generated, Generator, Pieces};
pub use sample::Sampling;
pub use stop::{Finish, Stops};
