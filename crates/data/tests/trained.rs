//! Tokenizers that are trained here, read by transformers.
//!
//! `cargo test -p finetune-data --test trained -- --ignored` writes `tests/reference/templates/trained/`, from which
//! `make_templates.py` makes `trained.json`.

#![allow(clippy::unwrap_used)] // a test may panic

mod golden;

use std::collections::BTreeMap;
use std::fs;

use finetune_data::encode::Encoder;
use finetune_data::template::{ChatTemplate, Template};
use finetune_data::tokenizer::{Tokenizer, TokenizerPlan};
use golden::{conversation, folder, read};
use serde::Deserialize;

const CHAT: &str = "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>\n{{ m.content }}{{ eos_token if m.role == 'assistant' else '\n' }}{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}";

fn train() -> Tokenizer {
    let plan = TokenizerPlan {
        vocabulary: 400,
        specials: ["<|system|>", "<|user|>", "<|assistant|>"]
            .map(str::to_owned)
            .to_vec(),
        chat_template: Some(CHAT.to_owned()),
        ..TokenizerPlan::default()
    };
    let text = read("texts.json");
    Tokenizer::train(text.lines(), &plan).unwrap()
}

#[derive(Deserialize)]
struct Trained {
    special_tokens: BTreeMap<String, String>,
    vocabulary: usize,
    texts: Vec<(String, Vec<u32>, String)>,
    chats: Vec<(String, Vec<u32>)>,
}

#[test]
#[ignore = "writes a golden file"]
fn write() {
    train().save(folder().join("trained")).unwrap();
}

#[test]
fn training_gives_the_same_bytes_every_time() {
    let folder = tempfile::tempdir().unwrap();
    train().save(folder.path()).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let written = fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(written, read(&format!("trained/{name}")), "{name}");
    }
}

#[test]
fn transformers_gives_the_same_ids() {
    let trained: Trained = serde_json::from_str(&read("trained.json")).unwrap();
    let tokenizer = Tokenizer::open(folder().join("trained")).unwrap();
    assert_eq!(tokenizer.vocabulary(), trained.vocabulary);
    let named: BTreeMap<String, String> = tokenizer
        .special_tokens()
        .map(|(name, token)| (name.to_owned(), token.to_owned()))
        .collect();
    assert_eq!(named, trained.special_tokens);
    assert_eq!(
        (tokenizer.bos(), tokenizer.eos(), tokenizer.pad()),
        (Some(0), Some(1), Some(2))
    );
    for (text, ids, decoded) in trained.texts {
        let found = [tokenizer.prefix(), tokenizer.encode(&text).unwrap()].concat();
        assert_eq!(found, ids, "{text:?}");
        assert_eq!(tokenizer.decode(&found).unwrap(), decoded, "{text:?}");
    }
    let template = ChatTemplate::of(&tokenizer).unwrap();
    assert_eq!(template.ends_with(), Some("</s>"));
    let encoder = Encoder::new(tokenizer, Box::new(template));
    for (name, ids) in trained.chats {
        let conversation = conversation(&name);
        let pieces = encoder.template().render(&conversation, false).unwrap();
        assert_eq!(
            encoder.tokenizer().encode_pieces(&pieces).unwrap().ids,
            ids,
            "{name}"
        );
    }
}

#[test]
fn a_plan_without_room_is_refused() {
    let train = |plan: &TokenizerPlan| {
        Tokenizer::train(["text"].iter(), plan)
            .unwrap_err()
            .to_string()
    };
    let plan = TokenizerPlan {
        vocabulary: 258,
        ..TokenizerPlan::default()
    };
    assert!(train(&plan).contains("vocabulary: found 258; expected at least 259"));
    let plan = TokenizerPlan {
        specials: vec!["<x>".to_owned(), "<x>".to_owned()],
        ..TokenizerPlan::default()
    };
    assert!(train(&plan).contains("specials"));
}

#[test]
fn training_goes_through_long_texts() {
    let long = "A line of text that is long.\n".repeat(60_000);
    let plan = TokenizerPlan {
        vocabulary: 280,
        bos: None,
        pad: None,
        ..TokenizerPlan::default()
    };
    let tokenizer = Tokenizer::train([long.as_str()].iter(), &plan).unwrap();
    assert_eq!(tokenizer.prefix(), [0_u32; 0]);
    assert!(tokenizer.encode("A line of text").unwrap().len() < 14);
}
