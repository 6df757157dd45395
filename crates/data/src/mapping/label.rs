//! Texts with labels.

use std::str::FromStr;

use serde_json::Value;

use super::fields::Fields;
use super::text::take_text;
use super::{Mapping, assignments};
use crate::document::Document;
use crate::error::{DataError, Result, quoted};
use crate::example::{Label, Labeled};

/// Names of two texts that are judged together.
pub(super) const PAIRS: [(&str, &str); 5] = [
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("text1", "text2"),
    ("question", "sentence"),
];
/// Names that a label has.
pub(super) const LABEL: [&str; 9] = [
    "label",
    "class",
    "category",
    "target",
    "intent",
    "sentiment",
    "topic",
    "score",
    "rating",
];

/// What a label is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LabelKind {
    /// Texts, integers and booleans are classes; fractions are numbers.
    #[default]
    Detect,
    /// The name of a class: texts as they are, integers and booleans as they are written.
    Class,
    /// A quantity, also where it is written as a text, as in a table.
    Number,
}

/// Maps a record to a text, or two, with a label.
///
/// By default the texts are found by the names `premise` and `hypothesis`, `sentence1` and `sentence2`, or a single
/// `text`, `content`, `sentence`; the label by `label`, `class`, `category` and the like.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelMapping {
    /// The field of the text.
    pub text: Option<String>,
    /// The field of the second text.
    pub pair: Option<String>,
    /// The field of the label.
    pub label: Option<String>,
    /// What the label is read as.
    pub kind: LabelKind,
}

impl Mapping for LabelMapping {
    type Example = Labeled;

    fn example(&self, document: Document) -> Result<Labeled> {
        let mut fields = Fields::from(document);
        let Some(label_name) = self.label.as_deref().or_else(|| fields.first(&LABEL)) else {
            return Err(fields.missing("label", fields.suggest(&[("label", &LABEL)])));
        };
        let detected = if self.text.is_none() && self.pair.is_none() {
            fields.pair(&PAIRS)
        } else {
            None
        };
        let text_name = self.text.as_deref().or(detected.map(|(text, _)| text));
        let pair_name = self.pair.as_deref().or(detected.map(|(_, pair)| pair));
        let label = fields.take(label_name)?;
        let label = self.label(label_name, label, &fields)?;
        let text = take_text(&mut fields, text_name)?;
        let pair = pair_name
            .map(|name| fields.take_content(name))
            .transpose()?;
        Ok(Labeled {
            text,
            pair,
            label,
            origin: fields.origin,
        })
    }
}

impl LabelMapping {
    fn label(&self, name: &str, value: Value, fields: &Fields) -> Result<Label> {
        match (self.kind, value) {
            (LabelKind::Detect | LabelKind::Class, Value::String(class)) => {
                fields.check_content(name, &class)?;
                Ok(Label::Class(class))
            }
            (LabelKind::Detect, Value::Number(number)) if number.is_f64() => {
                Ok(Label::Number(number.as_f64().unwrap_or(f64::NAN)))
            }
            (LabelKind::Detect | LabelKind::Class, value @ (Value::Number(_) | Value::Bool(_))) => {
                Ok(Label::Class(value.to_string()))
            }
            (LabelKind::Number, Value::Number(number)) => {
                Ok(Label::Number(number.as_f64().unwrap_or(f64::NAN)))
            }
            (LabelKind::Number, Value::String(text)) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Label::Number(number)),
                _ => Err(fields.wrong_type(name, &Value::String(text), "number")),
            },
            (LabelKind::Number, other) => Err(fields.wrong_type(name, &other, "number")),
            (_, other) => Err(fields.wrong_type(name, &other, "string, integer or number")),
        }
    }
}

impl FromStr for LabelMapping {
    type Err = DataError;

    /// Reads `text=FIELD,label=FIELD`, with `pair=FIELD` for a second text and `kind=class` or `kind=number`.
    fn from_str(text: &str) -> Result<Self> {
        let mut mapping = Self::default();
        for (name, field) in assignments(text, &["text", "label", "pair", "kind"])? {
            match (name.as_str(), field.as_str()) {
                ("text", _) => mapping.text = Some(field),
                ("label", _) => mapping.label = Some(field),
                ("pair", _) => mapping.pair = Some(field),
                (_, "class") => mapping.kind = LabelKind::Class,
                (_, "number") => mapping.kind = LabelKind::Number,
                _ => {
                    let (name, expected) = ("mapping: kind".into(), "class or number".into());
                    return Err(DataError::Setting {
                        name,
                        found: quoted(&field),
                        expected,
                    });
                }
            }
        }
        Ok(mapping)
    }
}
