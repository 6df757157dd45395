//! A file as a stream of bytes: checked to be what its name says, unpacked, turned into UTF-8, watched for changes, and
//! cut into records without ever holding more than one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use encoding_rs::Encoding;

#[cfg(feature = "archives")]
use super::archive::Room;
use super::encoding::{self, Decoded, Malformed};
use super::file::{Stamp, input, regular};
use super::packing::{self, Packing};
use super::sniff::{self, Format};
use crate::document::{Note, Raw, Record, SharedPath};
use crate::error::{DataError, Place, Result};

/// The longest line or record in bytes.
pub(super) const RECORD_LIMIT: usize = 16 << 20;
/// Compressed data may unpack to this many times its size once it has unpacked to more than a mebibyte.
pub(super) const RATIO_LIMIT: u64 = 200;
const BUFFER: usize = 64 << 10;

/// A file that is being read.
pub(super) struct Source {
    path: SharedPath,
    reader: Box<dyn BufRead + Send>,
    before: Stamp,
    packed: Option<Packing>,
    /// The encoding that the text is turned from, if it is not UTF-8.
    encoding: Option<&'static Encoding>,
    /// Bytes taken from the file itself.
    taken: Arc<AtomicU64>,
    /// Unpacked bytes handed out.
    position: u64,
    byte_order_mark: bool,
}

impl Source {
    /// Opens a file whose name promises `format`.
    pub(super) fn open(path: &Path, format: Format) -> Result<Self> {
        let mut source = Self::bytes(path, |head| sniff::check(head, path, format, false))?;
        source.begin(format)?;
        Ok(source)
    }

    /// Opens a file for its bytes, whatever they are; `check` sees the first of them if they are not packed.
    pub(super) fn bytes(path: &Path, check: impl Fn(&[u8]) -> Result<()>) -> Result<Self> {
        let before = Stamp::of(&regular(path)?);
        let mut file = File::open(path).map_err(|error| input(path, "open", error))?;
        let head = head(&mut file).map_err(|error| input(path, "read", error))?;
        file.rewind().map_err(|error| input(path, "read", error))?;
        let packed = Packing::of(path).filter(|_| !head.is_empty());
        match packed {
            Some(packing) => packing.check(&head, path)?,
            None => check(&head)?,
        }
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            file,
            taken: Arc::clone(&taken),
        };
        let reader = BufReader::with_capacity(BUFFER, counted);
        let reader: Box<dyn BufRead + Send> = match packed {
            Some(packing) => Box::new(BufReader::with_capacity(
                BUFFER,
                packing.reader(reader, path)?,
            )),
            None => Box::new(reader),
        };
        Ok(Self {
            path: path.into(),
            reader,
            before,
            packed,
            encoding: None,
            taken,
            position: 0,
            byte_order_mark: false,
        })
    }

    /// Checks the unpacked beginning, steps over a byte order mark, and finds the encoding.
    fn begin(&mut self, format: Format) -> Result<()> {
        let head = self.peek(encoding::SAMPLE)?;
        if self.packed.is_some() {
            sniff::check(
                &head[..head.len().min(sniff::HEAD)],
                &self.path,
                format,
                true,
            )?;
        }
        if head.starts_with(sniff::BYTE_ORDER_MARK) {
            self.byte_order_mark = true;
            self.consume(sniff::BYTE_ORDER_MARK.len());
        } else if format.any_encoding() {
            self.byte_order_mark = matches!(head[..], [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]);
            if let Some(encoding) = encoding::detect(&head) {
                self.decode(encoding);
            }
        }
        Ok(())
    }

    fn decode(&mut self, encoding: &'static Encoding) {
        let reader = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        let decoded = Decoded::new(reader, encoding);
        self.reader = Box::new(BufReader::with_capacity(BUFFER, decoded));
        self.encoding = Some(encoding);
    }

    /// The first bytes, still to be read.
    pub(super) fn peek(&mut self, count: usize) -> Result<Vec<u8>> {
        let mut head = Vec::new();
        let read = (&mut self.reader).take(count as u64).read_to_end(&mut head);
        read.map_err(|error| self.failed(error))?;
        let rest = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = Box::new(io::Cursor::new(head.clone()).chain(rest));
        Ok(head)
    }

    /// The unpacked bytes as a reader that fails at a ratio that no honest file has, and where there is no more room for
    /// what is unpacked.
    #[cfg(feature = "archives")]
    pub(super) fn into_reader(self, room: &Room) -> impl Read {
        Bounded { source: self, room }
    }

    /// Writes all bytes to a file, if there are no more than `limit`.
    pub(super) fn copy_to(&mut self, to: &mut impl Write, limit: u64) -> Result<()> {
        loop {
            let bytes = self.fill()?;
            let count = bytes.len();
            if count == 0 {
                return Ok(());
            }
            let written = to.write_all(bytes);
            written.map_err(|error| input(&self.path, "unpack", error))?;
            self.consume(count);
            self.check_ratio()?;
            if self.position > limit {
                return Err(self.too_large(limit, "Unpack it first"));
            }
        }
    }

    fn too_large(&self, limit: u64, hint: &'static str) -> DataError {
        DataError::LimitExceeded {
            place: Place::file(&self.path),
            what: "the size of one document in bytes",
            found: self.position,
            limit,
            hint,
        }
    }

    /// All bytes, if there are no more than `limit`.
    pub(super) fn read_all(&mut self, limit: u64, hint: &'static str) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            let bytes = self.fill()?;
            let count = bytes.len();
            if count == 0 {
                return Ok(all);
            }
            all.extend_from_slice(bytes);
            self.consume(count);
            self.check_ratio()?;
            if all.len() as u64 > limit {
                return Err(self.too_large(limit, hint));
            }
        }
    }

    /// The file.
    pub(super) fn path(&self) -> &SharedPath {
        &self.path
    }

    /// How many unpacked bytes have been taken.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The encoding that the text is turned from, if it is not UTF-8.
    pub(super) fn encoding(&self) -> Option<&'static Encoding> {
        self.encoding
    }

    /// What is to be counted about how the file began.
    pub(super) fn notes(&self) -> impl Iterator<Item = Record> + use<> {
        let mark = self.byte_order_mark.then_some(Note::ByteOrderMark);
        let encoding = self
            .encoding
            .map(|encoding| Note::Encoding(encoding.name()));
        mark.into_iter().chain(encoding).map(Record::note)
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
            let bytes = match self.reader.fill_buf() {
                Ok([]) => {
                    self.unchanged()?;
                    break;
                }
                Ok(bytes) => bytes,
                Err(error) => return Err(self.failed(error)),
            };
            let found = end(bytes);
            let count = found.unwrap_or(bytes.len());
            if !long && raw.len() + count <= RECORD_LIMIT {
                raw.reserve_exact(count);
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
            (_, true) => Some(Raw::Range {
                start,
                length,
                encoding: self.encoding,
            }),
        })
    }

    /// What `read` makes of a record that lies as a whole in the bytes that have been read already; `end` is as in
    /// [`take`](Self::take). `None` if there is no such one.
    #[inline]
    pub(super) fn within<T>(
        &mut self,
        end: impl FnOnce(&[u8]) -> Option<usize>,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>> {
        let bytes = match self.reader.fill_buf() {
            Ok(bytes) => bytes,
            Err(error) => return Err(self.failed(error)),
        };
        let Some(count) = end(bytes) else {
            return Ok(None);
        };
        let record = read(&bytes[..count]);
        self.consume(count);
        self.check_ratio()?;
        Ok(Some(record))
    }

    fn check_ratio(&self) -> Result<()> {
        let taken = self.taken.load(Ordering::Relaxed).max(1);
        if self.packed.is_none() || self.position < 1 << 20 || self.position / taken <= RATIO_LIMIT
        {
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
        let malformed = error.get_ref().and_then(|inner| inner.downcast_ref());
        if let Some(Malformed(encoding)) = malformed {
            return DataError::Undecodable { place, encoding };
        }
        let now = std::fs::metadata(&self.path)
            .map(|metadata| Stamp::of(&metadata))
            .unwrap_or_default();
        if self.packed.is_some() && now != self.before {
            return DataError::FileChanged {
                place,
                before: self.before.size,
                after: now.size,
            };
        }
        let fault = self
            .packed
            .and_then(|_| packing::fault(&error, place.clone()));
        fault.unwrap_or(DataError::Io {
            place,
            operation: "read",
            source: error,
        })
    }
}

/// Copies a range of the unpacked bytes of a file, turned from an encoding.
pub(super) fn copy_range(
    path: &Path,
    (start, length): (u64, u64),
    encoding: Option<&'static Encoding>,
    to: &mut impl Write,
) -> io::Result<()> {
    let mut source = Source::bytes(path, |_| Ok(())).map_err(io::Error::other)?;
    if let Some(encoding) = encoding {
        source.decode(encoding);
    }
    let mut reader = source.reader;
    io::copy(&mut (&mut reader).take(start), &mut io::sink())?;
    let copied = io::copy(&mut reader.take(length), to)?;
    if copied == length {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn head(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(sniff::HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(feature = "archives")]
struct Bounded<'a> {
    source: Source,
    room: &'a Room,
}

#[cfg(feature = "archives")]
impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let source = &mut self.source;
        let count = source.reader.read(buffer)?;
        source.position += count as u64;
        source.check_ratio().map_err(io::Error::other)?;
        if source.packed.is_some() {
            let counted = self.room.unpack(&source.path, count as u64);
            counted.map_err(io::Error::other)?;
        }
        Ok(count)
    }
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
