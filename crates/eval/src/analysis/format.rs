//! Outputs that are not of the form that the task demands.

use finetune_data::synthesize::Shape;
use regex::Regex;
use serde::de::IgnoredAny;

use super::{Finding, Rule};
use crate::{EvalError, Outcome, Result, text::excerpt};

/// The form that every output must have. Whitespace around it does not count.
#[derive(Clone, Debug)]
pub enum Format {
    /// One JSON value.
    Json,
    /// One JSON value of this shape.
    Shape(Shape),
    /// One of these labels, to the byte.
    Labels(Vec<String>),
    /// A text that a pattern matches as a whole; made by [`Format::regex`].
    Pattern(Regex),
}

impl Format {
    /// The form of a regular expression, which must match the whole output.
    ///
    /// # Errors
    /// [`EvalError::Setting`] for a pattern that does not parse.
    pub fn regex(pattern: &str) -> Result<Self> {
        Regex::new(&format!(r"\A(?:{pattern})\z"))
            .map(Self::Pattern)
            .map_err(|error| EvalError::Setting {
                what: format!("pattern {:?}", excerpt(pattern)),
                reason: error.to_string(),
            })
    }

    /// What is expected, in words.
    pub(super) fn expected(&self) -> String {
        match self {
            Self::Json => "one JSON value".into(),
            Self::Shape(_) => "JSON of the shape that the task demands".into(),
            Self::Labels(labels) => format!("one of {}", labels.join(", ")),
            Self::Pattern(pattern) => format!("of the form {}", written(pattern)),
        }
    }
}

/// The pattern as it was given.
fn written(pattern: &Regex) -> &str {
    pattern
        .as_str()
        .strip_prefix(r"\A(?:")
        .and_then(|rest| rest.strip_suffix(r")\z"))
        .unwrap_or(pattern.as_str())
}

impl Rule for Format {
    fn find(&self, outcome: &Outcome) -> Vec<Finding> {
        let text = outcome.output.trim();
        let whole = |found: &str| {
            vec![Finding::whole(
                "format",
                format!("{found}; expected {}", self.expected()),
            )]
        };
        match self {
            Self::Json => match serde_json::from_str::<IgnoredAny>(text) {
                Ok(_) => Vec::new(),
                Err(error) => whole(&error.to_string()),
            },
            Self::Shape(shape) => match serde_json::from_str(text) {
                Ok(value) => match shape.check(&value) {
                    Ok(()) => Vec::new(),
                    Err(fault) => vec![Finding::whole("format", fault)],
                },
                Err(error) => whole(&error.to_string()),
            },
            Self::Labels(labels) if labels.iter().any(|label| label == text) => Vec::new(),
            Self::Labels(_) => whole("no label of the list"),
            Self::Pattern(pattern) if pattern.is_match(text) => Vec::new(),
            Self::Pattern(_) => whole("no match"),
        }
    }
}
