//! JSON lines: one object per line.

use std::path::Path;
use std::sync::Arc;

use super::heads::Heads;
use super::lines::{Cut, Line, Lines, records};
use super::parse;
use super::sniff::Format;
use super::source::Source;
use super::text::too_long;
use crate::document::{Document, Documents, Load, Origin, Raw, Read, Record, Records, documents};
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
        Ok(documents(self.in_turn(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let source = Source::open(path, Format::JsonLines)?;
        Ok(records(Objects {
            lines: Lines::new(source),
            read: reader(),
        }))
    }

    fn in_turn(&self, path: &Path) -> Result<Records> {
        let source = Source::open(path, Format::JsonLines)?;
        Ok(records(InTurn {
            place: Place::at(source.path(), 0, 1),
            objects: Objects {
                lines: Lines::new(source),
                read: reader(),
            },
        }))
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
}

impl Cut for InTurn {
    fn cut(&mut self) -> Result<Option<Record>> {
        let Objects { lines, read } = &mut self.objects;
        let place = &mut self.place;
        let record = lines.within(|line, number| {
            if line.trim_ascii().is_empty() {
                return Record::blank();
            }
            place.line = number;
            Record::ready(read(line, place))
        })?;
        match record {
            Some(record) => Ok(Some(record)),
            None => self.objects.cut(),
        }
    }

    fn source(&self) -> &Source {
        &self.objects.lines.source
    }
}
