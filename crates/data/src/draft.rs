//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{DataError, Place, Result};

/// A file that is written under another name in its folder, and moved to its place when it is whole. What is left over
/// after an error is removed.
pub(crate) struct Draft {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    hash: Xxh3,
    bytes: u64,
}

/// A file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    /// XXH3, 64 bits, of its bytes.
    pub(crate) xxh3: u64,
}

impl Draft {
    /// Begins a file; its folder is made if there is none.
    pub(crate) fn create(path: &Path) -> Result<Self> {
        let folder = folder(path);
        let file = fs::create_dir_all(folder).and_then(|()| {
            let mut builder = tempfile::Builder::new();
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;

                // As any new file: the system's mask decides. A temporary file would be its owner's alone.
                builder.permissions(fs::Permissions::from_mode(0o666));
            }
            builder.prefix(".draft-").tempfile_in(folder)
        });
        Ok(Self {
            file: BufWriter::with_capacity(256 << 10, file.map_err(|error| failed(path, error))?),
            path: path.to_owned(),
            hash: Xxh3::new(),
            bytes: 0,
        })
    }

    /// Moves the file to its place, on disk.
    pub(crate) fn finish(mut self) -> Result<Written> {
        let at = |error| failed(&self.path, error);
        self.file.flush().map_err(at)?;
        let file = self
            .file
            .into_inner()
            .map_err(|error| at(error.into_error()))?;
        file.as_file().sync_all().map_err(at)?;
        file.persist(&self.path).map_err(|error| at(error.error))?;
        // The new name is on disk only when the folder is. Not every system opens folders.
        if let Ok(folder) = File::open(folder(&self.path)) {
            let _ = folder.sync_all();
        }
        Ok(Written {
            bytes: self.bytes,
            xxh3: self.hash.digest(),
        })
    }

    /// The error of writing to it.
    pub(crate) fn failed(&self, error: io::Error) -> DataError {
        failed(&self.path, error)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn failed(path: &Path, source: io::Error) -> DataError {
    DataError::Io {
        place: Place::file(path),
        operation: "write",
        source,
    }
}
