//! Reading `config.json`: every number checked, every refusal by name.

use serde_json::{Map, Value};

use crate::blueprint::Spread;
use crate::error::{ModelError, Result, escape};
use crate::op::Activation;

/// The largest count that a configuration may hold; beyond it no machine's memory would do.
const LARGEST: u64 = 1 << 30;

/// The fields of a `config.json`.
///
/// Every reader takes the names that a field is known by, the first of which errors name. A field that is missing or
/// `null` has the default that the reference gives it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings<'a> {
    /// `None`: a file that says nothing.
    fields: Option<&'a Map<String, Value>>,
}

impl<'a> Settings<'a> {
    /// # Errors
    /// When the configuration is not a JSON object.
    pub fn new(config: &'a Value) -> Result<Self> {
        match config.as_object() {
            Some(fields) => Ok(Self {
                fields: Some(fields),
            }),
            None => Err(invalid("(whole file)", Some(config), "expected an object")),
        }
    }

    /// The value of a field that is there and not `null`.
    pub fn value(&self, names: &[&str]) -> Option<&'a Value> {
        names
            .iter()
            .filter_map(|name| self.fields?.get(*name))
            .find(|value| !value.is_null())
    }

    /// Whether a field is there and says that it has no value, which is not the same as silence.
    pub fn is_null(&self, name: &str) -> bool {
        let field = self.fields.and_then(|fields| fields.get(name));
        field.is_some_and(Value::is_null)
    }

    /// The fields of a nested object.
    ///
    /// # Errors
    /// When the field is there and not an object.
    pub fn object(&self, names: &[&str]) -> Result<Option<Settings<'a>>> {
        match self.value(names) {
            None => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Settings {
                fields: Some(fields),
            })),
            Some(other) => Err(invalid(names[0], Some(other), "expected an object")),
        }
    }

    /// A count of at least 1.
    ///
    /// # Errors
    /// When the field is not a whole number between 1 and 2³⁰.
    pub fn count(&self, names: &[&str], default: usize) -> Result<usize> {
        Ok(self.count_if(names)?.unwrap_or(default))
    }

    /// A count of at least 1, where there is one.
    ///
    /// # Errors
    /// When the field is not a whole number between 1 and 2³⁰.
    pub fn count_if(&self, names: &[&str]) -> Result<Option<usize>> {
        let Some(value) = self.value(names) else {
            return Ok(None);
        };
        if let Some(count @ 1..=LARGEST) = value.as_u64() {
            return Ok(Some(count as usize));
        }
        let why = format!("expected a whole number between 1 and {LARGEST}");
        Err(invalid(names[0], Some(value), why))
    }

    /// A count of at least 1, or none: `null` means none, silence the family's own.
    ///
    /// # Errors
    /// When the field is not a whole number between 1 and 2³⁰.
    pub fn count_or_none(&self, name: &str, default: usize) -> Result<Option<usize>> {
        if self.is_null(name) {
            return Ok(None);
        }
        self.count(&[name], default).map(Some)
    }

    /// A number of blocks: a [count](Self::count) of at most 2¹⁴, because every block has its own names and parameters.
    ///
    /// # Errors
    /// When the field is not such a number.
    pub fn depth(&self, names: &[&str], default: usize) -> Result<usize> {
        const DEEPEST: usize = 1 << 14;
        match self.count(names, default)? {
            depth if depth <= DEEPEST => Ok(depth),
            _ => {
                let why = format!("expected at most {DEEPEST} blocks");
                Err(invalid(names[0], self.value(names), why))
            }
        }
    }

    /// A whole number from 0.
    ///
    /// # Errors
    /// When the field is not such a number.
    pub fn whole(&self, name: &str, default: usize) -> Result<usize> {
        Ok(self.whole_if(name)?.unwrap_or(default))
    }

    /// A whole number from 0, where there is one.
    ///
    /// # Errors
    /// When the field is not such a number.
    pub fn whole_if(&self, name: &str) -> Result<Option<usize>> {
        let value = self.value(&[name]);
        value.map(|value| whole_of(name, value)).transpose()
    }

    /// A list of whole numbers from 0, where there is one.
    ///
    /// # Errors
    /// When the field is not such a list.
    pub fn wholes(&self, name: &str) -> Result<Option<Vec<usize>>> {
        let list = self.list(name)?;
        list.map(|list| list.iter().map(|value| whole_of(name, value)).collect())
            .transpose()
    }

    /// A list of texts, where there is one.
    ///
    /// # Errors
    /// When the field is not such a list.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<&'a str>>> {
        let text = |value: &'a Value| {
            let wrong = || invalid(name, Some(value), "expected a list of texts");
            value.as_str().ok_or_else(wrong)
        };
        let list = self.list(name)?;
        list.map(|list| list.iter().map(text).collect()).transpose()
    }

    fn list(self, name: &str) -> Result<Option<&'a [Value]>> {
        match self.value(&[name]) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(other) => Err(invalid(name, Some(other), "expected a list")),
        }
    }

    /// A bound on scores: positive; `null` means none, silence the family's own.
    ///
    /// # Errors
    /// When the field is not a positive number.
    pub fn bound(&self, name: &str, default: Option<f64>) -> Result<Option<f64>> {
        if self.value(&[name]).is_none() {
            return Ok(default.filter(|_| !self.is_null(name)));
        }
        self.number(&[name], 1.0, 1e-6..=1e9).map(Some)
    }

    /// A number that lies in a range.
    ///
    /// # Errors
    /// When the field is not a number, or lies outside.
    pub fn number(
        &self,
        names: &[&str],
        default: f64,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<f64> {
        let Some(value) = self.value(names) else {
            return Ok(default);
        };
        match value.as_f64() {
            Some(number) if range.contains(&number) => Ok(number),
            _ => {
                let why = format!(
                    "expected a number from {} to {}",
                    range.start(),
                    range.end()
                );
                Err(invalid(names[0], Some(value), why))
            }
        }
    }

    /// A rate of dropout, `0 <= rate < 1`.
    ///
    /// # Errors
    /// When the field is not such a number.
    pub fn rate(&self, names: &[&str], default: f64) -> Result<f64> {
        let rate = self.number(names, default, 0.0..=1.0)?;
        if rate < 1.0 {
            return Ok(rate);
        }
        let why = "expected a rate below 1; nothing would be left";
        Err(invalid(names[0], self.value(names), why))
    }

    /// What is added under a root: small and positive.
    ///
    /// # Errors
    /// When the field is not such a number.
    pub fn epsilon(&self, names: &[&str], default: f64) -> Result<f64> {
        self.number(names, default, f64::MIN_POSITIVE..=1.0)
    }

    /// Yes or no.
    ///
    /// # Errors
    /// When the field is neither.
    pub fn flag(&self, names: &[&str], default: bool) -> Result<bool> {
        match self.value(names) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(invalid(names[0], Some(other), "expected true or false")),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// When the field is not a text.
    pub fn text(&self, names: &[&str]) -> Result<Option<&'a str>> {
        match self.value(names) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(invalid(names[0], Some(other), "expected a text")),
        }
    }

    /// An activation function by its name.
    ///
    /// # Errors
    /// When the function is not implemented.
    pub fn activation(&self, names: &[&str], default: Activation) -> Result<Activation> {
        let Some(name) = self.text(names)? else {
            return Ok(default);
        };
        name.parse().map_err(|error| ModelError::Unsupported {
            field: names[0].to_owned(),
            value: format!("{:?}", escape(name)),
            known: format!("{error}"),
        })
    }

    /// Refuses a setting that the reference has and this project has not, unless it stands at the given value.
    ///
    /// # Errors
    /// When the field is there with another value.
    pub fn only(&self, name: &str, value: impl Into<Value>) -> Result<()> {
        let only = value.into();
        match self.value(&[name]) {
            Some(found) if *found != only => {
                Err(unsupported(name, found, format!("only {only} is")))
            }
            _ => Ok(()),
        }
    }

    /// The token that the reference calls padding, as PyTorch's embedding counts it: a negative one from the end.
    ///
    /// # Errors
    /// When the field is not a token of the vocabulary.
    pub fn padding(&self, vocabulary: usize) -> Result<Option<usize>> {
        let name = "pad_token_id";
        let Some(value) = self.value(&[name]) else {
            return Ok(None);
        };
        let size = vocabulary as i64;
        match value.as_i64() {
            Some(id) if (0..size).contains(&id) => Ok(Some(id as usize)),
            Some(id) if (-size..0).contains(&id) => Ok(Some((size + id) as usize)),
            _ => {
                let why = format!("expected a token of the vocabulary of {vocabulary}");
                Err(invalid(name, Some(value), why))
            }
        }
    }

    /// The same where the reference takes a token of its own when the file is silent.
    ///
    /// # Errors
    /// When the field is not a token of the vocabulary, or the reference's own is none.
    pub fn padding_or(&self, default: usize, vocabulary: usize) -> Result<Option<usize>> {
        let name = "pad_token_id";
        if self.value(&[name]).is_some() || self.is_null(name) {
            return self.padding(vocabulary);
        }
        if default < vocabulary {
            return Ok(Some(default));
        }
        let why = format!(
            "the reference takes {default}, which is no token of the vocabulary of {vocabulary}; write a token, or null"
        );
        Err(invalid(name, None, why))
    }

    /// The spread of new weights, the same for all of them.
    ///
    /// # Errors
    /// When `initializer_range` is there and not between 0 and 1.
    pub fn spread(&self) -> Result<Spread> {
        Ok(Spread::even(self.spread_of_weights()?))
    }

    /// The standard deviation of new weights.
    ///
    /// # Errors
    /// When `initializer_range` is there and not between 0 and 1.
    pub fn spread_of_weights(&self) -> Result<f64> {
        self.number(&["initializer_range"], 0.02, 0.0..=1.0)
    }

    /// The number of classes: the length of `id2label`, `num_labels`, or 2 as the reference has it.
    ///
    /// # Errors
    /// When either is there and cannot be.
    pub fn labels(&self) -> Result<usize> {
        match self.object(&["id2label"])? {
            Some(Settings {
                fields: Some(names),
            }) if !names.is_empty() => Ok(names.len()),
            _ => self.count(&["num_labels", "_num_labels"], 2),
        }
    }
}

fn whole_of(name: &str, value: &Value) -> Result<usize> {
    match value.as_u64() {
        Some(number) if number <= LARGEST => Ok(number as usize),
        _ => {
            let why = format!("expected a whole number between 0 and {LARGEST}");
            Err(invalid(name, Some(value), why))
        }
    }
}

/// A field whose value cannot be.
pub(crate) fn invalid(field: &str, value: Option<&Value>, why: impl Into<String>) -> ModelError {
    ModelError::ConfigInvalid {
        field: field.to_owned(),
        value: value.map_or_else(|| "nothing".to_owned(), |value| escape(&value.to_string())),
        why: why.into(),
    }
}

/// A field whose value is real and not implemented.
pub(crate) fn unsupported(field: &str, value: &Value, known: impl Into<String>) -> ModelError {
    ModelError::Unsupported {
        field: field.to_owned(),
        value: escape(&value.to_string()),
        known: known.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_is_named() {
        let config = json!({
            "zero": 0, "huge": 1u64 << 40, "half": 0.5, "text": "x", "rate": 1.0, "act": "mish", "null": null
        });
        let settings = Settings::new(&config).unwrap();
        let error = |result: Result<usize>| result.unwrap_err().to_string();
        assert!(error(settings.count(&["zero"], 1)).contains("zero: found 0"));
        assert!(error(settings.count(&["huge"], 1)).contains("huge: found 1099511627776"));
        assert!(settings.count(&["half"], 1).is_err());
        assert!(settings.rate(&["rate"], 0.0).is_err());
        assert_eq!(settings.count(&["null", "none"], 7).unwrap(), 7);
        let activation = settings.activation(&["act"], Activation::Silu).unwrap_err();
        assert!(
            activation
                .to_string()
                .contains("act = \"mish\" is not implemented"),
            "{activation}"
        );
        assert!(settings.only("text", "y").is_err());
        assert!(Settings::new(&json!([1])).is_err());
    }
}
