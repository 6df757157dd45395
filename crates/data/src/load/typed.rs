//! The types of a table's columns, told from its first rows.

use serde_json::{Number, Value};

/// Digits that a float holds without loss, whatever they are.
const DIGITS: usize = 15;

/// What the cells of a column are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    /// Numbers; an empty cell is null.
    Number,
    /// `true` and `false`; an empty cell is null.
    Boolean,
}

impl Type {
    /// The type that all of these cells have; a column without any cell that says something is text.
    pub(super) fn of<'a>(cells: impl Iterator<Item = &'a str>) -> Self {
        let (mut numbers, mut booleans, mut some) = (true, true, false);
        for cell in cells.filter(|cell| !cell.is_empty()) {
            some = true;
            numbers &= number(cell).is_some();
            booleans &= boolean(cell).is_some();
        }
        match (some, numbers, booleans) {
            (true, true, _) => Self::Number,
            (true, _, true) => Self::Boolean,
            _ => Self::Text,
        }
    }

    /// A cell's value, or `None` if it has not this type.
    pub(super) fn value(self, cell: &str) -> Option<Value> {
        match self {
            Self::Text => Some(Value::from(cell)),
            _ if cell.is_empty() => Some(Value::Null),
            Self::Number => number(cell).map(Value::Number),
            Self::Boolean => boolean(cell).map(Value::Bool),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "a number",
            Self::Boolean => "true or false",
        }
    }
}

/// A number that is written as its value is: with no leading zero, sign `+` or exponent, which codes and names have,
/// and with no more digits than are kept.
fn number(cell: &str) -> Option<Number> {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    let (whole, part) = digits
        .split_once('.')
        .map_or((digits, None), |(whole, part)| (whole, Some(part)));
    let all_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits(whole) || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    match part {
        None if cell == "-0" => None,
        None => cell
            .parse::<i64>()
            .map(Number::from)
            .or_else(|_| cell.parse::<u64>().map(Number::from))
            .ok(),
        Some(part) if all_digits(part) && whole.len() + part.len() <= DIGITS => {
            Number::from_f64(cell.parse().ok()?)
        }
        Some(_) => None,
    }
}

fn boolean(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn cells_are_numbers_only_if_nothing_is_lost() {
        let cases = [
            ("0", json!(0)),
            ("-12", json!(-12)),
            ("18446744073709551615", json!(u64::MAX)),
            ("0.50", json!(0.5)),
            ("-3.25", json!(-3.25)),
        ];
        for (cell, expected) in cases {
            assert_eq!(Type::Number.value(cell), Some(expected), "{cell}");
        }
        for cell in [
            "007",
            "+1",
            "1e5",
            "NaN",
            "inf",
            "1.",
            ".5",
            "1,5",
            "-0",
            "--1",
            " 1",
            "2024-01-01",
            "0x1F",
            "1_000",
            "18446744073709551616",
            "0.1234567890123456",
            "-",
        ] {
            assert_eq!(Type::Number.value(cell), None, "{cell}");
        }
    }

    #[test]
    fn a_column_has_the_type_that_all_its_cells_have() {
        let cases: [(&[&str], Type); 7] = [
            (&["1", "", "2.5"], Type::Number),
            (&["1", "x"], Type::Text),
            (&["01", "2"], Type::Text),
            (&["true", "FALSE", ""], Type::Boolean),
            (&["true", "1"], Type::Text),
            (&["", ""], Type::Text),
            (&[], Type::Text),
        ];
        for (cells, expected) in cases {
            assert_eq!(Type::of(cells.iter().copied()), expected, "{cells:?}");
        }
    }
}
