//! Lines of a source, and the iterator that every loader's records share.

use std::collections::VecDeque;

use encoding_rs::Encoding;
use memchr::memchr;

use super::source::{RECORD_LIMIT, Source};
use crate::document::{Raw, Record, Records};
use crate::error::Result;

/// Cuts a file into records.
pub(super) trait Cut {
    /// The next record, or `None` at the end. An error ends the file.
    fn cut(&mut self) -> Result<Option<Record>>;

    /// The file.
    fn source(&self) -> &Source;
}

/// The records of a file: notes of how it began, then what `cut` finds, up to the first error.
pub(super) fn records(cut: impl Cut + Send + 'static) -> Records {
    Box::new(Cutting {
        notes: cut.source().notes().collect(),
        open: Some(cut),
    })
}

/// A short record takes no longer to read than to be handed on a few times, so there is one iterator and not a chain
/// of them.
struct Cutting<C> {
    notes: VecDeque<Record>,
    open: Option<C>,
}

impl<C: Cut> Iterator for Cutting<C> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(note) = self.notes.pop_front() {
            return Some(Ok(note));
        }
        match self.open.as_mut()?.cut() {
            Ok(Some(record)) => Some(Ok(record)),
            Ok(None) => {
                self.open = None;
                None
            }
            Err(error) => {
                self.open = None;
                Some(Err(error))
            }
        }
    }
}

/// Splits a source at `\n`.
pub(super) struct Lines {
    pub(super) source: Source,
    count: u64,
}

/// One line, with its end, or several that belong together.
pub(super) struct Line {
    pub(super) raw: Raw,
    /// From 1.
    pub(super) number: u64,
    /// Only white space.
    pub(super) blank: bool,
    /// Offset in the unpacked file.
    start: u64,
    encoding: Option<&'static Encoding>,
}

impl Lines {
    pub(super) fn new(source: Source) -> Self {
        Self { source, count: 0 }
    }

    pub(super) fn next(&mut self) -> Result<Option<Line>> {
        let start = self.source.position();
        let raw = self
            .source
            .take(|bytes| memchr(b'\n', bytes).map(|at| at + 1))?;
        let Some(raw) = raw else { return Ok(None) };
        self.count += 1;
        let blank = matches!(&raw, Raw::Bytes(bytes) if bytes.trim_ascii().is_empty());
        Ok(Some(Line {
            raw,
            number: self.count,
            blank,
            start,
            encoding: self.source.encoding(),
        }))
    }

    /// What `read` makes of the next line and its number, if the line lies as a whole in what has been read of the file
    /// already. Otherwise it is for [`next`](Self::next) to take it.
    #[inline]
    pub(super) fn within<T>(&mut self, read: impl FnOnce(&[u8], u64) -> T) -> Result<Option<T>> {
        let number = self.count + 1;
        let end = |bytes: &[u8]| memchr(b'\n', bytes).map(|at| at + 1);
        let line = self.source.within(end, |line| read(line, number))?;
        self.count += u64::from(line.is_some());
        Ok(line)
    }
}

impl Line {
    /// Adds the line that follows.
    pub(super) fn append(&mut self, next: Self) {
        match (&mut self.raw, next.raw) {
            (Raw::Bytes(bytes), Raw::Bytes(more)) if bytes.len() + more.len() <= RECORD_LIMIT => {
                bytes.extend_from_slice(&more);
            }
            (raw, more) => {
                *raw = Raw::Range {
                    start: self.start,
                    length: raw.len() + more.len(),
                    encoding: self.encoding,
                }
            }
        }
    }
}
