//! The grammar of JSON, strictly: RFC 8259 without its freedoms.

#![allow(
    clippy::unnecessary_box_returns,
    reason = "what is read is on its way far more often than a fault, and is to travel light"
)]

use serde_json::{Map, Number, Value, map};

use super::heads::{Heads, Row};
use super::parse::{DEPTH_LIMIT, Fault, Why, type_name};
use crate::document::Fields;
use crate::error::quoted;

type Parsed<T> = std::result::Result<T, Box<Fault>>;

/// Integers of so many digits fit into 64 bits.
const SHORT: usize = 18;

/// About how many bytes of memory a list with items takes, and each of them: a list has room for four at least, and for
/// twice as many as it has at times.
const LIST: usize = 4 * size_of::<Value>();
const ITEM: usize = 2 * size_of::<Value>();
/// An object with members, and each of them with its name.
const OBJECT: usize = 256;
const MEMBER: usize = size_of::<Value>() + 128;

pub(super) struct Parser<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    /// How many bytes of memory lists and objects may take, and how many they have taken: two letters can say a value of
    /// seventy bytes.
    memory: usize,
    taken: usize,
}

impl<'a> Parser<'a> {
    /// A parser whose lists and objects may take so many bytes of memory.
    pub(super) fn new(text: &'a str, memory: usize) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            memory,
            taken: 0,
        }
    }

    /// The object that is the whole text, as the fields of a record.
    pub(super) fn record(&mut self, heads: &Heads) -> Parsed<Fields> {
        self.space();
        let start = self.at;
        if self.byte() == Some(b'{') {
            let fields = self.nested(|parser| parser.fields(heads))?;
            self.end()?;
            return Ok(fields);
        }
        let value = self.whole()?;
        Err(fault(start, Why::NotAnObject(type_name(&value))))
    }

    /// The value that is the whole text, whatever its type.
    pub(super) fn whole(&mut self) -> Parsed<Value> {
        let mut value = Value::Null;
        self.value(&mut value)?;
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

    /// Reads a value into its place.
    fn value(&mut self, into: &mut Value) -> Parsed<()> {
        self.space();
        *into = match self.byte() {
            Some(b'"') => Value::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.number()?),
            Some(b'{') => Value::Object(self.nested(Self::object)?),
            Some(b'[') => Value::Array(self.nested(Self::elements)?),
            _ => self.literal()?,
        };
        Ok(())
    }

    fn literal(&mut self) -> Parsed<Value> {
        let rest = &self.text.as_bytes()[self.at..];
        let (value, length) = match rest.first_chunk() {
            Some(b"true") => (Value::Bool(true), 4),
            Some(b"null") => (Value::Null, 4),
            Some(b"fals") if rest.get(4) == Some(&b'e') => (Value::Bool(false), 5),
            _ => return Err(self.no_value()),
        };
        let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        if rest.get(length).is_some_and(in_word) {
            return Err(self.no_value());
        }
        self.at += length;
        Ok(value)
    }

    #[cold]
    fn no_value(&self) -> Box<Fault> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        if matches!(
            &rest[..end.unwrap_or(rest.len())],
            "NaN" | "Infinity" | "nan" | "inf"
        ) {
            let found = self.found();
            let message =
                format!("found {found}; expected value. JSON has no such number: write null");
            return self.fault(message);
        }
        self.expected("value")
    }

    fn nested<T>(&mut self, inside: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth == DEPTH_LIMIT {
            return Err(fault(self.at, Why::TooDeep));
        }
        self.depth += 1;
        self.at += 1;
        let value = inside(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Counts memory that a list or an object takes.
    #[inline]
    fn take(&mut self, bytes: usize) -> Parsed<()> {
        self.taken += bytes;
        if self.taken <= self.memory {
            return Ok(());
        }
        let (found, limit) = (self.taken, self.memory);
        Err(fault(self.at, Why::TooLarge { found, limit }))
    }

    fn elements(&mut self) -> Parsed<Vec<Value>> {
        let mut elements = Vec::new();
        self.space();
        if self.eat(b']') {
            return Ok(elements);
        }
        self.take(LIST)?;
        loop {
            self.take(ITEM)?;
            self.value(elements.push_mut(Value::Null))?;
            self.space();
            if self.eat(b']') {
                return Ok(elements);
            }
            self.comma("\",\" or \"]\"", b']')?;
        }
    }

    /// The members of a record's object, which are in the order of their names.
    fn fields(&mut self, heads: &Heads) -> Parsed<Fields> {
        let mut row = Row::new(heads);
        self.members(|parser| {
            if let Some((length, value)) = row.known(&parser.text.as_bytes()[parser.at..]) {
                parser.at += length;
                return parser.member(value);
            }
            parser.take(MEMBER)?;
            let start = parser.at;
            let name = parser.string()?;
            if row.has(&name) {
                return Err(twice(&name, start));
            }
            let mut value = Value::Null;
            parser.member(&mut value)?;
            row.insert(name, value);
            Ok(())
        })?;
        Ok(row.finish())
    }

    /// The members of any other object, which are in the order of the file.
    fn object(&mut self) -> Parsed<Map<String, Value>> {
        let mut members = Map::new();
        self.take(OBJECT)?;
        self.members(|parser| {
            parser.take(MEMBER)?;
            let start = parser.at;
            match members.entry(parser.string()?) {
                map::Entry::Vacant(place) => parser.member(place.insert(Value::Null)),
                map::Entry::Occupied(before) => Err(twice(before.key(), start)),
            }
        })?;
        Ok(members)
    }

    /// Goes through an object; `member` reads each member from its name's quote on.
    fn members(&mut self, mut member: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        self.space();
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            if self.byte() != Some(b'"') {
                return Err(self.expected("a name in double quotes"));
            }
            member(self)?;
            self.space();
            if self.eat(b'}') {
                return Ok(());
            }
            self.comma("\",\" or \"}\"", b'}')?;
        }
    }

    /// What follows the name of a member.
    fn member(&mut self, into: &mut Value) -> Parsed<()> {
        self.space();
        if !self.eat(b':') {
            return Err(self.expected("\":\""));
        }
        self.value(into)
    }

    /// A comma that something follows.
    #[inline]
    fn comma(&mut self, expected: &str, close: u8) -> Parsed<()> {
        let comma = self.at;
        if !self.eat(b',') {
            return Err(self.expected(expected));
        }
        self.space();
        if self.byte() == Some(close) {
            return Err(trailing_comma(comma, close));
        }
        Ok(())
    }

    fn number(&mut self) -> Parsed<Number> {
        let start = self.at;
        let negative = self.eat(b'-');
        let integer = if self.eat(b'0') {
            (!negative).then_some(0)
        } else {
            self.digits()?
        };
        let fraction = matches!(self.byte(), Some(b'.' | b'e' | b'E'));
        if fraction {
            self.fraction()?;
        }
        if self.byte().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            return Err(self.expected("the end of the number"));
        }
        if let (Some(integer), false) = (integer, fraction) {
            return Ok(if negative {
                Number::from(-integer)
            } else {
                Number::from(integer.unsigned_abs())
            });
        }
        let written = &self.text[start..self.at];
        number(written, !fraction).ok_or_else(|| fault(start, Why::NumberRange(quoted(written))))
    }

    /// What follows the integer's digits.
    fn fraction(&mut self) -> Parsed<()> {
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more, and the integer that they write if there are not too many for 64 bits.
    fn digits(&mut self) -> Parsed<Option<i64>> {
        let (mut count, mut integer) = (0, 0);
        for byte in &self.text.as_bytes()[self.at..] {
            if !byte.is_ascii_digit() {
                break;
            }
            integer = i64::wrapping_add(i64::wrapping_mul(integer, 10), i64::from(byte - b'0'));
            count += 1;
        }
        if count == 0 {
            return Err(self.expected("a digit"));
        }
        self.at += count;
        Ok((count <= SHORT).then_some(integer))
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
            fault(start, Why::Syntax(message))
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

    #[cold]
    fn expected(&self, expected: &str) -> Box<Fault> {
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

    fn fault(&self, message: String) -> Box<Fault> {
        fault(self.at, Why::Syntax(message))
    }
}

fn fault(at: usize, why: Why) -> Box<Fault> {
    Box::new(Fault { at, why })
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

#[cold]
fn trailing_comma(at: usize, close: u8) -> Box<Fault> {
    let close = char::from(close);
    let message = format!("trailing comma: found \",\" before \"{close}\"; remove it");
    fault(at, Why::Syntax(message))
}

fn twice(name: &str, at: usize) -> Box<Fault> {
    fault(at, Why::Duplicate(quoted(name)))
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
