//! Values as Python's `ast.literal_eval` reads them.

use serde_json::{Map, Number, Value};

/// How deep lists may lie in each other.
const DEPTH: usize = 64;

/// The value that a text writes: a text, a number, `True`, `False`, `None`, or a list, tuple or mapping of such. None if
/// it is anything else.
pub(in crate::suite) fn literal(text: &str) -> Option<Value> {
    let mut reader = Reader { rest: text.trim() };
    let value = reader.value(DEPTH)?;
    reader.rest.is_empty().then_some(value)
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        let depth = depth.checked_sub(1)?;
        match self.rest.chars().next()? {
            '[' => self.list('[', ']', depth),
            '(' => self.list('(', ')', depth),
            '{' => self.map(depth),
            '\'' | '"' => self.text().map(Value::String),
            _ => self.word(),
        }
    }

    fn list(&mut self, open: char, close: char, depth: usize) -> Option<Value> {
        self.take(open)?;
        let mut items = Vec::new();
        while self.take(close).is_none() {
            items.push(self.value(depth)?);
            if self.take(',').is_none() {
                self.take(close)?;
                break;
            }
        }
        Some(Value::Array(items))
    }

    fn map(&mut self, depth: usize) -> Option<Value> {
        self.take('{')?;
        let mut fields = Map::new();
        while self.take('}').is_none() {
            let key = match self.value(depth)? {
                Value::String(key) => key,
                key => key.to_string(),
            };
            self.take(':')?;
            fields.insert(key, self.value(depth)?);
            if self.take(',').is_none() {
                self.take('}')?;
                break;
            }
        }
        Some(Value::Object(fields))
    }

    /// One text, or several beside each other, which Python joins.
    fn text(&mut self) -> Option<String> {
        let mut text = String::new();
        while let Some(quote @ ('\'' | '"')) = self.rest.chars().next() {
            self.rest = &self.rest[1..];
            self.quoted(quote, &mut text)?;
            self.space();
        }
        Some(text)
    }

    fn quoted(&mut self, quote: char, text: &mut String) -> Option<()> {
        loop {
            let character = self.character()?;
            match character {
                '\\' => self.escape(text)?,
                '\n' => return None,
                _ if character == quote => return Some(()),
                _ => text.push(character),
            }
        }
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        let character = self.character()?;
        let plain = match character {
            '\n' => return Some(()),
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'v' => '\u{b}',
            '\\' | '\'' | '"' => character,
            'x' => self.code(2)?,
            'u' => self.code(4)?,
            'U' => self.code(8)?,
            '0'..='7' => self.octal(character)?,
            _ => {
                text.push('\\');
                character
            }
        };
        text.push(plain);
        Some(())
    }

    fn code(&mut self, digits: usize) -> Option<char> {
        let code = u32::from_str_radix(self.rest.get(..digits)?, 16).ok()?;
        self.rest = &self.rest[digits..];
        char::from_u32(code)
    }

    fn octal(&mut self, first: char) -> Option<char> {
        let mut code = first.to_digit(8)?;
        for _ in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else {
                break;
            };
            code = code * 8 + digit;
            self.rest = &self.rest[1..];
        }
        char::from_u32(code)
    }

    /// A number or a name.
    fn word(&mut self) -> Option<Value> {
        let ends = |c: char| c.is_whitespace() || ",:]})".contains(c);
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let word = &self.rest[..end];
        let value = match word {
            "None" => Value::Null,
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            _ => number(word)?,
        };
        self.rest = &self.rest[end..];
        self.space();
        Some(value)
    }

    fn character(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        self.rest = &self.rest[character.len_utf8()..];
        Some(character)
    }

    fn take(&mut self, expected: char) -> Option<()> {
        self.space();
        self.rest = self.rest.strip_prefix(expected)?;
        self.space();
        Some(())
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }
}

fn number(word: &str) -> Option<Value> {
    if !word.starts_with([
        '+', '-', '.', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
    ]) {
        return None;
    }
    let digits = word.strip_prefix('+').unwrap_or(word);
    if let Ok(whole) = digits.parse::<i64>() {
        let bare = digits.trim_start_matches('-');
        // Python refuses 007.
        return (bare.trim_start_matches('0').is_empty() || !bare.starts_with('0'))
            .then(|| whole.into());
    }
    Number::from_f64(digits.parse().ok()?).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use minijinja::value::Serde;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::suite::python::write;

    #[test]
    fn literals_are_read_as_python_reads_them() {
        for (text, expected) in [
            ("['A', \"B's\"]", json!(["A", "B's"])),
            ("[1, -2.5, True, None]", json!([1, -2.5, true, null])),
            ("('a',)", json!(["a"])),
            (" [ ] ", json!([])),
            ("{'a': [1], 'b': {}}", json!({"a": [1], "b": {}})),
            (r"'x\ny\x41\u00e9\101\q'", json!("x\nyAéA\\q")),
            ("'a' 'b'", json!("ab")),
            ("3", json!(3)),
        ] {
            assert_eq!(literal(text), Some(expected), "{text}");
        }
        for text in [
            "", "[1", "[1] 2", "A", "['a]", "007", "[a]", "1 + 2", "['a\nb']", "{'a'}",
        ] {
            assert_eq!(literal(text), None, "{text}");
        }
        assert_eq!(literal(&"[".repeat(100_000)), None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(texts in prop::collection::vec("\\PC{0,12}|[\\x00-\\x7f]{0,6}", 0..5), number in any::<i64>()) {
            let value = json!([texts, number, {"a": texts}]);
            let written = write(&minijinja::Value::from(Serde(value.clone())));
            prop_assert_eq!(literal(&written), Some(value));
        }

        #[test]
        fn nothing_breaks_the_reader(text in "\\PC{0,40}") {
            literal(&text);
        }
    }
}
