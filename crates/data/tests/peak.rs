//! What streaming a file costs in memory: the same for a file of any size.
//!
//! Each measurement is a process of its own: what was freed before would be used again and not counted.
//! `STREAM_BYTES` sets the file's size; with 2,000,000,000 the test takes about a minute.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;

use finetune_data::Loaders;
use finetune_data::stream::{Files, Shuffled, Stream};

/// How many bytes a stream may take beside the program: the buffer of 1,000 records of 1 KB is the most of it.
const LIMIT: u64 = 40 << 20;

#[test]
fn a_file_is_streamed_and_shuffled_in_a_few_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.jsonl");
    let bytes = std::env::var("STREAM_BYTES").map_or(150_000_000, |bytes| bytes.parse().unwrap());
    write(&path, bytes);
    let [rows, peak] = alone(&path);
    println!("{bytes} bytes, {rows} rows: {:.1} MB", peak as f64 / 1e6);
    assert!(rows > bytes / 1_100);
    assert!(peak < LIMIT, "{peak}");
}

fn write(path: &Path, bytes: u64) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let text = "learning rate falls when the loss does not ".repeat(24);
    let (mut written, mut number) = (0, 0);
    while written < bytes {
        let line = format!("{{\"id\":{number},\"text\":\"{text}\"}}\n");
        file.write_all(line.as_bytes()).unwrap();
        written += line.len() as u64;
        number += 1;
    }
    file.flush().unwrap();
}

/// Rows and peak of another process that streams a file and does nothing else.
fn alone(path: &Path) -> [u64; 2] {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "streams_alone", "--ignored", "--nocapture"])
        .env("STREAM_FILE", path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("streamed "));
    let line = line.unwrap_or_else(|| panic!("{text}"));
    let figures: Vec<u64> = line
        .split(' ')
        .map(|figure| figure.parse().unwrap())
        .collect();
    figures.try_into().unwrap()
}

#[test]
#[ignore = "runs in a process of its own"]
fn streams_alone() {
    let Some(path) = std::env::var_os("STREAM_FILE") else {
        return;
    };
    let files = Files::new(Loaders::default(), vec![path.into()]);
    let source = Shuffled::new(files, 1_000, 1).unwrap();
    let before = memory("VmRSS");
    let rows = Stream::new(&source, 1).map(Result::unwrap).count();
    // A line of its own: the test's name stands before the first one.
    println!("\nstreamed {rows} {}", memory("VmHWM") - before);
}

/// A figure of this process's memory, in bytes.
fn memory(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes * 1024
}
