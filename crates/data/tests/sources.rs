//! Where documents come from: encodings, compressed files, archives, folders, and files that fail.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use finetune_data::document::PlaceUnit;
use finetune_data::load::{Counts, Loaders, OnError, Reading};
use finetune_data::{DataError, Document, Documents, Load, Origin, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

fn load(path: &Path) -> Result<(Vec<Document>, Counts)> {
    Loaders::default().load_all(&[path], &OnError::Stop)
}

fn written(name: &str, content: impl AsRef<[u8]>) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    (folder, path)
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(content).unwrap();
    packer.finish().unwrap()
}

#[test]
fn texts_and_tables_are_read_in_any_encoding() {
    let text = "Ångström ça\nété\n";
    let utf16 = |mark: &str, little: bool| -> Vec<u8> {
        let units: Vec<u16> = format!("{mark}{text}").encode_utf16().collect();
        let bytes = |unit: u16| {
            if little {
                unit.to_le_bytes()
            } else {
                unit.to_be_bytes()
            }
        };
        units.into_iter().flat_map(bytes).collect()
    };
    let cases = [
        (utf16("\u{feff}", true), Some("UTF-16LE"), 1),
        (utf16("\u{feff}", false), Some("UTF-16BE"), 1),
        (utf16("", true), Some("UTF-16LE"), 0),
        (
            b"\xC5ngstr\xF6m \xE7a\n\xE9t\xE9\n".to_vec(),
            Some("windows-1252"),
            0,
        ),
        (text.as_bytes().to_vec(), None, 0),
        (format!("\u{feff}{text}").into_bytes(), None, 1),
    ];
    for (bytes, encoding, marks) in cases {
        for (name, bytes) in [("a.txt", bytes.clone()), ("a.txt.gz", gz(&bytes))] {
            let (_folder, path) = written(name, bytes);
            let (documents, counts) = load(&path).unwrap();
            assert_eq!(documents[0].text, text, "{encoding:?}");
            assert_eq!(counts.byte_order_marks, marks, "{encoding:?}");
            let found: Vec<&str> = counts.encodings.keys().map(String::as_str).collect();
            assert_eq!(found, Vec::from_iter(encoding), "{name}");
        }
    }
    let (_folder, path) = written("a.csv", utf16("\u{feff}", true));
    let (documents, _) = load(&path).unwrap();
    assert_eq!(documents[0].fields["Ångström ça"], "été");
}

#[test]
fn a_half_surrogate_is_an_error() {
    let (_folder, path) = written("a.txt", b"\xFF\xFEa\0\x00\xD8b\0");
    let error = load(&path).unwrap_err();
    assert_eq!(error.kind(), "undecodable");
    assert!(
        error
            .to_string()
            .contains("a.txt: the text is not valid UTF-16LE")
    );
}

/// A record too long to hold goes to the quarantine as it was understood, whatever its encoding and packing.
#[test]
fn a_long_record_is_quarantined_from_any_encoding() {
    let long = "é".repeat(9 << 20);
    let text = format!("a\n{long}\nok\n");
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (folder, path) = written("a.csv", [b"\xFF\xFE".to_vec(), bytes].concat());
    let bad = folder.path().join("bad");
    let (documents, counts) = Loaders::default()
        .load_all(&[path], &OnError::Quarantine(bad.clone()))
        .unwrap();
    assert_eq!((documents.len(), counts.quarantined), (1, 1));
    assert!(fs::read_to_string(bad).unwrap() == format!("{long}\n"));
}

const LINES: &str = "{\"a\":1}\n{\"a\":2}\n";

fn packed() -> Vec<(&'static str, Vec<u8>)> {
    Vec::from([
        ("a.jsonl.gz", gz(LINES.as_bytes())),
        #[cfg(feature = "zstd")]
        ("a.jsonl.zst", zstd::encode_all(LINES.as_bytes(), 3).unwrap()),
        #[cfg(feature = "bz2")]
        ("a.jsonl.bz2", {
            let mut packer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
            packer.write_all(LINES.as_bytes()).unwrap();
            packer.finish().unwrap()
        }),
        // Python: lzma.compress(LINES)
        #[cfg(feature = "xz")]
        ("a.jsonl.xz", b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x0f\x7b\x22\x61\x22\x3a\x31\x7d\x0a\x7b\x22\x61\x22\x3a\x32\x7d\x0a\x00\x14\x5f\x11\x02\x79\xf7\x0d\xcc\x00\x01\x28\x10\xe5\x0b\x6c\x60\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a".to_vec()),
    ])
}

#[test]
fn packed_files_are_unpacked_and_checked() {
    for (name, bytes) in packed() {
        let (_folder, path) = written(name, &bytes);
        let (documents, counts) = load(&path).unwrap();
        assert_eq!(documents[1].fields["a"], 2, "{name}");
        assert_eq!(documents[1].origin, Origin::new(&path, 2));
        assert_eq!((counts.files, counts.read), (1, 2));

        let twice = [bytes.clone(), bytes.clone()].concat();
        let (_folder, path) = written(name, twice);
        assert_eq!(
            load(&path).unwrap().0.len(),
            4,
            "pieces are one file: {name}"
        );

        let (_folder, path) = written(name, &bytes[..bytes.len() - 5]);
        assert_eq!(load(&path).unwrap_err().kind(), "truncated", "{name}");

        let mut damaged = bytes.clone();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 0x55;
        let (_folder, path) = written(name, damaged);
        let kind = load(&path).unwrap_err().kind();
        assert!(
            matches!(kind, "checksum" | "truncated" | "json syntax"),
            "{name}: {kind}"
        );

        let (_folder, path) = written(name, "plain");
        let error = load(&path).unwrap_err();
        assert_eq!(error.kind(), "wrong format", "{name}: {error}");
        // The right data under a name that does not say how it is packed.
        let (_folder, path) = written("a.jsonl", &bytes);
        let message = load(&path).unwrap_err().to_string();
        let extension = name.rsplit('.').next().unwrap();
        assert!(
            message.contains(&format!("Rename it to \"a.jsonl.{extension}\"")),
            "{message}"
        );
    }
}

#[test]
fn bombs_are_refused() {
    let zeros = vec![b' '; 64 << 20];
    let bombs = [
        ("a.txt.gz", gz(&zeros)),
        #[cfg(feature = "zstd")]
        ("a.txt.zst", zstd::encode_all(zeros.as_slice(), 3).unwrap()),
    ];
    for (name, bomb) in bombs {
        let (_folder, path) = written(name, bomb);
        let error = load(&path).unwrap_err();
        assert_eq!(error.kind(), "limit exceeded", "{name}");
        assert!(error.to_string().contains("ratio"), "{error}");
    }
}

/// A file that cannot be read counts as one broken record; what follows is read.
#[test]
fn the_policy_says_what_becomes_of_a_file_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("in");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("a.jsonl"), "{\"n\":1}\n").unwrap();
    fs::write(root.join("b.jsonl"), "PK\x03\x04 no lines").unwrap();
    fs::write(root.join("c.csv"), "n\n2\n\"open\n").unwrap();
    fs::write(root.join("d.jsonl"), "{\"n\":3}\n{\n").unwrap();
    let run = |on_error: &OnError| Loaders::default().load_all(&[&root], on_error);
    let error = run(&OnError::Stop).unwrap_err();
    assert!(
        error.to_string().contains("b.jsonl: found ZIP data"),
        "{error}"
    );

    let (documents, counts) = run(&OnError::Skip).unwrap();
    assert_eq!(documents.len(), 3);
    assert_eq!(
        (counts.read, counts.kept, counts.skipped, counts.files),
        (6, 3, 3, 4)
    );
    assert_eq!(counts.reasons["wrong format"].count, 1);

    let bad = folder.path().join("bad");
    let (_, counts) = run(&OnError::Quarantine(bad.clone())).unwrap();
    assert_eq!((counts.read, counts.kept, counts.quarantined), (6, 3, 3));
    assert_eq!(fs::read_to_string(&bad).unwrap(), "{\n");
    let why = fs::read_to_string(folder.path().join("bad.why")).unwrap();
    assert_eq!(why.lines().count(), 3, "{why}");
}

/// One document per file, after a pause that is longest for the first.
struct Slow;

impl Load for Slow {
    fn extensions(&self) -> &[&str] {
        &["slow"]
    }

    fn whole(&self) -> bool {
        true
    }

    fn recognises(&self, _: &Path, head: &[u8]) -> bool {
        head.starts_with(b"SLOW")
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        let text = fs::read_to_string(path).unwrap();
        let pause = text.trim_start_matches("SLOW").parse().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(pause));
        let origin = Origin::of(path, PlaceUnit::Page, 1);
        Ok(Box::new(std::iter::once(Ok(Document {
            text,
            fields: finetune_data::Fields::new(),
            origin,
        }))))
    }
}

#[test]
fn files_come_in_order_whatever_the_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..12 {
        let name = if index % 3 == 0 { "txt" } else { "slow" };
        let path = folder.path().join(format!("{index:02}.{name}"));
        fs::write(path, format!("SLOW{}", 24 - 2 * index)).unwrap();
    }
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&seen);
        let loaders = Loaders::default()
            .with(Slow)
            .watch(move |reading: Reading| told.lock().unwrap().push(reading));
        let load = || loaders.load_all(&[folder.path()], &OnError::Stop);
        let loaded = pool.unwrap().install(load).unwrap();
        let last = *seen.lock().unwrap().last().unwrap();
        assert_eq!((last.done, last.records), (last.total, 12));
        loaded
    };
    let (documents, counts) = run(1);
    assert_eq!(documents.len(), 12);
    assert!(documents.is_sorted_by_key(|document| &document.origin));
    assert!(documents[0].origin.to_string().ends_with("00.txt, page 1"));
    assert_eq!(counts.files, 12);
    for threads in [2, 8] {
        assert_eq!(run(threads), (documents.clone(), counts.clone()));
    }
}

#[cfg(feature = "archives")]
mod archives {
    use std::io::Cursor;

    use super::*;

    fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default())
                .unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            // `set_path` refuses the names that are to be tried.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap()
    }

    const FILES: [(&str, &[u8]); 4] = [
        ("b/2.jsonl", b"{\"n\":2}\n{\n"),
        ("a.csv", b"n\n1\n"),
        ("b/image.png", b"no"),
        ("c.txt.gz", b"\x1F\x8Bbroken"),
    ];

    #[test]
    fn an_archive_is_read_as_the_folder_that_it_holds() {
        for (name, bytes) in [
            ("x.zip", zip(&FILES)),
            ("x.tar", tar(&FILES)),
            ("x.tar.gz", gz(&tar(&FILES))),
        ] {
            let (folder, path) = written(name, bytes);
            let bad = folder.path().join("bad");
            let (documents, counts) = Loaders::default()
                .load_all(&[&path], &OnError::Quarantine(bad.clone()))
                .unwrap();
            let origins: Vec<Origin> = documents.iter().map(|d| d.origin.clone()).collect();
            let expected = [
                Origin::new(path.join("a.csv"), 2),
                Origin::new(path.join("b/2.jsonl"), 1),
            ];
            assert_eq!(origins, expected, "{name}");
            assert_eq!((counts.files, counts.passed_over), (3, 1));
            assert_eq!((counts.read, counts.kept, counts.quarantined), (4, 2, 2));
            let why = fs::read_to_string(folder.path().join("bad.why")).unwrap();
            let inside = path.join("b/2.jsonl").display().to_string();
            assert!(why.starts_with(&format!("{inside}:3:1: ")), "{why}");
            assert_eq!(fs::read_to_string(bad).unwrap(), "{\n");
        }
    }

    #[test]
    fn archives_inside_of_archives_are_opened_to_a_depth() {
        let mut bytes = zip(&[("a.txt", b"deep")]);
        for depth in 1..=4 {
            let (_folder, path) = written("x.zip", &bytes);
            match load(&path) {
                Ok((documents, _)) => {
                    assert!(depth <= 3);
                    assert_eq!(documents[0].text, "deep");
                    let inside = documents[0].origin.path.strip_prefix(&path).unwrap();
                    assert_eq!(inside.components().count(), depth);
                }
                Err(error) => assert!(depth == 4 && error.kind() == "limit exceeded", "{error}"),
            }
            bytes = zip(&[("in.zip", &bytes)]);
        }
    }

    #[test]
    fn hostile_archives_are_refused() {
        let zeros = vec![0; 8 << 20];
        let cases = [
            ("x.zip", zip(&[("../out.txt", b"x")]), "leads out of it"),
            ("x.zip", zip(&[("/out.txt", b"x")]), "is not relative"),
            (
                "x.zip",
                zip(&[("a/../../out.txt", b"x")]),
                "leads out of it",
            ),
            ("x.zip", zip(&[("C:\\out.txt", b"x")]), "is not relative"),
            ("x.zip", zip(&[("a.txt", &zeros)]), "unpacked size"),
            ("x.tar", tar(&[("../out.txt", b"x")]), "leads out of it"),
            ("x.tar", tar(&[("/out.txt", b"x")]), "is not relative"),
            ("x.tar", tar(&[("a.txt", b"x"), ("a.txt", b"y")]), "twice"),
            ("x.tar.gz", gz(&tar(&[("a.txt", &zeros)])), "ratio"),
            ("x.zip", zip(&FILES)[..100].to_vec(), "x.zip: "),
            ("x.tar", tar(&FILES)[..700].to_vec(), "x.tar: "),
            (
                "x.zip",
                b"no archive".to_vec(),
                "cannot read the ZIP container",
            ),
        ];
        for (name, bytes, part) in cases {
            let (folder, path) = written(name, bytes);
            let error = load(&path).map(drop).unwrap_err().to_string();
            assert!(error.contains(part), "{part}: {error}");
            let around: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
            assert_eq!(around.len(), 1, "nothing is written beside it");
        }
        assert!(!Path::new("/out.txt").exists());
    }

    /// A long record of a file in an archive is copied from there.
    #[test]
    fn a_long_record_of_an_archive_is_quarantined() {
        let long = format!("{{\"a\":\"{}\"}}\n{{\"a\":1}}\n", "xyz ".repeat(5 << 20));
        let (folder, path) = written("x.tar", tar(&[("a.jsonl", long.as_bytes())]));
        let bad = folder.path().join("bad");
        let (documents, counts) = Loaders::default()
            .load_all(&[path], &OnError::Quarantine(bad.clone()))
            .unwrap();
        assert_eq!((documents.len(), counts.quarantined), (1, 1));
        assert_eq!(fs::metadata(bad).unwrap().len(), (20 << 20) + 9);
    }
}

#[test]
fn a_loader_that_is_not_compiled_in_is_named() {
    let optional = [
        ("a.jsonl.zst", cfg!(feature = "zstd"), "zstd"),
        ("a.zip", cfg!(feature = "archives"), "archives"),
    ];
    for (name, on, feature) in optional {
        let (_folder, path) = written(name, b"\x28\xB5\x2F\xFD");
        let error: DataError = load(&path).unwrap_err();
        let named = error
            .to_string()
            .contains(&format!("without the feature {feature}"));
        assert_eq!(named, !on, "{error}");
    }
}
