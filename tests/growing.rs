//! A small model is trained on growing parts of the data; what is trained is never trained again.

#![allow(clippy::unwrap_used)] // A test may panic.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use finetune::data::tokenizer::TokenizerPlan;
use finetune::eval::Report;
use finetune::prelude::*;
use finetune::train::{BatchConfig, Schedule};
use finetune::tuning::curve::{Grown, Sizes, grow};
use finetune::tuning::{Settings, Validation};
use serde_json::json;

/// Sums that a model can learn the form of.
fn pairs(from: u32, count: u32) -> String {
    let pair = |number: u32| {
        let (one, other) = (number % 10, number / 10 % 10);
        let line = json!({"prompt": format!("{one} and {other}, case {number}?"), "completion": (one + other).to_string()});
        format!("{line}\n")
    };
    (from..from + count).map(pair).collect()
}

/// Files and a model to train, in a folder.
fn settings(folder: &Path) -> Settings {
    let [train, held_out, base] =
        ["train.jsonl", "held-out.jsonl", "base"].map(|name| folder.join(name));
    fs::write(&train, pairs(0, 60)).unwrap();
    fs::write(&held_out, pairs(100, 12)).unwrap();
    let plan = TokenizerPlan {
        vocabulary: 300,
        minimum: 1,
        ..TokenizerPlan::default()
    };
    let text = pairs(0, 112);
    let tokenizer = Tokenizer::train([text.as_str()].into_iter(), &plan).unwrap();
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": tokenizer.vocabulary(),
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "hidden_act": "silu", "initializer_range": 0.02, "attention_bias": false,
        "mlp_bias": false, "bos_token_id": tokenizer.bos(), "eos_token_id": tokenizer.eos(),
        "pad_token_id": tokenizer.pad().unwrap_or_default(),
    });
    let checkpoint = Checkpoint::create(config, 3).unwrap();
    let model = checkpoint.causal_lm(&device(None).unwrap()).unwrap();
    checkpoint.save(&model, &base).unwrap();
    tokenizer.save(&base).unwrap();
    Settings {
        model: Some(base),
        data: vec![train],
        validation: Validation::Files(vec![held_out]),
        template: Some("plain".to_owned()),
        train: TrainConfig {
            epochs: 2.0,
            batch: BatchConfig {
                rows: 5,
                length: 128,
                ..BatchConfig::default()
            },
            schedule: Schedule::constant(1e-2),
            ..TrainConfig::default()
        },
        ..Settings::default()
    }
}

/// Every file below a folder with its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn what_is_trained_is_not_trained_again() {
    let place = tempfile::tempdir().unwrap();
    let (settings, runs) = (settings(place.path()), place.path().join("runs"));
    let device = device(None).unwrap();
    let sizes = |text: &str| text.parse::<Sizes>().unwrap();
    let grown = |settings: &Settings, text: &str, seeds| {
        grow(settings, &sizes(text), seeds, &runs, &device)
    };

    let first: Grown = grown(&settings, "10,20,40", 1).unwrap();
    assert_eq!((first.trained, first.curve.sizes()), (3, vec![10, 20, 40]));
    assert_eq!(first.curve.items, 12);
    let (smallest, largest) = (first.curve.points[0].value, first.curve.points[2].value);
    assert!(largest < smallest, "{:?}", first.curve.points);
    let before = files(&runs);
    let kept = |name: &str| before.keys().filter(|path| path.ends_with(name)).count();
    assert_eq!(
        (
            kept("finished.json"),
            kept("metrics.jsonl"),
            kept(".safetensors")
        ),
        (3, 3, 0)
    );

    // Without weights nothing could be trained, and nothing is.
    let weights = place.path().join("base/model.safetensors");
    let moved = place.path().join("weights");
    fs::rename(&weights, &moved).unwrap();
    let again = grown(&settings, "10,20,40", 1).unwrap();
    assert_eq!((again.trained, &again.curve), (0, &first.curve));
    assert_eq!(files(&runs), before);
    assert!(grown(&settings, "10,20,40,60", 1).is_err());
    fs::rename(&moved, &weights).unwrap();

    // A size and a seed more: only what is missing.
    let more = grown(&settings, "10,20,40,60", 2).unwrap();
    assert_eq!((more.trained, more.curve.points.len()), (5, 8));
    assert!(
        first
            .curve
            .points
            .iter()
            .all(|point| more.curve.points.contains(point))
    );
    assert!(
        before
            .iter()
            .all(|(path, bytes)| files(&runs).get(path) == Some(bytes))
    );
    let report = Report::new("Curve").learning_curve(more.curve).summarise();
    assert!(report.to_string().contains("12 held-out items") && report.to_html().is_ok());

    // Other settings or rows are another curve.
    let refused = |settings: &Settings| {
        let error = grown(settings, "10,20,40", 1).unwrap_err().to_string();
        assert!(
            error.contains("10-42") && error.contains("other settings or other data"),
            "{error}"
        );
    };
    let mut other = settings.clone();
    other.train.epochs = 3.0;
    refused(&other);
    fs::write(&settings.data[0], pairs(200, 60)).unwrap();
    refused(&settings);
}

#[test]
fn what_makes_no_curve_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let settings = settings(place.path());
    let runs = place.path().join("runs");
    let device = device(None).unwrap();
    let check = |settings: &Settings, sizes: &str, seeds, part: &str| {
        let error = grow(settings, &sizes.parse().unwrap(), seeds, &runs, &device)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    };
    check(&settings, "20,40,61", 1, "do not fit 60 rows");
    check(&settings, "7", 1, "do not fit 60 rows");
    check(&settings, "3", 0, "0 seeds");
    let none = Settings {
        validation: Validation::Share(0.0),
        ..settings.clone()
    };
    check(&none, "3", 1, "no rows to validate on");
    assert!(!runs.exists());
}
