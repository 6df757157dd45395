//! A file as a stream of bytes: checked to be what its name says, unpacked if it ends in `.gz`, watched for changes,
//! and cut into records without ever holding more than one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::file::{Stamp, input, regular};
use super::sniff::{self, Format};
use crate::document::Raw;
use crate::error::{DataError, Place, Result};

/// The longest line or record in bytes.
pub(super) const RECORD_LIMIT: usize = 16 << 20;
/// Compressed data may unpack to this many times its size once it has unpacked to more than a mebibyte.
const RATIO_LIMIT: u64 = 200;
const BUFFER: usize = 64 << 10;

/// A file that is being read.
pub(super) struct Source {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    before: Stamp,
    packed: bool,
    /// Bytes taken from the file itself.
    taken: Arc<AtomicU64>,
    /// Unpacked bytes handed out.
    position: u64,
    byte_order_mark: bool,
}

impl Source {
    /// Opens a file whose name promises `format`.
    pub(super) fn open(path: &Path, format: Format) -> Result<Self> {
        let before = Stamp::of(&regular(path)?);
        let mut file = File::open(path).map_err(|error| input(path, "open", error))?;
        let packed = is_gz(path);
        let head = head(&mut file).map_err(|error| input(path, "read", error))?;
        file.rewind().map_err(|error| input(path, "read", error))?;
        if packed && !head.is_empty() {
            sniff::gzip(&head, path)?;
        } else {
            sniff::check(&head, path, format, false)?;
        }
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            file,
            taken: Arc::clone(&taken),
        };
        let reader = BufReader::with_capacity(BUFFER, counted);
        let reader: Box<dyn BufRead + Send> = if packed && !head.is_empty() {
            Box::new(BufReader::with_capacity(
                BUFFER,
                MultiGzDecoder::new(reader),
            ))
        } else {
            Box::new(reader)
        };
        let path = path.to_path_buf();
        let mut source = Self {
            path,
            reader,
            before,
            packed,
            taken,
            position: 0,
            byte_order_mark: false,
        };
        source.begin(format)?;
        Ok(source)
    }

    /// Checks the unpacked beginning and steps over a byte order mark.
    fn begin(&mut self, format: Format) -> Result<()> {
        let head = self.peek()?;
        if self.packed {
            sniff::check(&head, &self.path, format, true)?;
        }
        if head.starts_with(sniff::BYTE_ORDER_MARK) {
            self.byte_order_mark = true;
            self.consume(sniff::BYTE_ORDER_MARK.len());
        }
        Ok(())
    }

    /// The first bytes, still to be read.
    fn peek(&mut self) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        let read = (&mut self.reader)
            .take(sniff::HEAD as u64)
            .read_to_end(&mut head);
        read.map_err(|error| self.failed(error))?;
        let rest = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = Box::new(io::Cursor::new(head.clone()).chain(rest));
        Ok(head)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// How many unpacked bytes have been taken.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether the file began with a byte order mark, which has been stepped over.
    pub(super) fn byte_order_mark(&self) -> bool {
        self.byte_order_mark
    }

    /// The next bytes; empty at the end, where it is checked that the file is still the one that was opened.
    pub(super) fn fill(&mut self) -> Result<&[u8]> {
        // A borrow checker's detour: the error path needs `self` as a whole.
        match self.reader.fill_buf().map(<[u8]>::is_empty) {
            Ok(false) => {}
            Ok(true) => self.unchanged()?,
            Err(error) => return Err(self.failed(error)),
        }
        self.reader
            .fill_buf()
            .map_err(|error| input(&self.path, "read", error))
    }

    /// Marks bytes of the last [`fill`](Self::fill) as used.
    pub(super) fn consume(&mut self, count: usize) {
        self.reader.consume(count);
        self.position += count as u64;
    }

    /// Takes bytes up to where `end` finds the end of a record: how many bytes of the given ones belong to it, or
    /// `None` if all do and it goes on. `None` at the end of the file.
    pub(super) fn take(
        &mut self,
        mut end: impl FnMut(&[u8]) -> Option<usize>,
    ) -> Result<Option<Raw>> {
        let start = self.position;
        let mut raw = Vec::new();
        let mut long = false;
        loop {
            let bytes = self.fill()?;
            if bytes.is_empty() {
                break;
            }
            let found = end(bytes);
            let count = found.unwrap_or(bytes.len());
            if !long && raw.len() + count <= RECORD_LIMIT {
                raw.extend_from_slice(&bytes[..count]);
            } else {
                long = true;
                raw = Vec::new();
            }
            self.consume(count);
            self.check_ratio()?;
            if found.is_some() {
                break;
            }
        }
        let length = self.position - start;
        Ok(match (length, long) {
            (0, _) => None,
            (_, false) => Some(Raw::Bytes(raw)),
            (_, true) => Some(Raw::Range { start, length }),
        })
    }

    fn check_ratio(&self) -> Result<()> {
        let taken = self.taken.load(Ordering::Relaxed).max(1);
        if !self.packed || self.position < 1 << 20 || self.position / taken <= RATIO_LIMIT {
            return Ok(());
        }
        Err(DataError::LimitExceeded {
            place: Place::file(&self.path),
            what: "the ratio of unpacked to packed size",
            found: self.position / taken,
            limit: RATIO_LIMIT,
            hint: "If the file is what it should be, unpack it first",
        })
    }

    fn unchanged(&self) -> Result<()> {
        let now = std::fs::metadata(&self.path)
            .map(|metadata| Stamp::of(&metadata))
            .unwrap_or_default();
        let taken = self.taken.load(Ordering::Relaxed);
        if now == self.before && taken == now.size {
            return Ok(());
        }
        let after = if now == self.before { taken } else { now.size };
        Err(DataError::FileChanged {
            place: Place::file(&self.path),
            before: self.before.size,
            after,
        })
    }

    /// What an error of the reader means.
    fn failed(&self, error: io::Error) -> DataError {
        let place = Place::file(&self.path);
        if !self.packed {
            return DataError::Io {
                place,
                operation: "read",
                source: error,
            };
        }
        let now = std::fs::metadata(&self.path)
            .map(|metadata| Stamp::of(&metadata))
            .unwrap_or_default();
        if now != self.before {
            return DataError::FileChanged {
                place,
                before: self.before.size,
                after: now.size,
            };
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => DataError::Truncated { place },
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => DataError::Checksum {
                place,
                message: error.to_string(),
            },
            _ => DataError::Io {
                place,
                operation: "read",
                source: error,
            },
        }
    }
}

/// Copies a range of the unpacked bytes of a file.
pub(super) fn copy_range(
    path: &Path,
    start: u64,
    length: u64,
    to: &mut impl Write,
) -> io::Result<()> {
    let file = BufReader::with_capacity(BUFFER, File::open(path)?);
    let mut reader: Box<dyn Read> = if is_gz(path) {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    io::copy(&mut (&mut reader).take(start), &mut io::sink())?;
    let copied = io::copy(&mut reader.take(length), to)?;
    if copied == length {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Whether the name says that the file is compressed.
pub(super) fn is_gz(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"))
}

fn head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(sniff::HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

struct Counted {
    file: File,
    taken: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
