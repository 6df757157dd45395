//! One JSON value, read strictly.
//!
//! serde's reader would do for good files. This one exists for the others: it knows the line and column in the file,
//! refuses what serde takes silently (a name twice, an integer rounded to a float) and says in words what is wrong.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value};

use super::text::decode;
use crate::error::{DataError, Place, Result, quoted};

/// How deep lists and objects may nest.
const DEPTH_LIMIT: usize = 64;

/// Reads the object that `raw` holds, white space around it aside. `place` is where `raw` begins in its file.
pub(super) fn object(raw: &[u8], place: &Place) -> Result<BTreeMap<String, Value>> {
    let text = decode(raw, place)?;
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    let fault = match parser.whole() {
        Ok(Value::Object(fields)) => return Ok(fields.into_iter().collect()),
        Ok(value) => Fault {
            at: text.len() - text.trim_start().len(),
            why: Why::NotAnObject(type_name(&value)),
        },
        Err(fault) => fault,
    };
    Err(fault.explain(text, place))
}

/// The name of a value's type, for messages.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The place of a byte offset in a text that begins at `place`.
pub(super) fn locate(text: &str, offset: usize, place: &Place) -> Place {
    let before = &text[..offset];
    let lines = before.bytes().filter(|byte| *byte == b'\n').count() as u64;
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[line_start..].chars().count() as u64 + 1;
    let skipped = if lines == 0 {
        place.column.saturating_sub(1)
    } else {
        0
    };
    Place::at(&place.path, place.line + lines, column + skipped)
}

struct Fault {
    at: usize,
    why: Why,
}

enum Why {
    Syntax(String),
    NumberRange(String),
    Duplicate(String),
    TooDeep,
    NotAnObject(&'static str),
}

impl Fault {
    fn explain(self, text: &str, place: &Place) -> DataError {
        let place = locate(text, self.at, place);
        match self.why {
            Why::Syntax(mut message) => {
                if self.at >= text.trim_end().len() && !text.ends_with('\n') {
                    message.push_str(". The last line has no newline: file may be truncated");
                }
                if has_lone_return(text) {
                    message.push_str(
                        ". The file has old Mac line ends (CR alone): convert them to LF",
                    );
                }
                DataError::JsonSyntax { place, message }
            }
            Why::NumberRange(number) => DataError::NumberRange { place, number },
            Why::Duplicate(key) => DataError::DuplicateKey { place, key },
            Why::TooDeep => DataError::TooDeep {
                place,
                limit: DEPTH_LIMIT,
            },
            Why::NotAnObject(found) => DataError::NotAnObject { place, found },
        }
    }
}

/// Whether a carriage return stands without a line feed after it.
pub(super) fn has_lone_return(text: &str) -> bool {
    let bytes = text.as_bytes();
    (0..bytes.len()).any(|i| bytes[i] == b'\r' && bytes.get(i + 1) != Some(&b'\n'))
}

type Parsed<T> = std::result::Result<T, Fault>;

struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn whole(&mut self) -> Parsed<Value> {
        let value = self.value()?;
        self.space();
        if self.at == self.text.len() {
            return Ok(value);
        }
        let message = format!(
            "trailing characters after the record: found {}; expected its end",
            self.found()
        );
        Err(self.fault(message))
    }

    fn value(&mut self) -> Parsed<Value> {
        self.space();
        match self.byte() {
            Some(b'{') => self.nested(Self::members),
            Some(b'[') => self.nested(Self::elements),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.literal(),
        }
    }

    fn literal(&mut self) -> Parsed<Value> {
        let rest = &self.text[self.at..];
        let word_end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        let value = match &rest[..word_end] {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            "NaN" | "Infinity" | "nan" | "inf" => {
                let message = format!(
                    "found {}; expected value. JSON has no such number: write null",
                    self.found()
                );
                return Err(self.fault(message));
            }
            _ => return Err(self.expected("value")),
        };
        self.at += word_end;
        Ok(value)
    }

    fn nested(&mut self, inside: fn(&mut Self) -> Parsed<Value>) -> Parsed<Value> {
        if self.depth == DEPTH_LIMIT {
            return Err(Fault {
                at: self.at,
                why: Why::TooDeep,
            });
        }
        self.depth += 1;
        self.at += 1;
        let value = inside(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn elements(&mut self) -> Parsed<Value> {
        let mut elements = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            self.space();
            if self.eat(b']') {
                return Ok(Value::Array(elements));
            }
            self.comma("\",\" or \"]\"", b']')?;
        }
    }

    fn members(&mut self) -> Parsed<Value> {
        let mut members = Map::new();
        self.space();
        if self.eat(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            if self.byte() != Some(b'"') {
                return Err(self.expected("a name in double quotes"));
            }
            let name = self.string()?;
            if members.contains_key(&name) {
                return Err(Fault {
                    at: start,
                    why: Why::Duplicate(quoted(&name)),
                });
            }
            self.space();
            if !self.eat(b':') {
                return Err(self.expected("\":\""));
            }
            let value = self.value()?;
            members.insert(name, value);
            self.space();
            if self.eat(b'}') {
                return Ok(Value::Object(members));
            }
            self.comma("\",\" or \"}\"", b'}')?;
        }
    }

    /// A comma that something follows.
    fn comma(&mut self, expected: &str, close: u8) -> Parsed<()> {
        let comma = self.at;
        if !self.eat(b',') {
            return Err(self.expected(expected));
        }
        self.space();
        if self.byte() == Some(close) {
            let message = format!(
                "trailing comma: found \",\" before \"{}\"; remove it",
                char::from(close)
            );
            return Err(Fault {
                at: comma,
                why: Why::Syntax(message),
            });
        }
        Ok(())
    }

    fn number(&mut self) -> Parsed<Value> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') && self.digits() == 0 {
            return Err(self.expected("a digit"));
        }
        let mut integer = true;
        if self.eat(b'.') {
            integer = false;
            if self.digits() == 0 {
                return Err(self.expected("a digit"));
            }
        }
        if self.eat(b'e') || self.eat(b'E') {
            integer = false;
            let _ = self.eat(b'+') || self.eat(b'-');
            if self.digits() == 0 {
                return Err(self.expected("a digit"));
            }
        }
        if self.byte().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            return Err(self.expected("the end of the number"));
        }
        let written = &self.text[start..self.at];
        number(written, integer)
            .map(Value::Number)
            .ok_or_else(|| Fault {
                at: start,
                why: Why::NumberRange(quoted(written)),
            })
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    fn string(&mut self) -> Parsed<String> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
                .unwrap_or(rest.len());
            string.push_str(&self.text[self.at..self.at + plain]);
            self.at += plain;
            match self.byte() {
                None => return Err(self.expected("the end of the string")),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(string);
                }
                Some(b'\\') => string.push(self.escape()?),
                Some(control) => {
                    let message = format!(
                        "found the control character U+{control:04X} in a string; expected it escaped as \\u{control:04x}"
                    );
                    return Err(self.fault(message));
                }
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let simple = match self.byte() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            _ => return Err(self.expected("one of \" \\ / b f n r t u after \\")),
        };
        self.at += 1;
        Ok(simple)
    }

    fn unicode(&mut self, start: usize) -> Parsed<char> {
        let first = self.unit()?;
        if !(0xD800..0xE000).contains(&first) {
            return Ok(char::from_u32(first)
                .expect("outside the surrogates every 16-bit unit is a character"));
        }
        let lone = || {
            let message = format!(
                "lone surrogate \\u{first:04x}; expected a pair. The text was cut inside a character"
            );
            Fault {
                at: start,
                why: Why::Syntax(message),
            }
        };
        if first >= 0xDC00 || !self.text[self.at..].starts_with("\\u") {
            return Err(lone());
        }
        self.at += 1;
        let second = self.unit()?;
        if !(0xDC00..0xE000).contains(&second) {
            return Err(lone());
        }
        let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
        Ok(char::from_u32(code).expect("a surrogate pair encodes a character"))
    }

    /// Four hexadecimal digits after the `u` of an escape.
    fn unit(&mut self) -> Parsed<u32> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            let Some(digit) = digit else {
                return Err(self.expected("four hexadecimal digits after \\u"));
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expected(&self, expected: &str) -> Fault {
        let message = match self.byte() {
            None => format!("unexpected end of the record; expected {expected}"),
            Some(_) => format!("found {}; expected {expected}", self.found()),
        };
        self.fault(message)
    }

    /// What stands at the current place: a word, or one character.
    fn found(&self) -> String {
        let rest = &self.text[self.at..];
        if rest.starts_with('\u{feff}') {
            return "a byte order mark inside the file".into();
        }
        let word = rest
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(rest.len());
        let first = rest.chars().next().map_or(0, char::len_utf8);
        quoted(&rest[..word.max(first)])
    }

    fn fault(&self, message: String) -> Fault {
        Fault {
            at: self.at,
            why: Why::Syntax(message),
        }
    }
}

/// The number as written, if 64 bits hold it: an integer exactly, a fraction rounded to the nearest float.
fn number(written: &str, integer: bool) -> Option<Number> {
    if integer && written != "-0" {
        return written
            .parse::<u64>()
            .map(Number::from)
            .or_else(|_| written.parse::<i64>().map(Number::from))
            .ok();
    }
    written.parse().ok().and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, Value>> {
        object(text.as_bytes(), &Place::at("f", 7, 1))
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let cases = [
            ("{\"messages\":[}", "f:7:14: found \"}\"; expected value"),
            ("{\"a\":1} x", "f:7:9: trailing characters"),
            ("{\"a\":1,}", "f:7:7: trailing comma"),
            ("{\"a\":tru}", "f:7:6: found \"tru\"; expected value"),
            ("{\"é\":01}", "f:7:7: found \"1\"; expected"),
            ("{\"a\":1.}", "f:7:8: found \"}\"; expected a digit"),
            ("{\"a\":\"\\x\"}", "f:7:8: found \"x\"; expected one of"),
            ("{\"a\":\"\\ud800x\"}", "f:7:7: lone surrogate \\ud800"),
            (
                "{\"a\":\"\\ud800\\u0041\"}",
                "f:7:7: lone surrogate \\ud800",
            ),
            ("{\"a\":\"\\udc00\"}", "f:7:7: lone surrogate \\udc00"),
            (
                "{\"a\":1 \"b\"}",
                "f:7:8: found \"\\\"\"; expected \",\" or \"}\"",
            ),
            ("{\"a\"", "f:7:5: unexpected end"),
            (
                "{\"a\":1e999}",
                "f:7:6: the number \"1e999\" is out of range",
            ),
            ("{\"a\":-9223372036854775809}", "f:7:6: the number"),
            (
                "{\"a\":\n {\"b\":1,\n  \"b\":2}}",
                "f:9:3: the name \"b\" stands here twice",
            ),
            ("  [1]", "f:7:3: found array"),
        ];
        for (text, message) in cases {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{text}: {error}");
        }
    }

    #[test]
    fn values_are_read_exactly() {
        let fields = read(
            r#"{"a": [1, -2, 18446744073709551615, 0.1, -0, 1E2], "b": "\u00e9\ud83d\ude00\/\n", "c": {}}"#,
        );
        let expected =
            serde_json::json!({"a": [1, -2, u64::MAX, 0.1, -0.0, 100.0], "b": "é😀/\n", "c": {}});
        assert_eq!(serde_json::to_value(fields.unwrap()).unwrap(), expected);
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(63)).is_ok());
        assert!(matches!(
            read(&nested(64)),
            Err(DataError::TooDeep { limit: 64, .. })
        ));
        assert!(matches!(
            read(&nested(100_000)),
            Err(DataError::TooDeep { .. })
        ));
    }

    /// A valid record with a few bytes changed, mostly to those that mean something to JSON.
    fn mutated() -> impl Strategy<Value = Vec<u8>> {
        let seed =
            r#"{"prompt": "a\u00e9\n\"b", "n": [1, -2.5e3, true, null, {"x": {}}], "é": "😀"} "#;
        let byte = prop_oneof![
            proptest::sample::select(&b"{}[]\",:\\u0e-+. \n1"[..]),
            any::<u8>()
        ];
        proptest::collection::vec((0..seed.len(), byte, 0..3u8), 0..4).prop_map(move |edits| {
            let mut bytes = seed.as_bytes().to_vec();
            for (at, byte, edit) in edits {
                let at = at.min(bytes.len() - 1);
                match edit {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            bytes
        })
    }

    proptest! {
        /// serde_json is the oracle: whatever one of the two reads, the other reads as the same value, apart from
        /// what is refused here on purpose.
        #[test]
        fn agrees_with_serde(bytes in mutated()) {
            let place = Place::at("f", 1, 1);
            match (object(&bytes, &place), serde_json::from_slice::<Map<String, Value>>(&bytes)) {
                (Ok(ours), Ok(theirs)) => {
                    prop_assert_eq!(ours, theirs.into_iter().collect::<BTreeMap<_, _>>());
                }
                (Ok(_), Err(error)) => prop_assert!(false, "serde refuses: {}", error),
                (Err(DataError::DuplicateKey { .. } | DataError::NumberRange { .. }), Ok(_)) | (Err(_), Err(_)) => {}
                (Err(error), Ok(_)) => prop_assert!(false, "serde accepts: {}", error),
            }
        }
    }
}
