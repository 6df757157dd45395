//! Documents, where they come from, and the seam for loaders.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
pub use serde_json::Value;

use crate::error::{DataError, Place, Result, quoted};
pub use crate::fields::Fields;
use crate::load::Member;
pub use crate::shared_path::SharedPath;

/// One unit of data as it came from a file: a text, or a record with named fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The running text; empty for a record of a table or a JSON file, whose texts are in `fields`.
    pub text: String,
    /// The named fields of a record, or the front matter of a text.
    pub fields: Fields,
    /// Where it lies.
    pub origin: Origin,
}

impl Document {
    /// The error of a document that lacks a field. `hint` says what to do.
    pub(crate) fn missing(&self, field: &str, hint: &str) -> DataError {
        let found = self.fields.keys().take(20);
        let found: Vec<String> = found.map(|name| quoted(name)).collect();
        DataError::MissingField {
            place: Place::from(&self.origin),
            field: quoted(field),
            found: if found.is_empty() {
                "no fields".into()
            } else {
                found.join(", ")
            },
            hint: hint.into(),
        }
    }
}

/// Where a document comes from; an error in a report points here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The file, as it was named or found; a file inside an archive stands below the archive's path. Empty for a text
    /// that came from no file.
    pub path: SharedPath,
    /// Line, row, page or whatever `unit` says, from 1.
    pub place: u64,
    /// What `place` counts.
    #[serde(default, skip_serializing_if = "PlaceUnit::is_line")]
    pub unit: PlaceUnit,
}

/// What the places of a file are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum PlaceUnit {
    /// Lines of a text.
    #[default]
    Line,
    /// Rows of a table.
    Row,
    /// Pages.
    Page,
    /// Slides of a presentation.
    Slide,
    /// Sheets of a workbook.
    Sheet,
    /// Cells of a notebook.
    Cell,
    /// Messages of a mailbox or a conversation.
    Message,
    /// Chapters of a book.
    Chapter,
    /// Entries of a list.
    Entry,
}

impl PlaceUnit {
    /// The unit's name: `line`, `row`, `page`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Row => "row",
            Self::Page => "page",
            Self::Slide => "slide",
            Self::Sheet => "sheet",
            Self::Cell => "cell",
            Self::Message => "message",
            Self::Chapter => "chapter",
            Self::Entry => "entry",
        }
    }

    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    fn is_line(&self) -> bool {
        *self == Self::Line
    }
}

impl Origin {
    /// A line of a file.
    pub fn new(path: impl Into<SharedPath>, line: u64) -> Self {
        Self::of(path, PlaceUnit::Line, line)
    }

    /// A page, row or other place of a file.
    pub fn of(path: impl Into<SharedPath>, unit: PlaceUnit, place: u64) -> Self {
        Self {
            path: path.into(),
            place,
            unit,
        }
    }
}

impl fmt::Display for Origin {
    /// `a.txt:12`, or `report.pdf, page 3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Place::from(self).fmt(f)
    }
}

/// The documents of a file, read one after the other while they are asked for.
///
/// After an error that concerns one record the next call goes on with the next record; after an error that concerns
/// the file (it cannot be read, it changed) the iterator ends.
pub type Documents = Box<dyn Iterator<Item = Result<Document>> + Send>;

/// The records of a file, not yet read as documents. `Err` concerns the file and ends it; an error that concerns one
/// record is found by [`Record::document`].
pub type Records = Box<dyn Iterator<Item = Result<Record>> + Send>;

/// Reads files of one format.
///
/// This is the seam for formats: implement it, and hand it to [`Loaders::with`](crate::Loaders::with). A loader reads
/// lazily: `load` opens the file and checks its first bytes, the iterator does the rest, and no more than a record is
/// in memory at a time.
pub trait Load: Send + Sync {
    /// The file extensions this loader answers for, in lower case and without the dot.
    fn extensions(&self) -> &[&str];

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// If the path is not a regular file, cannot be opened, or its first bytes show another format.
    fn load(&self, path: &Path) -> Result<Documents>;

    /// Whether a file is of this loader's format although its name does not say so, as an export of a messenger does
    /// that is called `message_1.json`. `head` is its first 4 KiB, unpacked. Asked before extensions are looked at.
    fn recognises(&self, path: &Path, head: &[u8]) -> bool {
        let _ = (path, head);
        false
    }

    /// Whether opening a file reads the whole of it. Several such files are opened at once.
    fn whole(&self) -> bool {
        false
    }

    /// Opens a file and splits it into records without reading them as documents yet.
    ///
    /// Override it to keep the bytes of each record (a broken one can then be quarantined as it was) and to let
    /// records be read in parallel. Without it, every document counts as one record, and its bytes are not known.
    ///
    /// # Errors
    ///
    /// As [`Load::load`].
    fn records(&self, path: &Path) -> Result<Records> {
        Ok(Box::new(
            self.load(path)?.map(|document| Ok(Record::ready(document))),
        ))
    }

    /// Opens a file whose records are read one after the other, and whose bytes nobody asks for.
    ///
    /// Override it where a record can be read without a copy of its bytes.
    ///
    /// # Errors
    ///
    /// As [`Load::load`].
    fn in_turn(&self, path: &Path) -> Result<Records> {
        self.records(path)
    }
}

/// One record of a file: its bytes, and how to read them.
pub struct Record {
    pub(crate) raw: Raw,
    pub(crate) content: Content,
    /// The archive that it comes from.
    pub(crate) member: Option<Arc<Member>>,
}

/// The bytes of a record.
pub(crate) enum Raw {
    /// The loader does not tell.
    Unknown,
    /// The bytes, with the line end if the record ends with one.
    Bytes(Vec<u8>),
    /// Too many to hold: this many bytes from this offset of the unpacked file.
    Range {
        start: u64,
        length: u64,
        encoding: Option<&'static encoding_rs::Encoding>,
    },
}

impl Raw {
    /// The bytes that are in memory.
    pub(crate) fn bytes(&self) -> &[u8] {
        if let Self::Bytes(bytes) = self {
            bytes
        } else {
            &[]
        }
    }

    /// Length in bytes, 0 if unknown.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Unknown => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Range { length, .. } => *length,
        }
    }
}

pub(crate) enum Content {
    /// An empty line.
    Blank,
    /// Something to count that is no record.
    Note(Note),
    /// The file ends here with an error.
    End(Box<DataError>),
    /// Left out on purpose, for this reason.
    Dropped(&'static str),
    Ready(Result<Document, Box<DataError>>),
    Later {
        place: Place,
        read: Read,
    },
}

impl Content {
    /// Whether it is a document, or the fault where there should be one: what the records of a file are numbered by.
    pub(crate) fn is_numbered(&self) -> bool {
        match self {
            Self::Blank | Self::Note(_) | Self::Dropped(_) => false,
            Self::End(_) | Self::Ready(_) | Self::Later { .. } => true,
        }
    }
}

/// What is counted beside records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// A file was opened.
    File,
    /// A file of a folder or an archive has no loader.
    PassedOver,
    /// The file began with a byte order mark.
    ByteOrderMark,
    /// The file's text was in this encoding.
    Encoding(&'static str),
}

/// Reads the bytes of a record that starts at a place. Pure, so that records can be read in parallel.
pub type Read = Arc<dyn Fn(&[u8], &Place) -> Result<Document> + Send + Sync>;

impl Record {
    /// A record that has been read, or found broken, by a loader that does not keep bytes.
    #[inline]
    pub fn ready(document: Result<Document>) -> Self {
        Self::of(Content::Ready(document.map_err(Box::new)))
    }

    /// A record whose bytes start at `place` and are read by `read` when the document is asked for.
    pub fn later(raw: Vec<u8>, place: Place, read: Read) -> Self {
        Self {
            raw: Raw::Bytes(raw),
            content: Content::Later { place, read },
            member: None,
        }
    }

    /// A record that the format says is no content, such as a redirection in an encyclopedia: counted under its
    /// reason, and otherwise passed over.
    pub fn dropped(reason: &'static str) -> Self {
        Self::of(Content::Dropped(reason))
    }

    /// A blank line: counted, and otherwise passed over.
    pub fn blank() -> Self {
        Self::of(Content::Blank)
    }

    /// A broken record, with its bytes.
    pub(crate) fn broken(raw: Raw, error: DataError) -> Self {
        Self {
            raw,
            content: Content::Ready(Err(Box::new(error))),
            member: None,
        }
    }

    pub(crate) fn note(note: Note) -> Self {
        Self::of(Content::Note(note))
    }

    #[inline]
    pub(crate) fn of(content: Content) -> Self {
        Self {
            raw: Raw::Unknown,
            content,
            member: None,
        }
    }

    /// The document, or `None` for a blank line and what was dropped.
    ///
    /// # Errors
    ///
    /// If the record is broken.
    #[inline]
    pub fn document(self) -> Result<Option<Document>> {
        match self.content {
            Content::Blank | Content::Note(_) | Content::Dropped(_) => Ok(None),
            Content::Ready(Ok(document)) => Ok(Some(document)),
            Content::Later { place, read } => read(self.raw.bytes(), &place).map(Some),
            Content::End(error) | Content::Ready(Err(error)) => Err(*error),
        }
    }
}

/// The documents of records: blank lines are passed over, an error that ends the file ends the iterator.
pub fn documents(records: Records) -> Documents {
    Box::new(records.filter_map(|record| record.and_then(Record::document).transpose()))
}
