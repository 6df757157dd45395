//! Generation against transformers: scores after the rules, searches with beams, log-probabilities.
//!
//! `tests/reference/make_generation.py` made the files.

use std::fs;
use std::path::Path;

use finetune::data::Value;
use finetune::model::generate::{Autoregressive, Settings, Text};
use finetune::model::{Checkpoint, Generator};

use super::device;

fn golden(name: &str) -> Value {
    let path = Path::new("tests/reference/generation").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    let id = |id: &Value| u32::try_from(id.as_u64().unwrap()).unwrap();
    value.as_array().unwrap().iter().map(id).collect()
}

/// `null` is -∞.
fn numbers(value: &Value) -> Vec<f64> {
    let number = |number: &Value| number.as_f64().unwrap_or(f64::NEG_INFINITY);
    value.as_array().unwrap().iter().map(number).collect()
}

fn softmax(scores: &[f64]) -> Vec<f64> {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - highest).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

#[test]
fn scores_after_the_rules_are_those_of_transformers() {
    let golden = golden("processors.json");
    let ends = ids(&golden["ends"]);
    let mut changed = 0;
    for case in golden["cases"].as_array().unwrap() {
        let settings = Settings::new(&case["settings"]).unwrap();
        let (prompt, written) = (ids(&case["prompt"]), ids(&case["written"]));
        let context = [prompt.clone(), written].concat();
        let text = Text {
            prompt: &prompt,
            context: &context,
            opening: prompt.len(),
            limit: golden["new"].as_u64().unwrap() as usize,
            ends: &ends,
        };
        let given = numbers(&case["scores"]);
        let mut scores: Vec<f32> = given.iter().map(|score| *score as f32).collect();
        let keep = if settings.beams.count > 1 {
            1 + ends.len()
        } else {
            1
        };
        settings.sampling().process(&mut scores, &text, keep);
        let expected = numbers(&case["processed"]);
        let found: Vec<f64> = scores.iter().map(|score| f64::from(*score)).collect();
        changed += usize::from(expected != given);
        for (found, expected) in found.iter().zip(&expected) {
            let equal =
                found == expected || (found - expected).abs() <= 2e-6 * expected.abs().max(1.0);
            assert!(equal, "{found}, expected {expected}: {case}");
        }
        for (found, expected) in softmax(&found).iter().zip(softmax(&expected)) {
            assert!((found - expected).abs() < 1e-6, "{case}");
        }
    }
    assert!(changed > 150, "only {changed} cases change anything");
}

#[test]
fn texts_and_scores_are_those_of_transformers() {
    each_model("texts.json", |checkpoint, prompts, cases| {
        let model = checkpoint.causal_lm(&device()).unwrap();
        for case in cases {
            is_as_golden(&model, prompts, case);
        }
    });
}

#[test]
fn answers_of_models_with_an_encoder_are_those_of_transformers() {
    let mut ended = 0;
    each_model("answers.json", |checkpoint, prompts, cases| {
        let model = checkpoint.seq2seq(&device()).unwrap();
        for case in cases {
            ended += is_as_golden(&model, prompts, case);
        }
    });
    assert!(ended > 100, "only {ended} answers end by themselves");
}

/// The prompts of a file, and for each of its models the cases.
fn each_model(file: &str, mut compare: impl FnMut(&Checkpoint, &[Vec<u32>], &[Value])) {
    let golden = golden(file);
    let prompts = golden["prompts"].as_array().unwrap();
    let prompts: Vec<Vec<u32>> = prompts.iter().map(ids).collect();
    let cases = golden["cases"].as_array().unwrap();
    for cases in cases.chunk_by(|a, b| a["model"] == b["model"]) {
        let name = cases[0]["model"].as_str().unwrap();
        let checkpoint = Checkpoint::open(Path::new("tests/reference").join(name)).unwrap();
        compare(&checkpoint, &prompts, cases);
    }
}

/// Compares the answers of a case: all together, and so few rows that prompts wait for each other.
///
/// # Returns
/// How many answers end by a stop token.
fn is_as_golden<M: Autoregressive>(model: &M, prompts: &[Vec<u32>], case: &Value) -> usize {
    let settings = Settings::new(&case["settings"]).unwrap();
    assert_eq!(settings.notes, Vec::<String>::new());
    let answers = case["answers"].as_array().unwrap();
    let name = format!("{}: {}", case["model"], case["settings"]);
    for batch in [64, 4] {
        let generator = Generator::new(model).settings(&settings).batch(batch);
        let made = generator.generate(prompts).unwrap();
        assert_eq!(made.len(), answers.len(), "{name}");
        for (made, expected) in made.iter().zip(answers) {
            let place = format!("{name}: {expected}");
            let all = ids(&expected["ids"]);
            let ended = settings.ends.contains(all.last().unwrap());
            assert_eq!(
                Some(made.prompt as u64),
                expected["prompt"].as_u64(),
                "{place}"
            );
            assert_eq!(made.ids, all[..all.len() - usize::from(ended)], "{place}");
            assert_eq!(made.end_log_prob.is_some(), ended, "{place}");
            let log_probs = made.log_probs.iter().chain(&made.end_log_prob);
            for (found, expected) in log_probs.zip(numbers(&expected["log_probs"])) {
                assert!((found - expected).abs() < 1e-4, "{found}, {place}");
            }
            let score = expected.get("score").and_then(Value::as_f64);
            assert_eq!(made.score.is_some(), score.is_some(), "{place}");
            for (found, expected) in made.score.iter().zip(score) {
                let close = (found - expected).abs() <= 1e-4 * expected.abs().max(1.0);
                assert!(close, "{found}, {place}");
            }
        }
    }
    let ends = |answer: &&Value| settings.ends.contains(ids(&answer["ids"]).last().unwrap());
    answers.iter().filter(ends).count()
}
