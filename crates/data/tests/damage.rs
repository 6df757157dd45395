//! Good files of every format, damaged at random: each ends in documents or in an error, in time, and never in a panic.

#![cfg(all(
    feature = "archives",
    feature = "arrow",
    feature = "bz2",
    feature = "epub",
    feature = "mail",
    feature = "parquet",
    feature = "pdf",
    feature = "sheets",
    feature = "sqlite",
    feature = "wikipedia"
))]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::io::{Cursor, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use finetune_data::load::{Loaders, OnError};
use proptest::prelude::*;
use proptest::sample::Index;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The longest that a file may take.
const TIME: Duration = Duration::from_secs(10);

/// Formats by the endings of golden files, and how a file of each must be called.
const FORMATS: [(&str, &str); 27] = [
    ("arrow", "a.arrow"),
    ("bz2", "a.xml.bz2"),
    ("csv", "a.csv"),
    ("docx", "a.docx"),
    ("eml", "a.eml"),
    ("epub", "a.epub"),
    ("feather", "a.feather"),
    ("gz", "a.sqlite.gz"),
    ("html", "a.html"),
    ("ipynb", "a.ipynb"),
    ("json", "a.json"),
    ("jsonl", "a.jsonl"),
    ("mbox", "a.mbox"),
    ("md", "a.md"),
    ("odp", "a.odp"),
    ("ods", "a.ods"),
    ("odt", "a.odt"),
    ("parquet", "a.parquet"),
    ("pdf", "a.pdf"),
    ("pptx", "a.pptx"),
    ("srt", "a.srt"),
    ("txt", "a.txt"),
    ("vtt", "a.vtt"),
    ("xlsx", "a.xlsx"),
    // Recognised by what they hold.
    ("zip", "a.zip"),
    ("xml", "a.xml"),
    ("sqlite", "a.sqlite"),
];

/// What happens to bytes, at places that are shares of their length.
#[derive(Debug, Clone)]
enum Damage {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize, usize),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let length = bytes.len();
        match self {
            Self::Set(at, byte) => bytes[at.index(length)] = *byte,
            Self::Flip(at, bit) => bytes[at.index(length)] ^= 1 << (bit % 8),
            Self::Cut(at) => bytes.truncate(at.index(length)),
            Self::Remove(at, count) => {
                let start = at.index(length);
                bytes.drain(start..(start + count).min(length));
            }
            Self::Repeat(at, count, times) => {
                let start = at.index(length);
                let part = bytes[start..(start + count).min(length)].repeat(*times);
                bytes.splice(start..start, part);
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(&b"\0\xFF\n \"'<>&;[]{}()-9/\\"[..])
    ];
    prop_oneof![
        4 => (any::<Index>(), byte).prop_map(|(at, byte)| Damage::Set(at, byte)),
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        1 => any::<Index>().prop_map(Damage::Cut),
        2 => (any::<Index>(), 1_usize..200).prop_map(|(at, count)| Damage::Remove(at, count)),
        2 => (any::<Index>(), 1_usize..200, 1_usize..20)
            .prop_map(|(at, count, times)| Damage::Repeat(at, count, times)),
    ]
}

/// The golden files by their endings.
fn files() -> Vec<(&'static str, PathBuf)> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, files);
            } else {
                files.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    collect(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"),
        &mut paths,
    );
    paths.sort();
    let named = paths.into_iter().filter_map(|path| {
        let extension = path.extension()?.to_str()?.to_owned();
        let name = FORMATS.iter().find(|(known, _)| *known == extension)?.1;
        Some((name, path))
    });
    named.collect()
}

/// The container with one of its entries damaged, and right checksums. The container itself is left as it is.
fn in_an_entry(container: &[u8], which: Index, damages: &[Damage]) -> Option<Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(container)).ok()?;
    let hurt = which.index(archive.len());
    let mut written = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if index == hurt {
            for damage in damages {
                damage.apply(&mut bytes);
            }
        }
        written.start_file(name, options).unwrap();
        written.write_all(&bytes).unwrap();
    }
    Some(written.finish().unwrap().into_inner())
}

fn survives(name: &str, bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    let started = Instant::now();
    if let Ok((documents, counts)) = Loaders::default().load_all(&[&path], &OnError::Skip) {
        assert!(counts.balanced(), "{name}: {counts}");
        assert_eq!(documents.len() as u64, counts.kept, "{name}");
    }
    assert!(started.elapsed() < TIME, "{name}: {:?}", started.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn damaged_files_end_in_documents_or_an_error(
        file in prop::sample::select(files()),
        damages in prop::collection::vec(damage(), 1..5),
        which: Index,
    ) {
        let (name, path) = file;
        let mut bytes = fs::read(path).unwrap();
        if let Some(container) = in_an_entry(&bytes, which, &damages) {
            survives(name, &container);
        }
        for damage in &damages {
            damage.apply(&mut bytes);
        }
        survives(name, &bytes);
    }
}
