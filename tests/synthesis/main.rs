//! The example `synthesize` makes data that the example `finetune` reads: asked of a service that fails, and of a model
//! of ours; through kills and signals, without asking twice.
#![allow(clippy::unwrap_used)] // A test may panic.

mod endpoint;
mod local;
#[path = "../../crates/data/tests/service/mod.rs"]
mod service;
#[allow(dead_code)] // Its `main`.
#[path = "../../examples/synthesize.rs"]
mod synthesize;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Parser;
use finetune::data::Value;
use finetune::prelude::*;
use serde_json::json;
use synthesize::{Flags, run};

/// The example with these arguments.
fn ran(arguments: &[&str]) -> Result<(), String> {
    let given = ["synthesize"].iter().chain(arguments);
    let flags = Flags::try_parse_from(given).map_err(|error| error.to_string())?;
    run(&flags, Arc::new(AtomicBool::new(false))).map_err(|error| error.to_string())
}

/// A file of records with one field `body`, as another program would have written it.
fn texts(path: &Path, texts: impl IntoIterator<Item = String>) {
    let lines: Vec<String> = texts
        .into_iter()
        .map(|text| json!({"body": text}).to_string())
        .collect();
    fs::write(path, lines.join("\n")).unwrap();
}

/// The rows of a result.
fn rows(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The rows as the example `finetune` reads them: questions with their answers.
fn pairs(path: &Path) -> Vec<(String, String)> {
    let read = Loaders::default().examples(&[path], &OnError::Stop, &AnyChat::default());
    let (chats, counts) = read.unwrap();
    assert_eq!(counts.read, counts.kept);
    chats
        .iter()
        .map(|chat| (chat.question(), chat.answer().unwrap().to_owned()))
        .collect()
}

#[test]
fn what_cannot_be_used_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    texts(Path::new(&at("texts.jsonl")), ["One.".to_owned()]);
    let chat = json!({"messages": [
        {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}, {"role": "assistant", "content": "d"},
    ]});
    fs::write(at("chats.jsonl"), chat.to_string()).unwrap();
    fs::write(at("broken.json"), "{\"name\": \"a\"}").unwrap();
    fs::write(at("broken.txt"), "{% if %}").unwrap();
    fs::write(at("unknown.txt"), "{{ tekst }}").unwrap();
    fs::create_dir(at("model")).unwrap();
    let (input, made, cache) = (at("texts.jsonl"), at("made.jsonl"), at("cache"));
    let base = ["--output", &made, "--cache", &cache];
    // Nobody listens there.
    let asked = ["--endpoint", "http://127.0.0.1:1/v1", "--model", "m"];
    let cases: &[(&[&str], &str)] = &[
        (
            &["--model", "m", "--endpoint", "localhost:80", &input],
            "expected an address such as",
        ),
        (
            &["--model", "m", "--key-from", "KEY", &input],
            "--endpoint <URL>",
        ),
        (&["--model", &at("model"), &input], "config.json"),
        (&["--model", "m"], "<INPUTS>"),
        (&[&input], "--model <MODEL>"),
        (
            &["--model", "m", "--make", "poems", &input],
            "pairs, paraphrases, questions, harder, preferences",
        ),
        (
            &["--model", "m", "--map", "promt=a", &input],
            "did you mean prompt?",
        ),
        (
            &["--model", "m", "--on-error", "hide", &input],
            "stop, skip or quarantine=FILE",
        ),
        (
            &["--model", "m", "--prompt", &at("no.txt"), &input],
            "no.txt: cannot read",
        ),
        (
            &["--model", "m", "--prompt", &at("broken.json"), &input],
            "broken.json:1:13: found no recipe",
        ),
    ];
    for (arguments, part) in cases {
        let error = ran(&[base.as_slice(), arguments].concat()).unwrap_err();
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
    let over_the_net: &[(&[&str], &str)] = &[
        (&["--adapter", "a", &input], "--adapter <ADAPTER>"),
        (&["--key-from", "NO_SUCH_KEY", &input], "NO_SUCH_KEY"),
        (&[&at("no.jsonl")], "no.jsonl"),
        (&["--field", "text", &input], "\"body\""),
        (
            &["--chunk", "9", "--overlap", "9", "--field", "body", &input],
            "overlap",
        ),
        (&["--prompt", &at("broken.txt"), &input], "\"broken\":1"),
        (&["--prompt", &at("unknown.txt"), &input], "undefined"),
        (
            &["--make", "questions", &at("chats.jsonl")],
            "one question of the user",
        ),
        (&["--budget-cost", "1", &input], "a price with it"),
        (&["--temperature", "-1", &input], "temperature"),
        (&["--threads", "0", &input], "threads"),
        (&["--count", "0", &input], "count"),
        (&["--timeout", "0", &input], "--timeout"),
        (&["--tries", "1", &input], "no data was made"),
    ];
    for (arguments, part) in over_the_net {
        let error = ran(&[base.as_slice(), asked.as_slice(), arguments].concat()).unwrap_err();
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
    assert!(!Path::new(&made).exists());
    // Only what a run made is replaced.
    let here = folder.path().display().to_string();
    for (output, input, part) in [
        ("chats.jsonl", &input, "was not made here"),
        ("made.csv", &input, "ends with .jsonl"),
        (
            "texts.jsonl",
            &input,
            "which is read; choose another --output",
        ),
        ("new.jsonl", &here, "which is read; choose another --output"),
    ] {
        let error = ran(&["--model", "m", "--output", &at(output), input]).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}
