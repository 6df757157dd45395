//! From files to token ids: documents, examples, templates, tokenizers, packing.
//!
//! ```text
//! file ──Load──▶ Document ──Mapping──▶ Conversation | Labeled | Preference | Judged | PlainText
//!                                      └─Template─▶ Pieces ──Encoder──▶ Encoded ──▶ rows of a batch
//! ```
//!
//! The path runs one way, and this crate knows nothing of tensors. Nothing is lost on it silently: every record that
//! was read is kept, or counted with its reason, and every error names file, line and column.

mod calendar;
pub mod chunk;
pub mod document;
mod draft;
pub mod encode;
pub mod error;
pub mod example;
mod fields;
pub mod generate;
pub mod group;
#[cfg(any(feature = "hub", feature = "net"))]
mod http;
#[cfg(feature = "hub")]
pub mod hub;
pub mod load;
pub mod mapping;
pub mod mix;
#[cfg(feature = "net")]
pub mod net;
pub mod pack;
pub mod parts;
pub mod quality;
pub mod shard;
mod shared_path;
pub mod split;
pub mod stream;
pub mod synthesize;
pub mod template;
pub mod tokenizer;

pub use document::{Document, Documents, Fields, Load, Origin, Value};
pub use error::{DataError, Place, Result};
pub use example::{
    Conversation, Judged, Label, Labeled, PlainText, Preference, Role, ToolCall, ToolUse, Turn,
};
pub use load::{Counts, Loaders, OnError};
pub use mapping::Mapping;
pub use split::{Part, Split};
