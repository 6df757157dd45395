//! Files that mean harm: each ends in a clear error or in what can be read, within its time and its memory, and leaves
//! nothing behind.
//!
//! Every file is loaded by a process of its own, so that its peak of memory is its own, and a crash is its own too.

#![cfg(all(
    target_os = "linux",
    feature = "archives",
    feature = "arrow",
    feature = "bz2",
    feature = "datasets",
    feature = "epub",
    feature = "mail",
    feature = "parquet",
    feature = "pdf",
    feature = "sheets",
    feature = "sqlite",
    feature = "wikipedia",
    feature = "xz",
    feature = "zstd"
))]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use finetune_data::load::{DatasetFolder, Loaders, OnError};
use finetune_data::{Result, Value};
use flate2::Compression;
use flate2::write::GzEncoder;
use rayon::prelude::*;

/// The most memory that a file may cost, the program included.
const PEAK: u64 = 512 << 20;
/// The longest that a file may take, in seconds of all processors together.
const TIME: f64 = 30.0;
/// When a process is ended: a machine that does other things too must not fail the test.
const PATIENCE: Duration = Duration::from_mins(2);

#[test]
fn every_file_becomes_what_is_written_beside_it() {
    let folder = hostile("");
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    let found: Vec<String> = files
        .par_iter()
        .filter(|path| !path.ends_with("outcomes.txt"))
        .map(|path| {
            let name = path.strip_prefix(&folder).unwrap().display();
            format!("{name}: {}\n", alone(path, Way::Streamed))
        })
        .collect();
    let written = fs::read_to_string(folder.join("outcomes.txt")).unwrap();
    let difference: Vec<&String> = found
        .iter()
        .filter(|line| !written.lines().any(|known| known == line.trim_end()))
        .collect();
    assert!(difference.is_empty(), "{difference:#?}");
    assert_eq!(written.lines().count(), found.len());
}

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

fn hostile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/hostile")
        .join(name)
}

/// How a file is loaded.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Streamed,
    /// All documents are held.
    AtOnce,
}

/// What another process that loads a file and does nothing else makes of it: the kind of the error, or the number of
/// documents. Its folder and that for temporary files are empty before and behind it.
fn alone(path: &Path, way: Way) -> String {
    let around = tempfile::tempdir().unwrap();
    let [here, temporary] = ["here", "temporary"].map(|name| around.path().join(name));
    fs::create_dir(&here).unwrap();
    fs::create_dir(&temporary).unwrap();
    let started = Instant::now();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "loads_alone", "--ignored", "--nocapture"])
        .env("HOSTILE_FILE", path)
        .envs((way == Way::AtOnce).then_some(("HOSTILE_AT_ONCE", "1")))
        .env("TMPDIR", &temporary)
        .current_dir(&here)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let took = started.elapsed();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("loaded "));
    let figures: Vec<&str> = line.unwrap_or_default().splitn(3, ' ').collect();
    let [peak, seconds, outcome] = figures[..] else {
        return format!("{} after {took:?}", output.status);
    };
    let (peak, seconds): (u64, f64) = (peak.parse().unwrap(), seconds.parse().unwrap());
    let left = [&here, &temporary].map(|folder| fs::read_dir(folder).unwrap().count());
    let around = fs::read_dir(around.path()).unwrap().count();
    println!("{}: {seconds} s, {} MB", path.display(), peak >> 20);
    if (left, around) != ([0, 0], 2) {
        format!("{outcome}, and left {left:?} and {around} files behind")
    } else if seconds > TIME || peak > PEAK {
        format!("{outcome}, and took {seconds} s and {} MB", peak >> 20)
    } else {
        outcome.to_owned()
    }
}

#[test]
#[ignore = "runs in a process of its own"]
fn loads_alone() {
    let Some(path) = std::env::var_os("HOSTILE_FILE") else {
        return;
    };
    let path = Path::new(&path);
    let loaded = match std::env::var_os("HOSTILE_AT_ONCE") {
        Some(_) => {
            let loaded = Loaders::default().load_all(&[path], &OnError::Stop);
            loaded.map(|(documents, _)| documents.len())
        }
        None => documents(path),
    };
    let outcome = match loaded {
        Ok(documents) => format!("{documents} documents"),
        Err(error) => {
            let message = error.to_string();
            let name = path.file_name().unwrap().to_string_lossy();
            // An export of Slack names its people in a file beside its folders.
            let named = [&*name, "users.json"].map(|name| message.contains(name));
            assert!(named.contains(&true), "{message}");
            assert!(!message.contains(char::is_control), "{message}");
            assert!(message.len() < 2000, "{message}");
            eprintln!("{message}");
            error.kind().to_owned()
        }
    };
    // A line of its own: the test's name stands before the first one.
    println!("\nloaded {} {} {outcome}", peak(), seconds());
}

/// The number of documents, read one after the other as a stream does: those of the first 4 GiB, for a file may repeat a
/// long value as often as it likes.
fn documents(path: &Path) -> Result<usize> {
    let (mut count, mut bytes) = (0, 0);
    for document in Loaders::default().load(path)? {
        let document = document?;
        let texts = document.fields.values().filter_map(Value::as_str);
        bytes += document.text.len() + texts.map(str::len).sum::<usize>();
        count += 1;
        if bytes > 4 << 30 {
            break;
        }
    }
    Ok(count)
}

/// The most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}

/// The processors' time that this process has had.
fn seconds() -> f64 {
    let status = fs::read_to_string("/proc/self/stat").unwrap();
    // The name, in brackets, may hold spaces. Behind it are the state and ten numbers, then user's and system's time in
    // hundredths.
    let behind = status.rsplit(')').next().unwrap().split_whitespace();
    let ticks = behind
        .skip(11)
        .take(2)
        .map(|ticks| ticks.parse::<u32>().unwrap());
    f64::from(ticks.sum::<u32>()) / 100.0
}

/// What is wrong is said with its place inside of the archive, and what to do.
#[test]
fn messages_name_the_fault_and_what_to_do() {
    let cases: [(&str, &[&str]); 12] = [
        (
            "archives/packed_in.zip",
            &[
                "packed_in.zip/a.jsonl.gz: the size",
                "out of what lies in it",
                "unpack it first",
            ],
        ),
        (
            "archives/packed_in_tar.zip",
            &["packed_in_tar.zip/a.tar/a.jsonl.gz: the size"],
        ),
        (
            "archives/packed_in.tar.gz",
            &["packed_in.tar.gz/a.jsonl.gz: the size"],
        ),
        (
            "archives/packed_tar_in.zip",
            &["packed_tar_in.zip/a.tar.gz: the size"],
        ),
        (
            "archives/packed_zip_in.zip",
            &["packed_zip_in.zip/a.zip.gz: the size"],
        ),
        (
            "archives/method.zip",
            &["the method 99 (Aes)", "\"a.jsonl\"", "Deflate"],
        ),
        (
            "names/rows.eml",
            &["found JSON; expected an e-mail message", "name in .json"],
        ),
        ("names/records.csv", &["found JSON; expected a table"]),
        ("names/notebook.srt", &["found JSON; expected subtitles"]),
        (
            "names/page.vtt",
            &["found an HTML page; expected subtitles"],
        ),
        (
            "names/grid.eml",
            &["cannot read the message: it has no header"],
        ),
        (
            "names/old_office.xls",
            &["the old format of Office", "Save it as .xlsx"],
        ),
    ];
    for (name, parts) in cases {
        let error = documents(&hostile(name)).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{name}: {error}");
        }
    }
}

/// Where an archive becomes too large does not depend on how many of its files are read at once.
#[test]
fn an_archive_is_counted_alike_by_any_number_of_threads() {
    // 20 MB in 140 KB of pieces that are the same, which are packed once more.
    let mut digits = Vec::new();
    for number in 0..250_u64 {
        write!(
            digits,
            "{}",
            number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16
        )
        .unwrap();
    }
    let mut piece = GzEncoder::new(Vec::new(), Compression::default());
    piece.write_all(&digits).unwrap();
    piece.write_all(&b" ".repeat(280_000)).unwrap();
    let packed = piece.finish().unwrap().repeat(70);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.zip");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let mut add = |name: &str, content: &[u8]| {
        let options = zip::write::SimpleFileOptions::default();
        archive.start_file(name, options).unwrap();
        archive.write_all(content).unwrap();
    };
    add("a.txt", b"A text.");
    for name in ["b", "c", "d", "e", "f", "g"] {
        add(&format!("{name}.ipynb.gz"), &packed);
    }
    archive.finish().unwrap();
    let counts = [1, 2, 5].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let load = || Loaders::default().load_all(&[&path], &OnError::Skip);
        pool.build().unwrap().install(load).unwrap().1
    });
    assert_eq!(
        counts[0].reasons["limit exceeded"].count, 3,
        "{}",
        counts[0]
    );
    assert_eq!((counts[0].kept, counts[0].skipped), (1, 6));
    assert!(counts.iter().all(|found| *found == counts[0]), "{counts:?}");
}

/// A file that repeats a value without end fills no memory with it.
#[test]
fn files_are_held_at_once_in_bounded_memory() {
    for name in ["constant.arrow", "constant.parquet", "repeated.parquet"] {
        let found = alone(&hostile(name), Way::AtOnce);
        assert_eq!(found, "limit exceeded", "{name}");
    }
}

/// What becomes of files with a line of 40 MB, which are too large to lie beside this test.
#[test]
fn gigantic_lines_are_refused_or_read_in_bounded_memory() {
    let line = b"word ".repeat(8 << 20);
    let cases: [(&str, &[u8], &[u8], &str); 16] = [
        ("a.txt", b"", b"", "1 documents"),
        ("a.md", b"# ", b"", "1 documents"),
        ("b.md", b"---\ntitle: ", b"\n---\n", "1 documents"),
        ("a.csv", b"a,b\n", b"", "line too long"),
        ("b.csv", b"", b"\n", "line too long"),
        ("a.jsonl", b"{\"a\":\"", b"\"}\n", "line too long"),
        ("a.json", b"[{\"a\":\"", b"\"}]", "line too long"),
        (
            "a.ipynb",
            b"{\"nbformat\":4,\"cells\":[{\"cell_type\":\"code\",\"source\":\"",
            b"\"}]}",
            "1 documents",
        ),
        ("a.html", b"<html><p>", b"</p>", "limit exceeded"),
        (
            "b.html",
            b"<html><p class=\"",
            b"\">a</p>",
            "limit exceeded",
        ),
        (
            "a.srt",
            b"1\n00:00:01,000 --> 00:00:02,000\n",
            b"\n",
            "limit exceeded",
        ),
        (
            "a.vtt",
            b"WEBVTT\n\n00:01.000 --> 00:02.000\n",
            b"\n",
            "limit exceeded",
        ),
        ("a.eml", b"Subject: ", b"\n\nbody", "limit exceeded"),
        ("b.eml", b"Subject: a\n\n", b"", "limit exceeded"),
        (
            "a.mbox",
            b"From a@b Tue Mar  5 08:09:10 2024\nSubject: a\n\n",
            b"",
            "line too long",
        ),
        ("a.xml", WIKI.0, WIKI.1, "broken file"),
    ];
    check_made(
        cases.map(|(name, before, behind, outcome)| {
            (name, [before, &line, behind].concat(), outcome)
        }),
    );
}

const WIKI: (&[u8], &[u8]) = (
    b"<mediawiki><page><title>T</title><ns>0</ns><revision><text>",
    b"</text></revision></page></mediawiki>",
);

/// What becomes of further files that are too large to lie beside this test.
#[test]
fn large_files_end_in_bounded_time_and_memory() {
    let wiki = |text: Vec<u8>| [WIKI.0, &text, WIKI.1].concat();
    let lists: Vec<u8> = (1..4000)
        .flat_map(|depth| [&b"*".repeat(depth)[..], b" a\n"].concat())
        .collect();
    // Each name is compared with all before it, and not with one after the other.
    let names: Vec<String> = (0..1 << 20).map(|number: u32| number.to_string()).collect();
    let names = names.join(",");
    let values = |value: &str, bytes: usize| {
        let list = format!("{value},").repeat(bytes / (value.len() + 1));
        format!("[{list}{value}]")
    };
    let record = |value: &str| format!("{{\"a\":{}}}\n", values(value, 15 << 20)).into_bytes();
    let cells = |value: &str| {
        format!("{{\"nbformat\":4,\"cells\":{}}}", values(value, 40 << 20)).into_bytes()
    };
    let subtitle = b"1\n00:00:01,000 --> 00:00:02,000\na\n\n";
    check_made([
        ("numbers.jsonl", record("0"), "limit exceeded"),
        ("objects.jsonl", record("{\"\":0}"), "limit exceeded"),
        ("lists.json", record("[[]]"), "limit exceeded"),
        ("numbers.ipynb", cells("0"), "limit exceeded"),
        ("objects.ipynb", cells("{\"\":0}"), "limit exceeded"),
        (
            "most.srt",
            subtitle.repeat((16 << 20) / subtitle.len()),
            "1 documents",
        ),
        (
            "more.srt",
            subtitle.repeat((17 << 20) / subtitle.len()),
            "limit exceeded",
        ),
        (
            "columns.csv",
            format!("{names}\n1\n").into_bytes(),
            "csv syntax",
        ),
        ("lists.xml", wiki(lists), "1 documents"),
        ("links.xml", wiki(b"[[".repeat(2 << 20)), "1 documents"),
        ("templates.xml", wiki(b"{{".repeat(2 << 20)), "1 documents"),
        ("tables.xml", wiki(b"{|\n|".repeat(1 << 20)), "1 documents"),
        ("deep.md", b"> ".repeat(1 << 20), "1 documents"),
        ("deep.html", b"<div>".repeat(1 << 20), "too deep"),
        ("deep.jsonl", b"[".repeat(8 << 20), "too deep"),
        ("deep.json", b"[".repeat(8 << 20), "too deep"),
        ("names.csv", b"a,".repeat(4 << 20), "duplicate key"),
        ("blank.txt", b"\n".repeat(40 << 20), "empty data set"),
        ("blank.jsonl", b"\n".repeat(2 << 20), "empty data set"),
        ("nulls.txt", vec![0; 40 << 20], "1 documents"),
        (
            "lines.srt",
            b"1\n00:00:01,000 --> 00:00:02,000\na\n\n".repeat(1 << 18),
            "1 documents",
        ),
        (
            "days.txt",
            b"[01.05.24, 12:30:00] Ann: a\n".repeat(1 << 19),
            "1 documents",
        ),
    ]);
}

/// Writes files, and compares what becomes of them.
fn check_made<const N: usize>(cases: [(&str, Vec<u8>, &str); N]) {
    let folder = tempfile::tempdir().unwrap();
    let found = cases.each_ref().map(|(name, bytes, _)| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        format!("{name}: {}", alone(&path, Way::Streamed))
    });
    let expected = cases.map(|(name, _, outcome)| format!("{name}: {outcome}"));
    assert_eq!(found, expected);
}

/// A data set's folder names no file outside of itself, and its card does not grow.
#[test]
fn cards_of_data_sets_stay_in_their_folder() {
    let cases = [
        ("absolute", "broken file"),
        ("cycle", "broken file"),
        ("deep", "broken file"),
        ("dotdot", "broken file"),
        ("laughs", "broken file"),
        ("null", "broken file"),
        ("stars", "1 splits"),
        ("type", "broken file"),
    ];
    let found = cases.map(|(name, _)| {
        let started = Instant::now();
        let folder = hostile("cards").join(name);
        let outcome = match DatasetFolder::open(&folder) {
            Ok(found) => {
                let mut files = found.splits.iter().flat_map(|split| &split.files);
                assert!(files.all(|file| file.starts_with(&folder)), "{found:?}");
                format!("{} splits", found.splits.len())
            }
            Err(error) => error.kind().to_owned(),
        };
        assert!(started.elapsed() < PATIENCE, "{name}");
        outcome
    });
    assert_eq!(found, cases.map(|(_, outcome)| outcome.to_owned()));
}
