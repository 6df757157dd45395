//! The file to which broken records go.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::source::copy_range;
use crate::document::Raw;
use crate::error::{DataError, Place, Result, quoted};

/// Broken records byte for byte, and beside them, in a file with `.why` added to its name, one message per record.
pub(super) struct Quarantine {
    path: PathBuf,
    records: BufWriter<File>,
    why: BufWriter<File>,
}

impl Quarantine {
    /// Creates both files, empty. What an earlier load left there is replaced; an input never is.
    pub(super) fn create(path: &Path, inputs: &[PathBuf]) -> Result<Self> {
        let real = path.canonicalize().ok();
        if real.is_some() && inputs.iter().any(|input| input.canonicalize().ok() == real) {
            return Err(DataError::Setting {
                name: "quarantine".into(),
                found: quoted(&path.to_string_lossy()),
                expected: "a file that is not one of the inputs".into(),
            });
        }
        let create = |path: &Path| {
            File::create(path)
                .map(BufWriter::new)
                .map_err(|error| failed(path, error))
        };
        Ok(Self {
            records: create(path)?,
            why: create(&why(path))?,
            path: path.to_path_buf(),
        })
    }

    /// Whether loading from here would read the quarantine itself.
    pub(super) fn owns(quarantine: &Path, file: &Path) -> bool {
        let same = |path: &Path| {
            path.canonicalize()
                .is_ok_and(|path| file.canonicalize().is_ok_and(|file| file == path))
        };
        same(quarantine) || same(&why(quarantine))
    }

    /// Adds a record; `false` if its bytes are not known.
    pub(super) fn add(&mut self, raw: &Raw, error: &DataError, source: &Path) -> Result<bool> {
        let mut record = LastByte {
            to: &mut self.records,
            last: b'\n',
        };
        let written = match raw {
            Raw::Unknown => return Ok(false),
            Raw::Bytes(bytes) => record.write_all(bytes),
            Raw::Range {
                start,
                length,
                encoding,
            } => copy_range(source, (*start, *length), *encoding, &mut record),
        };
        let ended = written.and_then(|()| match record.last {
            b'\n' => Ok(()),
            _ => record.write_all(b"\n"),
        });
        ended.map_err(|error| failed(&self.path, error))?;
        self.note(error)?;
        Ok(true)
    }

    /// Notes a file that could not be read. Its bytes stay where they are.
    pub(super) fn note(&mut self, error: &DataError) -> Result<()> {
        writeln!(self.why, "{error}").map_err(|error| failed(&why(&self.path), error))
    }

    /// Writes everything out.
    pub(super) fn finish(self) -> Result<()> {
        let done = |writer: BufWriter<File>| {
            writer
                .into_inner()
                .map_err(io::IntoInnerError::into_error)?
                .sync_all()
        };
        done(self.records).map_err(|error| failed(&self.path, error))?;
        done(self.why).map_err(|error| failed(&why(&self.path), error))
    }
}

/// A writer that knows the last byte it wrote.
struct LastByte<'a> {
    to: &'a mut BufWriter<File>,
    last: u8,
}

impl Write for LastByte<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.last = bytes[..count].last().copied().unwrap_or(self.last);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn why(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".why");
    name.into()
}

fn failed(path: &Path, source: io::Error) -> DataError {
    DataError::Io {
        place: Place::file(path),
        operation: "write",
        source,
    }
}
