//! Where the files of a checkpoint's folder may lie.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{ModelError, Result, escape};

/// The path of a file of a folder.
///
/// A link may lead to a file of the same folder, or of the same model in a download cache, where the files of
/// `snapshots/<revision>` are links into `blobs`. Whoever made the folder may not make others of the reader's files
/// part of it: they would be read, and written along when the model is saved.
///
/// # Errors
/// When there is no such file, or it is a link that leads elsewhere.
pub(crate) fn inside(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    let metadata = fs::symlink_metadata(&path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            let (folder, file) = (folder.to_owned(), escape(name));
            return ModelError::FileMissing { folder, file };
        }
        ModelError::io(&path, "find")(error)
    })?;
    if !metadata.is_symlink() {
        return Ok(path);
    }
    let target = fs::canonicalize(&path).map_err(ModelError::io(&path, "follow"))?;
    let home = fs::canonicalize(folder).map_err(ModelError::io(folder, "find"))?;
    let snapshots = home.parent().filter(|parent| parent.ends_with("snapshots"));
    let blobs = snapshots
        .and_then(Path::parent)
        .map(|model| model.join("blobs"));
    if target.starts_with(&home) || blobs.is_some_and(|blobs| target.starts_with(blobs)) {
        return Ok(path);
    }
    let why = "is a link to a file outside of it".to_owned();
    Err(ModelError::FilePath {
        path: folder.to_owned(),
        name: escape(name),
        why,
    })
}
