//! Folders of data sets have the splits, rows and classes that `datasets` finds in them.

#![cfg(all(feature = "datasets", feature = "parquet", feature = "arrow"))]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::{Path, PathBuf};

use finetune_data::load::DatasetFolder;
use finetune_data::{Loaders, Value};
use serde_json::{Map, json};

#[test]
fn splits_and_rows_are_those_of_datasets() {
    let expected = fs::read_to_string(golden("expected.json")).unwrap();
    let expected: Map<String, Value> = serde_json::from_str(&expected).unwrap();
    assert_eq!(expected.len(), 10);
    for (case, expected) in expected {
        let (folder, configuration) = case.split_once('/').unwrap();
        let set = match configuration {
            "" => DatasetFolder::open(golden(folder)),
            name => DatasetFolder::open_configuration(golden(folder), name),
        };
        let set = set.unwrap();
        let splits = set
            .splits
            .iter()
            .map(|split| json!([split.name, rows(&set, &split.name)]));
        assert_eq!(Value::Array(splits.collect()), expected["splits"], "{case}");
        for (column, labels) in expected["labels"].as_object().unwrap() {
            assert_eq!(json!(set.labels(column)), *labels, "{case}");
        }
    }
}

#[test]
fn the_card_names_the_default_configuration_and_the_rows() {
    assert_eq!(
        DatasetFolder::open(golden("configs"))
            .unwrap()
            .configuration,
        "large"
    );
    let set = DatasetFolder::open(golden("sharded")).unwrap();
    let rows: Vec<_> = set.splits.iter().map(|split| split.rows).collect();
    assert_eq!(rows, [Some(3), Some(1), Some(1)]);
    let kinds: Vec<_> = set
        .features
        .iter()
        .map(|feature| (feature.name.as_str(), feature.kind.as_str()))
        .collect();
    assert_eq!(kinds, [("text", "string"), ("label", "ClassLabel")]);
}

#[test]
fn what_is_wrong_is_said() {
    let cases = [
        (
            "configs:\n- config_name: a\n  data_files: a\n- config_name: b\n  data_files: b\n",
            "expected one of \"a\", \"b\"",
        ),
        (
            "configs:\n- config_name: a\n  data_files: ../secret\n",
            "leads out of the folder",
        ),
        (
            "configs:\n- config_name: a\n  data_files: https://x.org/a.csv\n",
            "the address",
        ),
        (
            "configs:\n- config_name: a\n  data_files:\n  - split: a-b\n    path: x\n",
            "as the name of a split",
        ),
        (
            "configs:\n- config_name: a\n  data_files: none-*\n",
            "no file found for the split \"train\"",
        ),
        (
            "configs: [\n",
            "cannot read the description of the data set",
        ),
        (
            "a: &a [x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b\n",
            "cannot read the description",
        ),
    ];
    for (card, message) in cases {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("README.md"), format!("---\n{card}---\n")).unwrap();
        fs::write(folder.path().join("a.csv"), "x\n1\n").unwrap();
        let error = DatasetFolder::open(folder.path()).unwrap_err().to_string();
        assert!(error.contains(message), "{card}: {error}");
    }
}

#[test]
fn aliases_that_grow_without_end_are_refused() {
    let mut card = String::from("---\na0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let alias = format!("*a{}, ", level - 1).repeat(9);
        card.push_str(&[format!("a{level}: &a{level} ["), alias, "]\n".to_owned()].concat());
    }
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("README.md"), card + "---\n").unwrap();
    let error = DatasetFolder::open(folder.path()).unwrap_err();
    assert_eq!(error.kind(), "broken file");
}

#[test]
fn rows_that_are_not_as_many_as_said_are_an_error_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let card = "---\ndataset_info:\n  splits:\n  - name: train\n    num_examples: 3\n---\n";
    fs::write(folder.path().join("README.md"), card).unwrap();
    fs::write(folder.path().join("train.jsonl"), "{\"a\":1}\n{\"a\":2}\n").unwrap();
    let set = DatasetFolder::open(folder.path()).unwrap();
    let rows: Vec<_> = set.load("train", &Loaders::default()).unwrap().collect();
    assert_eq!(rows.len(), 3);
    let error = rows[2].as_ref().unwrap_err().to_string();
    assert!(error.contains("has 2 rows; expected 3"), "{error}");
    let error = set
        .load("test", &Loaders::default())
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("expected one of train"), "{error}");
}

#[test]
fn lists_of_classes_are_described_in_several_ways() {
    let ways = [
        r#"{"feature": {"names": ["O", "B"], "_type": "ClassLabel"}, "length": -1, "_type": "Sequence"}"#,
        r#"{"feature": {"feature": {"names": ["O", "B"], "_type": "ClassLabel"}, "_type": "List"}, "_type": "LargeList"}"#,
        r#"[{"num_classes": 2, "names": ["O", "B"], "_type": "ClassLabel"}]"#,
        r#"{"feature": {"num_classes": 2, "names": ["O", "B"], "id": null, "_type": "ClassLabel"}, "_type": "List"}"#,
    ];
    for way in ways {
        let folder = tempfile::tempdir().unwrap();
        let infos = format!(r#"{{"default": {{"features": {{"tags": {way}}}}}}}"#);
        fs::write(folder.path().join("dataset_infos.json"), infos).unwrap();
        let rows = "{\"tags\":[1,0]}\n{\"tags\":null}\n{\"tags\":[[0],[2]]}\n";
        fs::write(folder.path().join("train.jsonl"), rows).unwrap();
        let set = DatasetFolder::open(folder.path()).unwrap();
        assert_eq!(set.labels("tags"), ["O", "B"], "{way}");
        let rows: Vec<_> = set.load("train", &Loaders::default()).unwrap().collect();
        assert_eq!(rows[0].as_ref().unwrap().fields["tags"], json!(["B", "O"]));
        assert_eq!(rows[1].as_ref().unwrap().fields["tags"], json!(null));
        assert_eq!(rows[2].as_ref().unwrap_err().kind(), "wrong type");
    }
}

#[test]
fn a_number_that_no_class_has_is_an_error_of_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let card = "---\ndataset_info:\n  features:\n  - name: y\n    dtype:\n      class_label:\n        names: [no, yes]\n---\n";
    fs::write(folder.path().join("README.md"), card).unwrap();
    fs::write(
        folder.path().join("train.jsonl"),
        "{\"y\":1}\n{\"y\":2}\n{\"y\":0}\n",
    )
    .unwrap();
    let set = DatasetFolder::open(folder.path()).unwrap();
    let rows: Vec<_> = set.load("train", &Loaders::default()).unwrap().collect();
    assert_eq!(rows[0].as_ref().unwrap().fields["y"], "yes");
    assert_eq!(rows[1].as_ref().unwrap_err().kind(), "wrong type");
    assert_eq!(rows[2].as_ref().unwrap().fields["y"], "no");
}

fn rows(set: &DatasetFolder, split: &str) -> Vec<Value> {
    let documents = set.load(split, &Loaders::default()).unwrap();
    documents
        .map(|document| Value::Object(document.unwrap().fields.into_iter().collect()))
        .collect()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/datasets")
        .join(name)
}
