//! Documents, where they come from, and the seam for loaders.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
pub use serde_json::Value;

use crate::error::{DataError, Place, Result, show_path};

/// One unit of data as it came from a file: a text, or a record with named fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The running text; empty for a record of a table or a JSON file, whose texts are in `fields`.
    pub text: String,
    /// The named fields of a record, or the front matter of a text.
    pub fields: BTreeMap<String, Value>,
    /// Where it lies.
    pub origin: Origin,
}

/// Where a document comes from; an error in a report points here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The file, as it was named or found; empty for a text that came from no file.
    pub path: PathBuf,
    /// Line, row or page, from 1.
    pub place: u64,
}

impl Origin {
    /// A place in a file.
    pub fn new(path: impl Into<PathBuf>, place: u64) -> Self {
        Self {
            path: path.into(),
            place,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_path(&self.path, f)?;
        write!(f, ":{}", self.place)
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
}

/// One record of a file: its bytes, and how to read them.
pub struct Record {
    pub(crate) raw: Raw,
    pub(crate) content: Content,
}

/// The bytes of a record.
pub(crate) enum Raw {
    /// The loader does not tell.
    Unknown,
    /// The bytes, with the line end if the record ends with one.
    Bytes(Vec<u8>),
    /// Too many to hold: this many bytes from this offset of the unpacked file.
    Range { start: u64, length: u64 },
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
    /// The file began with a byte order mark. Not a record.
    ByteOrderMark,
    /// The file ends here with an error.
    End(DataError),
    Ready(Result<Document>),
    Later {
        place: Place,
        read: Read,
    },
}

/// Reads the bytes of a record that starts at a place. Pure, so that records can be read in parallel.
pub type Read = Arc<dyn Fn(&[u8], &Place) -> Result<Document> + Send + Sync>;

impl Record {
    /// A record that has been read, or found broken, by a loader that does not keep bytes.
    pub fn ready(document: Result<Document>) -> Self {
        Self {
            raw: Raw::Unknown,
            content: Content::Ready(document),
        }
    }

    /// A record whose bytes start at `place` and are read by `read` when the document is asked for.
    pub fn later(raw: Vec<u8>, place: Place, read: Read) -> Self {
        Self {
            raw: Raw::Bytes(raw),
            content: Content::Later { place, read },
        }
    }

    /// A broken record, with its bytes.
    pub(crate) fn broken(raw: Raw, error: DataError) -> Self {
        Self {
            raw,
            content: Content::Ready(Err(error)),
        }
    }

    /// The note that the file began with a byte order mark.
    pub(crate) fn byte_order_mark() -> Self {
        Self {
            raw: Raw::Unknown,
            content: Content::ByteOrderMark,
        }
    }

    /// A blank line: counted, and otherwise passed over.
    pub fn blank() -> Self {
        Self {
            raw: Raw::Unknown,
            content: Content::Blank,
        }
    }

    /// The document, or `None` for a blank line.
    ///
    /// # Errors
    ///
    /// If the record is broken.
    pub fn document(self) -> Result<Option<Document>> {
        match self.content {
            Content::Blank | Content::ByteOrderMark => Ok(None),
            Content::End(error) => Err(error),
            Content::Ready(document) => document.map(Some),
            Content::Later { place, read } => read(self.raw.bytes(), &place).map(Some),
        }
    }
}

/// The documents of records: blank lines are passed over, an error that ends the file ends the iterator.
pub fn documents(records: Records) -> Documents {
    Box::new(records.filter_map(|record| record.and_then(Record::document).transpose()))
}
