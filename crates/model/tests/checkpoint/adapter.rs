//! Adapters that are damaged, wrong, made to harm, or ask for what is not implemented.

use std::fs;
use std::path::{Path, PathBuf};

use finetune_model::lora::{self, LoraConfig};
use finetune_model::{Checkpoint, Classifier, ModelError};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::files::{Tensors, config, device, read, says, write, write_raw};

const QUERY: &str = "base_model.model.model.layers.0.self_attn.q_proj";

/// A classifier's adapter, which has a trained head too, in a folder of its own.
fn good() -> (Checkpoint, TempDir) {
    let checkpoint = Checkpoint::create(config(), 1).unwrap();
    let model = checkpoint.classifier(2, &device()).unwrap();
    let config = LoraConfig {
        rank: 2,
        alpha: 3.0,
        ..LoraConfig::default()
    };
    let model = lora::attach(model, checkpoint.architecture(), &config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    lora::save(&model, checkpoint.architecture(), "base", folder.path()).unwrap();
    (checkpoint, folder)
}

fn load(checkpoint: &Checkpoint, folder: &Path) -> Result<Classifier, ModelError> {
    let model = checkpoint.classifier(2, &device()).unwrap();
    lora::load(model, checkpoint.architecture(), folder)
}

fn weights_of(folder: &TempDir) -> PathBuf {
    folder.path().join(lora::WEIGHTS_FILE)
}

/// The error after a change of the tensors.
fn with_tensors(change: impl FnOnce(&mut Tensors)) -> ModelError {
    let (checkpoint, folder) = good();
    let mut tensors = read(&weights_of(&folder));
    change(&mut tensors);
    write(&weights_of(&folder), &tensors);
    load(&checkpoint, folder.path()).unwrap_err()
}

/// What comes of a change of the settings.
fn with_settings(change: impl FnOnce(&mut Value)) -> Result<Classifier, ModelError> {
    let (checkpoint, folder) = good();
    let path = folder.path().join(lora::CONFIG_FILE);
    let mut settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut settings);
    fs::write(&path, settings.to_string()).unwrap();
    load(&checkpoint, folder.path())
}

#[test]
fn a_good_adapter_loads_and_its_file_is_as_small_as_its_tensors() {
    let (checkpoint, folder) = good();
    load(&checkpoint, folder.path()).unwrap();
    let names: Vec<String> = read(&weights_of(&folder)).into_keys().collect();
    let layer = |name: &str| format!("base_model.model.model.layers.0.self_attn.{name}.weight");
    let expected = [
        layer("q_proj.lora_A"),
        layer("q_proj.lora_B"),
        layer("v_proj.lora_A"),
        layer("v_proj.lora_B"),
        "base_model.model.score.weight".to_owned(),
    ];
    assert_eq!(names, expected);
}

#[test]
fn every_cut_of_the_file_is_refused() {
    let (checkpoint, folder) = good();
    let bytes = fs::read(weights_of(&folder)).unwrap();
    for length in (0..bytes.len()).step_by(7).chain([bytes.len() - 1]) {
        fs::write(weights_of(&folder), &bytes[..length]).unwrap();
        let error = load(&checkpoint, folder.path()).unwrap_err();
        says(&error, &["adapter_model.safetensors"]);
        assert!(
            matches!(
                error,
                ModelError::SafetensorsHeader { .. } | ModelError::SafetensorsOffsets { .. }
            ),
            "{error}"
        );
    }
    let longer = [&bytes[..], &[0; 4]].concat();
    fs::write(weights_of(&folder), longer).unwrap();
    let error = load(&checkpoint, folder.path()).unwrap_err();
    says(&error, &["the last tensor, but the file has"]);
}

#[test]
fn headers_that_lie() {
    let (checkpoint, folder) = good();
    let refuse = |header: &str, parts: &[&str]| {
        write_raw(&weights_of(&folder), header, &[0; 16]);
        let error = load(&checkpoint, folder.path()).unwrap_err();
        says(&error, &[&["adapter_model.safetensors"], parts].concat());
    };
    let padded = format!("{{{}}}", " ".repeat(20 << 20));
    refuse(&padded, &["the limit is 16777216"]);
    let tensor = |name: &str, range: &str| {
        format!(r#""{QUERY}.{name}.weight":{{"dtype":"F32","shape":[1,2],"data_offsets":{range}}}"#)
    };
    let two = |a: &str, b: &str| format!("{{{},{}}}", tensor("lora_A", a), tensor("lora_B", b));
    refuse(&two("[0,8]", "[4,12]"), &["lora_B", "overlaps"]);
    refuse(&two("[0,8]", "[12,20]"), &["lora_B", "16 bytes of data"]);
    refuse(&two("[0,4]", "[4,16]"), &["takes 8 bytes"]);
    refuse("{", &["not a JSON object"]);
    refuse("{\"\\u001b\":1}", &["tensor name", "control character"]);
    let mut length = u64::MAX.to_le_bytes().to_vec();
    length.extend([0; 8]);
    fs::write(weights_of(&folder), length).unwrap();
    let error = load(&checkpoint, folder.path()).unwrap_err();
    says(&error, &["header length 18446744073709551615"]);
}

#[test]
fn files_that_are_missing_or_of_another_format() {
    let (checkpoint, folder) = good();
    let weights = fs::read(weights_of(&folder)).unwrap();
    fs::remove_file(weights_of(&folder)).unwrap();
    let error = load(&checkpoint, folder.path()).unwrap_err();
    says(
        &error,
        &[
            "adapter_model.safetensors is missing",
            "adapter_config.json",
        ],
    );
    fs::write(folder.path().join("adapter_model.bin"), "x").unwrap();
    let error = load(&checkpoint, folder.path()).unwrap_err();
    says(&error, &["adapter_model.bin", "pickle can run code"]);
    fs::write(weights_of(&folder), b"PK\x03\x04............").unwrap();
    let error = load(&checkpoint, folder.path()).unwrap_err();
    says(&error, &["adapter_model.safetensors", "a ZIP archive"]);
    fs::write(weights_of(&folder), weights).unwrap();
    fs::remove_file(folder.path().join(lora::CONFIG_FILE)).unwrap();
    let error = load(&checkpoint, folder.path()).unwrap_err();
    says(&error, &["adapter_config.json is missing"]);
    fs::create_dir(folder.path().join(lora::CONFIG_FILE)).unwrap();
    let error = load(&checkpoint, folder.path()).unwrap_err();
    says(&error, &["adapter_config.json", "not a regular file"]);
}

#[test]
fn tensors_of_a_wrong_type_shape_or_value() {
    let key = |name: &str| format!("{QUERY}.{name}.weight");
    let error = with_tensors(|tensors| {
        let tensor = tensors.get_mut(&key("lora_A")).unwrap();
        (tensor.0, tensor.1) = ("I32".to_owned(), vec![2, 8]);
    });
    says(
        &error,
        &["q_proj.lora_A", "I32", "expected F32, F16 or BF16"],
    );
    let error = with_tensors(|tensors| tensors.get_mut(&key("lora_A")).unwrap().1 = vec![8, 2]);
    says(
        &error,
        &[
            "adapter_model.safetensors",
            "q_proj.lora_A.weight\" is [8, 2]; expected [2, 8]",
            "rank 2",
        ],
    );
    let error = with_tensors(|tensors| tensors.get_mut(&key("lora_B")).unwrap().1 = vec![16]);
    says(&error, &["q_proj.lora_B.weight\" is [16]; expected [8, 2]"]);
    let error = with_tensors(|tensors| {
        let bytes = &mut tensors.get_mut(&key("lora_B")).unwrap().2;
        bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    });
    says(
        &error,
        &["q_proj.lora_B", "1 values that are NaN or infinite"],
    );
    let score = "base_model.model.score.weight";
    let error = with_tensors(|tensors| tensors.get_mut(score).unwrap().1 = vec![1, 16]);
    says(
        &error,
        &["score.weight\" is [1, 16]; expected [2, 8]", "classes"],
    );
    let error = with_tensors(|tensors| {
        let bias = ("F32".to_owned(), vec![2], vec![0; 8]);
        tensors.insert("base_model.model.score.bias".to_owned(), bias);
    });
    says(&error, &["score.bias\" and 0 more belong to no layer"]);
}

#[test]
fn tensors_that_are_missing_or_of_another_model() {
    let key = |name: &str| format!("{QUERY}.{name}.weight");
    let without = |names: &[String]| {
        with_tensors(|tensors| names.iter().for_each(|name| drop(tensors.remove(name))))
    };
    let error = without(&[key("lora_B")]);
    says(
        &error,
        &[
            "q_proj.lora_B.weight\" is missing, but",
            "q_proj.lora_A.weight\" is there",
        ],
    );
    let error = without(&[key("lora_A")]);
    says(&error, &["q_proj.lora_A.weight\" is missing, but"]);
    let error = without(&[key("lora_A"), key("lora_B")]);
    says(
        &error,
        &[
            "no lora_A and lora_B for \"model.layers.0.self_attn.q_proj\"",
            "target_modules",
        ],
    );
    let error = without(&["base_model.model.score.weight".to_owned()]);
    says(&error, &["score.weight\" is missing, but modules_to_save"]);
    let error = with_tensors(|tensors| {
        let tensor = tensors[&key("lora_A")].clone();
        let other = "base_model.model.model.layers.7.self_attn.q_proj.lora_A.weight";
        tensors.insert(other.to_owned(), tensor.clone());
        tensors.insert(format!("{QUERY}.lora_magnitude_vector"), tensor);
    });
    says(
        &error,
        &[
            "q_proj.lora_magnitude_vector\" and 1 more belong to no layer",
            "score",
        ],
    );
    let error = with_tensors(Tensors::clear);
    says(&error, &["holds no tensors"]);
}

#[test]
fn settings_that_cannot_be_read() {
    let (checkpoint, folder) = good();
    let path = folder.path().join(lora::CONFIG_FILE);
    fs::write(&path, "{\n\"r\": 2,,}").unwrap();
    says(
        &load(&checkpoint, folder.path()).unwrap_err(),
        &["adapter_config.json:2:", "not valid JSON"],
    );
    fs::write(&path, "[]").unwrap();
    says(
        &load(&checkpoint, folder.path()).unwrap_err(),
        &["adapter_config.json", "found []; expected an object"],
    );
    for (field, value, expected) in [
        ("r", json!(0), "expected a whole number above 0"),
        ("r", json!(2.5), "r is 2.5; expected a whole number"),
        ("r", Value::Null, "r is null"),
        ("lora_alpha", json!("3"), "expected a number above 0"),
        ("lora_alpha", json!(-1), "expected a number above 0"),
        (
            "lora_dropout",
            json!(1.0),
            "expected at least 0 and below 1",
        ),
        ("use_rslora", json!(1), "expected true or false"),
        ("rank_pattern", json!([2]), "expected an object"),
        ("rank_pattern", json!({"q_proj": 0}), "\"q_proj\" is 0"),
        (
            "alpha_pattern",
            json!({"(": 1}),
            "a key that is a regular expression",
        ),
        ("target_modules", json!(3), "a list of names"),
        ("target_modules", json!("("), "no regular expression"),
        (
            "target_modules",
            json!(["c_attn"]),
            "fits no linear layer; there are model.layers.0",
        ),
        ("target_modules", json!(["v_proj"]), "does not choose"),
        (
            "target_modules",
            json!("all-linear"),
            "which target_modules",
        ),
        ("exclude_modules", json!({}), "a list of names"),
        ("layers_to_transform", json!("0"), "the number of a block"),
        ("modules_to_save", json!("score"), "a list of names"),
    ] {
        let error = with_settings(|settings| settings[field] = value.clone()).unwrap_err();
        says(&error, &[field, expected]);
        assert!(matches!(error, ModelError::Adapter { .. }), "{error:?}");
    }
}

#[test]
fn settings_that_are_not_implemented() {
    for (field, value) in [
        ("peft_type", json!("IA3")),
        ("peft_type", Value::Null),
        ("use_dora", json!(true)),
        ("bias", json!("all")),
        ("lora_bias", json!(true)),
        ("init_lora_weights", json!("pissa_niter_16")),
        ("init_lora_weights", json!("olora")),
        ("layer_replication", json!([[0, 1]])),
        ("trainable_token_indices", json!([1])),
        ("target_parameters", json!(["w"])),
        ("monteclora_config", json!({"a": 1})),
        ("of_a_later_version", json!("on")),
    ] {
        let error = with_settings(|settings| settings[field] = value.clone()).unwrap_err();
        says(&error, &["adapter_config.json", field, &value.to_string()]);
    }
    // A name that nobody knows is shown, and harms no terminal.
    let error = with_settings(|settings| settings["t\rget\u{1b}"] = json!(["x"])).unwrap_err();
    says(
        &error,
        &["t\\u{d}get\\u{1b} is [\"x\"]", "expected it to be off"],
    );
}

#[test]
fn settings_as_peft_writes_them() {
    for (field, value) in [
        ("init_lora_weights", json!("gaussian")),
        ("of_a_later_version", json!(false)),
        ("qalora_group_size", json!(16)),
        ("peft_version", json!("0.21.2")),
        ("target_modules", json!(r".*self_attn\.(q|v)_proj")),
        ("target_modules", Value::Null),
        ("layers_to_transform", json!([0])),
        ("layers_pattern", json!("layers")),
        ("exclude_modules", json!(["o_proj"])),
        ("rank_pattern", json!({"nothing": 5})),
    ] {
        let loaded = with_settings(|settings| settings[field] = value.clone());
        assert!(loaded.is_ok(), "{field}: {}", loaded.unwrap_err());
    }
    let other_block = with_settings(|settings| settings["layers_to_transform"] = json!(1));
    says(&other_block.unwrap_err(), &["does not choose"]);
    let rank = with_settings(|settings| settings["rank_pattern"] = json!({"q_proj": 4}));
    says(&rank.unwrap_err(), &["q_proj.lora_A", "expected [4, 8]"]);
}
