//! Observers that come with the crate.

mod early_stopping;
mod json_lines;
mod progress;

pub use early_stopping::EarlyStopping;
pub use json_lines::JsonLines;
pub use progress::Progress;
