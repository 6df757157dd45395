//! What the first bytes of a file say about it.

use std::path::Path;

use super::encoding::wide;
use crate::error::{DataError, Place, Result, quoted};

/// How many bytes are looked at.
pub(super) const HEAD: usize = 1024;
/// UTF-8's byte order mark.
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How a file begins that Git LFS has not fetched.
pub(super) const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// What a file's name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    JsonLines,
    Json,
    Table,
    Text,
    Subtitles,
    #[cfg(feature = "mail")]
    Message,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Self::JsonLines => "JSON lines",
            Self::Json => "JSON",
            Self::Table => "a table of separated values",
            Self::Text => "text",
            Self::Subtitles => "subtitles",
            #[cfg(feature = "mail")]
            Self::Message => "an e-mail message",
        }
    }

    /// Whether it may be in another encoding than UTF-8: JSON has no other one, and a message says its own.
    pub(super) fn any_encoding(self) -> bool {
        matches!(self, Self::Table | Self::Text | Self::Subtitles)
    }

    fn is_json(self) -> bool {
        matches!(self, Self::JsonLines | Self::Json)
    }
}

/// Beginnings of files that are no text, and what they are.
const BINARY: [(&[u8], &str); 11] = [
    (b"\x1F\x8B", "gzip data"),
    (b"PK\x03\x04", "ZIP data"),
    (b"\x28\xB5\x2F\xFD", "zstd data"),
    (b"BZh", "bzip2 data"),
    (b"\xFD7zXZ\0", "xz data"),
    (b"%PDF-", "a PDF document"),
    (b"PAR1", "Parquet data"),
    (b"ARROW1", "Arrow data"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x89PNG", "a PNG image"),
    (b"\xD0\xCF\x11\xE0", "an old Office document"),
];

/// Refuses what is evidently something else than `format`. `unpacked` says that the bytes come out of a compressed
/// file.
pub(super) fn check(head: &[u8], path: &Path, format: Format, unpacked: bool) -> Result<()> {
    let wrong = |found, hint: String| {
        Err(DataError::WrongFormat {
            place: Place::file(path),
            found,
            expected: format.name(),
            hint,
        })
    };
    if head.starts_with(LFS_POINTER) {
        return wrong(
            "a Git LFS pointer: run git lfs pull",
            "The file itself was not downloaded".into(),
        );
    }
    if let Some((_, found)) = BINARY.iter().find(|(magic, _)| head.starts_with(magic)) {
        let hint = match (*found, unpacked) {
            ("gzip data" | "zstd data" | "bzip2 data" | "xz data", true) => {
                "It is packed twice: unpack it once".into()
            }
            ("gzip data", false) => rename(path, "gz"),
            ("zstd data", false) => rename(path, "zst"),
            ("bzip2 data", false) => rename(path, "bz2"),
            ("xz data", false) => rename(path, "xz"),
            ("ZIP data", false) => rename(path, "zip"),
            _ => "Unpack or convert it first".into(),
        };
        return wrong(found, hint);
    }
    if head.get(257..262) == Some(b"ustar".as_slice()) {
        return wrong("a TAR archive", rename(path, "tar"));
    }
    if let Some(found) =
        wide(head).filter(|found| !format.any_encoding() || found.starts_with("UTF-32"))
    {
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
    if format != Format::Text && !format.is_json() && is_json(head) {
        return wrong(
            "JSON",
            "If it is, end its name in .json, or in .jsonl if it has a record on each line".into(),
        );
    }
    Ok(())
}

pub(super) fn is_html(head: &[u8]) -> bool {
    let head = beginning(head);
    let starts =
        |tag: &[u8]| head.len() >= tag.len() && head[..tag.len()].eq_ignore_ascii_case(tag);
    starts(b"<!doctype html") || starts(b"<html")
}

/// Whether a text begins with an object of JSON, or with a list of objects, lists or texts.
fn is_json(head: &[u8]) -> bool {
    match beginning(head) {
        [b'{', inside @ ..] => matches!(inside.trim_ascii_start().first(), Some(b'"' | b'}')),
        [b'[', inside @ ..] => {
            matches!(inside.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'))
        }
        _ => false,
    }
}

/// Without a byte order mark and white space.
fn beginning(head: &[u8]) -> &[u8] {
    let head = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head);
    head.trim_ascii_start()
}

fn rename(path: &Path, extension: &str) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("Rename it to {}", quoted(&format!("{name}.{extension}")))
}
