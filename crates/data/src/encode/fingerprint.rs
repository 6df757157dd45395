//! What tells one way of encoding from another.

use serde::{Deserialize, Serialize};

use super::Encoder;
use crate::tokenizer::hex;

/// Everything about an encoder that its rows depend on: rows of another fingerprint are other rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// XXH3, 128 bits in hexadecimal, of `tokenizer.json` and of what was read beside it.
    pub tokenizer: String,
    /// The same of the template's source and settings.
    pub template: String,
    /// Length, truncation and the other settings of the encoder, in words.
    pub settings: String,
    /// One more than the greatest id of the tokenizer.
    pub vocabulary: u64,
}

impl Fingerprint {
    /// The first thing in which another fingerprint differs, with what it is here and there.
    pub fn difference<'a>(&'a self, other: &'a Self) -> Option<(&'static str, &'a str, &'a str)> {
        [
            ("tokenizer", &self.tokenizer, &other.tokenizer),
            ("template", &self.template, &other.template),
            ("settings", &self.settings, &other.settings),
        ]
        .into_iter()
        .find(|(_, here, there)| here != there)
        .map(|(what, here, there)| (what, here.as_str(), there.as_str()))
    }
}

impl Encoder {
    /// What tells this encoder's rows from another's: its tokenizer, its template and its settings.
    pub fn fingerprint(&self) -> Fingerprint {
        let length = self
            .length
            .map_or("any".to_owned(), |length| length.to_string());
        Fingerprint {
            tokenizer: self.tokenizer.fingerprint(),
            template: hex(self.template.settings().as_bytes()),
            settings: format!(
                "length {length}, truncation {:?}, untrainable {:?}, context {}",
                self.truncation, self.untrainable, self.context
            ),
            vocabulary: self.tokenizer.vocabulary() as u64,
        }
    }
}
