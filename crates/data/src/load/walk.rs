//! From paths to files: folders are walked in a fixed order.

use std::fs;
use std::path::{Path, PathBuf};

use super::file::{input, regular};
use crate::error::{DataError, Place, Result};

/// The files below a folder, sorted by name within each folder, or the file itself.
///
/// Links are followed. Names that begin with a dot are passed over.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if path.is_dir() {
        walk(path, &mut Vec::new(), &mut files)?;
    } else {
        regular(path)?;
        files.push(path.to_path_buf());
    }
    Ok(files)
}

fn walk(folder: &Path, above: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) -> Result<()> {
    let real = folder
        .canonicalize()
        .map_err(|error| input(folder, "open", error))?;
    if above.contains(&real) {
        return Err(DataError::NotARegularFile {
            place: Place::file(folder),
            found: "a loop of links",
        });
    }
    above.push(real);
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
    let mut entries = entries.map_err(|error| input(folder, "list", error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            walk(&path, above, files)?;
        } else {
            files.push(path);
        }
    }
    above.pop();
    Ok(())
}
