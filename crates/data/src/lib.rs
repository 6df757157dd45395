//! From files to token ids: documents, examples, templates, tokenizers, packing.
//!
//! ```text
//! file ──Load──▶ Document ──Mapping──▶ Conversation | Labeled | Preference | PlainText
//!                                      └─Template─▶ Pieces ──Encoder──▶ Encoded ──▶ rows of a batch
//! ```
//!
//! The path runs one way, and this crate knows nothing of tensors. Nothing is lost on it silently: every record that
//! was read is kept, or counted with its reason, and every error names file, line and column.

pub mod document;
pub mod encode;
pub mod error;
pub mod example;
pub mod generate;
pub mod load;
pub mod mapping;
pub mod pack;
pub mod quality;
pub mod split;
pub mod template;
pub mod tokenizer;

pub use document::{Document, Documents, Load, Origin, Value};
pub use error::{DataError, Place, Result};
pub use example::{Conversation, Label, Labeled, PlainText, Preference, Role, Turn};
pub use load::{Counts, Loaders, OnError};
pub use mapping::Mapping;
pub use split::{Part, Split};
