//! Alpaca's JSON to encoded rows, against the tokenizers crate alone on the same texts.
//!
//!     cargo bench -p finetune-data --bench alpaca
//!     RAYON_NUM_THREADS=1 cargo bench -p finetune-data --bench alpaca
//!
//! "whole" reads the file, maps its fields, renders the template, tokenizes, and marks what is learned. `encode_batch` is
//! given the rendered texts and does nothing but tokenize them.

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use finetune_data::Conversation;
use finetune_data::encode::{Encoder, Truncation};
use finetune_data::load::{Loaders, OnError};
use finetune_data::mapping::AnyChat;
use finetune_data::template::{Alpaca, Source, Template};
use finetune_data::tokenizer::{Tokenizer, TokenizerPlan};
use serde_json::json;

const ROWS: u64 = 4_000;

/// Text of many different words, the same every time.
fn sentence(seed: &mut u64, words: usize) -> String {
    const SYLLABLES: [&str; 16] = [
        "ten", "sor", "gra", "di", "ent", "lo", "ss", "ing", "mo", "del", "to", "ken", "ra", "te",
        "ly", "ed",
    ];
    let mut text = String::new();
    for _ in 0..words {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mut draw = *seed >> 20;
        for _ in 0..=(draw % 3) {
            draw >>= 4;
            text.push_str(SYLLABLES[(draw % 16) as usize]);
        }
        text.push_str(if draw.is_multiple_of(11) { ". " } else { " " });
    }
    text
}

fn alpaca(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let path = folder.path().join("alpaca.json");
    let mut seed = 1;
    let mut records = Vec::new();
    for number in 0..ROWS {
        let input = if number.is_multiple_of(3) { 25 } else { 0 };
        records.push(json!({
            "instruction": sentence(&mut seed, 12),
            "input": sentence(&mut seed, input),
            "output": sentence(&mut seed, 60),
        }));
    }
    let text = serde_json::to_string_pretty(&records).expect("texts are JSON");
    fs::write(&path, text).expect("the file can be written");

    let texts: Vec<String> = (0..400).map(|_| sentence(&mut seed, 100)).collect();
    let plan = TokenizerPlan {
        vocabulary: 8_000,
        ..TokenizerPlan::default()
    };
    let tokenizer =
        Tokenizer::train(texts.iter(), &plan).expect("the plan has room for every byte");
    tokenizer.save(folder.path()).expect("it can be written");
    let raw = tokenizers::Tokenizer::from_file(folder.path().join("tokenizer.json"));
    let raw = raw.expect("it was written");

    let loaders = Loaders::default();
    let chats = || {
        let chats = loaders.examples(&[&path], &OnError::Stop, &AnyChat::default());
        chats.expect("the file is Alpaca's").0
    };
    let rendered: Vec<String> = chats().iter().map(render).collect();
    let encoder = Encoder::new(tokenizer, Box::new(Alpaca))
        .length(1_024)
        .truncation(Truncation::CutRight);

    let mut group = criterion.benchmark_group("alpaca");
    let bytes = rendered.iter().map(String::len).sum::<usize>() as u64;
    group.throughput(Throughput::Bytes(bytes)).sample_size(20);
    group.bench_function("whole", |bench| {
        bench.iter(|| {
            black_box(
                encoder
                    .encode_all(&chats())
                    .expect("every row has an answer"),
            )
        });
    });
    group.bench_function("encode_batch", |bench| {
        bench.iter(|| {
            let texts = rendered.iter().map(String::as_str).collect();
            black_box(
                raw.encode_batch(texts, false)
                    .expect("every text can be encoded"),
            )
        });
    });
    group.finish();
}

/// The text of a row.
fn render(chat: &Conversation) -> String {
    let mut text = String::new();
    for piece in Alpaca.render(chat, false).expect("it is one exchange") {
        if matches!(piece.source, Source::Template | Source::Text) {
            let _ = write!(text, "{}", piece.text);
        }
    }
    text
}

criterion_group!(benches, alpaca);
criterion_main!(benches);
