//! The cache on disk, laid out as Python's `huggingface_hub` lays it out, so that either reads what the other got.
//!
//! ```text
//! <cache>/datasets--owner--name/
//!     blobs/<checksum>             the content, once per content; `<checksum>.incomplete` while it comes
//!     snapshots/<commit>/<path>    a link to the blob
//!     refs/<revision>              the commit that a branch or tag led to
//!     trees/<commit>.json          which files the commit has
//! <cache>/.locks/datasets--owner--name/<checksum>.lock
//! ```
//!
//! The list of files tells a snapshot that holds everything from one of which only a part was asked for. Python's
//! library keeps it since its version 2.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::checksum::Checksum;
use super::listing::Listing;
use super::name::{HubName, is_commit, is_path};
use crate::draft::Draft;
use crate::error::{DataError, Place, Result};

/// The longest file of a ref in bytes.
const REF_LIMIT: u64 = 1024;
/// The longest file of a listing in bytes.
const LISTING_LIMIT: u64 = 512 << 20;

/// The folder of one repository.
#[derive(Debug)]
pub(super) struct Repository {
    folder: PathBuf,
    locks: PathBuf,
}

impl Repository {
    pub(super) fn new(cache: &Path, name: &HubName) -> Self {
        let folder = format!("{}--{}", name.kind().plural(), name.id().replace('/', "--"));
        Self {
            locks: cache.join(".locks").join(&folder),
            folder: cache.join(folder),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.folder.join("snapshots").join(commit)
    }

    pub(super) fn blob(&self, checksum: &Checksum) -> PathBuf {
        self.folder.join("blobs").join(checksum.digits())
    }

    /// The commit that a revision led to when it was last asked for.
    pub(super) fn commit(&self, revision: &str) -> Result<Option<String>> {
        if is_commit(revision) {
            return Ok(Some(revision.to_owned()));
        }
        let file = self.folder.join("refs").join(revision);
        let text = read(&file, REF_LIMIT)?;
        Ok(text
            .map(|text| text.trim().to_owned())
            .filter(|text| is_commit(text)))
    }

    /// Keeps the commit that a revision leads to.
    pub(super) fn keep_commit(&self, revision: &str, commit: &str) -> Result<()> {
        if is_commit(revision) {
            return Ok(());
        }
        write(&self.folder.join("refs").join(revision), commit.as_bytes())
    }

    /// The kept listing of a commit.
    pub(super) fn listing(&self, commit: &str) -> Result<Option<Listing>> {
        let text = read(&self.listing_file(commit), LISTING_LIMIT)?;
        Ok(text.and_then(|text| Listing::from_json(&text)))
    }

    pub(super) fn keep_listing(&self, commit: &str, listing: &Listing) -> Result<()> {
        write(&self.listing_file(commit), listing.to_json().as_bytes())
    }

    fn listing_file(&self, commit: &str) -> PathBuf {
        self.folder.join("trees").join(format!("{commit}.json"))
    }

    /// The paths of a snapshot's files, sorted: what Python has got, for which there is no listing.
    pub(super) fn present(&self, commit: &str) -> Result<Vec<String>> {
        let root = self.snapshot(commit);
        let mut paths = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(&folder, "list")(error)),
            };
            for entry in entries {
                let entry = entry.map_err(failed(&folder, "list"))?;
                let kind = entry.file_type().map_err(failed(&entry.path(), "open"))?;
                let path = entry.path();
                if kind.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    let inside = path.strip_prefix(&root).ok().and_then(Path::to_str);
                    paths.extend(
                        inside
                            .map(|path| path.replace('\\', "/"))
                            .filter(|path| is_path(path)),
                    );
                }
            }
        }
        paths.sort_unstable();
        Ok(paths)
    }

    /// Links a path of a snapshot to its blob. Whatever stood there before is replaced in one step.
    pub(super) fn link(&self, commit: &str, path: &str, checksum: &Checksum) -> Result<()> {
        let pointer = self.snapshot(commit).join(path);
        let up = "../".repeat(path.matches('/').count() + 2);
        let target = PathBuf::from(format!("{up}blobs/{}", checksum.digits()));
        if fs::read_link(&pointer).is_ok_and(|found| found == target) {
            return Ok(());
        }
        let folder = parent(&pointer)?;
        let blob = self.blob(checksum);
        tempfile::Builder::new()
            .prefix(".link-")
            .make_in(folder, |temporary| place(&target, &blob, temporary))
            .and_then(|link| link.persist(&pointer).map_err(|error| error.error))
            .map_err(failed(&pointer, "link"))?;
        Ok(())
    }

    /// Waits until no other process or thread downloads this content. The lock ends with the value.
    pub(super) fn lock(&self, checksum: &Checksum) -> Result<File> {
        let path = self.locks.join(format!("{}.lock", checksum.digits()));
        parent(&path)?;
        loop {
            let file = File::options()
                .create(true)
                .append(true)
                .open(&path)
                .map_err(failed(&path, "open"))?;
            file.lock().map_err(failed(&path, "lock"))?;
            // Python's library removes lock files: then another one may have been locked meanwhile.
            if is_at(&file, &path) {
                return Ok(file);
            }
        }
    }
}

/// Makes the folders above a file.
pub(super) fn parent(path: &Path) -> Result<&Path> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(failed(folder, "make"))?;
    Ok(folder)
}

/// The error of an operation on a file of the cache.
pub(super) fn failed(path: &Path, operation: &'static str) -> impl FnOnce(io::Error) -> DataError {
    let place = Place::file(path);
    move |source| DataError::Io {
        place,
        operation,
        source,
    }
}

#[cfg(unix)]
fn place(target: &Path, _blob: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, at)
}

/// Where links need a privilege, the file lies there twice by name and once on disk.
#[cfg(not(unix))]
fn place(_target: &Path, blob: &Path, at: &Path) -> io::Result<()> {
    fs::hard_link(blob, at).or_else(|_| fs::copy(blob, at).map(drop))
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> bool {
    true
}

/// A small file's text; `None` if there is no such file, or not as text.
fn read(path: &Path, limit: u64) -> Result<Option<String>> {
    use std::io::Read as _;

    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        Ok(_) => Ok(String::from_utf8(bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path, "read")(error)),
    }
}

/// Writes a file in one step: a reader sees the old or the new one.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write as _;

    let mut draft = Draft::create(path)?;
    draft
        .write_all(bytes)
        .map_err(|error| draft.failed(error))?;
    draft.finish().map(drop)
}
