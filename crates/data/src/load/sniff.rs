//! What the first bytes of a file say about it.

use std::path::Path;

use crate::error::{DataError, Place, Result, quoted};

/// How many bytes are looked at.
pub(super) const HEAD: usize = 1024;
/// UTF-8's byte order mark.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What a file's name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    JsonLines,
    Json,
    Table,
    Text,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "JSON lines",
            Self::Json => "JSON",
            Self::Table => "a table of separated values",
            Self::Text => "text",
        }
    }
}

/// Beginnings of files that are no text, and what they are.
const BINARY: [(&[u8], &str); 10] = [
    (b"\x1F\x8B", "gzip data"),
    (b"PK\x03\x04", "ZIP data"),
    (b"\x28\xB5\x2F\xFD", "zstd data"),
    (b"BZh", "bzip2 data"),
    (b"\xFD7zXZ\0", "xz data"),
    (b"%PDF-", "a PDF document"),
    (b"PAR1", "Parquet data"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x89PNG", "a PNG image"),
    (b"\xD0\xCF\x11\xE0", "an old Office document"),
];

/// Refuses what is evidently something else than `format`. `unpacked` says that the bytes come out of a `.gz`.
pub(super) fn check(head: &[u8], path: &Path, format: Format, unpacked: bool) -> Result<()> {
    let wrong = |found, hint: String| {
        Err(DataError::WrongFormat {
            place: Place::file(path),
            found,
            expected: format.name(),
            hint,
        })
    };
    if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        return wrong(
            "a Git LFS pointer: run git lfs pull",
            "The file itself was not downloaded".into(),
        );
    }
    if let Some((_, found)) = BINARY.iter().find(|(magic, _)| head.starts_with(magic)) {
        let hint = match (*found, unpacked) {
            ("gzip data", true) => "It is packed twice: unpack it once".into(),
            ("gzip data", false) => {
                format!("Rename it to {}", quoted(&format!("{}.gz", name(path))))
            }
            _ => "Unpack or convert it first".into(),
        };
        return wrong(found, hint);
    }
    if let Some(found) = other_encoding(head) {
        return Err(DataError::Encoding {
            place: Place::file(path),
            found,
        });
    }
    if format != Format::Text && is_html(head) {
        return wrong(
            "an HTML page",
            "The download may have failed: look at the file".into(),
        );
    }
    Ok(())
}

/// Refuses a `.gz` that is not gzip data.
pub(super) fn gzip(head: &[u8], path: &Path) -> Result<()> {
    if head.starts_with(b"\x1F\x8B") {
        return Ok(());
    }
    let found = if is_html(head) {
        "an HTML page"
    } else if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        "a Git LFS pointer: run git lfs pull"
    } else {
        "other data"
    };
    let hint = "Remove .gz from the name if it is not compressed".into();
    Err(DataError::WrongFormat {
        place: Place::file(path),
        found,
        expected: "gzip data",
        hint,
    })
}

/// UTF-16 and UTF-32, by their byte order marks or by where the zeros stand.
fn other_encoding(head: &[u8]) -> Option<&'static str> {
    match head {
        [0xFF, 0xFE, 0, 0, ..] => return Some("UTF-32LE"),
        [0, 0, 0xFE, 0xFF, ..] => return Some("UTF-32BE"),
        [0xFF, 0xFE, ..] => return Some("UTF-16LE"),
        [0xFE, 0xFF, ..] => return Some("UTF-16BE"),
        _ => {}
    }
    let zeros = |offset: usize| {
        head.iter()
            .skip(offset)
            .step_by(2)
            .filter(|byte| **byte == 0)
            .count()
    };
    let (even, odd, units) = (zeros(0), zeros(1), head.len() / 2);
    // Western text in UTF-16 has a zero in nearly every unit, always on the same side.
    match (even, odd) {
        _ if units < 2 => None,
        (0, zeros) if zeros * 2 > units => Some("UTF-16LE"),
        (zeros, 0) if zeros * 2 > units => Some("UTF-16BE"),
        _ => None,
    }
}

fn is_html(head: &[u8]) -> bool {
    let head = head
        .strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(head)
        .trim_ascii_start();
    let starts =
        |tag: &[u8]| head.len() >= tag.len() && head[..tag.len()].eq_ignore_ascii_case(tag);
    starts(b"<!doctype html") || starts(b"<html")
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
