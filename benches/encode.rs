//! Conversations to rows of tokens: rows per second, for one thread and for all.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use finetune::data::encode::{Encoder, Truncation};
use finetune::data::pack::pack;
use finetune::data::template::{ChatTemplate, QuestionAnswer, Template};
use finetune::data::tokenizer::{Tokenizer, TokenizerPlan};
use finetune::data::{Conversation, Role, Turn};

const CHAT: &str = "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\n' + message.content + \
'<|im_end|>\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}";

const WORDS: [&str; 24] = [
    "the", "learning", "rate", "is", "a", "step", "of", "training", "model", "and", "loss",
    "falls", "when", "gradient", "descends", "slowly", "tokens", "are", "pieces", "text", "answer",
    "question", "why", "because",
];

/// Sentences that look like text, the same every time.
fn sentence(seed: &mut u64, words: usize) -> String {
    let mut text = String::new();
    for _ in 0..words {
        *seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        text.push_str(WORDS[(*seed >> 33) as usize % WORDS.len()]);
        text.push(' ');
    }
    text
}

fn conversations(count: usize) -> Vec<Conversation> {
    let mut seed = 1;
    let mut turn = |role, words| Turn::new(role, sentence(&mut seed, words));
    (0..count)
        .map(|_| {
            Conversation::new(vec![
                turn(Role::System, 12),
                turn(Role::User, 40),
                turn(Role::Assistant, 90),
                turn(Role::User, 20),
                turn(Role::Assistant, 60),
            ])
        })
        .collect()
}

fn tokenizer() -> Tokenizer {
    let mut seed = 2;
    let texts: Vec<String> = (0..200).map(|_| sentence(&mut seed, 100)).collect();
    let plan = TokenizerPlan {
        vocabulary: 2_000,
        specials: vec!["<|im_start|>".to_owned(), "<|im_end|>".to_owned()],
        chat_template: Some(CHAT.to_owned()),
        ..TokenizerPlan::default()
    };
    Tokenizer::train(texts.iter(), &plan).expect("the plan has room for every byte")
}

fn encode(criterion: &mut Criterion) {
    let tokenizer = tokenizer();
    let chat = ChatTemplate::of(&tokenizer).expect("the plan has a chat template");
    let rows = conversations(512);
    let mut group = criterion.benchmark_group("encode");
    group
        .throughput(Throughput::Elements(rows.len() as u64))
        .sample_size(10);
    group.bench_function("render chat", |bench| {
        bench.iter(|| {
            for row in &rows {
                black_box(chat.render(row, false)).expect("the template takes these roles");
            }
        });
    });
    let templates: [(&str, Box<dyn Template>); 2] = [
        ("chat", Box::new(chat.clone())),
        ("question-answer", Box::new(QuestionAnswer::default())),
    ];
    for (name, template) in templates {
        let encoder = Encoder::new(tokenizer.clone(), template)
            .length(1_024)
            .truncation(Truncation::CutRight);
        group.bench_function(format!("{name}, one row after the other"), |bench| {
            bench.iter(|| {
                for row in &rows {
                    black_box(encoder.encode(row)).expect("every row has an answer");
                }
            });
        });
        group.bench_function(format!("{name}, in parallel"), |bench| {
            bench.iter(|| black_box(encoder.encode_all(&rows)).expect("every row has an answer"));
        });
    }
    group.finish();
}

fn packing(criterion: &mut Criterion) {
    let mut seed = 3_u64;
    let lengths: Vec<usize> = (0..100_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % 1_000 + 1
        })
        .collect();
    let mut group = criterion.benchmark_group("pack");
    group
        .throughput(Throughput::Elements(lengths.len() as u64))
        .sample_size(10);
    group.bench_function("100,000 rows into 2,048", |bench| {
        bench.iter_batched(
            || lengths.clone(),
            |lengths| black_box(pack(&lengths, 2_048)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, encode, packing);
criterion_main!(benches);
