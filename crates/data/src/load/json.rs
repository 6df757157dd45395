//! JSON: an array of records, one record, or several one after the other.

use std::path::Path;
use std::sync::Arc;

use super::heads::Heads;
use super::json_lines::reader;
use super::lines::{Cut, records};
use super::parse;
use super::sniff::Format;
use super::source::Source;
use super::text::too_long;
use crate::document::{Documents, Load, Raw, Read, Record, Records, documents};
use crate::error::{DataError, Place, Result, quoted};

/// Loads `.json` files: an array of objects, a single object, or objects on lines of their own (JSON lines under a
/// common name). Each object becomes a document; its place is the line where the object starts.
///
/// The file is cut at the brackets while it is read, so that an array of any length needs no more memory than its
/// longest record. Where brackets or quotes do not close, it cannot be known where the next record begins: that ends
/// the file. What is wrong inside a record concerns only the record, as in [`JsonLines`](super::JsonLines).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Json;

impl Load for Json {
    fn extensions(&self) -> &[&str] {
        &["json"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let source = Source::open(path, Format::Json)?;
        Ok(records(Values {
            source,
            line: 1,
            column: 1,
            state: State::Start,
            read: reader(),
        }))
    }
}

/// How many open brackets are followed. What nests deeper is refused anyway, and must not take memory before.
const BRACKETS: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first value.
    Start,
    /// Behind the array's `[`.
    First,
    /// Behind a record of the array.
    Next,
    /// Behind an object that stands for itself and ended on this line.
    Alone(u64),
    /// Behind the array.
    End,
}

struct Values {
    source: Source,
    line: u64,
    column: u64,
    state: State,
    read: Read,
}

impl Cut for Values {
    fn cut(&mut self) -> Result<Option<Record>> {
        loop {
            let byte = self.next_byte()?;
            match (self.state, byte) {
                (State::Start | State::Alone(_) | State::End, None) => return Ok(None),
                (State::Start, Some(b'[')) => {
                    self.step(1)?;
                    self.state = State::First;
                }
                (State::First | State::Next, Some(b']')) => {
                    self.step(1)?;
                    self.state = State::End;
                }
                (State::Next, Some(b',')) => {
                    let comma = self.place();
                    self.step(1)?;
                    return match self.next_byte()? {
                        Some(b']') => Err(syntax(
                            comma,
                            "trailing comma: found \",\" before \"]\"; remove it",
                        )),
                        None => Err(self.ended("value")),
                        Some(first) => self.record(first).map(Some),
                    };
                }
                (State::First, Some(first)) => return self.record(first).map(Some),
                (State::Start, Some(first)) => return self.alone(first).map(Some),
                (State::Alone(line), Some(b'{')) if self.line > line => {
                    return self.alone(b'{').map(Some);
                }
                (State::Alone(_) | State::End, Some(byte)) => return Err(self.trailing(byte)),
                (State::Next, Some(byte)) => return Err(self.unexpected(byte, "\",\" or \"]\"")),
                (State::First | State::Next, None) => return Err(self.ended("\",\" or \"]\"")),
            }
        }
    }

    fn source(&self) -> &Source {
        &self.source
    }
}

impl Values {
    /// A record of the array.
    fn record(&mut self, first: u8) -> Result<Record> {
        let record = self.value(first)?;
        self.state = State::Next;
        Ok(record)
    }

    /// A record outside of an array.
    fn alone(&mut self, first: u8) -> Result<Record> {
        let record = self.value(first)?;
        self.state = State::Alone(self.line);
        Ok(record)
    }

    fn value(&mut self, first: u8) -> Result<Record> {
        if matches!(first, b',' | b']' | b'}') {
            return Err(self.unexpected(first, "value"));
        }
        let place = self.place();
        let mut value = Balance::new(first);
        let (mut line, mut column) = (self.line, self.column);
        let raw = self.source.take(|bytes| {
            let end = value.end(bytes);
            advance(&mut line, &mut column, &bytes[..end.unwrap_or(bytes.len())]);
            end
        })?;
        (self.line, self.column) = (line, column);
        match raw {
            Some(Raw::Bytes(raw)) if value.closed => {
                Ok(Record::later(raw, place, Arc::clone(&self.read)))
            }
            Some(Raw::Bytes(raw)) => Err(match parse::object(&raw, &place, &Heads::default()) {
                Err(error) => error,
                Ok(_) => self.ended("the end of the record"),
            }),
            Some(raw) if value.closed => Ok(Record::broken(raw, too_long(place, "record"))),
            _ => Err(too_long(place, "record")),
        }
    }

    /// The next byte that is not white space; it stays where it is.
    fn next_byte(&mut self) -> Result<Option<u8>> {
        loop {
            let bytes = self.source.fill()?;
            let Some(first) = bytes.first() else {
                return Ok(None);
            };
            let space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            if !space(first) {
                return Ok(Some(*first));
            }
            let count = bytes.iter().take_while(|byte| space(byte)).count();
            self.step(count)?;
        }
    }

    /// Steps over bytes that have been looked at.
    fn step(&mut self, count: usize) -> Result<()> {
        let (mut line, mut column) = (self.line, self.column);
        advance(&mut line, &mut column, &self.source.fill()?[..count]);
        (self.line, self.column) = (line, column);
        self.source.consume(count);
        Ok(())
    }

    fn place(&self) -> Place {
        Place::at(self.source.path(), self.line, self.column)
    }

    fn unexpected(&self, byte: u8, expected: &str) -> DataError {
        syntax(
            self.place(),
            &format!("found {}; expected {expected}", shown(byte)),
        )
    }

    fn ended(&self, expected: &str) -> DataError {
        syntax(
            self.place(),
            &format!("unexpected end of the file; expected {expected}. The file may be truncated"),
        )
    }

    fn trailing(&self, byte: u8) -> DataError {
        let found = shown(byte);
        syntax(
            self.place(),
            &format!(
                "trailing characters after the end: found {found}; expected the end of the file"
            ),
        )
    }
}

fn syntax(place: Place, message: &str) -> DataError {
    DataError::JsonSyntax {
        place,
        message: message.into(),
    }
}

fn shown(byte: u8) -> String {
    if byte.is_ascii() {
        quoted(&char::from(byte).to_string())
    } else {
        format!("byte 0x{byte:02X}")
    }
}

/// Counts lines and columns on; the bytes inside a character do not count.
fn advance(line: &mut u64, column: &mut u64, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'\n' => (*line, *column) = (*line + 1, 1),
            0x80..0xC0 => {}
            _ => *column += 1,
        }
    }
}

/// Finds the end of a value by its brackets and quotes alone.
struct Balance {
    /// The closing brackets that are due.
    due: Vec<u8>,
    inside: Inside,
    /// The value ended, and its brackets match.
    closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    Brackets,
    String,
    /// Behind a backslash in a string.
    Escape,
    /// A number or a word, which ends before the next mark or with the file.
    Word,
}

impl Balance {
    fn new(first: u8) -> Self {
        let word = !matches!(first, b'{' | b'[' | b'"');
        let inside = if word { Inside::Word } else { Inside::Brackets };
        Self {
            due: Vec::new(),
            inside,
            closed: word,
        }
    }

    /// How many of the bytes belong to the value, if it ends among them.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.inside == Inside::Word {
            return bytes.iter().position(|byte| {
                matches!(byte, b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n')
            });
        }
        bytes
            .iter()
            .position(|byte| self.ends_with(*byte))
            .map(|last| last + 1)
    }

    fn ends_with(&mut self, byte: u8) -> bool {
        match (self.inside, byte) {
            // No string goes over a line's end: the quote is missing.
            (Inside::String | Inside::Escape, b'\n') => return true,
            (Inside::String, b'\\') => self.inside = Inside::Escape,
            (Inside::String, b'"') => self.inside = Inside::Brackets,
            (Inside::String, _) => return false,
            (Inside::Escape, _) | (Inside::Brackets, b'"') => self.inside = Inside::String,
            (_, b'{') => self.due.push(b'}'),
            (_, b'[') => self.due.push(b']'),
            (_, b'}' | b']') if self.due.pop() != Some(byte) => return true,
            _ => {}
        }
        self.closed = self.inside == Inside::Brackets && self.due.is_empty();
        self.closed || self.due.len() > BRACKETS
    }
}
