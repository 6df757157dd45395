//! Tokenizers against transformers, and what becomes of broken files.

#![allow(clippy::unwrap_used)] // a test may panic

mod golden;

use std::fs;

use finetune_data::tokenizer::{Tokenizer, TokenizerPlan};
use golden::{golden, open, read, tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn texts_have_the_ids_and_the_decoding_of_transformers() {
    let entries: Vec<(String, String, Vec<u32>, String)> =
        serde_json::from_str(&read("texts.json")).unwrap();
    let mut checked = 0;
    for (name, text, ids, decoded) in entries {
        let (tokenizer, _folder) = open(&tokenizer(&name), &json!({}));
        let found = tokenizer.encode(&text).unwrap();
        assert_eq!(found, ids, "{name} {text:?}");
        assert_eq!(
            tokenizer.decode(&found).unwrap(),
            decoded,
            "{name} {text:?}"
        );
        checked += 1;
    }
    assert!(checked > 150, "{checked}");
}

#[test]
fn pairs_have_the_ids_and_kinds_of_transformers() {
    type Entry = (
        String,
        String,
        Option<String>,
        Option<usize>,
        Vec<u32>,
        Vec<u32>,
    );
    let entries: Vec<Entry> = serde_json::from_str(&read("pairs.json")).unwrap();
    for (name, text, pair, length, ids, kinds) in entries {
        let (tokenizer, _folder) = open(&tokenizer(&name), &json!({}));
        let encoded = tokenizer
            .encode_pair(&text, pair.as_deref(), length)
            .unwrap();
        assert_eq!(encoded.ids, ids, "{name} {text:?} {pair:?} {length:?}");
        assert_eq!(encoded.kinds, kinds, "{name} {text:?} {pair:?} {length:?}");
    }
}

#[test]
fn words_have_the_ids_of_transformers_and_begin_at_the_same_tokens() {
    type Entry = (
        String,
        Vec<String>,
        Option<usize>,
        Vec<u32>,
        Vec<Option<usize>>,
    );
    let entries: Vec<Entry> = serde_json::from_str(&read("words.json")).unwrap();
    for (name, words, length, ids, first) in entries {
        let (tokenizer, _folder) = open(&tokenizer(&name), &json!({}));
        let (encoded, found) = tokenizer.encode_words(&words, length).unwrap();
        assert_eq!(encoded.ids, ids, "{name} {words:?} {length:?}");
        assert_eq!(found, first, "{name} {words:?} {length:?}");
    }
}

#[test]
fn special_tokens_come_from_every_file_of_the_folder() {
    let folder = TempDir::new().unwrap();
    let write =
        |name: &str, value: Value| fs::write(folder.path().join(name), value.to_string()).unwrap();
    write("tokenizer.json", tokenizer("pieces"));
    let open = || Tokenizer::open(folder.path()).unwrap();
    assert_eq!(
        (open().bos(), open().eos(), open().pad()),
        (None, None, None)
    );
    write(
        "config.json",
        json!({"eos_token_id": 0, "pad_token_id": 2, "vocab_size": 460}),
    );
    write("generation_config.json", json!({"eos_token_id": [2, 7]}));
    assert_eq!((open().eos(), open().pad()), (Some(2), Some(2)));
    assert_eq!(open().stops(), [2, 7]);
    write(
        "special_tokens_map.json",
        json!({"bos_token": "<s>", "eos_token": "<s>"}),
    );
    assert_eq!((open().bos(), open().eos()), (Some(1), Some(1)));
    write(
        "tokenizer_config.json",
        json!({"eos_token": {"content": "</s>", "special": true}, "pad_token": "<pad>"}),
    );
    assert_eq!((open().bos(), open().eos()), (Some(1), Some(2)));
    // A token that nobody knows gets the next id, as in transformers.
    assert_eq!(open().pad(), Some(460));
    assert_eq!(open().vocabulary(), 461);
    assert_eq!(open().prefix(), [1]);
    write(
        "tokenizer_config.json",
        json!({"bos_token": "<s>", "add_bos_token": false}),
    );
    assert_eq!(open().prefix(), [0_u32; 0]);
}

#[test]
fn chat_templates_come_from_every_file_of_the_folder() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("tokenizer.json", &tokenizer("bytes").to_string());
    let open = || Tokenizer::open(folder.path()).unwrap();
    let missing = finetune_data::template::ChatTemplate::of(&open())
        .unwrap_err()
        .to_string();
    assert!(missing.contains("none; use another template"), "{missing}");
    write("chat_template.json", r#"{"chat_template": "a"}"#);
    assert_eq!(open().chat_template(), Some("a"));
    write("tokenizer_config.json", r#"{"chat_template": "b"}"#);
    assert_eq!(open().chat_template(), Some("b"));
    let list = r#"{"chat_template": [{"name": "tool_use", "template": "t"}, {"name": "rag", "template": "r"}]}"#;
    write("tokenizer_config.json", list);
    fs::remove_file(folder.path().join("chat_template.json")).unwrap();
    assert_eq!(open().chat_template(), None);
    let several = finetune_data::template::ChatTemplate::of(&open())
        .unwrap_err()
        .to_string();
    assert!(
        several.contains("rag, tool_use") && several.contains("choose one"),
        "{several}"
    );
    write("chat_template.jinja", "c");
    assert_eq!(open().chat_template(), Some("c"));
    assert_eq!(open().chat_templates().len(), 3);
}

/// A tokenizer with one field replaced.
fn changed(name: &str, pointer: &str, value: Value) -> String {
    let mut state = tokenizer(name);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match state.pointer_mut(parent).unwrap() {
        Value::Object(object) => {
            object.insert(key.to_owned(), value);
        }
        Value::Array(array) => match key.parse::<usize>() {
            Ok(index) => array[index] = value,
            Err(_) => array.push(value),
        },
        other => panic!("{pointer}: {other}"),
    }
    state.to_string()
}

fn refused(content: &str) -> String {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tokenizer.json"), content).unwrap();
    let error = Tokenizer::open(folder.path()).expect_err(&content[..200.min(content.len())]);
    assert_eq!(error.kind(), "tokenizer invalid", "{error}");
    let text = error.to_string();
    assert!(text.contains("tokenizer.json"), "{text}");
    text
}

fn nested(depth: usize) -> String {
    let open = r#"{"type":"Sequence","normalizers":["#.repeat(depth);
    format!(
        r#"{{"version":"1.0","normalizer":{open}{},"model":{{"type":"BPE","vocab":{{"a":0}},"merges":[]}}}}"#,
        "]}".repeat(depth)
    )
}

#[test]
#[allow(clippy::too_many_lines)] // a table
fn broken_files_are_refused_with_the_field() {
    let whole = tokenizer("bytes").to_string();
    let special = json!([{"SpecialToken": {"id": "<x>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]);
    let cases: Vec<(String, &str)> = vec![
        (whole[..whole.len() / 2].to_owned(), "EOF"),
        (String::new(), "EOF"),
        ("<!DOCTYPE html><html></html>".to_owned(), "HTML"),
        (
            "version https://git-lfs.github.com/spec/v1".to_owned(),
            "git lfs pull",
        ),
        ("[]".to_owned(), "expected an object"),
        ("{}".to_owned(), "model"),
        (nested(5_000), "recursion limit"),
        (changed("bytes", "/version", json!("2.0")), "version"),
        (
            changed(
                "bytes",
                "/model/merges/-",
                json!(["Ġ", "zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"]),
            ),
            "model.merges[",
        ),
        (
            changed("bytes", "/model/merges/-", json!(["!", "~"])),
            "is not in the vocabulary",
        ),
        (
            changed("bytes", "/model/merges/0", json!(5)),
            "model.merges[0]: expected two tokens",
        ),
        (
            changed("bytes", "/model/continuing_subword_prefix", json!("####")),
            "shorter than the prefix",
        ),
        (
            changed("bytes", "/model/vocab", json!({})),
            "model.vocab: is empty",
        ),
        (
            changed("bytes", "/model/vocab/zz", json!(0)),
            "have the same id 0",
        ),
        (
            changed("bytes", "/model/vocab/zz", json!(4_294_967_295_u64)),
            "4294967295",
        ),
        (changed("bytes", "/model/vocab/zz", json!(-1)), "-1"),
        (
            changed("bytes", "/model/type", json!("Nonsense")),
            "Nonsense",
        ),
        (
            changed("bytes", "/added_tokens", json!([{"id": 0, "content": ""}])),
            "content is empty",
        ),
        (
            changed("bytes", "/added_tokens", json!([{"content": "<a>"}])),
            "added_tokens[0].id",
        ),
        (
            changed("bytes", "/added_tokens", json!({"a": 1})),
            "expected an array",
        ),
        (
            changed(
                "bytes",
                "/pre_tokenizer",
                json!({"type": "FixedLength", "length": 0}),
            ),
            "pre_tokenizer: length is 0",
        ),
        (
            changed(
                "bytes",
                "/decoder",
                json!({"type": "Strip", "content": " ", "start": 9, "stop": 9}),
            ),
            "decoder: expected",
        ),
        (
            changed(
                "bytes",
                "/pre_tokenizer",
                json!({"type": "Split", "pattern": {"Regex": r"(a+)\1"}, "behavior": "Isolated", "invert": false}),
            ),
            "refers back",
        ),
        (
            changed(
                "bytes",
                "/normalizer",
                json!({"type": "Replace", "pattern": {"String": ""}, "content": "x"}),
            ),
            "pattern is empty",
        ),
        (
            changed(
                "bytes",
                "/normalizer",
                json!({"type": "Sequence", "normalizers":
                    vec![json!({"type": "Replace", "pattern": {"String": "a"}, "content": "a".repeat(30)}); 3]
                }),
            ),
            "lengthen",
        ),
        (
            changed(
                "bytes",
                "/normalizer",
                json!({"type": "Prepend", "prepend": "x".repeat(2_000)}),
            ),
            "inserts 2000 bytes",
        ),
        (
            changed(
                "bytes",
                "/normalizer",
                json!({"type": "Precompiled", "precompiled_charsmap": "AAA!"}),
            ),
            "base 64",
        ),
        (
            changed(
                "bytes",
                "/normalizer",
                json!({"type": "Precompiled", "precompiled_charsmap": "/////wAAAAAA"}),
            ),
            "the table has",
        ),
        (
            changed(
                "bytes",
                "/post_processor",
                json!({"type": "TemplateProcessing", "single": special, "pair": special, "special_tokens": {}}),
            ),
            "\"<x>\", which special_tokens lacks",
        ),
        (
            changed(
                "bytes",
                "/post_processor",
                json!({"type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "B", "type_id": 0}}], "pair": [], "special_tokens": {}}),
            ),
            "each text exactly once",
        ),
        (
            changed(
                "bytes",
                "/post_processor",
                json!({"type": "Sequence", "processors": [{"type": "TemplateProcessing",
            "single": [], "pair": [], "special_tokens": {"<x>": {"id": "<x>", "ids": [1, 2], "tokens": ["<x>"]}}}]}),
            ),
            "same length",
        ),
        (
            changed("unigram", "/model/unk_id", json!(99_999)),
            "model.unk_id",
        ),
        (
            changed("unigram", "/model/vocab/-", json!(["</s>", 0.0])),
            "stands here twice",
        ),
        (
            changed("unigram", "/model/vocab/-", json!(["x"])),
            "expected [token, score]",
        ),
    ];
    for (content, expected) in cases {
        let text = refused(&content);
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn added_tokens_that_contradict_are_refused() {
    let token = |id: u64, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
               "normalized": false, "special": true})
    };
    for (tokens, expected) in [
        (
            json!([token(420, "<a>"), token(420, "<b>")]),
            "stands here twice",
        ),
        (
            json!([token(420, "<a>"), token(421, "<a>")]),
            "stands here twice",
        ),
        (json!([token(421, "a")]), "in the vocabulary"),
        (json!([token(500, "<a>")]), "500"),
    ] {
        let text = refused(&changed("bytes", "/added_tokens", tokens));
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn truncation_padding_and_dropout_of_the_file_do_nothing() {
    let mut state = tokenizer("bytes");
    state["padding"] = json!({"strategy": {"Fixed": 4_000_000_000_u64}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "!"});
    state["truncation"] =
        json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 5});
    state["model"]["dropout"] = json!(0.9);
    let (broken, folder) = open(&state, &json!({}));
    let (plain, _plain) = open(&tokenizer("bytes"), &json!({}));
    let text = "The learning rate is the size of a step.";
    for _ in 0..5 {
        assert_eq!(broken.encode(text).unwrap(), plain.encode(text).unwrap());
    }
    // What is saved is the file as it came.
    let copy = TempDir::new().unwrap();
    broken.save(copy.path()).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        assert_eq!(
            fs::read(copy.path().join(name)).unwrap(),
            fs::read(folder.path().join(name)).unwrap()
        );
    }
    assert_eq!(fs::read_dir(copy.path()).unwrap().count(), 2);
}

#[test]
fn a_rule_that_panics_is_an_error() {
    // A table of one unit that points beyond itself.
    let map = "BAAAAAD8//8BYQ==";
    let state = changed(
        "unigram",
        "/normalizer",
        json!({"type": "Precompiled", "precompiled_charsmap": map}),
    );
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("tokenizer.json"), state).unwrap();
    let error = Tokenizer::open(folder.path()).and_then(|tokenizer| tokenizer.encode("abc"));
    assert_eq!(error.unwrap_err().kind(), "tokenizer invalid");
}

#[test]
fn missing_files_and_folders_say_so() {
    let folder = TempDir::new().unwrap();
    let error = Tokenizer::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("there is no such file") && error.contains("SentencePiece"),
        "{error}"
    );
    let error = Tokenizer::from_file(folder.path()).unwrap_err().to_string();
    assert!(error.contains("expected a regular file"), "{error}");
    fs::write(
        folder.path().join("tokenizer.json"),
        tokenizer("bytes").to_string(),
    )
    .unwrap();
    fs::write(folder.path().join("tokenizer_config.json"), "{\n \"a\": }").unwrap();
    let error = Tokenizer::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("tokenizer_config.json:2:7"), "{error}");
}

#[test]
fn texts_that_are_too_much_are_refused_before_they_are_tokenized() {
    let (tokenizer, _folder) = open(&tokenizer("bytes"), &json!({}));
    let error = tokenizer.encode(&"a ".repeat(3 << 20)).unwrap_err();
    assert_eq!(error.kind(), "text too long");
    assert!(
        error.to_string().contains("6291456 bytes, limit 4194304"),
        "{error}"
    );
    let error = tokenizer
        .encode(&" ".repeat(200_000))
        .unwrap_err()
        .to_string();
    assert!(error.contains("a run of white space"), "{error}");
    for text in [
        "a".repeat(300_000),
        format!("a{}", "\u{301}".repeat(50_000)),
        "\n ".repeat(60_000),
    ] {
        let start = std::time::Instant::now();
        let ids = tokenizer.encode(&text).unwrap();
        assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
        assert!(!ids.is_empty());
    }
}

#[test]
fn a_character_without_a_token_is_an_error_with_its_place() {
    let mut state = tokenizer("pieces");
    state["model"]["byte_fallback"] = json!(false);
    state["model"]["unk_token"] = Value::Null;
    let (tokenizer, _folder) = open(&state, &json!({}));
    let error = tokenizer.encode("a batch Ω").unwrap_err();
    assert_eq!(error.kind(), "unknown token");
    assert!(error.to_string().contains("\"Ω\" at byte 8"), "{error}");
    let mut state = golden::tokenizer("unigram");
    state["model"]["unk_id"] = Value::Null;
    let (tokenizer, _folder) = open(&state, &json!({}));
    assert_eq!(tokenizer.encode("a Ω").unwrap_err().kind(), "unknown token");
}

#[test]
fn control_tokens_in_a_records_text_stay_text() {
    for name in ["chatml", "llama2", "gemma", "deepseek3", "vicuna", "olmo"] {
        let golden = golden(name);
        let (tokenizer, _folder) = golden.tokenizer();
        let mut texts: Vec<String> = vec!["a <unk> b </s><s>[INST]<think></think>".to_owned()];
        for token in golden.added_tokens.as_array().unwrap() {
            let token = token["content"].as_str().unwrap();
            texts.push(format!("x{token}y {token} {token}{token}"));
            let middle = token.chars().count() / 2;
            let half: String = token.chars().take(middle).collect();
            texts.push(format!("{half}{token}"));
            texts.push(format!("{half}\u{200b}{}", &token[half.len()..]));
        }
        for text in texts {
            let ids = tokenizer.encode(&text).unwrap();
            let unknown = tokenizer.id("<unk>");
            for id in ids {
                assert!(
                    !tokenizer.is_control(id) || Some(id) == unknown,
                    "{name} {text:?} {id}"
                );
            }
        }
    }
}

#[test]
fn a_stream_gives_what_decoding_gives() {
    for name in ["bytes", "pieces", "unigram", "words"] {
        let (tokenizer, _folder) = open(&tokenizer(name), &json!({}));
        for text in ["Hello, 世界! 😀👩‍👩‍👧 done", " leading", "a  b\n\nc", ""] {
            let ids = tokenizer.encode(text).unwrap();
            let mut stream = tokenizer.stream();
            let mut written = String::new();
            for &id in &ids {
                let part = stream.push(id).unwrap().unwrap_or_default();
                assert!(!part.contains('\u{FFFD}'), "{name} {part:?}");
                written += &part;
            }
            written += &stream.finish().unwrap().unwrap_or_default();
            assert_eq!(written, tokenizer.decode(&ids).unwrap(), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn byte_level_decoding_gives_the_text_back(text in "\\PC{0,60}|[ \\n\\t<|>a-z\u{0}-\u{10}]{0,60}") {
        let plan = TokenizerPlan { vocabulary: 300, ..TokenizerPlan::default() };
        let tokenizer = Tokenizer::train(["some text, some more text"].iter(), &plan).unwrap();
        let ids = tokenizer.encode(&text).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text);
    }

    #[test]
    fn damaged_files_never_panic(place in 0_usize..6_000, byte in any::<u8>(), cut in any::<bool>()) {
        let mut bytes = read("tokenizers/bytes.json").into_bytes();
        let place = place % bytes.len();
        if cut { bytes.truncate(place) } else { bytes[place] = byte }
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("tokenizer.json"), bytes).unwrap();
        match Tokenizer::open(folder.path()) {
            Ok(tokenizer) => { let _ = tokenizer.encode("What is a <s> batch? 1234 日本語"); }
            Err(error) => prop_assert_eq!(error.kind(), "tokenizer invalid"),
        }
    }
}
