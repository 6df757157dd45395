//! Checkpoints that are damaged, wrong or made to harm: each is refused with an error that says where and why.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::Device;
use finetune_model::{Checkpoint, Head, ModelError, weights};
use serde_json::{Value, json};
use tempfile::TempDir;

fn config() -> Value {
    json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 11, "hidden_size": 8,
        "intermediate_size": 12, "num_hidden_layers": 1, "num_attention_heads": 2, "dtype": "float32",
    })
}

fn gpt2() -> Value {
    json!({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 11, "n_embd": 8, "n_layer": 2,
        "n_head": 2, "n_positions": 16,
    })
}

fn device() -> Device {
    Device::default()
}

/// A folder with a good checkpoint in it.
fn good(config: Value) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::create(config, 1).unwrap();
    let model = checkpoint.causal_lm(&device()).unwrap();
    checkpoint.save(&model, folder.path().join("m")).unwrap();
    folder
}

fn weights_of(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("m/model.safetensors")
}

fn write_config(folder: &TempDir, config: &Value) {
    fs::write(folder.path().join("m/config.json"), config.to_string()).unwrap();
}

fn open(folder: &TempDir) -> Result<Checkpoint, ModelError> {
    Checkpoint::open(folder.path().join("m"))
}

fn load(folder: &TempDir) -> Result<(), ModelError> {
    open(folder)?.causal_lm(&device()).map(drop)
}

type Tensors = BTreeMap<String, (String, Vec<usize>, Vec<u8>)>;

/// Reads a file whose tensors are few and known to be good.
fn read(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let data = &bytes[8 + length..];
    let tensors = header
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| *name != "__metadata__");
    tensors
        .map(|(name, tensor)| {
            let numbers = |field: &str| -> Vec<usize> {
                let list = tensor[field].as_array().unwrap().iter();
                list.map(|number| number.as_u64().unwrap() as usize)
                    .collect()
            };
            let range = numbers("data_offsets");
            let dtype = tensor["dtype"].as_str().unwrap().to_owned();
            (
                name.clone(),
                (dtype, numbers("shape"), data[range[0]..range[1]].to_vec()),
            )
        })
        .collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, (dtype, shape, bytes)) in tensors {
        let range = [data.len(), data.len() + bytes.len()];
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": range});
        header.insert(name.clone(), entry);
        data.extend(bytes);
    }
    write_raw(path, &Value::Object(header).to_string(), &data);
}

fn write_raw(path: &Path, header: &str, data: &[u8]) {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).unwrap();
}

/// Changes the tensors of a good checkpoint.
fn changed(config: Value, change: impl FnOnce(&mut Tensors)) -> TempDir {
    let folder = good(config);
    let mut tensors = read(&weights_of(&folder));
    change(&mut tensors);
    write(&weights_of(&folder), &tensors);
    folder
}

fn says(error: &ModelError, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn a_good_checkpoint_loads() {
    load(&good(config())).unwrap();
    load(&good(gpt2())).unwrap();
}

#[test]
fn files_that_are_too_short_or_lie_about_their_length() {
    let folder = good(config());
    let refuse = |bytes: &[u8], part: &str| {
        fs::write(weights_of(&folder), bytes).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::SafetensorsHeader { .. }),
            "{error}"
        );
        says(&error, &["model.safetensors", part]);
    };
    refuse(&[], "file has 0 bytes");
    refuse(&[0; 7], "file has 7 bytes");
    refuse(&[0; 8], "must start with '{'");
    let with_length = |length: u64, rest: &[u8]| [&length.to_le_bytes()[..], rest].concat();
    refuse(
        &with_length(u64::MAX, &[0; 8]),
        "header length 18446744073709551615, file has 16 bytes",
    );
    refuse(
        &with_length(9, &[0; 8]),
        "header length 9, file has 16 bytes",
    );
    refuse(
        &with_length(20 << 20, &vec![b' '; 20 << 20]),
        "the limit is 16777216",
    );
}

#[test]
fn headers_that_are_no_object_of_tensors() {
    let folder = good(config());
    let deep = format!("{{\"a\":{}", "[".repeat(10_000));
    let metadata = format!(r#"{{"__metadata__":{{"a":"{}"}}}}"#, "x".repeat(2 << 20));
    for (header, part) in [
        ("[]", "must start with '{'"),
        (" {}", "must start with '{'"),
        ("\u{feff}{}", "must start with '{'"),
        ("{\"a\"", "not a JSON object"),
        (deep.as_str(), "recursion limit"),
        (r#"{"__metadata__":{"a":1}}"#, "must be an object of texts"),
        (r#"{"__metadata__":{},"__metadata__":{}}"#, "occurs twice"),
        (metadata.as_str(), "the limit is 1048576"),
    ] {
        write_raw(&weights_of(&folder), header, &[]);
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::SafetensorsHeader { .. }),
            "{header}: {error}"
        );
        says(&error, &[part]);
    }
    let bytes = [&3u64.to_le_bytes()[..], b"{\xff}"].concat();
    fs::write(weights_of(&folder), bytes).unwrap();
    says(&open(&folder).unwrap_err(), &["not UTF-8 at byte 9"]);
}

fn entry(dtype: &str, shape: &str, range: &str) -> String {
    format!(r#"{{"a.weight":{{"dtype":{dtype},"shape":{shape},"data_offsets":{range}}}}}"#)
}

#[test]
fn tensors_whose_type_shape_and_bytes_do_not_fit() {
    let folder = good(config());
    let huge = "[4294967296,4294967296,4294967296]";
    for (header, part) in [
        (entry(r#""F99""#, "[2]", "[0,8]"), "the type is not known"),
        (entry("3", "[2]", "[0,8]"), "the type is not known"),
        (entry(r#""F32""#, "[-1]", "[0,8]"), "whole numbers"),
        (entry(r#""F32""#, "[2.5]", "[0,8]"), "whole numbers"),
        (
            entry(r#""F32""#, "[3]", "[0,8]"),
            "takes 12 bytes, its range has 8",
        ),
        (entry(r#""F32""#, huge, "[0,8]"), "too many elements"),
        (
            entry(r#""F4""#, "[3]", "[0,1]"),
            "12 bits are no whole bytes",
        ),
        (
            entry(r#""F32""#, "[1,1,1,1,1,1,1,1,2]", "[0,8]"),
            "9 dimensions, the limit is 8",
        ),
        (entry(r#""F32""#, "[2]", "[0]"), "two whole numbers"),
        (
            r#"{"a.weight":{"dtype":"F32","shape":[2]}}"#.to_owned(),
            "expected the fields",
        ),
    ] {
        write_raw(&weights_of(&folder), &header, &[0; 8]);
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::SafetensorsTensor { .. }),
            "{header}: {error}"
        );
        says(&error, &["a.weight", part]);
    }
}

#[test]
fn ranges_with_gaps_overlaps_and_ends_elsewhere() {
    let folder = good(config());
    let two = |first: &str, second: &str| {
        let tensor =
            |range: &str| format!(r#"{{"dtype":"U8","shape":[4],"data_offsets":{range}}}"#);
        format!(r#"{{"a":{},"b":{}}}"#, tensor(first), tensor(second))
    };
    for (header, name, part) in [
        (two("[0,4]", "[5,9]"), "b", "a gap after byte 4"),
        (two("[1,5]", "[5,9]"), "a", "a gap after byte 0"),
        (two("[0,4]", "[3,7]"), "b", "overlaps"),
        (two("[4,0]", "[4,8]"), "a", "ends before it begins"),
        (two("[0,4]", "[4,8]"), "b", "the file has 9 bytes of data"),
        (
            two("[0,4]", "[400,404]"),
            "b",
            "the file has 9 bytes of data",
        ),
    ] {
        write_raw(&weights_of(&folder), &header, &[0; 9]);
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::SafetensorsOffsets { .. }),
            "{header}: {error}"
        );
        says(&error, &[&format!("tensor \"{name}\""), part]);
    }
}

#[test]
fn names_that_are_doubled_or_no_names() {
    let folder = good(config());
    let tensor = r#"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
    write_raw(
        &weights_of(&folder),
        &format!(r#"{{"a":{tensor},"a":{tensor}}}"#),
        &[],
    );
    let error = open(&folder).unwrap_err();
    assert!(
        matches!(error, ModelError::DuplicateTensor { .. }),
        "{error}"
    );
    let long = "x".repeat(600);
    let names = [
        "",
        "a\\u0000b",
        "a\\nb",
        "\\u001b[2J",
        "\\u202eab",
        "../../etc/passwd",
        "a\\\\b",
        &long,
    ];
    for name in names {
        write_raw(
            &weights_of(&folder),
            &format!(r#"{{"{name}":{tensor}}}"#),
            &[],
        );
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::TensorName { .. }),
            "{name}: {error}"
        );
        assert!(
            error.to_string().chars().all(|c| !c.is_control()),
            "{error:?}"
        );
    }
    let many: Vec<String> = (0..70_000).map(|i| format!(r#""{i}":{tensor}"#)).collect();
    write_raw(
        &weights_of(&folder),
        &format!("{{{}}}", many.join(",")),
        &[],
    );
    says(
        &open(&folder).unwrap_err(),
        &["tensors: found 70000, the limit is 65536"],
    );
}

#[test]
fn tensors_that_are_missing_unexpected_or_of_another_shape() {
    let folder = changed(config(), |tensors| {
        tensors.remove("model.norm.weight").unwrap();
        let odd = tensors["model.layers.0.mlp.up_proj.weight"].clone();
        tensors.insert("model.layers.1.mlp.up_proj.weight".to_owned(), odd);
        tensors
            .get_mut("model.layers.0.self_attn.q_proj.weight")
            .unwrap()
            .1 = vec![4, 16];
    });
    let error = load(&folder).unwrap_err();
    assert!(matches!(error, ModelError::Coverage { .. }), "{error}");
    says(
        &error,
        &[
            "1 missing: \"model.norm.weight\"",
            "1 unexpected: \"model.layers.1.mlp.up_proj.weight\"",
            "\"model.layers.0.self_attn.q_proj.weight\" is [4, 16], expected [8, 8]",
        ],
    );
}

#[test]
fn a_vocabulary_that_differs_from_the_embedding() {
    let folder = good(config());
    let mut other = config();
    other["vocab_size"] = json!(12);
    other["tie_word_embeddings"] = json!(true);
    write_config(&folder, &other);
    let error = load(&folder).unwrap_err();
    assert!(
        matches!(
            error,
            ModelError::VocabMismatch {
                config: 12,
                rows: 11,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn weights_that_are_not_finite() {
    let folder = changed(config(), |tensors| {
        let bytes = &mut tensors.get_mut("lm_head.weight").unwrap().2;
        bytes[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes[8..12].copy_from_slice(&f32::INFINITY.to_le_bytes());
    });
    let error = load(&folder).unwrap_err();
    assert!(
        matches!(error, ModelError::NonFiniteWeights { count: 2, .. }),
        "{error}"
    );
    says(&error, &["lm_head.weight"]);
    let allowed = open(&folder).unwrap().allow_non_finite();
    let model = allowed.causal_lm(&device()).unwrap();
    allowed.save(&model, folder.path().join("copy")).unwrap();
    assert_eq!(
        read(&folder.path().join("copy/model.safetensors")),
        read(&weights_of(&folder))
    );
}

#[test]
fn tied_tensors_must_be_equal_and_are_written_back() {
    let tied = |change: fn(&mut Vec<u8>)| {
        let mut config = config();
        config["tie_word_embeddings"] = json!(true);
        changed(config, |tensors| {
            let mut copy = tensors["model.embed_tokens.weight"].clone();
            change(&mut copy.2);
            tensors.insert("lm_head.weight".to_owned(), copy);
        })
    };
    let error = load(&tied(|bytes| bytes[0] ^= 1)).unwrap_err();
    assert!(matches!(error, ModelError::TiedMismatch { .. }), "{error}");
    says(&error, &["lm_head.weight", "model.embed_tokens.weight"]);
    let folder = tied(|_| ());
    let checkpoint = open(&folder).unwrap();
    let model = checkpoint.causal_lm(&device()).unwrap();
    let model = weights::map_values(model, &mut |_, value| value * 2.0);
    checkpoint.save(&model, folder.path().join("copy")).unwrap();
    let copy = read(&folder.path().join("copy/model.safetensors"));
    assert_eq!(copy["lm_head.weight"], copy["model.embed_tokens.weight"]);
    assert_ne!(
        copy["lm_head.weight"],
        read(&weights_of(&folder))["lm_head.weight"]
    );
}

#[test]
fn a_file_that_changes_after_opening() {
    let folder = good(config());
    let checkpoint = open(&folder).unwrap();
    let bytes = fs::read(weights_of(&folder)).unwrap();
    fs::write(weights_of(&folder), &bytes[..bytes.len() - 4]).unwrap();
    let error = checkpoint.causal_lm(&device()).unwrap_err();
    assert!(matches!(error, ModelError::FileChanged { .. }), "{error}");
    fs::remove_file(weights_of(&folder)).unwrap();
    let error = checkpoint.causal_lm(&device()).unwrap_err();
    assert!(matches!(error, ModelError::Io { .. }), "{error}");
}

#[test]
fn formats_that_can_run_code() {
    let folder = good(config());
    let zip = [b"PK\x03\x04".as_slice(), &[0; 60]].concat();
    fs::write(weights_of(&folder), zip).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(
        matches!(error, ModelError::UnsupportedFormat { .. }),
        "{error}"
    );
    fs::remove_file(weights_of(&folder)).unwrap();
    says(
        &open(&folder).unwrap_err(),
        &["model.safetensors is missing"],
    );
    fs::write(folder.path().join("m/pytorch_model.bin"), b"").unwrap();
    let error = open(&folder).unwrap_err();
    assert!(
        matches!(error, ModelError::UnsupportedFormat { .. }),
        "{error}"
    );
    says(&error, &["pytorch_model.bin", "pickle can run code"]);
}

/// A checkpoint in two files with an index.
fn sharded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = Checkpoint::create(config(), 1).unwrap().with_shards(2000);
    let model = checkpoint.causal_lm(&device()).unwrap();
    checkpoint.save(&model, folder.path().join("m")).unwrap();
    folder
}

fn index_of(folder: &TempDir) -> Value {
    serde_json::from_slice(&fs::read(index_path(folder)).unwrap()).unwrap()
}

fn index_path(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("m/model.safetensors.index.json")
}

#[test]
fn shards_are_read_and_written_back_as_they_came() {
    let folder = sharded();
    let checkpoint = open(&folder).unwrap();
    let model = checkpoint.causal_lm(&device()).unwrap();
    let copy = folder.path().join("copy");
    checkpoint.save(&model, &copy).unwrap();
    let mut files = 0;
    for entry in fs::read_dir(folder.path().join("m")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().unwrap() == "safetensors" {
            assert_eq!(read(&path), read(&copy.join(path.file_name().unwrap())));
            files += 1;
        }
    }
    assert!(files > 1);
    let error = checkpoint.save(&model, &copy).unwrap_err();
    assert!(matches!(error, ModelError::FolderExists { .. }), "{error}");
}

#[test]
fn shards_outside_of_the_folder() {
    let folder = sharded();
    let index = index_of(&folder);
    let names = [
        "../../other/model.safetensors",
        "/etc/passwd",
        "C:\\x.safetensors",
        "a\0.safetensors",
        "sub/x.safetensors",
        "x.bin",
        &"x".repeat(5000),
    ];
    for name in names {
        let mut index = index.clone();
        index["weight_map"]["lm_head.weight"] = json!(name);
        fs::write(index_path(&folder), index.to_string()).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::ShardPath { .. }),
            "{name}: {error}"
        );
        says(&error, &["must be a file name inside the model folder"]);
    }
}

#[test]
fn an_index_that_disagrees_with_its_shards() {
    let folder = sharded();
    let index = index_of(&folder);
    let refuse = |text: &str, part: &str| {
        fs::write(index_path(&folder), text).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(matches!(error, ModelError::IndexMismatch { .. }), "{error}");
        says(&error, &[part]);
    };
    let mut other = index.clone();
    other["weight_map"]
        .as_object_mut()
        .unwrap()
        .remove("lm_head.weight");
    refuse(
        &other.to_string(),
        "\"lm_head.weight\" is in no line of the index",
    );
    let mut other = index.clone();
    other["weight_map"]["more"] = index["weight_map"]["lm_head.weight"].clone();
    refuse(&other.to_string(), "\"more\" should be in");
    let line = format!(
        "\"lm_head.weight\":{},",
        index["weight_map"]["lm_head.weight"]
    );
    let doubled = index
        .to_string()
        .replace("\"weight_map\":{", &format!("\"weight_map\":{{{line}"));
    refuse(&doubled, "\"lm_head.weight\" is listed twice");
    refuse("{}", "weight_map");
    let mut other = index.clone();
    other["weight_map"]["lm_head.weight"] = json!("gone.safetensors");
    fs::write(index_path(&folder), other.to_string()).unwrap();
    says(
        &open(&folder).unwrap_err(),
        &["gone.safetensors is missing"],
    );
    fs::write(index_path(&folder), "{\n\"weight_map\": {,}}").unwrap();
    says(
        &open(&folder).unwrap_err(),
        &["model.safetensors.index.json:2:16"],
    );
}

#[cfg(unix)]
#[test]
fn links_that_lead_elsewhere_and_files_that_are_none() {
    let folder = good(config());
    let elsewhere = folder.path().join("elsewhere.safetensors");
    fs::rename(weights_of(&folder), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, weights_of(&folder)).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(matches!(error, ModelError::ShardPath { .. }), "{error}");
    fs::remove_file(weights_of(&folder)).unwrap();
    fs::create_dir(weights_of(&folder)).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(
        matches!(error, ModelError::NotARegularFile { .. }),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn a_download_cache_is_followed() {
    let folder = good(config());
    let (blobs, snapshot) = (
        folder.path().join("c/blobs"),
        folder.path().join("c/snapshots/1"),
    );
    fs::create_dir_all(&blobs).unwrap();
    fs::create_dir_all(&snapshot).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(folder.path().join("m").join(name), blobs.join(name)).unwrap();
        std::os::unix::fs::symlink(Path::new("../../blobs").join(name), snapshot.join(name))
            .unwrap();
    }
    Checkpoint::open(&snapshot)
        .unwrap()
        .causal_lm(&device())
        .unwrap();
}

#[test]
fn settings_that_cannot_be_or_are_not_implemented() {
    let refuse = |field: &str, value: Value, parts: &[&str]| {
        let mut config = config();
        config[field] = value;
        let error = Checkpoint::create(config, 0).unwrap_err();
        says(&error, &[&[field], parts].concat());
    };
    refuse("hidden_size", json!(0), &["found 0"]);
    refuse(
        "hidden_size",
        json!(9),
        &["multiple of num_attention_heads (2)"],
    );
    refuse("num_key_value_heads", json!(3), &["divisor"]);
    refuse("vocab_size", json!(1u64 << 40), &["found 1099511627776"]);
    refuse(
        "num_hidden_layers",
        json!(1_000_000_000),
        &["found 1000000000"],
    );
    refuse("rms_norm_eps", json!("NaN"), &["found \"NaN\""]);
    refuse(
        "hidden_act",
        json!("mish"),
        &["\"mish\" is not implemented"],
    );
    refuse("attention_dropout", json!(1.0), &["rate"]);
    refuse(
        "pad_token_id",
        json!(11),
        &["a token of the vocabulary of 11"],
    );
    let mut dynamic = config();
    dynamic["rope_scaling"] = json!({"rope_type": "dynamic", "factor": 2.0});
    let error = Checkpoint::create(dynamic, 0).unwrap_err();
    says(&error, &["rope_type = \"dynamic\" is not implemented"]);
    let error = Checkpoint::create(json!({"model_type": "mamba\u{7}"}), 0).unwrap_err();
    says(&error, &["mamba\\\\u{7}", "bert, gpt2, llama"]);
    let error = Checkpoint::create(json!({}), 0).unwrap_err();
    says(&error, &["model_type", "bert, gpt2, llama"]);
    let error =
        Checkpoint::create(json!({"model_type": "bert", "is_decoder": true}), 0).unwrap_err();
    says(&error, &["is_decoder = true is not implemented"]);
    let mut config = config();
    config["auto_map"] = json!({"AutoModel": "evil.Model"});
    assert_eq!(Checkpoint::create(config, 0).unwrap().notes().len(), 1);
    let folder = good(self::config());
    fs::write(folder.path().join("m/config.json"), "{\"a\": NaN}").unwrap();
    says(&open(&folder).unwrap_err(), &["config.json:1:"]);
    says(
        &Checkpoint::open(folder.path()).unwrap_err(),
        &["config.json is missing"],
    );
}

#[test]
fn a_head_that_the_family_has_not() {
    let folder = good(config());
    let error = open(&folder).unwrap().masked_lm(&device()).unwrap_err();
    says(
        &error,
        &["\"llama\" has no masked head", "causal, classifier"],
    );
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
