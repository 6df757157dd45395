//! Values as Python's `str` and `repr` write them.

use std::fmt::Write as _;

use minijinja::Value;
use minijinja::value::ValueKind;

/// `str(value)`: a text as it is, everything else as `repr` writes it.
pub(in crate::suite) fn write(value: &Value) -> String {
    value.as_str().map_or_else(
        || {
            let mut out = String::new();
            repr(value, &mut out);
            out
        },
        str::to_owned,
    )
}

fn repr(value: &Value, out: &mut String) {
    match value.kind() {
        ValueKind::None | ValueKind::Undefined => out.push_str("None"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number => number(value, out),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter().into_iter().flatten();
            list(items, out);
        }
        ValueKind::Map => map(value, out),
        _ => text(&value.to_string(), out),
    }
}

fn number(value: &Value, out: &mut String) {
    match f64::try_from(value.clone()) {
        Ok(float) if !value.is_integer() => out.push_str(&self::float(float)),
        _ => {
            let _ = write!(out, "{value}");
        }
    }
}

/// The shortest text that reads back, with an exponent from 1e16 on and below 1e-4.
fn float(value: f64) -> String {
    let size = value.abs();
    if !value.is_finite() {
        return if value.is_nan() {
            "nan".into()
        } else if value > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    if size != 0.0 && !(1e-4..1e16).contains(&size) {
        let text = format!("{value:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent
            .strip_prefix('-')
            .map_or(('+', exponent), |exponent| ('-', exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{value:?}")
}

fn list(items: impl Iterator<Item = Value>, out: &mut String) {
    out.push('[');
    for (place, item) in items.enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        repr(&item, out);
    }
    out.push(']');
}

fn map(value: &Value, out: &mut String) {
    out.push('{');
    for (place, key) in value.try_iter().into_iter().flatten().enumerate() {
        if place > 0 {
            out.push_str(", ");
        }
        repr(&key, out);
        out.push_str(": ");
        repr(&value.get_item(&key).unwrap_or_default(), out);
    }
    out.push('}');
}

/// Single quotes, or double ones where the text has single ones and no double ones.
fn text(text: &str, out: &mut String) {
    let quote = if text.contains('\'') && !text.contains('"') {
        '"'
    } else {
        '\''
    };
    out.push(quote);
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if character == quote => {
                out.push('\\');
                out.push(quote);
            }
            _ if character.is_control() => {
                let _ = write!(out, "\\x{:02x}", character as u32);
            }
            _ => out.push(character),
        }
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use minijinja::value::Serde;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        for (value, expected) in [
            (json!(null), "None"),
            (json!(true), "True"),
            (json!(-3), "-3"),
            (json!(1.0), "1.0"),
            (json!(0.1), "0.1"),
            (json!(1e16), "1e+16"),
            (json!(0.00001), "1e-05"),
            (json!("a 'b'"), "a 'b'"),
            (
                json!(["a", "it's", "\"it's\"", "x\ny\\", "中\u{7}"]),
                r#"['a', "it's", '"it\'s"', 'x\ny\\', '中\x07']"#,
            ),
            (
                json!({"a": [1, null], "b": {}}),
                "{'a': [1, None], 'b': {}}",
            ),
        ] {
            assert_eq!(write(&Value::from(Serde(value))), expected);
        }
    }
}
