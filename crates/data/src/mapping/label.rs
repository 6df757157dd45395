//! Texts with labels.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde_json::Value;

use super::any::is_auto;
use super::fields::Fields;
use super::judged::truth;
use super::offer::Part;
use super::text::{TEXT, take_text};
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
pub(super) const LABEL: [&str; 11] = [
    "label",
    "labels",
    "class",
    "classes",
    "category",
    "target",
    "intent",
    "sentiment",
    "topic",
    "score",
    "rating",
];
pub(super) const PARTS: [Part; 2] = [("text", &TEXT), ("label", &LABEL)];

/// What a label is read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LabelKind {
    /// Texts, integers and booleans are classes; fractions are numbers; lists of texts or integers are several classes,
    /// and lists of fractions or booleans one flag for each class.
    #[default]
    Detect,
    /// The name of a class: texts as they are, integers and booleans as they are written.
    Class,
    /// Any number of classes: a list of names or numbers, or a single one.
    Classes,
    /// Any number of classes: a list with a 0 or 1 for each class.
    Flags,
    /// A quantity, also where it is written as a text, as in a table.
    Number,
}

/// Maps a record to a text, or two, with a label.
///
/// By default the texts are found by the names `premise` and `hypothesis`, `sentence1` and `sentence2`, or a single
/// `text`, `content`, `sentence`; the label by `label`, `labels`, `class`, `category` and the like.
///
/// Several classes of one text are a list (of names, of numbers, or of a 0 or 1 for each class) or columns of 0 and 1,
/// which must be named: `text=comment,labels=toxic|threat|insult`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LabelMapping {
    /// The field of the text.
    pub text: Option<String>,
    /// The field of the second text.
    pub pair: Option<String>,
    /// The field of the label.
    pub label: Option<String>,
    /// Fields that hold a 0 or 1 each, whose names are the classes; then there is no field of the label.
    pub columns: Vec<String>,
    /// The names of the classes by their numbers, such as
    /// [`DatasetFolder::labels`](crate::load::DatasetFolder::labels) has them; a number stands for itself if there are
    /// none.
    pub names: Vec<String>,
    /// What the label is read as.
    pub kind: LabelKind,
}

impl Mapping for LabelMapping {
    type Example = Labeled;

    fn example(&self, document: Document) -> Result<Labeled> {
        let mut fields = Fields::from(document);
        let detected = if self.text.is_none() && self.pair.is_none() {
            fields.pair(&PAIRS)
        } else {
            None
        };
        let text_name = self.text.as_deref().or(detected.map(|(text, _)| text));
        let pair_name = self.pair.as_deref().or(detected.map(|(_, pair)| pair));
        let label = self.take_label(&mut fields)?;
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
    fn take_label(&self, fields: &mut Fields) -> Result<Label> {
        if !self.columns.is_empty() {
            let mut classes = BTreeSet::new();
            for column in &self.columns {
                let value = fields.take(column)?;
                if holds(column, &value, fields)? {
                    classes.insert(column.clone());
                }
            }
            return Ok(Label::Classes(classes));
        }
        let Some(name) = self.label.as_deref().or_else(|| fields.first(&LABEL)) else {
            return Err(fields.missing("label", fields.suggest(&PARTS)));
        };
        let value = fields.take(name)?;
        self.label(name, value, fields)
    }

    fn label(&self, name: &str, value: Value, fields: &Fields) -> Result<Label> {
        match (self.kind, value) {
            (LabelKind::Detect, Value::Number(number)) if number.is_f64() => {
                Ok(Label::Number(number.as_f64().unwrap_or(f64::NAN)))
            }
            (LabelKind::Number, Value::Number(number)) => {
                Ok(Label::Number(number.as_f64().unwrap_or(f64::NAN)))
            }
            (LabelKind::Number, Value::String(text)) => match text.trim().parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Label::Number(number)),
                _ => Err(fields.wrong_type(name, &Value::String(text), "number")),
            },
            (LabelKind::Number, other) => Err(fields.wrong_type(name, &other, "number")),
            (LabelKind::Flags, Value::Array(items)) => self.flags(name, &items, fields),
            (LabelKind::Flags, other) => Err(fields.wrong_type(name, &other, "array of 0 and 1")),
            (LabelKind::Detect, Value::Array(items))
                if !items.is_empty() && items.iter().all(is_flag) =>
            {
                self.flags(name, &items, fields)
            }
            (LabelKind::Detect | LabelKind::Classes, Value::Array(items)) => {
                self.classes(name, &items, fields)
            }
            (LabelKind::Classes, value) => {
                let class = self.class(name, &value, fields)?;
                Ok(Label::Classes(BTreeSet::from([class])))
            }
            (LabelKind::Detect | LabelKind::Class, value) => {
                self.class(name, &value, fields).map(Label::Class)
            }
        }
    }

    /// The classes of a list of names or numbers.
    fn classes(&self, name: &str, items: &[Value], fields: &Fields) -> Result<Label> {
        let mut classes = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let class = self.class(&format!("{name}.{index}"), item, fields)?;
            if !classes.insert(class.clone()) {
                let expected = "each class once; map a list of 0 and 1 with kind=flags";
                return Err(fields.unexpected(name, &format!("{class} twice"), expected));
            }
        }
        Ok(Label::Classes(classes))
    }

    /// The classes of a list with a 0 or 1 for each.
    fn flags(&self, name: &str, items: &[Value], fields: &Fields) -> Result<Label> {
        if !self.names.is_empty() && items.len() != self.names.len() {
            let expected = format!("one for each of {} classes", self.names.len());
            return Err(fields.unexpected(name, &format!("{} items", items.len()), expected));
        }
        let mut classes = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            if holds(&format!("{name}.{index}"), item, fields)? {
                let class = self.names.get(index).cloned();
                classes.insert(class.unwrap_or_else(|| index.to_string()));
            }
        }
        Ok(Label::Classes(classes))
    }

    /// The name of a class.
    fn class(&self, name: &str, value: &Value, fields: &Fields) -> Result<String> {
        let class = match value {
            Value::String(class) => {
                fields.check_content(name, class)?;
                class.clone()
            }
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            other => {
                return Err(fields.wrong_type(name, other, "string, integer, number or array"));
            }
        };
        if self.names.is_empty() || self.names.contains(&class) {
            return Ok(class);
        }
        let number = class.trim().parse::<usize>().ok();
        let named = number.and_then(|number| self.names.get(number)).cloned();
        named.ok_or_else(|| {
            let expected = format!(
                "one of {}, or a number below {}",
                self.names.join(", "),
                self.names.len()
            );
            fields.unexpected(name, &class, expected)
        })
    }
}

/// Whether a class holds.
fn holds(name: &str, value: &Value, fields: &Fields) -> Result<bool> {
    truth(value).ok_or_else(|| {
        let found = value
            .as_str()
            .map_or_else(|| value.to_string(), String::from);
        fields.unexpected(name, &found, "0 or 1, or true or false")
    })
}

/// Whether an item of a list is no name and no number of a class.
fn is_flag(item: &Value) -> bool {
    match item {
        Value::Bool(_) => true,
        Value::Number(number) => number.is_f64(),
        _ => false,
    }
}

impl FromStr for LabelMapping {
    type Err = DataError;

    /// Reads `text=FIELD,label=FIELD`, with `pair=FIELD` for a second text, `kind=class`, `classes`, `flags` or `number`,
    /// and `names=NAME|NAME` for classes that are written as numbers; or `text=FIELD,labels=FIELD|FIELD` for columns of 0
    /// and 1. An empty text or `auto` detects.
    fn from_str(text: &str) -> Result<Self> {
        let mut mapping = Self::default();
        if is_auto(text) {
            return Ok(mapping);
        }
        let fault = |name: &str, found: &str, expected: &str| DataError::Setting {
            name: name.into(),
            found: quoted(found),
            expected: expected.into(),
        };
        let list = |field: &str| field.split('|').map(|name| name.trim().into()).collect();
        for (name, field) in
            assignments(text, &["text", "label", "labels", "pair", "kind", "names"])?
        {
            match (name.as_str(), field.as_str()) {
                ("text", _) => mapping.text = Some(field),
                ("label", _) => mapping.label = Some(field),
                ("labels", _) => mapping.columns = list(&field),
                ("pair", _) => mapping.pair = Some(field),
                ("names", _) => mapping.names = list(&field),
                (_, "class") => mapping.kind = LabelKind::Class,
                (_, "classes") => mapping.kind = LabelKind::Classes,
                (_, "flags") => mapping.kind = LabelKind::Flags,
                (_, "number") => mapping.kind = LabelKind::Number,
                _ => {
                    let expected = "class, classes, flags or number";
                    return Err(fault("mapping: kind", &field, expected));
                }
            }
        }
        if mapping.label.is_some() && !mapping.columns.is_empty() {
            let expected = "label=FIELD, or labels=FIELD|FIELD for columns of 0 and 1";
            return Err(fault("mapping", text, expected));
        }
        Ok(mapping)
    }
}
