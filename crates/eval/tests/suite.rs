//! The benchmark suite against lm-evaluation-harness 0.4.13; `golden/make_suite.py` wrote what it says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use finetune_data::Loaders;
use finetune_eval::local::{Local, Long};
use finetune_eval::suite::{Benchmark, Form, Results, Rows, Setup, Suite};
use finetune_eval::{Context, Outcome, Request, Run, Task, evaluate};
use finetune_model::device;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Golden {
    metrics: BTreeMap<String, BTreeMap<String, Value>>,
    samples: BTreeMap<String, Vec<Sample>>,
}

#[derive(Deserialize)]
struct Sample {
    doc_id: usize,
    filter: String,
    prompt: String,
    #[serde(default)]
    log_likelihoods: Option<Vec<f64>>,
    #[serde(default)]
    continuations: Vec<String>,
    #[serde(default)]
    generation: Option<String>,
    #[serde(default)]
    judged: Option<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/suite")
}

fn golden() -> BTreeMap<String, BTreeMap<String, Golden>> {
    let text =
        std::fs::read_to_string(folder().join("suite.json")).expect("the golden file is there");
    serde_json::from_str(&text).expect("suite.json has the form that make_suite.py writes")
}

/// The task's prompt as text, where it is one: the scored texts, or the prompt.
fn shown(request: &Request) -> Vec<(Option<String>, String)> {
    let context = |context: &Context| match context {
        Context::Text(text) => Some(text.clone()),
        _ => None,
    };
    match request {
        Request::Score(asked) => asked
            .iter()
            .map(|one| (context(&one.context), one.text.clone()))
            .collect(),
        Request::Generate(prompt) => vec![(context(&prompt.context), String::new())],
        Request::Rolling(text) => vec![(Some(text.clone()), String::new())],
    }
}

fn check_sample(name: &str, benchmark: &Benchmark, run: &Run, sample: &Sample) {
    let document = &benchmark.documents()[sample.doc_id];
    let outcome = &run.outcomes[sample.doc_id];
    let asked = shown(&benchmark.request(document).expect("a request"));
    if let Some(prompt) = &asked[0].0 {
        assert_eq!(
            *prompt, sample.prompt,
            "{name}: the prompt of row {}",
            sample.doc_id
        );
    }
    for ((_, text), expected) in asked.iter().zip(&sample.continuations) {
        assert_eq!(text, expected, "{name}: row {}", sample.doc_id);
    }
    if let Some(expected) = &sample.log_likelihoods {
        // Those after nothing come behind those of the choices, and are not kept.
        let found = &outcome.log_likelihoods;
        assert!(
            found.len() == expected.len() || found.len() * 2 == expected.len(),
            "{name}: {found:?} {expected:?}"
        );
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-4,
                "{name}: row {}: {found} {expected}",
                sample.doc_id
            );
        }
    }
    if let Some(expected) = &sample.generation {
        assert_eq!(outcome.output, *expected, "{name}: row {}", sample.doc_id);
    }
    if let (Some(judged), Some(expected)) = (outcome.judged.get(&sample.filter), &sample.judged) {
        assert_eq!(judged, expected, "{name}: row {}", sample.doc_id);
    }
}

fn check_metrics(name: &str, results: &Results, expected: &BTreeMap<String, Value>, task: &str) {
    let found = results.harness();
    for (key, expected) in expected {
        let found = &found["results"][task][key];
        let near = match (found.as_f64(), expected.as_f64()) {
            // The golden file's bootstrap is of 2,000 resamples, ours of 100,000.
            (Some(found), Some(expected)) if key.contains("_stderr") && bootstrapped(key) => {
                (found - expected).abs() < 0.05 * expected.abs() + 1e-9
            }
            (Some(found), Some(expected)) => {
                (found - expected).abs() < 5e-5 * expected.abs().max(1.0)
            }
            _ => found == expected,
        };
        assert!(near, "{name}: {task}: {key}: {found}, expected {expected}");
    }
}

fn bootstrapped(key: &str) -> bool {
    ["perplexity", "f1", "mcc", "bleu", "chrf"]
        .iter()
        .any(|metric| key.starts_with(metric))
}

/// A report that is made of the results alone shows their figures; a model compared with itself has not changed.
fn check_report(results: &Results) {
    let other = Results {
        model: "other".to_owned(),
        ..results.clone()
    };
    let report = Results::report("Benchmarks", &[&other, results]).expect("a report");
    let figures: usize = results.results.values().map(BTreeMap::len).sum();
    assert_eq!(report.metrics.len(), figures);
    for row in &report.metrics {
        let figure = &results.results[&row.task][&row.name];
        let shown = row.values[1].expect("the last model's value");
        assert_eq!(
            (shown.value, shown.error, shown.count),
            (figure.value, figure.stderr, figure.n)
        );
        if let Some(change) = &row.change {
            assert!(change.difference.change.value.abs() < 1e-12 && change.difference.better == 0);
        }
    }
}

fn check(model: &str) {
    let device = device(None).expect("the default device");
    let local = Local::open(folder().join(model), "chat", &device)
        .expect("a tiny model")
        .long(Long::CutLeft);
    let rows = Rows::new(folder().join("rows"), Loaders::default());
    let golden = golden().remove(model).expect("the model's golden results");
    for (name, shots, form) in [
        ("zero", 0, Form::Text),
        ("two", 2, Form::Text),
        ("chat", 2, Form::Chat { turns: false }),
        ("turns", 2, Form::Chat { turns: true }),
    ] {
        let golden = &golden[name];
        let system = (form != Form::Text).then(|| "Be brief.".to_owned());
        let setup = Setup {
            shots: Some(shots),
            form,
            system,
            ..Setup::default()
        };
        let suite = Suite::standard().with(folder()).expect("our own tasks");
        let names: Vec<&String> = golden.metrics.keys().collect();
        let selection = suite.select(&names).expect("known tasks");
        let mut runs = Vec::new();
        for task in selection.tasks {
            let benchmark = Benchmark::open(task, &rows, &setup).expect("rows");
            let run = evaluate(model, &local, &benchmark, benchmark.documents()).expect("a run");
            for sample in golden.samples.get(&run.task).into_iter().flatten() {
                check_sample(
                    &format!("{model}: {name}: {}", run.task),
                    &benchmark,
                    &run,
                    sample,
                );
            }
            runs.push((benchmark, run));
        }
        let pairs: Vec<_> = runs
            .iter()
            .map(|(benchmark, run)| (benchmark, run))
            .collect();
        let results = Results::new(model, &setup, &pairs, &selection.groups);
        for (task, expected) in &golden.metrics {
            check_metrics(&format!("{model}: {name}"), &results, expected, task);
        }
        let file = tempfile::tempdir().expect("a folder");
        let path = file.path().join("results.json");
        results.write(&path).expect("a file");
        assert_eq!(Results::read(&path).expect("what was written"), results);
        check_report(&results);
        let outcomes: Vec<_> = results
            .runs()
            .into_iter()
            .flat_map(|run| run.outcomes)
            .collect();
        assert_eq!(
            Outcome::open(&path).expect("outcomes for the analysis"),
            outcomes
        );
    }
}

#[test]
fn equals_the_harness_with_a_bos_token() {
    check("bos");
}

#[test]
fn equals_the_harness_without_a_bos_token() {
    check("plain");
}

#[test]
fn rows_that_stand_in_training_data_are_found_and_left_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = folder.path().join("openbookqa");
    std::fs::create_dir(&rows).expect("a folder");
    let row = |id: &str, question: &str| {
        let choices =
            serde_json::json!({"text": ["a bird", "a stone of some weight"], "label": ["A", "B"]});
        serde_json::json!({"id": id, "question_stem": question, "choices": choices, "answerKey": "A"}).to_string()
    };
    let known = "Which of these two things would be carried away by a small gust of wind on a hill";
    let test = [
        row("one", known),
        row("two", "What else is there"),
        row("three", "And what more"),
    ];
    std::fs::write(rows.join("test.jsonl"), test.join("\n")).expect("a file");
    let train = folder.path().join("train.jsonl");
    std::fs::write(
        &train,
        format!(
            "{{\"text\": \"Nothing.\"}}\n{{\"text\": \"So he asked: {known}? No one knew.\"}}\n"
        ),
    )
    .expect("a file");
    let (training, _) = Loaders::default()
        .load_all(&[&train], &finetune_data::OnError::Stop)
        .expect("rows");

    let device = device(None).expect("the default device");
    let local = Local::open(self::folder().join("bos"), "chat", &device)
        .expect("a tiny model")
        .long(Long::CutLeft);
    let task = Suite::standard()
        .select(&["openbookqa"])
        .expect("a task")
        .tasks
        .remove(0);
    let setup = Setup::default();
    let benchmark =
        Benchmark::open(task, &Rows::new(folder.path(), Loaders::default()), &setup).expect("rows");
    let run = evaluate("bos", &local, &benchmark, benchmark.documents()).expect("a run");
    let results = Results::new("bos", &setup, &[(&benchmark, &run)], &[])
        .against(&training)
        .expect("a search");
    let leaks = &results.leaks["openbookqa"];
    assert_eq!(
        (leaks.searched, leaks.found.len(), leaks.found[0].index),
        (3, 1, 0)
    );
    assert_eq!(leaks.found[0].training.place, 2);
    assert!(
        leaks.found[0].text.contains("carried away by a small gust"),
        "{}",
        leaks.found[0].text
    );
    assert_eq!(
        (leaks.clean["acc"].n, results.results["openbookqa"]["acc"].n),
        (2, 3)
    );
    let report = Results::report("Benchmarks", &[&results])
        .expect("a report")
        .to_string();
    assert!(
        report.contains("acc, clean rows") && report.contains("prefers the longest"),
        "{report}"
    );
}
