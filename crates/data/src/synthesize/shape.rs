//! The form that an answer must have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::quoted;
use crate::load::parse::type_name;

/// A subset of JSON Schema, read and written in its words: `type`, `properties`, `required`, `additionalProperties`,
/// `items`, `minItems`, `maxItems`, `enum`, `minLength`, `maxLength`, `minimum`, `maximum`. Any other word is refused
/// when it is read, rather than passed over.
///
/// ```
/// use finetune_data::synthesize::Shape;
/// use serde_json::json;
///
/// let shape: Shape = serde_json::from_value(json!({
///     "type": "object",
///     "properties": {"level": {"type": "string", "enum": ["easy", "hard"]}},
///     "required": ["level"],
/// }))?;
/// assert_eq!(shape.check(&json!({"level": "hard"})), Ok(()));
/// let fault = shape.check(&json!({"level": "odd"})).unwrap_err();
/// assert_eq!(fault, "level: found \"odd\"; expected one of \"easy\", \"hard\"");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "lowercase",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Shape {
    /// An object with named values.
    Object {
        /// The shapes of the values.
        properties: BTreeMap<String, Shape>,
        /// The names that must be there.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        required: Vec<String>,
        /// Whether there may be other names; they may by default.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        additional_properties: Option<bool>,
    },
    /// A list.
    Array {
        /// The shape of every item.
        items: Box<Shape>,
        /// The fewest items.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_items: Option<usize>,
        /// The most items.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_items: Option<usize>,
    },
    /// A text.
    String {
        /// The only texts that there may be.
        #[serde(default, rename = "enum", skip_serializing_if = "Option::is_none")]
        choices: Option<Vec<String>>,
        /// The fewest characters, white space at both ends not counted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_length: Option<usize>,
        /// The most characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_length: Option<usize>,
    },
    /// A number.
    Number {
        /// The least.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum: Option<f64>,
        /// The greatest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maximum: Option<f64>,
    },
    /// A whole number.
    Integer {
        /// The least.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        minimum: Option<f64>,
        /// The greatest.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        maximum: Option<f64>,
    },
    /// True or false.
    Boolean {},
}

impl Shape {
    /// Whether a value has this shape.
    ///
    /// # Errors
    ///
    /// The first place where it does not, with what was found and what was expected.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        self.check_at("", value)
    }

    fn check_at(&self, at: &str, value: &Value) -> Result<(), String> {
        let fault = |found: &str, expected: String| {
            let place = if at.is_empty() { "the answer" } else { at };
            Err(format!("{place}: found {found}; expected {expected}"))
        };
        match (self, value) {
            (
                Self::Object {
                    properties,
                    required,
                    additional_properties,
                },
                Value::Object(entries),
            ) => {
                if let Some(name) = required.iter().find(|name| !entries.contains_key(*name)) {
                    let found: Vec<String> =
                        entries.keys().take(20).map(|name| quoted(name)).collect();
                    return fault(&format!("the names {}", found.join(", ")), quoted(name));
                }
                for (name, value) in entries {
                    match properties.get(name) {
                        Some(shape) => shape.check_at(&join(at, name), value)?,
                        None if *additional_properties == Some(false) => {
                            return fault(&quoted(name), "no such name".into());
                        }
                        None => {}
                    }
                }
                Ok(())
            }
            (
                Self::Array {
                    items,
                    min_items,
                    max_items,
                },
                Value::Array(values),
            ) => {
                if let Some(bound) = outside(values.len(), *min_items, *max_items) {
                    return fault(&format!("{} items", values.len()), bound);
                }
                let mut indexed = values.iter().enumerate();
                indexed.try_for_each(|(index, value)| {
                    items.check_at(&join(at, &index.to_string()), value)
                })
            }
            (
                Self::String {
                    choices,
                    min_length,
                    max_length,
                },
                Value::String(text),
            ) => {
                if let Some(choices) = choices
                    && !choices.contains(text)
                {
                    let known: Vec<String> = choices.iter().map(|choice| quoted(choice)).collect();
                    return fault(&quoted(text), format!("one of {}", known.join(", ")));
                }
                let length = text.trim().chars().count();
                match outside(length, *min_length, *max_length) {
                    Some(bound) => fault(&format!("{length} characters"), bound),
                    None => Ok(()),
                }
            }
            (
                Self::Number { minimum, maximum } | Self::Integer { minimum, maximum },
                Value::Number(number),
            ) => {
                if matches!(self, Self::Integer { .. }) && number.is_f64() {
                    return fault(&number.to_string(), "a whole number".into());
                }
                match outside(number.as_f64().unwrap_or(f64::NAN), *minimum, *maximum) {
                    Some(bound) => fault(&number.to_string(), bound),
                    None => Ok(()),
                }
            }
            (Self::Boolean {}, Value::Bool(_)) => Ok(()),
            (_, other) => fault(type_name(other), self.name().into()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Object { .. } => "object",
            Self::Array { .. } => "array",
            Self::String { .. } => "string",
            Self::Number { .. } => "number",
            Self::Integer { .. } => "integer",
            Self::Boolean {} => "boolean",
        }
    }
}

fn join(at: &str, name: &str) -> String {
    let name = crate::error::escaped(name);
    if at.is_empty() {
        name
    } else {
        format!("{at}.{name}")
    }
}

/// What a value should be, if it is outside of its bounds.
#[allow(clippy::needless_pass_by_value, reason = "numbers and lengths")]
fn outside<T: PartialOrd + std::fmt::Display>(
    value: T,
    least: Option<T>,
    most: Option<T>,
) -> Option<String> {
    match (least, most) {
        (Some(least), _) if value < least => Some(format!("at least {least}")),
        (_, Some(most)) if value > most => Some(format!("at most {most}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shape(value: Value) -> Shape {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_value_is_checked_to_its_depth() {
        let pairs = shape(json!({
            "type": "object", "required": ["pairs"], "additionalProperties": false,
            "properties": {"pairs": {"type": "array", "minItems": 1, "maxItems": 2, "items": {
                "type": "object", "required": ["q"],
                "properties": {
                    "q": {"type": "string", "minLength": 2, "maxLength": 5},
                    "n": {"type": "integer", "minimum": 1}, "x": {"type": "number", "maximum": 0.5},
                    "b": {"type": "boolean"},
                },
            }}},
        }));
        let good = json!({"pairs": [{"q": "ab", "n": 3, "x": 0.25, "b": true, "more": null}]});
        assert_eq!(pairs.check(&good), Ok(()));
        for (value, expected) in [
            (json!([]), "the answer: found array; expected object"),
            (
                json!({}),
                "the answer: found the names ; expected \"pairs\"",
            ),
            (
                json!({"pairs": [], "a": 1}),
                "pairs: found 0 items; expected at least 1",
            ),
            (
                json!({"pairs": [{"q": "ab"}], "a": 1}),
                "the answer: found \"a\"; expected no such name",
            ),
            (
                json!({"pairs": [{"q": "ab"}, {"q": "ab"}, {"q": "ab"}]}),
                "pairs: found 3 items; expected at most 2",
            ),
            (
                json!({"pairs": [{"q": "ab"}, {"q": " a "}]}),
                "pairs.1.q: found 1 characters; expected at least 2",
            ),
            (
                json!({"pairs": [{"q": "abcdef"}]}),
                "pairs.0.q: found 6 characters; expected at most 5",
            ),
            (
                json!({"pairs": [{"q": 5}]}),
                "pairs.0.q: found number; expected string",
            ),
            (
                json!({"pairs": [{"q": "ab", "n": 0}]}),
                "pairs.0.n: found 0; expected at least 1",
            ),
            (
                json!({"pairs": [{"q": "ab", "n": 1.5}]}),
                "pairs.0.n: found 1.5; expected a whole number",
            ),
            (
                json!({"pairs": [{"q": "ab", "x": 1}]}),
                "pairs.0.x: found 1; expected at most 0.5",
            ),
            (
                json!({"pairs": [{"q": "ab", "b": "yes"}]}),
                "pairs.0.b: found string; expected boolean",
            ),
        ] {
            assert_eq!(pairs.check(&value), Err(expected.to_owned()), "{value}");
        }
    }

    #[test]
    fn words_that_are_not_understood_are_refused() {
        for value in [
            json!({"type": "string", "pattern": "a+"}),
            json!({"type": "object", "properties": {}, "oneOf": []}),
            json!({"type": "null"}),
            json!({"properties": {}}),
        ] {
            assert!(
                serde_json::from_value::<Shape>(value.clone()).is_err(),
                "{value}"
            );
        }
    }

    #[test]
    fn a_shape_is_written_as_it_was_read() {
        let value = json!({"type": "array", "items": {"type": "string", "enum": ["a"], "minLength": 1}, "minItems": 2});
        assert_eq!(serde_json::to_value(shape(value.clone())).unwrap(), value);
    }
}
