//! Files that are read as a whole: their bytes or their text, bounded.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::encoding;
use super::file::{input, regular};
use super::packing::Packing;
use super::parse;
use super::sniff::Format;
use super::source::Source;
use super::text::{decode, unix_lines};
use crate::document::{Record, Value};
use crate::error::{Place, Result};

/// The largest file, in bytes, that becomes documents as a whole.
pub(super) const DOCUMENT_LIMIT: u64 = 256 << 20;
const HINT: &str = "Split the file";

/// The bytes of a file, unpacked.
#[cfg(any(feature = "html", feature = "pdf"))]
pub(super) fn contents(path: &Path, limit: u64) -> Result<Vec<u8>> {
    Source::bytes(path, |_| Ok(()))?.read_all(limit, HINT)
}

/// The text of a file, with the notes of how the file began: unpacked, checked to be what `format` says, as UTF-8
/// whatever its encoding was, without a byte order mark, its lines ended by `\n`.
pub(super) fn noted(path: &Path, format: Format, limit: u64) -> Result<(Vec<Record>, String)> {
    let mut source = Source::open(path, format)?;
    let notes = source.notes().collect();
    let bytes = source.read_all(limit, HINT)?;
    let text = decode(&bytes, &Place::at(path, 1, 1))?;
    Ok((notes, unix_lines(text).into_owned()))
}

/// The JSON value that is the whole of a file, read strictly, with the notes of how the file began.
pub(super) fn json(path: &Path, limit: u64) -> Result<(Vec<Record>, Value)> {
    let (notes, text) = noted(path, Format::Json, limit)?;
    Ok((notes, parse::value(&text, &Place::at(path, 1, 1))?))
}

/// The first bytes of a file, unpacked and as UTF-8; none if they cannot be read.
pub(super) fn head(path: &Path, count: usize) -> Vec<u8> {
    let head = match Packing::of(path) {
        Some(_) => Source::bytes(path, |_| Ok(())).and_then(|mut source| source.peek(count)),
        None => begin(path, count),
    };
    let head = head.unwrap_or_default();
    let text = encoding::detect(&head).and_then(|encoding| encoding::decode(&head, encoding));
    text.map_or(head, String::into_bytes)
}

/// The first bytes of a file as they lie on disk.
fn begin(path: &Path, count: usize) -> Result<Vec<u8>> {
    regular(path)?;
    let failed = |error| input(path, "read", error);
    let file = File::open(path).map_err(failed)?;
    let mut head = Vec::with_capacity(count);
    file.take(count as u64)
        .read_to_end(&mut head)
        .map_err(failed)?;
    Ok(head)
}
