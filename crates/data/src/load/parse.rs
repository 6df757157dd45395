//! One JSON value, read strictly.
//!
//! serde's reader would do for good files. This one exists for the others: it knows the line and column in the file,
//! refuses what serde takes silently (a name twice, an integer rounded to a float) and says in words what is wrong.

use serde_json::Value;

use super::heads::Heads;
use super::parser::Parser;
use super::text::decode;
use crate::document::Fields;
use crate::error::{DataError, Place, Result};

/// How deep lists and objects may nest.
pub(super) const DEPTH_LIMIT: usize = 64;

/// How many bytes of memory the lists and objects of a value may take.
pub(super) const MEMORY: usize = 384 << 20;

/// Reads the object that `raw` holds, white space around it aside. `place` is where `raw` begins in its file, and
/// `heads` the names that were seen there.
#[inline]
pub(super) fn object(raw: &[u8], place: &Place, heads: &Heads) -> Result<Fields> {
    let text = decode(raw, place)?;
    Parser::new(text, MEMORY)
        .record(heads)
        .map_err(|fault| fault.explain(text, place))
}

/// Reads the value that `text` holds, whatever its type, white space around it aside.
pub(crate) fn value(text: &str, place: &Place) -> Result<Value> {
    value_within(text, place, MEMORY)
}

/// As [`value`], but for the bytes of memory that lists and objects may take.
pub(super) fn value_within(text: &str, place: &Place, memory: usize) -> Result<Value> {
    let parsed = Parser::new(text, memory).whole();
    parsed.map_err(|fault| fault.explain(text, place))
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

/// Where reading stopped, as a byte offset, and why.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) why: Why,
}

pub(super) enum Why {
    Syntax(String),
    NumberRange(String),
    Duplicate(String),
    TooDeep,
    TooLarge { found: usize, limit: usize },
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
            Why::TooLarge { found, limit } => DataError::LimitExceeded {
                place,
                what: "the size in memory of the values up to here, in bytes,",
                found: found as u64,
                limit: limit as u64,
                hint: "Split the record or the file",
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Fields> {
        object(text.as_bytes(), &Place::at("f", 7, 1), &Heads::default())
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
    fn memory_is_limited() {
        let place = Place::at("f", 7, 1);
        for item in ["0", "[]", "{\"\":0}", "\"\""] {
            let list = format!("[{}{item}]", format!("{item},").repeat(1 << 16));
            assert!(value_within(&list, &place, 1 << 30).is_ok(), "{item}");
            let error = value_within(&list, &place, 1 << 20).unwrap_err();
            assert_eq!(error.kind(), "limit exceeded", "{item}");
            assert!(error.to_string().starts_with("f:7:"), "{item}: {error}");
        }
        let names: Vec<String> = (0..1 << 16).map(|name| format!("\"{name}\":0")).collect();
        let object = format!("{{{}}}", names.join(","));
        let read = |memory| Parser::new(&object, memory).record(&Heads::default());
        assert!(read(1 << 30).is_ok());
        assert!(read(1 << 20).is_err());
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
            let ours = object(&bytes, &place, &Heads::default());
            match (ours, serde_json::from_slice::<BTreeMap<String, Value>>(&bytes)) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (Ok(_), Err(error)) => prop_assert!(false, "serde refuses: {}", error),
                (Err(DataError::DuplicateKey { .. } | DataError::NumberRange { .. }), Ok(_)) | (Err(_), Err(_)) => {}
                (Err(error), Ok(_)) => prop_assert!(false, "serde accepts: {}", error),
            }
        }
    }
}
