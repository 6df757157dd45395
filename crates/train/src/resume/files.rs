//! Files that are on the disk when a function returns, and their digests.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Result, TrainError};

/// What a manifest says of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sum {
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl Sum {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            sha256: hex(Sha256::digest(bytes).as_slice()),
        }
    }
}

/// Writes a new file and syncs it; returns its size and digest.
pub(crate) fn write_new(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<()>,
) -> Result<Sum> {
    let file = File::create_new(path).map_err(|source| TrainError::io(path, "create", source))?;
    let mut writer = Digesting {
        file: BufWriter::with_capacity(1 << 20, file),
        hash: Sha256::new(),
        bytes: 0,
    };
    fill(&mut writer)?;
    let finish = |writer: &mut Digesting| {
        writer.flush()?;
        writer.file.get_ref().sync_all()
    };
    finish(&mut writer).map_err(|source| TrainError::io(path, "write", source))?;
    Ok(Sum {
        bytes: writer.bytes,
        sha256: hex(writer.hash.finalize().as_slice()),
    })
}

/// Reads a whole file that has this size and digest.
pub(crate) fn read_checked(path: &Path, sum: &Sum) -> Result<Vec<u8>> {
    let bytes = read(path)?;
    let found = Sum::of(&bytes);
    if found.bytes != sum.bytes {
        let why = format!("{} bytes; expected {}", found.bytes, sum.bytes);
        return Err(TrainError::invalid(path, why));
    }
    if found.sha256 != sum.sha256 {
        let why = format!("SHA-256 {}; expected {}", found.sha256, sum.sha256);
        return Err(TrainError::invalid(path, why));
    }
    Ok(bytes)
}

/// Reads a whole file; one that is missing is a damaged checkpoint, one that cannot be read is not.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::IsADirectory => {
            TrainError::invalid(path, format!("cannot be read: {source}"))
        }
        _ => TrainError::io(path, "read", source),
    })
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    // Windows cannot open a folder as a file, and needs no sync for a rename.
    if cfg!(windows) {
        return Ok(());
    }
    File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| TrainError::io(path, "sync", source))
}

/// Renames, and makes the new name durable.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|source| TrainError::io(to, "rename to", source))?;
    to.parent().map_or(Ok(()), sync_folder)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

struct Digesting {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Write for Digesting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
