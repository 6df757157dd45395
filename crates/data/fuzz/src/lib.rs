//! What the targets share: files, containers, checksums and servers made of the bytes of a run.

mod panics;
mod served;

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::sync::OnceLock;

use finetune_data::load::{Loaders, OnError};
use serde_json::Value;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub use served::{listing, robots, sitemap};

/// Loads bytes as a file of this name: whatever they are, there are documents or an error, and the counts add up.
///
/// # Panics
///
/// If that is not so; and if the file cannot be written.
pub fn load(name: &str, bytes: &[u8]) {
    load_with(&Loaders::default(), name, bytes);
}

/// [`load`] with other loaders.
///
/// # Panics
///
/// As [`load`].
pub fn load_with(loaders: &Loaders, name: &str, bytes: &[u8]) {
    let path = written(name, bytes);
    if let Ok((documents, counts)) = loaders.load_all(&[&path], &OnError::Skip) {
        assert!(counts.balanced(), "{counts}");
        assert_eq!(documents.len() as u64, counts.kept);
    }
}

/// [`load`] of a ZIP container. The bytes are the container, or its entries: name, content, name, content, with a zero
/// byte between each. In this form a change of a byte reaches the parser of the entry and not only a checksum.
///
/// # Panics
///
/// As [`load`].
pub fn load_parts(name: &str, bytes: &[u8]) {
    if bytes.starts_with(b"PK") {
        return load(name, bytes);
    }
    let fields: Vec<&[u8]> = bytes.split(|byte| *byte == 0).collect();
    let mut container = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for [part, content] in fields.as_chunks::<2>().0 {
        // The writer refuses a name that stands there twice.
        let begun = container.start_file(String::from_utf8_lossy(part), options);
        if begun.is_ok() {
            container.write_all(content).expect("memory does not fail");
        }
    }
    let container = container.finish().expect("memory does not fail");
    load(name, container.get_ref());
}

/// A file of this name with these bytes, in the folder of this process.
///
/// # Panics
///
/// If it cannot be written.
pub fn written(name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder().join(name);
    let parent = path.parent().expect("it lies in a folder");
    fs::create_dir_all(parent).expect("a folder is made");
    fs::write(&path, bytes).expect("a file is written");
    path
}

fn folder() -> PathBuf {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        panics::leave_foreign_ones_to_the_guard();
        tempfile::tempdir().expect("a temporary folder")
    });
    folder.path().to_path_buf()
}

/// A shard with the checksums and the length that it should have, so that what stands behind them is reached.
pub fn sealed(shard: &[u8]) -> Vec<u8> {
    sealed_sections(shard).unwrap_or_else(|| shard.to_vec())
}

fn sealed_sections(shard: &[u8]) -> Option<Vec<u8>> {
    let mut sealed = shard.to_vec();
    let length = u32::from_le_bytes(*shard.get(12..)?.first_chunk()?) as usize;
    let span = 32..length.checked_add(32)?;
    let mut header: Value = serde_json::from_slice(shard.get(span.clone())?).ok()?;
    for section in header.get_mut("sections")?.as_array_mut()? {
        let number = |name: &str| usize::try_from(section.get(name)?.as_u64()?).ok();
        let start = number("offset")?;
        let bytes = shard.get(start..start.checked_add(number("bytes")?)?)?;
        *section.get_mut("xxh3")? = format!("{:016x}", xxh3_64(bytes)).into();
    }
    let header = serde_json::to_vec(&header).ok()?;
    if header.len() == length {
        sealed[span.clone()].copy_from_slice(&header);
    }
    let hash = xxh3_64(&sealed[span]);
    sealed[16..24].copy_from_slice(&hash.to_le_bytes());
    let length = sealed.len() as u64;
    sealed[24..32].copy_from_slice(&length.to_le_bytes());
    Some(sealed)
}
