//! Making new tokens.
//!
//! The [`Generator`] chooses tokens and knows no model; what it needs of one is [`Autoregressive`].

mod answer;
mod autoregressive;
mod batch;
mod beam;
pub mod cache;
mod generator;
mod line;
mod process;
mod sampling;
pub(crate) mod settings;
mod stop;

pub use autoregressive::{Autoregressive, Reading};
pub use beam::{Beams, Early};
pub use generator::{Decoder, Generated, Generator, Pieces};
pub use process::Text;
pub use sampling::{Rules, Sampling};
pub use settings::{Length, Settings};
pub use stop::{Finish, Stops};
