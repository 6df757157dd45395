//! A file mapped into memory: the one place of this crate that is not checked by the compiler.
//!
//! Reading with positions would do without. A map is worth the exception: a data set of hundreds of gigabytes takes no
//! memory of its own, several processes of one machine share what they read, and a row costs no call of the system.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::error::{DataError, Place, Result};
use crate::load::regular;

/// The bytes of a file. An empty file is not mapped.
#[derive(Debug)]
pub(super) struct Map(Option<Mmap>);

impl Map {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let failed = |operation| {
            move |source| DataError::Io {
                place: Place::file(path),
                operation,
                source,
            }
        };
        let metadata = regular(path)?;
        let file = File::open(path).map_err(failed("open"))?;
        if metadata.len() == 0 {
            return Ok(Self(None));
        }
        #[allow(
            unsafe_code,
            reason = "A map is sound as long as nobody changes the file under it. Shards are written under another \
                      name and moved to their place, so writing one anew leaves the file that is open here as it is; \
                      the map is read-only; and no value that is read from it is trusted: all of it is copied as \
                      plain numbers, and every index is checked. Whoever cuts an open shard by hand ends the program \
                      with the system's signal, as with any mapped file."
        )]
        // SAFETY: see the reason above.
        let map = unsafe { Mmap::map(&file) };
        Ok(Self(Some(map.map_err(failed("map"))?)))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}
