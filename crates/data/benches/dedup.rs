//! Near duplicates among 5,000 documents of 200 words, and among as many that share a template: documents per second,
//! for one thread and for all.
//!
//!     cargo bench -p finetune-data --bench dedup
//!     python benches/peers/dedup.py
//!
//! The second does the same work with Python's datasketch on the same documents. The bench lies with this crate, since
//! it needs nothing of burn.

#![allow(missing_docs, reason = "what criterion's macros make has no documents")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use finetune_data::quality::{Duplicates, Sample};
use finetune_data::{Origin, PlainText};

const DOCUMENTS: u64 = 5_000;
const WORDS: usize = 200;

/// Every fifth document is the one before with two of its words exchanged; the others share nothing but words.
/// `peers/dedup.py` makes the same.
fn documents() -> Vec<PlainText> {
    let mut seed = 1_u64;
    let mut draw = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize
    };
    let mut words: Vec<String> = Vec::new();
    let mut documents = Vec::new();
    for number in 0..DOCUMENTS {
        if number % 5 == 4 {
            for _ in 0..2 {
                let place = draw() % WORDS;
                words[place] = format!("w{}", draw() % 5_000);
            }
        } else {
            words = (0..WORDS).map(|_| format!("w{}", draw() % 5_000)).collect();
        }
        documents.push(PlainText {
            text: words.join(" "),
            origin: Origin::new("documents", number + 1),
        });
    }
    documents
}

/// Documents of which any two share 160 of their 200 words, which is not enough to be duplicates, and a fifth share a
/// band. datasketch has no peer of this: it names all pairs that share a band.
fn look_alikes() -> Vec<PlainText> {
    let template: Vec<String> = (0..160).map(|word| format!("t{word}")).collect();
    let template = template.join(" ");
    (0..DOCUMENTS)
        .map(|number| {
            let own: Vec<String> = (0..40).map(|word| format!("o{number}x{word}")).collect();
            PlainText {
                text: format!("{template} {}", own.join(" ")),
                origin: Origin::new("look-alikes", number + 1),
            }
        })
        .collect()
}

fn dedup(criterion: &mut Criterion) {
    measure(criterion, "dedup", &documents());
    measure(criterion, "dedup of look-alikes", &look_alikes());
}

fn measure(criterion: &mut Criterion, name: &str, documents: &[PlainText]) {
    let samples: Vec<Sample<'_>> = documents.iter().map(Sample::from).collect();
    let duplicates = Duplicates::default();
    let found = duplicates.find(&samples).expect("the defaults can be used");
    println!("{} near duplicates", found.iter().flatten().count());
    let mut group = criterion.benchmark_group(name);
    group
        .throughput(Throughput::Elements(DOCUMENTS))
        .sample_size(10);
    for (name, threads) in [("one thread", 1), ("all threads", 0)] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads can be started");
        group.bench_function(name, |bench| {
            bench.iter(|| pool.install(|| black_box(duplicates.find(&samples))));
        });
    }
    group.finish();
}

criterion_group!(benches, dedup);
criterion_main!(benches);
