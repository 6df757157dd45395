//! Data sets by their hub name: the splits, rows and classes that `datasets` finds, and no file more than they need.

#![cfg(all(feature = "hub", feature = "parquet", feature = "arrow"))]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use finetune_data::load::{Loaders, OnError};
use finetune_data::{Document, Result, Value};
use serde_json::{Map, json};
use server::Server;
use server::repository::{COMMIT, Repo, hub};
use tempfile::TempDir;

/// A served repository, and loaders that know it and no other hub.
struct Served {
    server: Server,
    cache: TempDir,
}

impl Served {
    fn new(files: &[(&str, &[u8])]) -> Self {
        Self::repo(Repo::new(files))
    }

    fn repo(repo: Repo) -> Self {
        Self {
            server: repo.serve(),
            cache: tempfile::tempdir().unwrap(),
        }
    }

    fn loaders(&self, offline: bool) -> Loaders {
        Loaders::default().hub(hub(&self.server, self.cache.path()).offline(offline))
    }

    fn load(&self, name: &str) -> Result<Vec<Document>> {
        let loaded = self.loaders(false).load_all(&[name], &OnError::Stop);
        Ok(loaded?.0)
    }

    fn message(&self, name: &str) -> String {
        self.load(name).unwrap_err().to_string()
    }

    /// The files that were downloaded since this was asked last.
    fn downloaded(&self) -> Vec<String> {
        let start = format!("/datasets/owner/name/resolve/{COMMIT}/");
        let asked = self.server.asked();
        let mut files: Vec<String> = asked
            .iter()
            .filter_map(|target| target.strip_prefix(&start))
            .map(str::to_owned)
            .collect();
        files.sort();
        self.server.forget();
        files
    }
}

/// The rows of `tests/golden/datasets/expected.json`, which Python's `datasets` has read from the same folders.
#[test]
fn configurations_splits_and_classes_are_those_of_datasets() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/datasets");
    let expected = fs::read_to_string(golden.join("expected.json")).unwrap();
    let expected: Map<String, Value> = serde_json::from_str(&expected).unwrap();
    let mut splits = 0;
    for (case, expected) in expected {
        let (folder, configuration) = case.split_once('/').unwrap();
        let mut repo = Repo::new(&[]);
        add(&golden.join(folder), "", &mut repo.files);
        let served = Served::repo(repo);
        let mut all = Vec::new();
        for split in expected["splits"].as_array().unwrap() {
            let name = format!(
                "hf://owner/name:{configuration}:{}",
                split[0].as_str().unwrap()
            );
            let loaded = fields(served.load(&name).unwrap());
            assert_eq!(json!(loaded), split[1], "{name} of {case}");
            all.extend(loaded);
            splits += 1;
        }
        let name = match configuration {
            "" => "hf://owner/name".to_owned(),
            configuration => format!("hf://owner/name:{configuration}"),
        };
        assert_eq!(fields(served.load(&name).unwrap()), all, "{case}");
        // The cache alone gives the same.
        let offline = served
            .loaders(true)
            .load_all(&[&name], &OnError::Stop)
            .unwrap();
        assert_eq!(fields(offline.0), all, "{case}");
    }
    assert_eq!(splits, 18);
}

fn add(folder: &Path, below: &str, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            add(&entry.path(), &format!("{path}/"), files);
        } else {
            files.insert(path, fs::read(entry.path()).unwrap());
        }
    }
}

fn fields(documents: Vec<Document>) -> Vec<Value> {
    documents
        .into_iter()
        .map(|document| Value::Object(document.fields.into_iter().collect()))
        .collect()
}

const CARD: &[u8] = b"---
configs:
- config_name: en
  data_files:
  - {split: train, path: en/train-*}
  - {split: test, path: en/test.jsonl}
- config_name: fr
  data_dir: fr
---
";

fn two_languages() -> Served {
    Served::new(&[
        ("README.md", CARD),
        (
            "dataset_infos.json",
            br#"{"en": {"features": {"y": {"_type": "ClassLabel", "names": ["no", "yes"]}}}}"#,
        ),
        ("en/train-0.jsonl", b"{\"y\":1}\n"),
        ("en/train-1.jsonl", b"{\"y\":0}\n{\"y\":-1}\n"),
        ("en/test.jsonl", b"{\"y\":0}\n"),
        ("fr/train.csv", b"y\noui\n"),
        ("fr/dev.csv", b"y\nnon\n"),
        ("picture.png", b"none"),
    ])
}

#[test]
fn no_more_is_downloaded_than_the_split_needs() {
    let served = two_languages();
    let about = ["README.md", "dataset_infos.json"];
    let load = |name: &str| {
        let rows = served.load(name).unwrap();
        let rows: Vec<Value> = rows
            .into_iter()
            .map(|row| row.fields["y"].clone())
            .collect();
        (json!(rows), served.downloaded())
    };
    let files = |more: &[&str]| -> Vec<String> {
        about
            .iter()
            .chain(more)
            .map(|file| (*file).to_owned())
            .collect()
    };
    let expected = (
        json!(["yes", "no", null]),
        files(&["en/train-0.jsonl", "en/train-1.jsonl"]),
    );
    assert_eq!(load("hf://owner/name@v1:en:train"), expected);
    // The same again comes from the cache, and the rest of the configuration from the hub.
    let expected = (
        json!(["yes", "no", null, "no"]),
        vec!["en/test.jsonl".to_owned()],
    );
    assert_eq!(load("hf://owner/name:en"), expected);
    let expected = (json!(["non"]), vec!["fr/dev.csv".to_owned()]);
    assert_eq!(load("hf://owner/name:fr:validation"), expected);
    // Offline, what is there is read, and what is not is named.
    let offline = |name: &str| served.loaders(true).load_all(&[name], &OnError::Stop);
    assert_eq!(offline("hf://owner/name:en").unwrap().0.len(), 4);
    let error = offline("hf://owner/name:fr").unwrap_err();
    assert_eq!(error.kind(), "not cached");
    assert!(error.to_string().contains("1 of 2 files"), "{error}");
    assert!(error.to_string().contains("fr/train.csv"), "{error}");
    assert!(served.downloaded().is_empty());
}

#[test]
fn a_choice_that_is_missing_or_wrong_names_those_that_there_are() {
    let served = two_languages();
    let cases = [
        (
            "hf://owner/name",
            "found none; expected one of \"en\", \"fr\"",
        ),
        (
            "hf://owner/name::train",
            "(as in hf://owner/name:CONFIGURATION)",
        ),
        (
            "hf://owner/name:de",
            "found \"de\"; expected one of \"en\", \"fr\"",
        ),
        (
            "hf://owner/name:en:validation",
            "split: found \"validation\"; expected one of train, test",
        ),
        ("hf://owner/name:en:", "expected `:configuration`"),
    ];
    for (name, part) in cases {
        let message = served.message(name);
        assert!(message.contains(part), "{name}: {message}");
    }
    let loaded: Vec<String> = served.downloaded();
    assert_eq!(loaded, ["README.md", "dataset_infos.json"]);
    let pictures = Served::new(&[("a.png", b"none")]);
    let message = pictures.message("hf://owner/name::train");
    assert!(message.contains("no file of it holds rows"), "{message}");
}

#[test]
fn what_the_card_says_wrongly_is_reported_under_the_name_of_the_hub() {
    let cases: [(&[u8], &str); 3] = [
        (
            b"---\nconfigs: [\n---\n",
            "README.md: cannot read the description",
        ),
        (
            b"---\nconfigs:\n- {config_name: a, data_files: ../../../secret}\n---\n",
            "leads out of the folder",
        ),
        (
            b"---\nconfigs:\n- {config_name: a, data_files: b.csv}\n---\n",
            "no file found for the split \"train\"",
        ),
    ];
    for (card, part) in cases {
        let served = Served::new(&[("README.md", card), ("a.csv", b"x\n1\n")]);
        let message = served.message("hf://owner/name");
        let start = format!("hf://owner/name@{COMMIT}");
        assert!(
            message.starts_with(&start) && message.contains(part),
            "{message}"
        );
        assert_eq!(served.downloaded(), ["README.md"]);
    }
}

/// A row whose number no class has is as broken as one that cannot be read; the others are kept.
#[test]
fn broken_rows_are_named_by_commit_and_counted() {
    let served = Served::new(&[
        ("README.md", b"---\ndataset_info:\n  features:\n  - name: y\n    dtype: {class_label: {names: [no, yes]}}\n---\n"),
        ("train.jsonl", b"{\"y\":1}\n{\"y\":2}\n{\n{\"y\":0}\n"),
    ]);
    let folder = tempfile::tempdir().unwrap();
    let aside = folder.path().join("aside.jsonl");
    let policy = OnError::Quarantine(aside.clone());
    let (rows, counts) = served
        .loaders(false)
        .load_all(&["hf://owner/name"], &policy)
        .unwrap();
    let at = format!("hf://owner/name@{COMMIT}/train.jsonl");
    let origins: Vec<String> = rows.iter().map(|row| row.origin.to_string()).collect();
    assert_eq!(origins, [format!("{at}:1"), format!("{at}:4")]);
    assert_eq!((counts.read, counts.kept, counts.quarantined), (4, 2, 2));
    assert_eq!(fs::read_to_string(aside).unwrap(), "{\"y\":2}\n{\n");
    let error = served.message("hf://owner/name");
    assert!(error.starts_with(&format!("{at}:2")), "{error}");
}

#[test]
fn what_is_no_table_and_what_a_path_names_is_read_file_by_file() {
    let served = Served::new(&[
        ("README.md", b"# About"),
        ("data/a.md", b"# One"),
        ("data/b.srt", b"1\n00:00:01,000 --> 00:00:02,000\nTwo.\n"),
        ("logo.png", b"no data"),
    ]);
    let loaded = served
        .loaders(false)
        .load_all(&["hf://owner/name"], &OnError::Stop)
        .unwrap();
    let texts: Vec<&str> = loaded
        .0
        .iter()
        .map(|document| document.text.as_str())
        .collect();
    assert_eq!(texts, ["# One", "Two."]);
    assert_eq!((loaded.1.files, loaded.1.passed_over), (2, 1));

    let served = two_languages();
    let rows = served.load("hf://owner/name/en/train-0.jsonl").unwrap();
    assert_eq!(rows[0].fields["y"], 1);
    assert_eq!(served.downloaded(), ["en/train-0.jsonl"]);
    assert_eq!(served.load("hf://owner/name/fr").unwrap().len(), 2);
    let error = served.load("hf://owner/name/de").unwrap_err().to_string();
    assert!(error.contains("no file or folder of this path"), "{error}");
    assert!(served.load("hf://owner/../x").is_err());
}
