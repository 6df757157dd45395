//! The example `evaluate` puts benchmarks to a model behind an endpoint.
#![allow(clippy::unwrap_used)] // A test may panic.

#[allow(dead_code)] // Its `main`.
#[path = "../examples/evaluate/main.rs"]
mod evaluate;
#[path = "../crates/data/tests/service/mod.rs"]
mod service;

use std::fs;

use clap::Parser;
use evaluate::{Flags, run};
use finetune::eval::suite::Results;
use serde_json::{Value, json};
use service::{Server, send};

/// The example with these arguments.
fn ran(arguments: &[&str]) -> Result<(), String> {
    let given = ["evaluate"].iter().chain(arguments);
    let flags = Flags::try_parse_from(given).map_err(|error| error.to_string())?;
    run(&flags).map_err(|error| error.to_string())
}

/// A service that finds a text the likelier the shorter its last word is, and says that word again.
fn answer(body: &Value) -> Value {
    let prompt = body["prompt"].as_str().unwrap();
    let (before, word) = prompt.rsplit_once(' ').unwrap();
    let last = format!(" {word}");
    let number = -(word.len() as f64);
    let logprobs = json!({
        "tokens": [before, last, "\n"], "token_logprobs": [null, number, -1],
        "top_logprobs": [null, {last.as_str(): number}, {"\n": -1}],
        "text_offset": [0, before.chars().count(), prompt.chars().count()],
    });
    let text = if body.get("echo").is_some() {
        prompt
    } else {
        word
    };
    json!({"choices": [{"text": text, "finish_reason": "stop", "logprobs": logprobs}]})
}

#[test]
fn a_model_behind_an_endpoint_is_asked_once_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let task = |name: &str, text: &str| {
        let text = format!("task: {name}\ntest_split: test\ndoc_to_text: question\n{text}");
        fs::write(at(&format!("{name}.yaml")), text).unwrap();
        fs::create_dir(at(name)).unwrap();
    };
    let choice = "output_type: multiple_choice\ndoc_to_choice: choices\ndoc_to_target: answer\n";
    task("choose", choice);
    task(
        "write",
        "output_type: generate_until\ndoc_to_target: answer\n",
    );
    let choices = json!(["no", "never", "nowhere"]);
    let rows = [0, 1, 0].map(|answer| {
        json!({"question": "Ever?", "choices": choices, "answer": answer}).to_string()
    });
    fs::write(at("choose/test.jsonl"), rows.join("\n")).unwrap();
    let row = json!({"question": "Say yes", "answer": "yes"});
    fs::write(at("write/test.jsonl"), row.to_string()).unwrap();

    let server = Server::start(|_, body, stream| {
        send(stream, "200 OK", "", &answer(body).to_string());
    });
    let (tasks, cache) = (
        format!("{},{}", at("choose.yaml"), at("write.yaml")),
        at("cache"),
    );
    let (data, output) = (at(""), at("results.json"));
    let key = ["--key-from", "CARGO_MANIFEST_DIR"];
    let base = [
        "--endpoint",
        &server.base,
        "--name",
        "mock",
        "--data",
        &data,
    ];
    let rest = ["--tasks", &tasks, "--cache", &cache, "--output", &output];
    let arguments = [base.as_slice(), &rest, &key].concat();
    ran(&arguments).unwrap();
    let results = Results::read(&output).unwrap();
    assert_eq!(results.model, "mock");
    assert_eq!(results.configuration["endpoint"], server.base.as_str());
    let value = |task: &str, metric: &str| {
        let figures = &results.results[task];
        let found = figures.iter().find(|(name, _)| name.starts_with(metric));
        found.unwrap().1.value
    };
    assert!((value("choose", "acc") - 2.0 / 3.0).abs() < 1e-12);
    assert!((value("write", "exact_match") - 1.0).abs() < 1e-12);
    // The questions are the same three times, and their answers are kept.
    assert_eq!(server.count(), 4);
    ran(&arguments).unwrap();
    let again = Results::read(&output).unwrap();
    assert_eq!((server.count(), &again.results), (4, &results.results));
    let key = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let asked = server.asked.lock().unwrap();
    assert!(
        asked
            .iter()
            .all(|(head, _)| head.contains(&format!("Bearer {key}")))
    );
    let written = fs::read_to_string(&output).unwrap();
    assert!(!written.contains("Bearer") && !written.contains(&key));
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let url = ["--endpoint", "http://127.0.0.1:1/v1"];
    for (arguments, part) in [
        (&["--data", "d"] as &[&str], "--model"),
        (
            &["--data", "d", "--endpoint", "localhost:1"],
            "http://localhost:8080/v1",
        ),
        (
            &[url[0], url[1], "--data", "d", "--tasks", "piqa"],
            "--name",
        ),
        (&[url[0], url[1], "--data", "d", "--name", "m"], "--tasks"),
        (
            &["--model", "m", "--data", "d", "--name", "m"],
            "--endpoint",
        ),
        (
            &[
                url[0], url[1], "--data", "d", "--name", "m", "--tasks", "piqa", "--model", "m",
            ],
            "--model",
        ),
    ] {
        let error = ran(arguments).unwrap_err();
        assert!(error.contains(part), "{arguments:?}: {error}");
    }
}

#[test]
fn models_without_a_chat_template_are_judged_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/eval/tests/golden");
    let (bos, plain) = (
        format!("{golden}/with_bos"),
        format!("{golden}/without_bos"),
    );
    let rows = format!("{golden}/suite/rows");
    let train = format!("{rows}/arc_easy/test.jsonl");
    let arguments = [
        "--model",
        &bos,
        &plain,
        "--tasks",
        "arc_easy,mmlu_anatomy",
        "--data",
        &rows,
        "--shots",
        "1",
        "--output",
        &at("out.json"),
        "--report",
        &at("report.html"),
        "--train",
        &train,
        "--cache",
        &at("cache"),
    ];
    ran(&arguments).unwrap();
    for name in ["with_bos", "without_bos"] {
        let results = Results::read(at(&format!("out-{name}.json"))).unwrap();
        assert_eq!(results.results["arc_easy"]["acc"].n, 8);
        assert_eq!(results.samples["arc_easy"][3].id, json!("Row_3"));
        assert_eq!(results.leaks["arc_easy"].found.len(), 8);
        let harness = fs::read_to_string(at(&format!("out-{name}.harness.json"))).unwrap();
        let harness: Value = serde_json::from_str(&harness).unwrap();
        assert_eq!(harness["results"]["mmlu_anatomy"]["sample_len"], 6);
        assert_eq!(harness["n-shot"]["arc_easy"], 1);
    }
    let page = fs::read_to_string(at("report.html")).unwrap();
    assert!(page.contains("acc, clean rows") || page.contains("Benchmarks in the training data"));
    // What was answered before is not asked again, and gives the same files.
    let before = fs::read(at("out-with_bos.json")).unwrap();
    ran(&arguments).unwrap();
    let without_time = |bytes: &[u8]| {
        let mut value: Value = serde_json::from_slice(bytes).unwrap();
        for task in value["tasks"].as_object_mut().unwrap().values_mut() {
            task["seconds"] = Value::Null;
        }
        // How much was cut is counted while a model is asked.
        value["configuration"]["cut"] = Value::Null;
        value
    };
    assert_eq!(
        without_time(&fs::read(at("out-with_bos.json")).unwrap()),
        without_time(&before)
    );
    // A template that is not there is an error where it is needed.
    let error = ran(&[
        "--model", &bos, "--tasks", "arc_easy", "--data", &rows, "--chat",
    ])
    .unwrap_err();
    assert!(error.contains("template"), "{error}");
}
