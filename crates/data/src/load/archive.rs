//! Archives, opened as the folders that they hold.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::packing::Packing;

/// How deep archives are opened inside of archives.
pub(super) const NESTING_LIMIT: usize = 3;

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

#[cfg(feature = "archives")]
pub(super) use super::unpack::unpack;

#[cfg(not(feature = "archives"))]
pub(super) fn unpack(archive: Archive, path: &Path) -> crate::Result<Unpacked> {
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
