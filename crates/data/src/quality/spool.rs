//! Rows of files, laid down on disk while they are read, so that the memory they take does not depend on their length.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::SpooledTempFile;

use super::any::{AnyExample, AnyMapping};
use super::rows::Rows;
use crate::document::{Document, Origin, PlaceUnit, SharedPath};
use crate::error::{DataError, Place, Result};
use crate::load::{Counts, Loaders, OnError};
use crate::mapping::Mapping;

/// The rows of files and folders. Each takes 32 bytes of memory; its text and its fields lie in an unnamed file in the
/// system's folder for temporary files (`TMPDIR`), which takes as much room as the data and is gone with the value.
///
/// The source is read once: it may be a page of the web or a slow format, and nothing is wrong if it changes later.
pub struct Spool {
    file: Mutex<SpooledTempFile>,
    slots: Vec<Slot>,
    paths: Vec<SharedPath>,
    mapping: AnyMapping,
}

/// Where a document lies in the file, and where it comes from.
#[derive(Debug, Clone, Copy)]
struct Slot {
    start: u64,
    length: u64,
    place: u64,
    path: u32,
    unit: PlaceUnit,
}

/// The file while documents are added.
struct Writing {
    file: SpooledTempFile,
    end: u64,
    paths: Vec<SharedPath>,
    numbers: HashMap<SharedPath, u32>,
}

impl Spool {
    /// How much is held in memory before a file is made of it, in bytes.
    const HELD: usize = 16 << 20;

    /// Reads files and folders, in order, and says what became of every record.
    ///
    /// # Errors
    ///
    /// As [`Loaders::examples`]; what the system says of the temporary file, whatever the policy.
    pub fn read<P: AsRef<Path>>(
        loaders: &Loaders,
        paths: &[P],
        on_error: &OnError,
        mapping: AnyMapping,
    ) -> Result<(Self, Counts)> {
        let mut writing = Writing {
            file: tempfile::spooled_tempfile(Self::HELD),
            end: 0,
            paths: Vec::new(),
            numbers: HashMap::new(),
        };
        let mut slots = Vec::new();
        let read = |document: Document| {
            let packed = pack(&document).map_err(|source| failed("write", source))?;
            let origin = document.origin.clone();
            mapping.example(document)?;
            Ok((packed, origin))
        };
        let counts = loaders.each(paths, on_error, read, |(packed, origin)| {
            slots.push(writing.add(&packed, &origin)?);
            Ok(())
        })?;
        if slots.is_empty() {
            return Err(counts.nothing_kept(paths));
        }
        let spool = Self {
            file: Mutex::new(writing.file),
            slots,
            paths: writing.paths,
            mapping,
        };
        Ok((spool, counts))
    }

    /// What its rows are read as.
    pub fn mapping(&self) -> &AnyMapping {
        &self.mapping
    }

    /// The record of a row, as the loader gave it.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn document(&self, row: usize) -> Result<Document> {
        let slot = self.slots[row];
        let mut packed = vec![0; usize::try_from(slot.length).unwrap_or(usize::MAX)];
        let read = |file: &mut SpooledTempFile, packed: &mut [u8]| {
            file.seek(SeekFrom::Start(slot.start))?;
            file.read_exact(packed)
        };
        read(&mut locked(&self.file), &mut packed).map_err(|source| failed("read", source))?;
        unpack(&packed, self.origin(row)).map_err(|source| failed("read", source))
    }
}

impl Rows for Spool {
    fn len(&self) -> usize {
        self.slots.len()
    }

    fn origin(&self, row: usize) -> Origin {
        let slot = self.slots[row];
        Origin::of(&self.paths[slot.path as usize], slot.unit, slot.place)
    }

    fn example(&self, row: usize) -> Result<Cow<'_, AnyExample>> {
        self.mapping.example(self.document(row)?).map(Cow::Owned)
    }
}

impl Writing {
    /// Adds a document.
    fn add(&mut self, packed: &[u8], origin: &Origin) -> Result<Slot> {
        let written = self.file.write_all(packed);
        written.map_err(|source| failed("write", source))?;
        let known = self.numbers.get(&origin.path).copied();
        let path = known.unwrap_or_else(|| {
            let number = self.paths.len() as u32;
            self.paths.push(origin.path.clone());
            self.numbers.insert(origin.path.clone(), number);
            number
        });
        let slot = Slot {
            start: self.end,
            length: packed.len() as u64,
            place: origin.place,
            path,
            unit: origin.unit,
        };
        self.end += slot.length;
        Ok(slot)
    }
}

/// The length of the text in bytes, the text, and the fields as JSON.
fn pack(document: &Document) -> io::Result<Vec<u8>> {
    let text = document.text.as_bytes();
    let mut packed = Vec::with_capacity(text.len() + 64);
    packed.extend((text.len() as u64).to_le_bytes());
    packed.extend(text);
    serde_json::to_writer(&mut packed, &document.fields)?;
    Ok(packed)
}

fn unpack(packed: &[u8], origin: Origin) -> io::Result<Document> {
    let wrong = || io::Error::from(io::ErrorKind::InvalidData);
    let (length, rest) = packed.split_first_chunk().ok_or_else(wrong)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| wrong())?;
    let (text, fields) = rest.split_at_checked(length).ok_or_else(wrong)?;
    Ok(Document {
        text: String::from_utf8(text.to_vec()).map_err(|_| wrong())?,
        fields: serde_json::from_slice(fields)?,
        origin,
    })
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The error of a temporary file.
pub(super) fn failed(operation: &'static str, source: io::Error) -> DataError {
    DataError::Io {
        place: Place::file(std::env::temp_dir()),
        operation,
        source,
    }
}
