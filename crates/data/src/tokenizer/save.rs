//! Writing a tokenizer's folder.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::error::{DataError, Place, Result};

use super::Tokenizer;

impl Tokenizer {
    /// Writes `tokenizer.json` and the files beside it into a folder, which is made if there is none. Files that were
    /// opened are written as they came, byte for byte. Each takes the place of an older one in one step.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        let inner = &self.inner;
        let own = std::iter::once(("tokenizer.json", &inner.file));
        let beside = inner.folder.files.iter();
        for (name, bytes) in own.chain(beside.map(|(name, bytes)| (name.as_str(), bytes))) {
            let path = folder.join(name);
            write(&path, bytes).map_err(|source| DataError::Io {
                place: Place::file(&path),
                operation: "write",
                source,
            })?;
        }
        Ok(())
    }
}

/// Writes a file beside its place and moves it there when it is whole.
fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = File::create(&draft).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)
    });
    if written.is_err() {
        // The draft is of no use; that it could not be removed adds nothing to the error.
        let _ = fs::remove_file(&draft);
    }
    written
}
