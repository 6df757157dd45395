//! Notebooks: what nbformat and nbconvert read in them, and broken ones.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use finetune_data::load::{Counts, Loaders, Notebooks, OnError};
use finetune_data::{Document, Load, Result};
use proptest::prelude::*;
use serde_json::{Value, json};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden/notebook")
        .join(name)
}

fn read(name: &str, loader: Notebooks) -> Vec<Document> {
    let documents = loader.load(&golden(name)).unwrap();
    documents.map(Result::unwrap).collect()
}

fn load(content: &[u8], loader: Notebooks) -> Result<(Vec<Document>, Counts)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ipynb");
    fs::write(&path, content).unwrap();
    Loaders::default()
        .with(loader)
        .load_all(&[path], &OnError::Skip)
}

/// The harmonic mean of precision and recall over the bags of words.
fn word_f1(ours: &str, theirs: &str) -> f64 {
    let bag = |text: &str| {
        let mut bag: BTreeMap<String, u64> = BTreeMap::new();
        let words = text.split(|character: char| !character.is_alphanumeric());
        for word in words.filter(|word| !word.is_empty()) {
            *bag.entry(word.to_owned()).or_default() += 1;
        }
        bag
    };
    let (ours, theirs) = (bag(ours), bag(theirs));
    let shared: u64 = ours
        .iter()
        .map(|(word, count)| theirs.get(word).map_or(0, |other| *count.min(other)))
        .sum();
    let total: u64 = ours.values().chain(theirs.values()).sum();
    2.0 * shared as f64 / total as f64
}

#[test]
fn cells_are_those_of_nbformat_and_the_whole_is_that_of_nbconvert() {
    for name in ["modern", "old"] {
        let expected = fs::read_to_string(golden(&format!("{name}.json"))).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let file = format!("{name}.ipynb");
        let cells: Vec<Value> = read(&file, Notebooks::default().outputs(false))
            .iter()
            .map(|cell| {
                json!([
                    cell.fields["kind"],
                    cell.text,
                    cell.fields.get("execution_count")
                ])
            })
            .collect();
        let theirs = expected["cells"].as_array().unwrap();
        let theirs: Vec<Value> = theirs
            .iter()
            .filter(|cell| cell[1] != "")
            .cloned()
            .collect();
        assert_eq!(cells, theirs, "{name}");
        let whole = read(&file, Notebooks::default().joined(true));
        assert_eq!(whole.len(), 1);
        let same = word_f1(&whole[0].text, expected["markdown"].as_str().unwrap());
        assert!(same >= 0.98, "{name}: {same}");
    }
}

#[test]
fn outputs_are_told_apart_from_code() {
    let documents = read("modern.ipynb", Notebooks::default());
    let output: Vec<Value> = documents
        .iter()
        .filter(|document| document.fields["kind"] == "output")
        .map(|document| {
            json!([
                document.origin.place,
                document.text,
                document.fields.get("left_out")
            ])
        })
        .collect();
    let expected = json!([
        [2, "[0.0, 0.84, 0.9, 0.14]", {"text/html": 1}],
        [3, "a\nb\ncareful now", null],
        [4, "---------\nZeroDivisionError: division by zero", null],
        [5, "<Figure size 640x480>", {"image/png": 1}],
    ]);
    assert_eq!(Value::Array(output), expected);
    let code = &documents[1];
    let mut fields = code.fields.clone();
    assert_eq!(
        fields.remove("author"),
        Some(json!(["Ann Example", "Bob Example"]))
    );
    assert_eq!(
        serde_json::to_value(fields).unwrap(),
        json!({"kind": "code", "cell": 2, "id": "cell-1", "execution_count": 1, "language": "python", "title": "Tides"})
    );
    assert!(code.origin.to_string().ends_with("modern.ipynb, cell 2"));
    let old = read("old.ipynb", Notebooks::default());
    let texts: Vec<&str> = old.iter().map(|document| document.text.as_str()).collect();
    let expected = [
        "## An old notebook",
        "It still *opens*.",
        "x = 41\nx + 1",
        "42\nprinted",
        "boom()",
        "NameError: boom",
    ];
    assert_eq!(texts, expected);
}

#[test]
fn the_whole_notebook_is_markdown_that_reads_back() {
    let cells = json!([
        {"cell_type": "markdown", "source": ["A\n", "b"]},
        {"cell_type": "code", "source": "s = '```'", "outputs": [
            {"output_type": "display_data", "data": {"text/markdown": "**bold**", "text/plain": "x", "image/png": "…"}},
            {"output_type": "stream", "name": "stdout", "text": ["1%\r", "99%\n"]}]},
        {"cell_type": "code", "source": "", "outputs": []},
    ]);
    let notebook =
        json!({"nbformat": 4, "metadata": {"kernelspec": {"language": "R\n```"}}, "cells": cells});
    let (documents, _) = load(
        notebook.to_string().as_bytes(),
        Notebooks::default().joined(true),
    )
    .unwrap();
    assert_eq!(
        documents[0].text,
        "A\nb\n\n````R\ns = '```'\n````\n\n**bold**\n\n```\n99%\n```\n"
    );
    assert_eq!(documents[0].fields["left_out"], json!({"image/png": 1}));
    let (documents, counts) = load(notebook.to_string().as_bytes(), Notebooks::default()).unwrap();
    assert_eq!(
        (documents.len(), counts.blank, counts.balanced()),
        (3, 1, true)
    );
}

#[test]
fn broken_notebooks_and_cells_are_refused_with_their_place() {
    let cases = [
        (
            "[]",
            "a.ipynb: cannot read the notebook: it says no nbformat",
        ),
        (
            r#"{"nbformat": 2, "worksheets": []}"#,
            "its nbformat is 2; expected 3 or 4",
        ),
        (r#"{"nbformat": 4}"#, "it has no list of cells"),
        (
            r#"{"nbformat": 4, "cells": [{"cell_type": "code", "source": 5}]}"#,
            "a.ipynb, cell 1: cannot read the cell: it has no source",
        ),
        (
            r#"{"nbformat": 4, "cells": [{"cell_type": "code", "source": ["a", 1]}]}"#,
            "a.ipynb, cell 1: ",
        ),
        (
            r#"{"nbformat": 4, "cells": [{"cell_type": "x\u001b", "source": ""}]}"#,
            r#"its cell_type is "x\u{1b}""#,
        ),
        (
            r#"{"nbformat": 4, "cells": ["#,
            "a.ipynb:1:27: unexpected end",
        ),
        ("{\"nbformat\": 4, \"cells\": \0}", "a.ipynb:1:26: "),
        ("not json", "a.ipynb:1:1: "),
    ];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ipynb");
    let deep = format!(r#"{{"nbformat": 4, "cells": {}}}"#, "[".repeat(100_000));
    for (content, message) in cases
        .into_iter()
        .chain([(deep.as_str(), "nested too deeply")])
    {
        fs::write(&path, content).unwrap();
        let error = Loaders::default()
            .load_all(&[&path], &OnError::Stop)
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Good JSON of a wrong shape: any value may stand where another is expected.
    #[test]
    fn any_shape_is_read_or_refused(at in 0..14usize, by in 0..6usize, joined: bool) {
        let mut notebook: Value = serde_json::from_str(&fs::read_to_string(golden("modern.ipynb")).unwrap()).unwrap();
        let places = ["", "/nbformat", "/metadata", "/metadata/authors", "/metadata/authors/0", "/metadata/language_info", "/cells",
            "/cells/1", "/cells/1/source", "/cells/1/outputs", "/cells/1/outputs/0", "/cells/1/outputs/0/data",
            "/cells/1/outputs/0/data/text~1plain", "/cells/3/outputs/0/traceback"];
        let values = [json!(null), json!(-1), json!("x"), json!([1, ["a"]]), json!({"a": {}}), json!(true)];
        *notebook.pointer_mut(places[at]).unwrap() = values[by].clone();
        if let Ok((_, counts)) = load(notebook.to_string().as_bytes(), Notebooks::default().joined(joined)) {
            prop_assert!(counts.balanced());
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = load(&bytes, Notebooks::default());
    }
}
