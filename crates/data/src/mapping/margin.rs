//! Ratings, and how far apart they must be to say which answer is better.

use std::str::FromStr;

use serde_json::Value;

use super::fields::Fields;
use crate::error::{DataError, Result, quoted};

/// The least difference between the ratings of the better and the worse answer, in the unit of the ratings; 0 by
/// default. Equal ratings are never enough.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default)]
pub struct Margin(f64);

impl Margin {
    /// A least difference.
    ///
    /// # Errors
    ///
    /// If it is negative or not finite.
    pub fn new(margin: f64) -> Result<Self> {
        if margin.is_finite() && margin >= 0.0 {
            return Ok(Self(margin));
        }
        Err(fault(&margin.to_string()))
    }

    /// Leaves out a record whose two ratings are equal or nearer than the margin.
    pub(super) fn check(self, better: f64, worse: f64, fields: &Fields) -> Result<()> {
        // Ratings that are equal as numbers are a tie; nothing is calculated with them.
        if better.total_cmp(&worse).is_eq() {
            return Err(fields.left_out(EQUAL, format!("both ratings are {better}")));
        }
        if (better - worse).abs() < self.0 {
            let why = format!(
                "the ratings {better} and {worse} differ by less than {}",
                self.0
            );
            return Err(fields.left_out("rated within the margin", why));
        }
        Ok(())
    }
}

/// Why a record with equal ratings is left out.
const EQUAL: &str = "rated equal";

impl FromStr for Margin {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        let margin = text.parse().map_err(|_| fault(text))?;
        Self::new(margin)
    }
}

fn fault(found: &str) -> DataError {
    DataError::Setting {
        name: "mapping: margin".into(),
        found: quoted(found),
        expected: "a number of at least 0".into(),
    }
}

/// A rating: a finite number, also as a text; of a list, or of an object of aspects, the mean of those that are rated.
/// An aspect may be an object with a `Rating`, as in `UltraFeedback`. None where nothing is rated, as with `N/A`.
pub(super) fn quantity(value: &Value) -> Option<f64> {
    const RATING: [&str; 4] = ["Rating", "rating", "score", "value"];
    let found = match value {
        Value::Null | Value::Bool(_) => None,
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Array(items) => mean(items.iter()),
        Value::Object(fields) => match RATING.iter().find_map(|name| fields.get(*name)) {
            Some(rating) => quantity(rating),
            None => mean(fields.values()),
        },
    };
    // A zero has one sign, so that equal numbers are equal in their order too.
    found
        .filter(|number| number.is_finite())
        .map(|number| number + 0.0)
}

fn mean<'v>(values: impl Iterator<Item = &'v Value>) -> Option<f64> {
    let rated: Vec<f64> = values.filter_map(quantity).collect();
    (!rated.is_empty()).then(|| rated.iter().sum::<f64>() / rated.len() as f64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rating_is_a_number_or_a_mean_of_those_that_there_are() {
        for (value, expected) in [
            (json!(4), Some(4.0)),
            (json!(-0.0), Some(0.0)),
            (json!(" 4.5 "), Some(4.5)),
            (json!("N/A"), None),
            (json!("inf"), None),
            (json!(null), None),
            (json!(true), None),
            (json!([1, "2", "N/A"]), Some(1.5)),
            (
                json!({"helpfulness": {"Rating": "5", "Rationale": "7"}, "honesty": {"Rating": "2"}}),
                Some(3.5),
            ),
            (json!({"helpfulness": {"Rating": "N/A"}}), None),
            (json!([]), None),
        ] {
            assert_eq!(quantity(&value), expected, "{value}");
        }
    }

    #[test]
    fn a_margin_is_a_number_of_at_least_0() {
        assert_eq!("0.5".parse::<Margin>().ok(), Some(Margin(0.5)));
        for text in ["-1", "NaN", "inf", "much"] {
            assert!(text.parse::<Margin>().is_err(), "{text}");
        }
    }
}
