//! What the harness leaves to Python: its random numbers, how it writes values, and how it reads them back.

mod literal;
mod random;
mod write;

pub(super) use literal::literal;
pub use random::Random;
pub(super) use write::write;
