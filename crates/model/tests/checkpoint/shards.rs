//! Checkpoints in several files with an index.

use std::fs;
use std::path::Path;
use std::process::Command;

use finetune_model::{Checkpoint, ModelError};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::files::{config, device, good, open, read, says, weights_of, write};

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
            matches!(error, ModelError::FilePath { .. }),
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

#[test]
fn a_tensor_in_two_shards() {
    let folder = sharded();
    let index = index_of(&folder);
    let map = index["weight_map"].as_object().unwrap();
    let place = |name: &str| folder.path().join("m").join(name);
    let (name, home) = map.iter().next().unwrap();
    let home = home.as_str().unwrap();
    let other = map
        .values()
        .filter_map(Value::as_str)
        .find(|shard| *shard != home);
    let other = place(other.unwrap());
    let mut tensors = read(&other);
    tensors.insert(name.clone(), read(&place(home))[name].clone());
    write(&other, &tensors);
    let error = open(&folder).unwrap_err();
    assert!(matches!(error, ModelError::IndexMismatch { .. }), "{error}");
    says(&error, &[name, "is in this shard and in", home]);
}

#[cfg(unix)]
#[test]
fn links_that_lead_elsewhere_and_files_that_are_none() {
    let folder = good(config());
    let elsewhere = folder.path().join("elsewhere.safetensors");
    fs::rename(weights_of(&folder), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, weights_of(&folder)).unwrap();
    let error = open(&folder).unwrap_err();
    assert!(matches!(error, ModelError::FilePath { .. }), "{error}");
    fs::remove_file(weights_of(&folder)).unwrap();
    fs::create_dir(weights_of(&folder)).unwrap();
    let refuse = || {
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::NotARegularFile { .. }),
            "{error}"
        );
    };
    refuse();
    // To open a pipe would wait for ever.
    fs::remove_dir(weights_of(&folder)).unwrap();
    let made = Command::new("mkfifo").arg(weights_of(&folder)).status();
    assert!(made.unwrap().success());
    refuse();
}

/// Everything of a folder that is read or written along stays inside it.
#[cfg(unix)]
#[test]
fn no_file_of_a_folder_is_a_link_that_leads_out_of_it() {
    let names = [
        "config.json",
        "model.safetensors.index.json",
        "tokenizer.json",
        "LICENSE",
        "additional_chat_templates/tools.jinja",
    ];
    for name in names {
        let folder = sharded();
        let (path, outside) = (folder.path().join("m").join(name), folder.path().join("x"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if fs::rename(&path, &outside).is_err() {
            fs::write(&outside, "secret").unwrap();
        }
        std::os::unix::fs::symlink(&outside, &path).unwrap();
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::FilePath { .. }),
            "{name}: {error}"
        );
        says(&error, &[name, "is a link to a file outside"]);
    }
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
    fs::write(folder.path().join("m/tokenizer.json"), "{}").unwrap();
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        fs::copy(folder.path().join("m").join(name), blobs.join(name)).unwrap();
        std::os::unix::fs::symlink(Path::new("../../blobs").join(name), snapshot.join(name))
            .unwrap();
    }
    let checkpoint = Checkpoint::open(&snapshot).unwrap();
    let model = checkpoint.causal_lm(&device()).unwrap();
    let copy = folder.path().join("copy");
    checkpoint.save(&model, &copy).unwrap();
    assert_eq!(fs::read(copy.join("tokenizer.json")).unwrap(), b"{}");
}
