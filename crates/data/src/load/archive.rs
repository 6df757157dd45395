//! Archives, opened as the folders that they hold.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::file::regular;
use super::packing::Packing;
use super::source::{RATIO_LIMIT, Source};
use crate::error::{DataError, Place, Result};

/// How deep archives are opened inside of archives.
pub(super) const NESTING_LIMIT: usize = 3;
/// How many bytes may come out of a small archive.
const SMALL: u64 = 64 << 20;
/// How many bytes may be written of any archive.
#[cfg(feature = "archives")]
const DISK_LIMIT: u64 = 16 << 30;

/// What holds files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Archive {
    Zip,
    Tar,
}

impl Archive {
    /// What the name says. `.tgz` and its kin are not known: unpacking goes by the last extension.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let stem = Packing::stem(path);
        let extension = stem.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "zip" => Some(Self::Zip),
            "tar" => Some(Self::Tar),
            _ => None,
        }
    }
}

/// What an archive held.
pub(super) struct Unpacked {
    /// A folder that is named as the archive, since some exports say in that name alone what they are.
    pub(super) path: PathBuf,
    /// What it lies in, which vanishes when this is dropped.
    pub(super) folder: TempDir,
}

/// The bytes that have come out of an archive on disk, and out of all that is packed inside of it: were each level
/// measured alone, every one would multiply what a small file may become.
pub(super) struct Room {
    /// How many bytes may be unpacked.
    limit: u64,
    unpacked: AtomicU64,
    /// Bytes that lie on the disk.
    #[cfg(feature = "archives")]
    written: AtomicU64,
}

impl Room {
    /// That for an archive on disk.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let size = regular(path)?.len();
        Ok(Self {
            limit: size.saturating_mul(RATIO_LIMIT).max(SMALL),
            unpacked: AtomicU64::new(0),
            #[cfg(feature = "archives")]
            written: AtomicU64::new(0),
        })
    }

    /// How many more bytes may be unpacked.
    pub(super) fn left(&self) -> u64 {
        self.limit
            .saturating_sub(self.unpacked.load(Ordering::Relaxed))
    }

    /// Counts bytes that are unpacked of a file. Where they are too many, none may follow.
    pub(super) fn unpack(&self, path: &Path, bytes: u64) -> Result<()> {
        let found = self.unpacked.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if found <= self.limit {
            return Ok(());
        }
        Err(DataError::LimitExceeded {
            place: Place::file(path),
            what: "the size in bytes of what was unpacked up to here, out of the archive and out of what lies in it,",
            found,
            limit: self.limit,
            hint: UNPACK,
        })
    }

    /// How many more bytes may be written.
    #[cfg(feature = "archives")]
    pub(super) fn left_on_disk(&self) -> u64 {
        DISK_LIMIT.saturating_sub(self.written.load(Ordering::Relaxed))
    }

    /// Counts bytes that are written of an archive's entries.
    #[cfg(feature = "archives")]
    pub(super) fn write(&self, path: &Path, bytes: u64) -> Result<()> {
        let found = self.written.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if found <= DISK_LIMIT {
            return Ok(());
        }
        Err(DataError::LimitExceeded {
            place: Place::file(path),
            what: "the size in bytes of the files of the archive, and of those in archives inside of it,",
            found,
            limit: DISK_LIMIT,
            hint: UNPACK,
        })
    }

    /// Counts what a packed file of an archive unpacks to, which costs unpacking it once more: its reader knows nothing
    /// of the archive. What is wrong with it otherwise is for that reader to say, behind what comes before the fault.
    pub(super) fn measure(&self, path: &Path) -> Result<()> {
        if Packing::of(path).is_none() {
            return Ok(());
        }
        let Ok(mut source) = Source::bytes(path, |_| Ok(())) else {
            return Ok(());
        };
        let _ = source.copy_to(&mut io::sink(), self.left());
        self.unpack(path, source.position())
    }
}

const UNPACK: &str = "If the file is what it should be, unpack it first";

#[cfg(feature = "archives")]
pub(super) use super::unpack::unpack;

#[cfg(not(feature = "archives"))]
pub(super) fn unpack(archive: Archive, path: &Path, _: &Room) -> Result<Unpacked> {
    let extension = match archive {
        Archive::Zip => "\".zip\"",
        Archive::Tar => "\".tar\"",
    };
    Err(DataError::FeatureOff {
        place: Place::file(path),
        found: extension.into(),
        feature: "archives",
    })
}
