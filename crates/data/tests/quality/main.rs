//! The checks of quality: against a second implementation, by properties, and kind by kind.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod comparing;
mod duplicates;
mod files;
mod gopher;
mod many;
mod report;
mod sensitive;

use finetune_data::{Document, Origin, PlainText};
use serde_json::Value;

/// Texts as rows of a file `name`, from line 1.
fn rows(name: &str, texts: &[&str]) -> Vec<PlainText> {
    let numbered = texts.iter().zip(1..);
    numbered
        .map(|(text, line)| PlainText {
            text: (*text).to_owned(),
            origin: Origin::new(name, line),
        })
        .collect()
}

/// A record of a file `name`.
fn document(name: &str, line: u64, fields: Value) -> Document {
    Document {
        text: String::new(),
        fields: serde_json::from_value(fields).unwrap(),
        origin: Origin::new(name, line),
    }
}
