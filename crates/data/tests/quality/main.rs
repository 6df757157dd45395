//! The checks of quality: against a second implementation, by properties, and kind by kind.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod comparing;
mod duplicates;
mod gopher;
mod report;
mod sensitive;

use finetune_data::{Origin, PlainText};

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
