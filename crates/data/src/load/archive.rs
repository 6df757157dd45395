//! Archives, opened as the folders that they hold.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use tempfile::TempDir;

use super::file::regular;
use super::packing::Packing;
use super::source::RATIO_LIMIT;
use crate::error::Result;

/// How deep archives are opened inside of archives.
pub(super) const NESTING_LIMIT: usize = 3;
/// How many bytes may come out of a small archive.
const SMALL: u64 = 64 << 20;
/// How many bytes may come out of any archive.
const SIZE_LIMIT: u64 = 16 << 30;

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

/// How many bytes may come out of an archive on disk, those out of the archives inside of it included: were each of
/// them measured alone, every level would multiply what a small file may become.
pub(super) fn room(path: &Path) -> Result<AtomicU64> {
    let size = regular(path)?.len().saturating_mul(RATIO_LIMIT);
    Ok(AtomicU64::new(size.clamp(SMALL, SIZE_LIMIT)))
}

#[cfg(feature = "archives")]
pub(super) use super::unpack::unpack;

#[cfg(not(feature = "archives"))]
pub(super) fn unpack(archive: Archive, path: &Path, _: &AtomicU64) -> Result<Unpacked> {
    let extension = match archive {
        Archive::Zip => "\".zip\"",
        Archive::Tar => "\".tar\"",
    };
    Err(crate::DataError::FeatureOff {
        place: crate::Place::file(path),
        found: extension.into(),
        feature: "archives",
    })
}
