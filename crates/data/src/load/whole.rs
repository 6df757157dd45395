//! Files that are read as a whole: their bytes or their text, bounded.

use std::borrow::Cow;
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

/// The largest export of a messenger. One of 100 MB is not rare, and takes about five times its size in memory.
pub(super) const EXPORT_LIMIT: Limit = Limit {
    bytes: DOCUMENT_LIMIT,
    memory: 1 << 30,
    hint: "Export a part of it, such as a year",
};

/// How large a file may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) bytes: u64,
    /// How many bytes of memory the lists and objects of a value may take.
    pub(super) memory: usize,
    /// What to do with a larger one.
    pub(super) hint: &'static str,
}

impl From<u64> for Limit {
    /// That of a file that can be split.
    fn from(bytes: u64) -> Self {
        Self {
            bytes,
            memory: parse::MEMORY,
            hint: "Split the file",
        }
    }
}

/// The bytes of a file, unpacked.
#[cfg(any(feature = "html", feature = "pdf"))]
pub(super) fn contents(path: &Path, limit: impl Into<Limit>) -> Result<Vec<u8>> {
    all(&mut Source::bytes(path, |_| Ok(()))?, limit)
}

/// The bytes of a file, unpacked and checked to be what `format` says.
#[cfg(feature = "mail")]
pub(super) fn checked(path: &Path, format: Format, limit: impl Into<Limit>) -> Result<Vec<u8>> {
    all(&mut Source::open(path, format)?, limit)
}

fn all(source: &mut Source, limit: impl Into<Limit>) -> Result<Vec<u8>> {
    let limit = limit.into();
    source.read_all(limit.bytes, limit.hint)
}

/// The text of a file, with the notes of how the file began: unpacked, checked to be what `format` says, as UTF-8
/// whatever its encoding was, without a byte order mark, its lines ended by `\n`.
pub(super) fn noted(
    path: &Path,
    format: Format,
    limit: impl Into<Limit>,
) -> Result<(Vec<Record>, String)> {
    let mut source = Source::open(path, format)?;
    let notes = source.notes().collect();
    let bytes = all(&mut source, limit)?;
    let text = match unix_lines(decode(&bytes, &Place::at(path, 1, 1))?) {
        Cow::Owned(text) => text,
        // A large text is not held twice.
        Cow::Borrowed(_) => String::from_utf8(bytes).expect("it was decoded"),
    };
    Ok((notes, text))
}

/// The JSON value that is the whole of a file, read strictly, with the notes of how the file began.
pub(super) fn json(path: &Path, limit: impl Into<Limit>) -> Result<(Vec<Record>, Value)> {
    let limit = limit.into();
    let (notes, text) = noted(path, Format::Json, limit)?;
    let value = parse::value_within(&text, &Place::at(path, 1, 1), limit.memory)?;
    Ok((notes, value))
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
