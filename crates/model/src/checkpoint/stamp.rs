//! Whether a file is still the one that it was.

use std::fmt;
use std::fs::{File, Metadata};
use std::path::Path;
use std::time::SystemTime;

use crate::error::{ModelError, Result};

/// What shows that a file is another one than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    identity: u64,
}

impl Stamp {
    /// That of an open file.
    pub(super) fn of(file: &File, path: &Path) -> Result<Self> {
        let metadata = file.metadata().map_err(ModelError::io(path, "inspect"))?;
        Ok(Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            identity: identity(&metadata),
        })
    }

    /// The file's length in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Refuses a file that is another one now.
    pub(super) fn holds(&self, file: &File, path: &Path) -> Result<()> {
        let now = Self::of(file, path)?;
        if now == *self {
            return Ok(());
        }
        Err(self.changed(path, now.to_string()))
    }

    /// The error of a file that is another one now.
    pub(super) fn changed(&self, path: &Path, found: String) -> ModelError {
        ModelError::FileChanged {
            path: path.to_owned(),
            found,
            expected: self.to_string(),
        }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.length)?;
        let since = self
            .modified
            .map(|time| time.duration_since(SystemTime::UNIX_EPOCH));
        match since {
            Some(Ok(since)) => write!(
                f,
                ", written {}.{:09} s after 1970",
                since.as_secs(),
                since.subsec_nanos()
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> u64 {
    0
}
