//! Files that are read at random.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::Path;

use super::file::{input, regular};
use super::packing::Packing;
use super::source::Source;
use crate::error::Result;

/// The largest file, in bytes, that is unpacked to be read at random.
const SPOOL_LIMIT: u64 = 16 << 30;

/// The file, to be read at random: itself, or an unpacked copy that vanishes when it is closed.
pub(super) fn spooled(path: &Path) -> Result<File> {
    if Packing::of(path).is_none() {
        regular(path)?;
        return File::open(path).map_err(|error| input(path, "open", error));
    }
    let mut source = Source::bytes(path, |_| Ok(()))?;
    let mut copy = tempfile::tempfile().map_err(|error| input(path, "unpack", error))?;
    source.copy_to(&mut copy, SPOOL_LIMIT)?;
    let rewound = copy.flush().and_then(|()| copy.rewind());
    rewound.map_err(|error| input(path, "unpack", error))?;
    Ok(copy)
}
