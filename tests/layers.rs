//! Who may import whom, as `docs/architecture.md` says it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder, and what none of its files may name.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "crates/data/src",
        &["burn", "finetune_model", "finetune_train", "finetune_eval"],
    ),
    (
        "crates/model/src",
        &["finetune_data", "finetune_train", "finetune_eval"],
    ),
    (
        "crates/model/src/family",
        &["burn", "crate::op::attention", "crate::part"],
    ),
    ("crates/train/src", &["finetune_eval"]),
    (
        "crates/train/src/trainer",
        &["CausalLm", "Classifier", "MaskedLm", "NextToken"],
    ),
    ("crates/eval/src", &["finetune_train"]),
];

#[test]
fn no_file_imports_what_its_layer_must_not_know() {
    let mut wrong = Vec::new();
    for (folder, names) in FORBIDDEN {
        let files = sources(Path::new(folder));
        assert!(
            !files.is_empty(),
            "{folder} holds no sources; mend the list"
        );
        for file in files {
            wrong.extend(
                imports(&file)
                    .into_iter()
                    .filter(|line| names.iter().any(|name| uses(line, name)))
                    .map(|line| format!("{}: {line}", file.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_local_knows_models_in_eval() {
    let wrong: Vec<_> = sources(Path::new("crates/eval/src"))
        .into_iter()
        .filter(|file| {
            !file
                .components()
                .any(|part| part.as_os_str().to_string_lossy().starts_with("local"))
        })
        .filter(|file| {
            imports(file)
                .iter()
                // An error of the model travels through the crate's own error.
                .map(|line| line.replace("finetune_model::ModelError", ""))
                .any(|line| uses(&line, "finetune_model") || uses(&line, "burn"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn examples_use_the_facade_alone() {
    let wrong: Vec<_> = sources(Path::new("examples"))
        .into_iter()
        .filter(|file| {
            imports(file).iter().any(|line| {
                line.contains("finetune_") || uses(&line.replace("finetune::burn", ""), "burn")
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn data_builds_without_tensors_and_nothing_reads_pickles() {
    assert!(
        !tree(&["-p", "finetune-data", "--edges", "normal"]).contains("burn"),
        "finetune-data depends on burn"
    );
    assert!(
        !tree(&["--workspace", "--edges", "normal"]).contains("pytorch-reader"),
        "a pickle reader is in the tree"
    );
}

#[test]
fn data_without_features_compiles_no_c_and_knows_no_network() {
    let tree = tree(&["-p", "finetune-data", "--edges", "normal,build"]);
    let heavy: Vec<&str> = tree
        .lines()
        .filter(|line| {
            let name = line.split(' ').next().unwrap_or_default();
            name == "cc" || name.ends_with("-sys") && name != "linux-raw-sys" || name == "ureq"
        })
        .collect();
    assert!(heavy.is_empty(), "{heavy:?}");
}

fn tree(packages: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .args(["tree", "--offline", "--prefix", "none"])
        .args(packages)
        .output()
        .expect("cargo runs");
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let tree = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        tree.contains("finetune-data"),
        "the tree is not that of the workspace:\n{tree}"
    );
    tree
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let with_rs = folder.with_extension("rs");
    let mut found: Vec<PathBuf> = with_rs.is_file().then_some(with_rs).into_iter().collect();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

/// Lines that import or name a path, tests left out.
fn imports(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).expect("a source can be read");
    let code = text.split("#[cfg(test)]").next().unwrap_or("");
    code.lines()
        .map(str::trim)
        .filter(|line| {
            !line.starts_with("//")
                && (line.starts_with("use ") || line.starts_with("pub use ") || line.contains("::"))
        })
        .map(str::to_owned)
        .collect()
}

/// Whether a line names a path that begins with, or holds, the given one as whole words.
fn uses(line: &str, name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + name.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word)
    })
}

#[test]
fn the_check_finds_what_it_looks_for() {
    assert!(uses("use burn::tensor::Tensor;", "burn"));
    assert!(!uses("use burned::x;", "burn"));
    assert!(uses("let x: crate::part::Linear = y;", "crate::part"));
}
