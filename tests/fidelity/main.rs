//! `docs/fidelity.md` lists every golden case: its tables are written by programs, and a case that was added without
//! them shows here.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The cases that a table of the document has.
fn listed(document: &str, [begin, end]: [&str; 2]) -> BTreeSet<String> {
    let (_, rest) = document.split_once(begin).unwrap();
    let (table, _) = rest.split_once(end).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| "));
    let names = rows.filter_map(|row| row.split(" | ").next());
    names
        .filter(|name| *name != "case")
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn every_golden_case_is_in_the_tables() {
    let entries = fs::read_dir("tests/reference").unwrap();
    let cases = entries.map(|entry| entry.unwrap().path());
    let cases: BTreeSet<String> = cases
        .filter(|path| path.join("expected.safetensors").exists())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    let document = fs::read_to_string("docs/fidelity.md").unwrap();
    for (marks, command) in [
        (
            ["<!-- parity: begin -->", "<!-- parity: end -->"],
            "FIDELITY=docs/fidelity.md BURN_DEVICE=flex cargo test --workspace --features ndarray --test parity",
        ),
        (
            ["<!-- opened: begin -->", "<!-- opened: end -->"],
            "python tests/reference/open.py --parity target/release/examples/parity --write docs/fidelity.md",
        ),
    ] {
        let listed = listed(&document, marks);
        let missing: Vec<_> = cases.difference(&listed).collect();
        let gone: Vec<_> = listed.difference(&cases).collect();
        assert!(
            missing.is_empty() && gone.is_empty(),
            "the table after {} of docs/fidelity.md lacks {missing:?} and has {gone:?} too many; {command}",
            marks[0]
        );
    }
}

#[test]
fn every_golden_case_has_its_settings_in_words() {
    let settings: serde_json::Value =
        serde_json::from_slice(&fs::read("tests/reference/settings.json").unwrap()).unwrap();
    for entry in fs::read_dir("tests/reference").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(
            !Path::new(&path).join("config.json").exists() || settings[&name].is_string(),
            "{name} is not in settings.json; python tests/reference/make.py all-linear"
        );
    }
}
