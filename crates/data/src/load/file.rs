//! Files on disk: only regular ones, and whether they are still the same.

use std::fs::Metadata;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use crate::error::{DataError, Place, Result};

/// The metadata of a path, links followed, if it leads to a regular file. Nothing is opened, so a pipe cannot block.
pub(crate) fn regular(path: &Path) -> Result<Metadata> {
    let irregular = |found| DataError::NotARegularFile {
        place: Place::file(path),
        found,
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => Ok(metadata),
        Ok(metadata) => Err(irregular(describe(&metadata))),
        Err(error) => {
            let linked = path
                .symlink_metadata()
                .is_ok_and(|metadata| metadata.is_symlink());
            let plain = matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            );
            if linked && !plain {
                Err(irregular("a loop of links"))
            } else {
                Err(input(path, "open", error))
            }
        }
    }
}

fn describe(metadata: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;

        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a pipe";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if metadata.is_dir() {
        "a directory"
    } else {
        "a special file"
    }
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stamp {
    pub(super) size: u64,
    modified: Option<SystemTime>,
    /// Device and inode where there are such.
    identity: (u64, u64),
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt;

            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let identity = (0, 0);
        Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            identity,
        }
    }
}

/// The error of an operation on a file.
pub(super) fn input(path: &Path, operation: &'static str, source: io::Error) -> DataError {
    DataError::Io {
        place: Place::file(path),
        operation,
        source,
    }
}
