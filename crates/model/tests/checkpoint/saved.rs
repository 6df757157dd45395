//! What is written: every tensor as it came, and the files without which the weights cannot be used.

use std::fs;
use std::path::{Path, PathBuf};

use finetune_model::{Checkpoint, Head, ModelError, weights};
use serde_json::Value;

use crate::files::{changed, config, device, good, gpt2, load, open, read, says, weights_of};

/// The golden checkpoints, which transformers wrote.
fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
    let entries = fs::read_dir(folder).unwrap();
    let cases: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|case| case.join("expected.safetensors").exists())
        .collect();
    assert!(cases.len() >= 8, "{cases:?}");
    cases
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_tensors_of_transformers_come_back_as_they_were() {
    for folder in cases() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let to = tempfile::tempdir().unwrap();
        let copy = to.path().join("copy");
        match checkpoint.head().unwrap() {
            Head::Causal => checkpoint.save(&checkpoint.causal_lm(&device()).unwrap(), &copy),
            Head::Classifier => {
                let labels = checkpoint.labels().len();
                checkpoint.save(&checkpoint.classifier(labels, &device()).unwrap(), &copy)
            }
            Head::TokenClassifier => {
                let labels = checkpoint.labels().len();
                checkpoint.save(
                    &checkpoint.token_classifier(labels, &device()).unwrap(),
                    &copy,
                )
            }
            Head::Masked => checkpoint.save(&checkpoint.masked_lm(&device()).unwrap(), &copy),
            Head::Seq2Seq => checkpoint.save(&checkpoint.seq2seq(&device()).unwrap(), &copy),
            Head::Discriminator => {
                checkpoint.save(&checkpoint.discriminator(&device()).unwrap(), &copy)
            }
            other => panic!("{other}"),
        }
        .unwrap();
        let weights = "model.safetensors";
        assert_eq!(
            read(&copy.join(weights)),
            read(&folder.join(weights)),
            "{name}"
        );
        let config = "config.json";
        assert_eq!(
            json(&copy.join(config)),
            json(&folder.join(config)),
            "{name}"
        );
        assert_eq!(fs::read_dir(&copy).unwrap().count(), 2, "{name}");
    }
}

#[test]
fn what_the_weights_need_comes_along_and_what_describes_the_base_does_not() {
    const NEEDED: [&str; 14] = [
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "tokenizer.model",
        "chat_template.jinja",
        "tokenization_own.py",
        "LICENSE",
        "LICENSE.txt",
        "additional_chat_templates/tools.jinja",
    ];
    const LEFT: [&str; 11] = [
        "README.md",
        "training_args.bin",
        "pytorch_model.bin",
        "optimizer.pt",
        "trainer_state.json",
        "all_results.json",
        "inputs.safetensors",
        "pytorch_model.bin.index.json",
        "picture.png",
        ".gitattributes",
        "additional_chat_templates/README.md",
    ];
    let folder = good(config());
    let base = folder.path().join("m");
    fs::create_dir(base.join("additional_chat_templates")).unwrap();
    fs::create_dir(base.join("runs")).unwrap();
    for name in NEEDED.iter().chain(&LEFT) {
        fs::write(base.join(name), *name).unwrap();
    }
    let checkpoint = open(&folder).unwrap();
    let copy = folder.path().join("copy");
    let model = checkpoint.causal_lm(&device()).unwrap();
    checkpoint.save(&model, &copy).unwrap();
    for name in NEEDED {
        assert_eq!(fs::read_to_string(copy.join(name)).unwrap(), name);
    }
    for name in LEFT.iter().chain(&["runs"]) {
        assert!(!copy.join(name).exists(), "{name} was copied");
    }
}

#[test]
fn what_no_model_uses_is_kept() {
    let folder = changed(gpt2(), |tensors| {
        let mask = ("BOOL".to_owned(), vec![1, 1, 2, 2], vec![1, 0, 1, 1]);
        tensors.insert("transformer.h.0.attn.bias".to_owned(), mask);
    });
    fs::write(folder.path().join("m/tokenizer.json"), "{}").unwrap();
    fs::write(folder.path().join("m/pytorch_model.bin"), "x").unwrap();
    let checkpoint = open(&folder).unwrap();
    let model = checkpoint.causal_lm(&device()).unwrap();
    let copy = folder.path().join("copy");
    checkpoint.save(&model, &copy).unwrap();
    assert_eq!(
        read(&copy.join("model.safetensors")),
        read(&weights_of(&folder))
    );
    assert_eq!(
        fs::read_to_string(copy.join("tokenizer.json")).unwrap(),
        "{}"
    );
    assert!(!copy.join("pytorch_model.bin").exists());
}

#[test]
fn unknown_tensors_are_kept_on_request() {
    let folder = changed(config(), |tensors| {
        tensors.insert("extra".to_owned(), ("I64".to_owned(), vec![1], vec![1; 8]));
    });
    says(&load(&folder).unwrap_err(), &["1 unexpected: \"extra\""]);
    let checkpoint = open(&folder).unwrap().keep_unknown();
    let model = checkpoint.causal_lm(&device()).unwrap();
    checkpoint.save(&model, folder.path().join("copy")).unwrap();
    let copy = folder.path().join("copy/model.safetensors");
    assert_eq!(read(&copy), read(&weights_of(&folder)));
}

#[test]
fn names_of_bare_trunks_and_of_old_files() {
    let folder = changed(gpt2(), |tensors| {
        for (name, tensor) in std::mem::take(tensors) {
            let name = name.trim_start_matches("transformer.");
            let name = name
                .replace("ln_f.weight", "ln_f.gamma")
                .replace("ln_f.bias", "ln_f.beta");
            tensors.insert(name, tensor);
        }
    });
    let checkpoint = open(&folder).unwrap();
    let model = checkpoint.causal_lm(&device()).unwrap();
    checkpoint.save(&model, folder.path().join("copy")).unwrap();
    let copy = read(&folder.path().join("copy/model.safetensors"));
    assert_eq!(copy, read(&weights_of(&folder)));
    assert!(copy.contains_key("ln_f.gamma") && copy.contains_key("h.1.attn.c_attn.weight"));
}

#[test]
fn a_classifier_on_a_pretrained_trunk_has_a_new_head() {
    let folder = good(config());
    let checkpoint = open(&folder).unwrap().with_labels(&["no", "yes", "maybe"]);
    assert_eq!(
        checkpoint.fresh(Head::Classifier, &device()).unwrap(),
        ["score.weight"]
    );
    let model = checkpoint.classifier(3, &device()).unwrap();
    let copy = folder.path().join("copy");
    checkpoint.save(&model, &copy).unwrap();
    let saved = Checkpoint::open(&copy).unwrap();
    assert_eq!(saved.head(), Some(Head::Classifier));
    assert_eq!(saved.labels(), ["no", "yes", "maybe"]);
    assert!(saved.fresh(Head::Classifier, &device()).unwrap().is_empty());
    let again = saved.classifier(3, &device()).unwrap();
    let values = |model| {
        weights::values(model)
            .into_iter()
            .map(|(path, value)| (path, value.to_data()))
    };
    assert!(values(&again).eq(values(&model)));
    let error = saved.classifier(2, &device()).unwrap_err();
    says(&error, &["\"score.weight\" is [3, 8], expected [2, 8]"]);
    // The trunk's own head came along.
    assert!(read(&copy.join("model.safetensors")).contains_key("lm_head.weight"));
}

#[test]
fn the_head_of_a_task_takes_what_the_pretrained_one_brings() {
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
    let classifier = ["classifier.weight", "classifier.bias"];
    for (case, head, fresh) in [
        ("modernbert_masked", Head::Classifier, &classifier[..]),
        ("modernbert_masked", Head::TokenClassifier, &classifier),
        ("bert_masked", Head::TokenClassifier, &classifier),
        (
            "distilbert_masked",
            Head::Classifier,
            &[
                "pre_classifier.weight",
                "pre_classifier.bias",
                "classifier.weight",
                "classifier.bias",
            ],
        ),
        ("electra_discriminator", Head::TokenClassifier, &classifier),
        ("electra_discriminator", Head::Discriminator, &[]),
        (
            "llama_grouped",
            Head::TokenClassifier,
            &["score.weight", "score.bias"],
        ),
    ] {
        let checkpoint = Checkpoint::open(reference.join(case)).unwrap();
        let found = checkpoint.fresh(head, &device()).unwrap();
        assert_eq!(found, fresh, "{case}");
    }
    let checkpoint = Checkpoint::open(reference.join("bert_masked")).unwrap();
    let checkpoint = checkpoint.with_labels(&["O", "B", "I", "E"]);
    let model = checkpoint.token_classifier(4, &device()).unwrap();
    let to = tempfile::tempdir().unwrap();
    checkpoint.save(&model, to.path().join("copy")).unwrap();
    let saved = Checkpoint::open(to.path().join("copy")).unwrap();
    assert_eq!(saved.head(), Some(Head::TokenClassifier));
    assert_eq!(saved.labels(), ["O", "B", "I", "E"]);
    assert!(
        saved
            .fresh(Head::TokenClassifier, &device())
            .unwrap()
            .is_empty()
    );
    let error = checkpoint.discriminator(&device()).unwrap_err();
    says(&error, &["bert", "discriminator", "token-classifier"]);
}

#[test]
fn a_failed_save_leaves_nothing() {
    let folder = good(config());
    let checkpoint = open(&folder).unwrap();
    let model = checkpoint.causal_lm(&device()).unwrap();
    let broken = weights::map_values(model, &mut |path, value| {
        if path == "stack.norm.weight" {
            value * f32::NAN
        } else {
            value
        }
    });
    let error = checkpoint
        .save(&broken, folder.path().join("copy"))
        .unwrap_err();
    assert!(
        matches!(error, ModelError::NonFiniteWeights { .. }),
        "{error}"
    );
    let left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    assert_eq!(left, ["m"]);
}
