//! JSON lines to documents, on one thread, in bytes of the file per second.
//!
//!     cargo bench -p finetune-data --bench json_lines
//!     python benches/peers/json_lines.py
//!
//! The file is in the page cache: what is measured is the work, not the disk. `serde_json` is the yardstick: it reads
//! each line into a map of values, and neither looks for names that stand twice nor keeps places.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use finetune_data::load::Loaders;
use serde_json::{Map, Value, json};

/// About how many bytes a file has.
const BYTES: u64 = 32 << 20;

const WORDS: [&str; 24] = [
    "the", "learning", "rate", "is", "a", "step", "of", "training", "model", "and", "loss",
    "falls", "when", "gradient", "descends", "slowly", "tokens", "are", "pieces", "text", "answer",
    "question", "why", "because",
];

/// Sentences that look like text, the same every time, with quotes and line breaks as texts have them.
fn sentence(seed: &mut u64, words: usize) -> String {
    let mut text = String::new();
    for _ in 0..words {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(WORDS[(*seed >> 33) as usize % WORDS.len()]);
        text.push_str(match *seed >> 58 {
            0 => ".\n",
            1 => " \"so\" ",
            2 => " naïve ",
            _ => " ",
        });
    }
    text
}

/// A record of a kind of file, by its number.
type Kind = fn(u64) -> Value;

/// As Alpaca's: an instruction, sometimes an input, an output.
fn instruction(number: u64) -> Value {
    let mut seed = number;
    json!({
        "instruction": sentence(&mut seed, 12),
        "input": if number.is_multiple_of(3) { sentence(&mut seed, 20) } else { String::new() },
        "output": sentence(&mut seed, 60),
    })
}

/// As chats are exported: a list of messages.
fn chat(number: u64) -> Value {
    let mut seed = number;
    let messages = (0..6).map(|turn| {
        let role = ["user", "assistant"][turn % 2];
        json!({ "role": role, "content": sentence(&mut seed, 20 + 30 * (turn % 2)) })
    });
    json!({ "id": number, "messages": messages.collect::<Vec<_>>() })
}

/// As The Pile's: a long text and what is known about it.
fn page(number: u64) -> Value {
    let mut seed = number;
    json!({ "text": sentence(&mut seed, 600), "meta": { "set": "web", "place": number, "score": 0.25 } })
}

/// As tables are exported: numbers and short values.
fn table(number: u64) -> Value {
    let share = number as f64 / 7.0;
    json!({ "id": number, "share": share, "count": number * 31 % 1_000, "good": number.is_multiple_of(2), "name": "row" })
}

fn write(path: &Path, kind: Kind) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let (mut written, mut number) = (0, 0);
    while written < BYTES {
        let mut line = kind(number).to_string();
        line.push('\n');
        file.write_all(line.as_bytes())?;
        written += line.len() as u64;
        number += 1;
    }
    file.flush()
}

fn json_lines(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let mut group = criterion.benchmark_group("json lines");
    group.sample_size(10);
    let kinds: [(&str, Kind); 4] = [
        ("instructions", instruction),
        ("chats", chat),
        ("pages", page),
        ("table", table),
    ];
    for (name, kind) in kinds {
        let path = folder.path().join(format!("{name}.jsonl"));
        write(&path, kind).expect("the file can be written");
        let bytes = fs::metadata(&path).expect("it was written").len();
        group.throughput(Throughput::Bytes(bytes));
        let loaders = Loaders::default();
        group.bench_function(format!("{name}, documents"), |bench| {
            bench.iter(|| {
                for document in loaders.load(&path).expect("the file is there") {
                    black_box(document).expect("every line is a record");
                }
            });
        });
        group.bench_function(format!("{name}, serde_json"), |bench| {
            bench.iter(|| {
                let mut file =
                    BufReader::with_capacity(64 << 10, File::open(&path).expect("it is there"));
                let mut line = Vec::new();
                while file.read_until(b'\n', &mut line).expect("it can be read") > 0 {
                    let record: Map<String, Value> =
                        serde_json::from_slice(&line).expect("every line is a record");
                    black_box(record);
                    line.clear();
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, json_lines);
criterion_main!(benches);
