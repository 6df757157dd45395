//! JSON as Python's `json.dumps` writes it: the filter `tojson` of chat templates.

use std::fmt::Write as _;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, Value};

/// How deep a value may be nested.
const DEPTH: usize = 64;

/// The options of `tojson`.
struct Style {
    ensure_ascii: bool,
    sort_keys: bool,
    indent: Option<String>,
    comma: String,
    colon: String,
}

/// Writes a value as transformers' `tojson` does: nothing is escaped for HTML, and characters beyond ASCII stay as
/// they are. Options: `ensure_ascii`, `indent`, `separators`, `sort_keys`.
#[allow(clippy::needless_pass_by_value)] // the signature of a filter
pub(super) fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let style = Style::read(&options)?;
    options.assert_all_used()?;
    let mut text = String::new();
    style.write(&mut text, value, 0)?;
    Ok(text)
}

/// A value as `json.dumps` writes it by default, but for characters beyond ASCII, which stay as they are.
pub(super) fn dumps(value: &Value) -> Result<String, Error> {
    tojson(value, Kwargs::from_iter([] as [(&str, Value); 0]))
}

impl Style {
    fn read(options: &Kwargs) -> Result<Self, Error> {
        let indent = match options.get::<Option<Value>>("indent")? {
            Some(value) if !value.is_none() => Some(match value.as_i64() {
                Some(width) => " ".repeat(width.clamp(0, 64) as usize),
                None => value.as_str().unwrap_or_default().to_owned(),
            }),
            _ => None,
        };
        let comma = if indent.is_some() { "," } else { ", " };
        let (mut comma, mut colon) = (comma.to_owned(), ": ".to_owned());
        if let Some(pair) = options.get::<Option<Value>>("separators")?
            && !pair.is_none()
        {
            comma = pair.get_item_by_index(0)?.to_string();
            colon = pair.get_item_by_index(1)?.to_string();
        }
        Ok(Self {
            ensure_ascii: options
                .get::<Option<bool>>("ensure_ascii")?
                .unwrap_or(false),
            sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
            indent,
            comma,
            colon,
        })
    }

    fn write(&self, text: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > DEPTH {
            return Err(unfit("a value nested too deeply"));
        }
        match value.kind() {
            ValueKind::None => text.push_str("null"),
            ValueKind::Bool => text.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => Self::number(text, value)?,
            ValueKind::String => self.string(text, value.as_str().unwrap_or_default()),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?.collect::<Vec<_>>();
                self.list(text, ['[', ']'], depth, items, |text, item| {
                    self.write(text, &item, depth + 1)
                })?;
            }
            ValueKind::Map => self.map(text, value, depth)?,
            other => return Err(unfit(&other.to_string())),
        }
        Ok(())
    }

    fn map(&self, text: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
        let mut entries = Vec::new();
        for key in value.try_iter()? {
            let name = match key.kind() {
                ValueKind::String => key.as_str().unwrap_or_default().to_owned(),
                ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                    let mut name = String::new();
                    self.write(&mut name, &key, depth)?;
                    name
                }
                other => return Err(unfit(&format!("a key of type {other}"))),
            };
            entries.push((name, value.get_item(&key)?));
        }
        if self.sort_keys {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.list(text, ['{', '}'], depth, entries, |text, (name, item)| {
            self.string(text, &name);
            text.push_str(&self.colon);
            self.write(text, &item, depth + 1)
        })
    }

    fn list<T>(
        &self,
        text: &mut String,
        [open, close]: [char; 2],
        depth: usize,
        items: Vec<T>,
        mut write: impl FnMut(&mut String, T) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let empty = items.is_empty();
        text.push(open);
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                text.push_str(&self.comma);
            }
            self.line(text, depth + 1);
            write(text, item)?;
        }
        if !empty {
            self.line(text, depth);
        }
        text.push(close);
        Ok(())
    }

    fn line(&self, text: &mut String, depth: usize) {
        if let Some(indent) = &self.indent {
            text.push('\n');
            for _ in 0..depth {
                text.push_str(indent);
            }
        }
    }

    fn number(text: &mut String, value: &Value) -> Result<(), Error> {
        if value.is_integer() {
            text.push_str(&value.to_string());
            return Ok(());
        }
        let number = f64::try_from(value.clone())?;
        text.push_str(&float(number));
        Ok(())
    }

    fn string(&self, text: &mut String, value: &str) {
        text.push('"');
        for character in value.chars() {
            match character {
                '"' => text.push_str("\\\""),
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '\u{8}' => text.push_str("\\b"),
                '\u{c}' => text.push_str("\\f"),
                '\0'..='\u{1f}' => escape(text, character),
                '\u{7f}'.. if self.ensure_ascii => escape(text, character),
                _ => text.push(character),
            }
        }
        text.push('"');
    }
}

fn escape(text: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        // A String takes every write.
        let _ = write!(text, "\\u{unit:04x}");
    }
}

/// A float as Python's `repr` writes it.
fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    // Rust's shortest form has the same digits and switches to an exponent at the same sizes, but writes the exponent
    // without sign and padding.
    let shown = format!("{number:?}");
    match shown.split_once('e') {
        Some((digits, exponent)) => {
            let digits = digits.strip_suffix(".0").unwrap_or(digits);
            let (sign, size) = match exponent.strip_prefix('-') {
                Some(size) => ('-', size),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{size:0>2}")
        }
        None => shown,
    }
}

fn unfit(what: &str) -> Error {
    Error::new(
        ErrorKind::BadSerialization,
        format!("cannot write {what} as JSON"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &serde_json::Value, options: &[(&str, Value)], expected: &str) {
        let options: Kwargs = options.iter().cloned().collect();
        let value = Value::from(minijinja::value::Serde(value));
        assert_eq!(tojson(&value, options).unwrap(), expected);
    }

    #[test]
    fn the_plain_form_has_spaces_and_no_html_escapes() {
        check(
            &serde_json::json!({"b": [1, 2.0, true, null], "a": "<é & \"'\u{1}\n>"}),
            &[],
            r#"{"b": [1, 2.0, true, null], "a": "<é & \"'\u0001\n>"}"#,
        );
        check(&serde_json::json!([[], {}]), &[], "[[], {}]");
    }

    #[test]
    fn options_are_those_of_python() {
        let value = serde_json::json!({"b": [1, "é😀"], "a": {}});
        check(
            &value,
            &[
                ("indent", Value::from(2)),
                ("sort_keys", Value::from(true)),
                ("ensure_ascii", Value::from(true)),
            ],
            "{\n  \"a\": {},\n  \"b\": [\n    1,\n    \"\\u00e9\\ud83d\\ude00\"\n  ]\n}",
        );
        check(
            &value,
            &[("separators", Value::from(vec![",", ":"]))],
            "{\"b\":[1,\"é😀\"],\"a\":{}}",
        );
    }

    #[test]
    fn floats_print_as_in_python() {
        for (number, expected) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (1e-5, "1e-05"),
            (-1e300, "-1e+300"),
            (123_456_789_012_345.6, "123456789012345.6"),
        ] {
            assert_eq!(float(number), expected);
        }
    }
}
