//! ZIP containers, which documents of offices and books are too.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use ::zip::result::ZipError;
use ::zip::{CompressionMethod, ZipArchive};

use super::file::input;
#[cfg(feature = "office")]
use super::source::RATIO_LIMIT;
use super::spool::spooled;
use crate::error::{DataError, Place, Result, escaped, quoted};

/// The most entries of a container.
pub(super) const ENTRY_LIMIT: usize = 100_000;

/// An open container. Sizes and names in it are claims of whoever made it: every read is bounded.
pub(super) struct Zip {
    archive: ZipArchive<File>,
    path: PathBuf,
    #[cfg(feature = "archives")]
    names: Vec<String>,
}

impl Zip {
    /// Opens a container and checks its list of entries.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = spooled(path)?;
        let copy = file
            .try_clone()
            .map_err(|error| input(path, "read", error))?;
        let archive = ZipArchive::new(copy).map_err(|error| fault(path, error))?;
        let listed = listed(&mut file, archive.comment().len())
            .map_err(|error| input(path, "read", error))?;
        if listed.is_some_and(|listed| listed != archive.len()) {
            return Err(twice(path));
        }
        if archive.len() > ENTRY_LIMIT {
            return Err(too_many(path, archive.len()));
        }
        let names: Result<Vec<String>> = archive
            .file_names()
            .map(|name| Ok(name.map_err(|error| fault(path, error))?.into_owned()))
            .collect();
        let names = names?;
        for name in &names {
            check_name(name, path)?;
        }
        Ok(Self {
            archive,
            path: path.to_path_buf(),
            #[cfg(feature = "archives")]
            names,
        })
    }

    /// The names of the entries, folders included, in the container's order.
    #[cfg(feature = "archives")]
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The bytes of an entry, `None` if there is no such entry.
    ///
    /// # Errors
    ///
    /// If it is longer than `limit`, unpacks to far more than its size, is encrypted or damaged.
    #[cfg(feature = "office")]
    pub(super) fn read(&mut self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let mut entry = match self.archive.by_name(name) {
            Ok(entry) => entry,
            Err(ZipError::FileNotFound) => return Ok(None),
            Err(error) => return Err(fault(&self.path, error)),
        };
        check_method(&self.path, name, entry.compression())?;
        let packed = entry.compressed_size().max(1);
        let bound = limit.min(packed.saturating_mul(RATIO_LIMIT).max(1 << 20));
        let mut bytes = Vec::new();
        let read = (&mut entry).take(bound + 1).read_to_end(&mut bytes);
        read.map_err(|error| fault(&self.path, error.into()))?;
        if bytes.len() as u64 > bound {
            return Err(too_large(&self.path, bytes.len() as u64, bound));
        }
        Ok(Some(bytes))
    }

    /// Hands the unpacked bytes of an entry to `take`, with its packed size; passes over a link.
    #[cfg(feature = "archives")]
    pub(super) fn stream(
        &mut self,
        name: &str,
        take: impl FnOnce(&mut dyn Read, u64) -> Result<()>,
    ) -> Result<()> {
        let opened = self.archive.by_name(name);
        let mut entry = opened.map_err(|error| fault(&self.path, error))?;
        if entry.is_symlink() {
            return Ok(());
        }
        check_method(&self.path, name, entry.compression())?;
        let packed = entry.compressed_size().max(1);
        take(&mut entry, packed)
    }
}

/// How many entries the last record of a container says that there are, if it can tell: of two entries with one name,
/// the reader of the container shows one. `comment` is the length of the comment, which ends the file.
fn listed(file: &mut File, comment: usize) -> std::io::Result<Option<usize>> {
    const LENGTH: u64 = 22;
    let behind = LENGTH + comment as u64;
    let Some(start) = file.metadata()?.len().checked_sub(behind) else {
        return Ok(None);
    };
    let mut record = [0; LENGTH as usize];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut record)?;
    let count = u16::from_le_bytes([record[10], record[11]]);
    // The greatest count stands for one that is elsewhere.
    let told = record.starts_with(b"PK\x05\x06") && count < u16::MAX;
    Ok(told.then_some(usize::from(count)))
}

/// Refuses an entry that is packed by a method that is not unpacked here.
fn check_method(path: &Path, entry: &str, method: CompressionMethod) -> Result<()> {
    #[allow(deprecated, reason = "nothing else says the number")]
    let CompressionMethod::Unsupported(number) = method else {
        return Ok(());
    };
    Err(DataError::Unsupported {
        place: Place::file(path),
        what: format!(
            "the method {number} ({method}), by which the entry {} is packed,",
            quoted(entry)
        ),
        hint: "Unpack it first, or write the archive with Deflate",
    })
}

fn twice(path: &Path) -> DataError {
    DataError::Broken {
        place: Place::file(path),
        format: "ZIP container",
        message: "the name of an entry stands in it twice".into(),
        hint: "Unpack it first",
    }
}

/// Refuses names that lead out of the container.
pub(super) fn check_name(name: &str, path: &Path) -> Result<()> {
    let parts = || name.split(['/', '\\']);
    let drive = name.as_bytes().get(1) == Some(&b':');
    let fault = if name.is_empty() || name.contains('\0') {
        "is no name"
    } else if name.starts_with(['/', '\\']) || drive {
        "is not relative"
    } else if parts().any(|part| part == "..") {
        "leads out of it"
    } else {
        return Ok(());
    };
    Err(DataError::Broken {
        place: Place::file(path),
        format: "archive",
        message: format!("the entry {} {fault}", quoted(name)),
        hint: "Do not trust it",
    })
}

/// The error for an entry that unpacks to more bytes than are allowed, in all or for its packed size.
pub(super) fn too_large(path: &Path, found: u64, limit: u64) -> DataError {
    DataError::LimitExceeded {
        place: Place::file(path),
        what: "the unpacked size of an entry in bytes, or of what its packed size may become,",
        found,
        limit,
        hint: "If the file is what it should be, unpack it first",
    }
}

pub(super) fn too_many(path: &Path, found: usize) -> DataError {
    DataError::LimitExceeded {
        place: Place::file(path),
        what: "the number of entries",
        found: found as u64,
        limit: ENTRY_LIMIT as u64,
        hint: "Split the archive, or unpack it first",
    }
}

fn fault(path: &Path, error: ZipError) -> DataError {
    let place = Place::file(path);
    match error {
        ZipError::Io(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            DataError::Truncated { place }
        }
        ZipError::Io(source) if source.raw_os_error().is_some() => DataError::Io {
            place,
            operation: "read",
            source,
        },
        error => DataError::Broken {
            place,
            format: "ZIP container",
            message: escaped(&error.to_string()),
            hint: "Get the file again, or unpack it first",
        },
    }
}
