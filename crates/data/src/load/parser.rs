//! The grammar of JSON, strictly: RFC 8259 without its freedoms.

use std::collections::{BTreeMap, btree_map};

use serde_json::{Map, Number, Value, map};

use super::parse::{DEPTH_LIMIT, Fault, Why, type_name};
use crate::error::quoted;

type Parsed<T> = std::result::Result<T, Fault>;

pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    /// The object that is the whole text, as the fields of a record.
    pub(super) fn record(&mut self) -> Parsed<BTreeMap<String, Value>> {
        self.space();
        let start = self.at;
        if self.byte() == Some(b'{') {
            let fields = self.nested(Self::fields)?;
            self.end()?;
            return Ok(fields);
        }
        let value = self.value()?;
        self.end()?;
        Err(Fault {
            at: start,
            why: Why::NotAnObject(type_name(&value)),
        })
    }

    /// The value that is the whole text, whatever its type.
    pub(super) fn whole(&mut self) -> Parsed<Value> {
        let value = self.value()?;
        self.end()?;
        Ok(value)
    }

    /// The end of the text.
    fn end(&mut self) -> Parsed<()> {
        self.space();
        if self.at == self.text.len() {
            return Ok(());
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
            Some(b'{') => self.nested(Self::object),
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

    fn nested<T>(&mut self, inside: fn(&mut Self) -> Parsed<T>) -> Parsed<T> {
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

    /// The members of a record's object, which are in the order of their names.
    fn fields(&mut self) -> Parsed<BTreeMap<String, Value>> {
        let mut fields = BTreeMap::new();
        self.members(|parser, name, at| match fields.entry(name) {
            btree_map::Entry::Vacant(place) => {
                place.insert(parser.member()?);
                Ok(())
            }
            btree_map::Entry::Occupied(before) => Err(twice(before.key(), at)),
        })?;
        Ok(fields)
    }

    /// The members of any other object, which are in the order of the file.
    fn object(&mut self) -> Parsed<Value> {
        let mut members = Map::new();
        self.members(|parser, name, at| match members.entry(name) {
            map::Entry::Vacant(place) => {
                place.insert(parser.member()?);
                Ok(())
            }
            map::Entry::Occupied(before) => Err(twice(before.key(), at)),
        })?;
        Ok(Value::Object(members))
    }

    /// Goes through an object; `member` gets each name with its place, and reads what follows it.
    fn members(
        &mut self,
        mut member: impl FnMut(&mut Self, String, usize) -> Parsed<()>,
    ) -> Parsed<()> {
        self.space();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            let start = self.at;
            if self.byte() != Some(b'"') {
                return Err(self.expected("a name in double quotes"));
            }
            let name = self.string()?;
            member(self, name, start)?;
            self.space();
            if self.eat(b'}') {
                return Ok(());
            }
            self.comma("\",\" or \"}\"", b'}')?;
        }
    }

    /// What follows the name of a member.
    fn member(&mut self) -> Parsed<Value> {
        self.space();
        if !self.eat(b':') {
            return Err(self.expected("\":\""));
        }
        self.value()
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
        let start = self.at;
        self.at += plain(&self.text.as_bytes()[start..]);
        if self.eat(b'"') {
            return Ok(self.text[start..self.at - 1].to_owned());
        }
        let mut string = self.text[start..self.at].to_owned();
        loop {
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
            let start = self.at;
            self.at += plain(&self.text.as_bytes()[start..]);
            string.push_str(&self.text[start..self.at]);
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

/// How many bytes at the beginning of a string's rest stand for themselves: up to a quote, a backslash or a control
/// character. Eight at a time; what a subtraction borrows spoils only bytes above the first that is found.
fn plain(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let below = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word;
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let found = (below(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7);
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes[at..].iter();
    at + rest
        .take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20))
        .count()
}

fn twice(name: &str, at: usize) -> Fault {
    Fault {
        at,
        why: Why::Duplicate(quoted(name)),
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
