//! A small model with an encoder learns answers by heart: whole, and other ones by an adapter beside it. What was saved
//! and opened again says them exactly.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::fs;
use std::path::Path;

use finetune::burn::tensor::Device;
use finetune::data::tokenizer::TokenizerPlan;
use finetune::eval::local::Local;
use finetune::eval::{Finish, LanguageModel, Prompt};
use finetune::model::Seq2Seq;
use finetune::model::lora::LoraTargets;
use finetune::prelude::*;
use finetune::train::batch::AnswerBatches;
use finetune::train::objective::NextToken;
use finetune::train::{BatchConfig, Schedule};
use serde_json::{Value, json};

const QUESTIONS: &str = "France Spain Italy Greece Norway Sweden Finland Denmark Poland Austria \
    Hungary Ireland Portugal Iceland Estonia Latvia Serbia Croatia Malta Cyprus";
const ANSWERS: &str = "Paris;Madrid;Rome;Athens;Oslo;Stockholm;Helsinki;Copenhagen;Warsaw;Vienna;\
    Budapest;Dublin;Lisbon;Reykjavik;Tallinn;Riga, by the sea;Belgrade;Zagreb;Valletta;Nicosia";

/// The questions with their answers, or with those of others.
fn pairs(turned: usize) -> Vec<Conversation> {
    let answers = ANSWERS.split(';').cycle().skip(turned);
    let pairs = QUESTIONS.split(' ').zip(answers);
    pairs
        .map(|(question, answer)| Conversation::pair(question, answer))
        .collect()
}

/// A tokenizer that closes every text with its end token, as that of T5 does; written to the folder.
fn tokenizer(folder: &Path) {
    let plan = TokenizerPlan {
        vocabulary: 400,
        minimum: 1,
        add_bos: false,
        ..TokenizerPlan::default()
    };
    let trained = Tokenizer::train([QUESTIONS, ANSWERS].into_iter(), &plan).unwrap();
    trained.save(folder).unwrap();
    let file = folder.join("tokenizer.json");
    let mut content: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let text = |id: &str| json!({"Sequence": {"id": id, "type_id": 0}});
    let end = json!({"SpecialToken": {"id": "</s>", "type_id": 0}});
    content["post_processor"] = json!({
        "type": "TemplateProcessing", "single": [text("A"), end], "pair": [text("A"), end, text("B"), end],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [trained.eos()], "tokens": ["</s>"]}},
    });
    fs::write(file, content.to_string()).unwrap();
}

fn t5(tokenizer: &Tokenizer) -> Value {
    json!({
        "architectures": ["T5ForConditionalGeneration"], "model_type": "t5", "vocab_size": tokenizer.vocabulary(),
        "d_model": 48, "d_kv": 12, "d_ff": 96, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.0,
        "decoder_start_token_id": tokenizer.pad(), "pad_token_id": tokenizer.pad(), "eos_token_id": tokenizer.eos(),
    })
}

fn learn(
    model: Seq2Seq,
    encoder: &Encoder,
    pairs: &[Conversation],
    peak: f64,
    steps: u64,
) -> Seq2Seq {
    let config = TrainConfig {
        steps: Some(steps),
        batch: BatchConfig {
            rows: pairs.len(),
            length: 32,
            ..BatchConfig::default()
        },
        schedule: Schedule::constant(peak),
        ..TrainConfig::default()
    };
    let (rows, report) = encoder.answered_all(pairs).unwrap();
    assert_eq!(report.kept, 20);
    let (start, device) = (model.start().unwrap(), model.device());
    let batches = AnswerBatches::new(rows, start, &config.batch, 1, encoder, &device).unwrap();
    let trained = Trainer::new(config).fit(model, &NextToken, &batches, None);
    trained.unwrap().finished().unwrap().model
}

fn says(local: &Local, pairs: &[Conversation]) {
    let prompts: Vec<Prompt> = pairs
        .iter()
        .map(|pair| Prompt::new(pair.without_answer(), 24))
        .collect();
    let made = local.generate(&prompts).unwrap();
    for (pair, made) in pairs.iter().zip(made) {
        assert_eq!(
            Some(made.text.as_str()),
            pair.answer(),
            "{}",
            pair.question()
        );
        assert_eq!(made.finished, Finish::Stop);
    }
}

#[test]
fn what_was_learned_by_heart_is_said_after_it_was_saved_and_opened() {
    let device: Device = device(None).unwrap();
    let place = tempfile::tempdir().unwrap();
    let [words, base, adapter] = ["words", "base", "adapter"].map(|name| place.path().join(name));
    tokenizer(&words);
    let encoder = Encoder::open(&words, "plain").unwrap();
    let checkpoint = Checkpoint::create(t5(encoder.tokenizer()), 3).unwrap();
    let autodiff = device.clone().autodiff();

    let model = checkpoint.seq2seq(&autodiff).unwrap();
    let model = learn(model, &encoder, &pairs(0), 5e-3, 120);
    checkpoint.save(&model, &base).unwrap();
    encoder.tokenizer().save(&base).unwrap();
    says(&Local::open(&base, "plain", &device).unwrap(), &pairs(0));

    // The adapter says what another one is asked for, and the base what it said.
    let checkpoint = Checkpoint::open(&base).unwrap();
    let config = LoraConfig {
        rank: 8,
        targets: LoraTargets::AllLinear,
        ..LoraConfig::default()
    };
    let model = lora::attach(
        checkpoint.seq2seq(&autodiff).unwrap(),
        checkpoint.architecture(),
        &config,
    )
    .unwrap();
    let model = learn(model, &encoder, &pairs(7), 1e-2, 120);
    lora::save(&model, checkpoint.architecture(), "base", &adapter).unwrap();
    says(
        &Local::open_with(&base, Some(&adapter), "plain", &device).unwrap(),
        &pairs(7),
    );
    says(&Local::open(&base, "plain", &device).unwrap(), &pairs(0));
    let loaded = lora::load(
        checkpoint.seq2seq(&device).unwrap(),
        checkpoint.architecture(),
        &adapter,
    )
    .unwrap();
    says(&Local::new(loaded, encoder), &pairs(7));
}
