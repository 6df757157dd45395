//! Answers to questions, scored: four after one context, against four after contexts of their own.
//!
//! `cargo bench --bench scoring` measures with criterion. With `--peer` it scores the requests of a file and prints one
//! line of JSON, for `benches/peers/scoring.py`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use criterion::{Criterion, Throughput};
use finetune::burn::tensor::Device;
use finetune::eval::local::Local;
use finetune::eval::{Continuation, LanguageModel};
use finetune::model::Noise;
use serde_json::json;

const WORDS: &str = "the rank sets the width of an update and alpha sets its scale so a small rank is often enough while a \
    large one learns more and forgets more of what the model knew before it was trained on new text about other things";
const QUESTIONS: usize = 16;
const ANSWERS: usize = 4;

/// What is scored, and how often.
#[derive(Parser)]
struct Flags {
    #[arg(long)]
    peer: bool,
    /// Given by cargo; nothing depends on it.
    #[arg(long)]
    bench: bool,
    /// A checkpoint with its tokenizer.
    #[arg(long, default_value = "examples/assets/base")]
    folder: PathBuf,
    /// A JSON file of pairs: context and continuation.
    #[arg(long, required_if_eq("peer", "true"))]
    requests: Option<PathBuf>,
    #[arg(long, default_value_t = 1)]
    passes: usize,
}

fn main() {
    let flags = Flags::parse();
    let local = Local::open(&flags.folder, "question-answer", &Device::default())
        .expect("a checkpoint with its tokenizer");
    if let Some(requests) = flags.requests.filter(|_| flags.peer) {
        peer(&local, &requests, flags.passes);
        return;
    }
    let mut criterion = Criterion::default().sample_size(10);
    let mut group = criterion.benchmark_group("scoring");
    group.throughput(Throughput::Elements((QUESTIONS * ANSWERS) as u64));
    for (name, shared) in [("one context", true), ("contexts of their own", false)] {
        let requests = questions(shared);
        group.bench_function(name, |bencher| {
            bencher.iter(|| local.score(&requests).expect("short contexts"));
        });
    }
    group.finish();
    criterion.final_summary();
}

fn peer(local: &Local, requests: &Path, passes: usize) {
    let text = std::fs::read_to_string(requests).expect("a file of requests");
    let pairs: Vec<(String, String)> = serde_json::from_str(&text).expect("pairs of texts");
    let requests: Vec<Continuation> = pairs
        .into_iter()
        .map(|(context, text)| Continuation::new(context, text))
        .collect();
    let score = |requests| {
        local
            .score(requests)
            .expect("contexts that the model takes")
    };
    score(&requests[..requests.len().min(4)]);
    let mut seconds = Vec::new();
    let mut scores = Vec::new();
    for _ in 0..passes {
        let begun = Instant::now();
        scores = score(&requests);
        seconds.push(begun.elapsed().as_secs_f64());
    }
    let scores: Vec<f64> = scores.iter().map(|score| score.log_likelihood).collect();
    println!("{}", json!({"seconds": seconds, "scores": scores}));
}

/// Contexts of 20 to 180 words and answers of 1 to 12. Contexts that are not shared differ in their first word.
fn questions(shared: bool) -> Vec<Continuation> {
    let words: Vec<&str> = WORDS.split_whitespace().collect();
    let noise = Noise::new(1, 0, 0);
    let text = |question: usize, part: usize, most: usize| {
        let noise = noise.site(question as u64).site(part as u64);
        let draw = |at: usize, below: usize| (noise.uniform(at as u64) * below as f32) as usize;
        let count = 1 + draw(0, most);
        let drawn = (1..=count).map(|at| words[draw(at, words.len())]);
        drawn.collect::<Vec<_>>().join(" ")
    };
    let request = |question, answer| {
        let first = ["One", "Two", "Three", "Four"][if shared { 0 } else { answer }];
        let context = format!("{first} {WORDS} {}", text(question, ANSWERS, 140));
        Continuation::new(context, format!(" {}", text(question, answer, 12)))
    };
    (0..QUESTIONS)
        .flat_map(|question| (0..ANSWERS).map(move |answer| (question, answer)))
        .map(|(question, answer)| request(question, answer))
        .collect()
}
