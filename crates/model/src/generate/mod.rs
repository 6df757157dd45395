//! Making new tokens.

pub mod cache;
mod generator;
mod reader;
mod sample;
mod stop;
mod within;

pub use generator::{Decoder, Generated, Generator, Pieces};
pub use sample::Sampling;
pub use stop::{Finish, Stops};
