//! JSON lines: one object per line.

use std::path::Path;
use std::sync::Arc;

use super::heads::Heads;
use super::lines::{Cut, Line, Lines, records};
use super::parse;
use super::sniff::Format;
use super::source::Source;
use super::text::too_long;
use crate::document::{Document, Documents, Load, Origin, Raw, Read, Record, Records};
use crate::error::{Place, Result};

/// Loads `.jsonl` and `.ndjson` files, plain or as `.gz`: every line is an object, whose members become the fields of
/// a document. The place is the line.
///
/// Stricter than most readers: a name that stands twice in an object, a number that 64 bits do not hold, nesting
/// deeper than 64 and a line longer than 16 MiB are errors of that line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JsonLines;

impl Load for JsonLines {
    fn extensions(&self) -> &[&str] {
        &["jsonl", "ndjson"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(Box::new(InTurn::open(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let source = Source::open(path, Format::JsonLines)?;
        Ok(records(Objects {
            lines: Lines::new(source),
            read: reader(),
        }))
    }

    fn in_turn(&self, path: &Path) -> Result<Records> {
        Ok(records(InTurn::open(path)?))
    }
}

/// Reads the objects of one file, which share their names.
pub(super) fn reader() -> Read {
    let heads = Heads::default();
    Arc::new(move |raw, place| document(raw, place, &heads))
}

fn document(raw: &[u8], place: &Place, heads: &Heads) -> Result<Document> {
    let fields = parse::object(raw, place, heads)?;
    Ok(Document {
        text: String::new(),
        fields,
        origin: Origin::new(&place.path, place.line),
    })
}

struct Objects {
    lines: Lines,
    read: Read,
}

impl Cut for Objects {
    fn cut(&mut self) -> Result<Option<Record>> {
        let Some(Line {
            raw, number, blank, ..
        }) = self.lines.next()?
        else {
            return Ok(None);
        };
        if blank {
            return Ok(Some(Record::blank()));
        }
        let place = Place::at(self.lines.source.path(), number, 1);
        Ok(Some(match raw {
            Raw::Bytes(raw) => Record::later(raw, place, Arc::clone(&self.read)),
            raw => Record::broken(raw, too_long(place, "line")),
        }))
    }

    fn source(&self) -> &Source {
        &self.lines.source
    }
}

/// The same objects, read where they lie. A short line is read faster than it is copied and handed on.
struct InTurn {
    objects: Objects,
    /// Of the current line.
    place: Place,
    ended: bool,
}

impl InTurn {
    fn open(path: &Path) -> Result<Self> {
        let source = Source::open(path, Format::JsonLines)?;
        Ok(Self {
            place: Place::at(source.path(), 0, 1),
            objects: Objects {
                lines: Lines::new(source),
                read: reader(),
            },
            ended: false,
        })
    }

    /// Reads the next line, unless it is blank: false if it goes on beyond what has been read of the file, and is to be
    /// [cut](Objects::cut). A document is large for a short line, and so it is not handed on but put where it is wanted.
    #[inline]
    fn within(&mut self, document: &mut Option<Result<Document>>) -> Result<bool> {
        let Objects { lines, read } = &mut self.objects;
        let place = &mut self.place;
        let here = lines.within(|line, number| {
            if !line.trim_ascii().is_empty() {
                place.line = number;
                *document = Some(read(line, place));
            }
        })?;
        Ok(here.is_some())
    }
}

impl Cut for InTurn {
    fn cut(&mut self) -> Result<Option<Record>> {
        let mut document = None;
        if self.within(&mut document)? {
            return Ok(Some(document.map_or_else(Record::blank, Record::ready)));
        }
        self.objects.cut()
    }

    fn source(&self) -> &Source {
        &self.objects.lines.source
    }
}

impl Iterator for InTurn {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut document = None;
        while !self.ended {
            let cut = match self.within(&mut document) {
                Ok(true) if document.is_some() => return document,
                Ok(true) => continue,
                Ok(false) => self.objects.cut(),
                Err(error) => Err(error),
            };
            self.ended = !matches!(cut, Ok(Some(_)));
            document = cut.transpose()?.and_then(Record::document).transpose();
            if document.is_some() {
                return document;
            }
        }
        None
    }
}
