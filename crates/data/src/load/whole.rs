//! Files that are read as a whole: their bytes or their text, bounded, and parsers from outside kept in bounds.

#![allow(dead_code, reason = "a loader of each kind uses its part")]

use std::fs::File;
use std::io::{Seek, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use super::encoding;
use super::file::{input, regular};
use super::packing::Packing;
use super::parse;
use super::sniff::Format;
use super::source::Source;
use super::text::{decode, unix_lines};
use crate::document::{Record, Value};
use crate::error::{DataError, Place, Result, escaped};

/// The largest file, in bytes, that becomes documents as a whole.
pub(super) const DOCUMENT_LIMIT: u64 = 256 << 20;
/// The largest file, in bytes, that is unpacked to be read at random.
const SPOOL_LIMIT: u64 = 16 << 30;
/// The stack of a parser from outside; its recursion is not ours to bound.
const STACK: usize = 64 << 20;
const HINT: &str = "Split the file";

/// The bytes of a file, unpacked.
pub(super) fn contents(path: &Path, limit: u64) -> Result<Vec<u8>> {
    Source::bytes(path, |_| Ok(()))?.read_all(limit, HINT)
}

/// The text of a file: unpacked, as UTF-8 whatever its encoding was, without a byte order mark, its lines ended by
/// `\n`.
pub(super) fn text(path: &Path, limit: u64) -> Result<String> {
    noted(path, Format::Text, limit).map(|(_, text)| text)
}

/// The text of a file as [`text`] gives it, with the notes of how the file began, and checked to be what `format` says.
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

/// The first bytes of a file, unpacked and as UTF-8; none if they cannot be read.
pub(super) fn head(path: &Path, count: usize) -> Vec<u8> {
    let head = Source::bytes(path, |_| Ok(())).and_then(|mut source| source.peek(count));
    let head = head.unwrap_or_default();
    let text = encoding::detect(&head).and_then(|encoding| encoding::decode(&head, encoding));
    text.map_or(head, String::into_bytes)
}

/// Runs a parser from outside: a panic becomes an error, and so does one that takes longer than `limit`, whose thread
/// is then left to itself.
pub(super) fn guarded<T: Send + 'static>(
    path: &Path,
    format: &'static str,
    limit: Duration,
    read: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().stack_size(STACK);
    let spawned = thread.spawn(move || {
        // Who gave up waiting wants no answer.
        let _ = sender.send(catch_unwind(AssertUnwindSafe(read)));
    });
    spawned.map_err(|error| input(path, "start a thread for", error))?;
    let broken = |message: String| DataError::Broken {
        place: Place::file(path),
        format,
        message,
        hint: "Repair or convert the file",
    };
    match receiver.recv_timeout(limit) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(broken(format!(
            "its parser failed ({})",
            escaped(panic_message(panic.as_ref()))
        ))),
        Err(_) => Err(broken(format!(
            "it takes longer than {} s",
            limit.as_secs()
        ))),
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parsers_are_kept_in_bounds() {
        let path = Path::new("a.x");
        let second = Duration::from_secs(1);
        assert_eq!(guarded(path, "thing", second, || Ok(1)).unwrap(), 1);
        let panicked = guarded::<()>(path, "thing", second, || panic!("index {}", 3));
        let message = panicked.unwrap_err().to_string();
        assert!(message.starts_with("a.x: cannot read the thing: its parser failed (index 3)"));
        let slow = guarded(path, "thing", Duration::from_millis(20), || {
            std::thread::sleep(Duration::from_secs(5));
            Ok(())
        });
        assert!(slow.unwrap_err().to_string().contains("longer than"));
    }
}
