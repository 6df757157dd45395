//! Error analysis of 100,000 outputs on one thread: seconds for all classes, and for slices by length and topic.
//!
//!     cargo bench --bench analysis
//!
//! The outputs are those of a model halfway through its training: half of them are right, the others wrong, cut, in a
//! loop, misspelt, in another language or with other numbers. Questions have 12 words, references 22, outputs up to 60.

#![allow(missing_docs, reason = "what criterion's macros make has no documents")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use finetune::data::Origin;
use finetune::eval::analysis::{Classes, Slicer, Vocabulary};
use finetune::eval::{Finish, Outcome};

const OUTPUTS: usize = 100_000;

/// Words of which questions and answers are made.
const WORDS: [&str; 40] = [
    "adapter",
    "rank",
    "weight",
    "gradient",
    "batch",
    "learning",
    "rate",
    "token",
    "model",
    "training",
    "loss",
    "epoch",
    "layer",
    "attention",
    "matrix",
    "update",
    "scale",
    "merge",
    "checkpoint",
    "tokenizer",
    "template",
    "prompt",
    "answer",
    "question",
    "document",
    "record",
    "field",
    "metric",
    "report",
    "error",
    "class",
    "sample",
    "memory",
    "precision",
    "device",
    "kernel",
    "shard",
    "cache",
    "decoder",
    "vector",
];

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn sentence(&mut self, words: usize) -> String {
        let links = ["the", "of", "a", "with", "and", "for", "in", "is"];
        let word = |dice: &mut Self, place: usize| match place % 2 {
            0 => links[dice.roll(links.len())],
            _ => WORDS[dice.roll(WORDS.len())],
        };
        let words: Vec<&str> = (0..words).map(|place| word(self, place)).collect();
        words.join(" ")
    }
}

fn outcomes() -> Vec<Outcome> {
    let mut dice = Dice(1);
    (0..OUTPUTS)
        .map(|number| {
            let question = format!("What {} number {}?", dice.sentence(10), dice.roll(500));
            let reference = format!("It is {} of {}.", dice.sentence(18), dice.roll(100));
            let output = match dice.roll(20) {
                0..10 => reference.clone(),
                10 => reference.replace("ra", "ar").replace("od", "do"),
                11 => format!("{} {}", dice.sentence(3), "the adapter and the rank and ".repeat(10)),
                12 => reference.split_inclusive(' ').take(9).collect(),
                13 => format!("{reference} {}", dice.sentence(40)),
                14 => "Der Rang bestimmt, wie breit die Änderung ist, die ein Adapter zu jedem Gewicht des Modells hinzufügt.".into(),
                15 => question.clone(),
                16 => format!("It is {} of {}.", dice.sentence(18), dice.roll(100)),
                17 => String::new(),
                _ => dice.sentence(60),
            };
            let mut outcome = Outcome::new(Origin::new("items.jsonl", number as u64 + 1), question, reference, output);
            outcome.finished = Some(if dice.roll(5) == 0 { Finish::Length } else { Finish::Stop });
            outcome
        })
        .collect()
}

fn analysis(criterion: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("one thread can be started");
    let outcomes = outcomes();
    let mut group = criterion.benchmark_group("analysis");
    group
        .throughput(Throughput::Elements(OUTPUTS as u64))
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1));
    let classes = || Classes::standard(Vocabulary::of_outcomes(&outcomes).with_common_english());
    group.bench_function("classes", |bencher| {
        bencher.iter(|| {
            pool.install(|| {
                classes()
                    .analyze("model", black_box(&outcomes))
                    .expect("every item has a reference")
            })
        });
    });
    let analysis = classes()
        .analyze("model", &outcomes)
        .expect("every item has a reference");
    println!("{analysis}");
    group.bench_function("slices", |bencher| {
        bencher.iter(|| {
            pool.install(|| {
                Slicer::new(black_box(&analysis))
                    .lengths()
                    .topics(12)
                    .test()
                    .expect("every class is known")
            })
        });
    });
}

criterion_group!(benches, analysis);
criterion_main!(benches);
