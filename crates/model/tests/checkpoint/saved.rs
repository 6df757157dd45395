//! What is written: every tensor as it came, and the files without which the weights cannot be used.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{FloatDType, TensorData};
use finetune_model::{Checkpoint, Head, ModelError, Network, weights};
use half::{bf16, f16};
use serde_json::Value;

use crate::files::{
    Tensors, changed, config, device, good, gpt2, load, open, read, says, weights_of, write,
};

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

/// Builds the model that a checkpoint was saved with, saves it, and hands out its values.
fn saved(checkpoint: &Checkpoint, copy: &Path) -> BTreeMap<String, TensorData> {
    match checkpoint.head().unwrap() {
        Head::Causal => written(checkpoint, &checkpoint.causal_lm(&device()).unwrap(), copy),
        Head::Classifier => {
            let labels = checkpoint.labels().len();
            let model = checkpoint.classifier(labels, &device()).unwrap();
            written(checkpoint, &model, copy)
        }
        Head::TokenClassifier => {
            let labels = checkpoint.labels().len();
            let model = checkpoint.token_classifier(labels, &device()).unwrap();
            written(checkpoint, &model, copy)
        }
        Head::Masked => written(checkpoint, &checkpoint.masked_lm(&device()).unwrap(), copy),
        Head::Seq2Seq => written(checkpoint, &checkpoint.seq2seq(&device()).unwrap(), copy),
        Head::Discriminator => written(
            checkpoint,
            &checkpoint.discriminator(&device()).unwrap(),
            copy,
        ),
        other => panic!("{other}"),
    }
}

fn written<M: Network>(
    checkpoint: &Checkpoint,
    model: &M,
    copy: &Path,
) -> BTreeMap<String, TensorData> {
    checkpoint.save(model, copy).unwrap();
    let values = weights::values(model).into_iter();
    values
        .map(|(path, value)| (path, value.into_data()))
        .collect()
}

#[test]
fn the_tensors_of_transformers_come_back_as_they_were() {
    for folder in cases() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let to = tempfile::tempdir().unwrap();
        let copy = to.path().join("copy");
        saved(&Checkpoint::open(&folder).unwrap(), &copy);
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

/// From a number to the bytes of a short one.
type Round = fn(f32) -> [u8; 2];

/// The weights of a case in another type, in a folder of their own.
fn converted(case: &Path, folder: &Path, dtype: &str, round: Round) {
    fs::create_dir_all(folder).unwrap();
    fs::copy(case.join("config.json"), folder.join("config.json")).unwrap();
    let mut tensors = read(&case.join("model.safetensors"));
    for (own, _, bytes) in tensors.values_mut().filter(|(own, _, _)| own == "F32") {
        dtype.clone_into(own);
        *bytes = bytes
            .chunks_exact(4)
            .flat_map(|b| round(f32::from_le_bytes(b.try_into().unwrap())))
            .collect();
    }
    write(&folder.join("model.safetensors"), &tensors);
}

#[test]
fn short_types_are_read_as_f32_and_as_they_are_and_come_back_as_they_were() {
    let half: Round = |value| f16::from_f32(value).to_le_bytes();
    let brain: Round = |value| bf16::from_f32(value).to_le_bytes();
    let types = [
        ("F16", half, FloatDType::F16),
        ("BF16", brain, FloatDType::BF16),
    ];
    for case in cases() {
        for (dtype, round, own) in types {
            let to = tempfile::tempdir().unwrap();
            let folder = to.path().join("m");
            converted(&case, &folder, dtype, round);
            let file = read(&folder.join("model.safetensors"));
            let open = || Checkpoint::open(&folder).unwrap();
            let place = format!("{}, {dtype}", case.display());
            let wide = saved(&open(), &to.path().join("wide"));
            let own = saved(&open().with_dtype(own), &to.path().join("own"));
            for copy in ["wide", "own"] {
                let copy = read(&to.path().join(copy).join("model.safetensors"));
                assert_eq!(copy, file, "{place}");
            }
            for (path, value) in own {
                assert_eq!(value.convert::<f32>(), wide[&path], "{place}: {path}");
            }
        }
    }
}

#[test]
fn one_file_and_several_are_the_same_model() {
    for case in cases() {
        let to = tempfile::tempdir().unwrap();
        let folder = to.path().join("m");
        fs::create_dir(&folder).unwrap();
        fs::copy(case.join("config.json"), folder.join("config.json")).unwrap();
        let tensors = read(&case.join("model.safetensors"));
        let mut shards = vec![Tensors::new(); 3];
        let mut map = serde_json::Map::new();
        for (number, (name, tensor)) in tensors.into_iter().enumerate() {
            let shard = format!("model-{:05}-of-00003.safetensors", number % 3 + 1);
            map.insert(name.clone(), Value::String(shard));
            shards[number % 3].insert(name, tensor);
        }
        for (number, shard) in shards.iter().enumerate() {
            let name = format!("model-{:05}-of-00003.safetensors", number + 1);
            write(&folder.join(name), shard);
        }
        let index = serde_json::json!({"metadata": {}, "weight_map": map});
        let name = "model.safetensors.index.json";
        fs::write(folder.join(name), index.to_string()).unwrap();
        let copies = ["one", "several"].map(|name| to.path().join(name));
        let one = saved(&Checkpoint::open(&case).unwrap(), &copies[0]);
        let several = saved(&Checkpoint::open(&folder).unwrap(), &copies[1]);
        assert!(one == several, "{}", case.display());
        for (number, shard) in shards.into_iter().enumerate() {
            let name = format!("model-{:05}-of-00003.safetensors", number + 1);
            assert_eq!(read(&copies[1].join(name)), shard, "{}", case.display());
        }
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

/// A trunk is what every head stands on: it is built from any checkpoint, and the rest is written back.
#[test]
fn a_trunk_is_in_every_checkpoint() {
    for case in cases() {
        let to = tempfile::tempdir().unwrap();
        let checkpoint = Checkpoint::open(&case).unwrap();
        let trunk = checkpoint.trunk(&device());
        if case.ends_with("t5_apart") {
            // Its encoder has an embedding of its own beside the shared one, of which a trunk has no place for two.
            let error = trunk.unwrap_err();
            says(&error, &["encoder.embed_tokens.weight", "shared.weight"]);
            continue;
        }
        let trunk = trunk.unwrap();
        let copy = to.path().join("copy");
        let values = written(&checkpoint, &trunk, &copy);
        let whole = saved(&checkpoint, &to.path().join("whole"));
        for (path, value) in values {
            assert!(whole[&path] == value, "{}: {path}", case.display());
        }
        let file = "model.safetensors";
        assert_eq!(read(&copy.join(file)), read(&case.join(file)));
    }
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
    assert_eq!(saved.config().get("problem_type"), None);
    let sets = open(&folder).unwrap().with_label_sets(&["no", "yes"]);
    assert_eq!(sets.labels(), ["no", "yes"]);
    assert_eq!(sets.config()["problem_type"], "multi_label_classification");
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
