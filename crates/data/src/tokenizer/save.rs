//! Writing a tokenizer's folder.

use std::io::Write as _;
use std::path::Path;

use super::Tokenizer;
use crate::draft::Draft;
use crate::error::Result;

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
            let mut file = Draft::create(&folder.join(name))?;
            file.write_all(bytes).map_err(|error| file.failed(error))?;
            file.finish()?;
        }
        Ok(())
    }
}
