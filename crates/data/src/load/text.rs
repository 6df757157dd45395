//! Plain text: a file as one document, or each of its paragraphs.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::lines::{Cut, Line, Lines, records};
use super::parse::locate;
use super::sniff::Format;
use super::source::{RECORD_LIMIT, Source};
use crate::document::{
    Document, Documents, Fields, Load, Origin, Raw, Read, Record, Records, documents,
};
use crate::error::{DataError, Place, Result};

/// How much of a text file makes one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unit {
    /// The whole file.
    #[default]
    File,
    /// A block of lines between blank lines; its place is its first line.
    Paragraph,
}

/// Loads `.txt` and `.text` files. Line ends become `\n`, another encoding becomes UTF-8; nothing else is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// What makes one document.
    pub unit: Unit,
    /// The largest file, in bytes, that is taken as one document; larger ones are to be read by paragraph.
    pub limit: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self {
            unit: Unit::File,
            limit: 256 << 20,
        }
    }
}

impl Text {
    /// A document per paragraph.
    pub fn paragraphs() -> Self {
        Self {
            unit: Unit::Paragraph,
            ..Self::default()
        }
    }
}

impl Load for Text {
    fn extensions(&self) -> &[&str] {
        &["txt", "text"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let mut source = Source::open(path, Format::Text)?;
        match self.unit {
            Unit::File => {
                let read: Read = Arc::new(file);
                let notes = source.notes();
                let record = whole(&mut source, self.limit, &read)?;
                Ok(Box::new(notes.chain([record]).map(Ok)))
            }
            Unit::Paragraph => {
                let read: Read = Arc::new(block);
                Ok(records(Paragraphs {
                    lines: Lines::new(source),
                    blank: false,
                    read,
                }))
            }
        }
    }
}

/// A file as one record.
pub(super) fn whole(source: &mut Source, limit: usize, read: &Read) -> Result<Record> {
    let raw = source.read_all(limit as u64, "Load it by paragraph, or split the file")?;
    if raw.trim_ascii().is_empty() {
        return Ok(Record::blank());
    }
    Ok(Record::later(
        raw,
        Place::at(source.path(), 1, 1),
        Arc::clone(read),
    ))
}

fn file(raw: &[u8], place: &Place) -> Result<Document> {
    let text = unix_lines(decode(raw, place)?).into_owned();
    Ok(Document {
        text,
        fields: Fields::new(),
        origin: Origin::new(&place.path, place.line),
    })
}

/// A paragraph: its lines without the last line's end.
fn block(raw: &[u8], place: &Place) -> Result<Document> {
    let mut document = file(raw, place)?;
    document
        .text
        .truncate(document.text.trim_end_matches('\n').len());
    Ok(document)
}

/// The text of bytes that begin at a place.
///
/// # Errors
///
/// [`DataError::Utf8`] at the first byte that is not UTF-8.
#[inline]
pub(super) fn decode<'a>(raw: &'a [u8], place: &Place) -> Result<&'a str> {
    std::str::from_utf8(raw).map_err(|error| {
        let at = error.valid_up_to();
        let valid = std::str::from_utf8(&raw[..at])
            .expect("the bytes before the first invalid one are valid");
        // An end inside a character is reported at its first byte, like a byte that cannot start one.
        DataError::Utf8 {
            place: locate(valid, at, place),
            byte: raw[at],
        }
    })
}

/// The same text with every line end as `\n`, whatever system wrote it.
pub(super) fn unix_lines(text: &str) -> Cow<'_, str> {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n").into()
    } else {
        text.into()
    }
}

struct Paragraphs {
    lines: Lines,
    /// The blank line that ended the last paragraph is still to be counted.
    blank: bool,
    read: Read,
}

impl Paragraphs {
    fn record(&self, paragraph: Line) -> Record {
        let place = Place::at(self.lines.source.path(), paragraph.number, 1);
        match paragraph.raw {
            Raw::Bytes(raw) => Record::later(raw, place, Arc::clone(&self.read)),
            raw => Record::broken(raw, too_long(place, "paragraph")),
        }
    }
}

impl Cut for Paragraphs {
    fn cut(&mut self) -> Result<Option<Record>> {
        if std::mem::take(&mut self.blank) {
            return Ok(Some(Record::blank()));
        }
        let mut paragraph: Option<Line> = None;
        while let Some(line) = self.lines.next()? {
            match &mut paragraph {
                None if line.blank => return Ok(Some(Record::blank())),
                None => paragraph = Some(line),
                Some(_) if line.blank => {
                    self.blank = true;
                    break;
                }
                Some(paragraph) => paragraph.append(line),
            }
        }
        Ok(paragraph.map(|paragraph| self.record(paragraph)))
    }

    fn source(&self) -> &Source {
        &self.lines.source
    }
}

/// The error for a record longer than the limit.
pub(super) fn too_long(place: Place, what: &'static str) -> DataError {
    DataError::LineTooLong {
        place,
        what,
        limit: RECORD_LIMIT,
    }
}
