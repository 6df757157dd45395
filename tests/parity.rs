//! Equal to transformers 5.23 and peft 0.21: what `examples/parity` writes for the golden checkpoints.
//!
//! The golden files are made by `tests/reference/make.py`. Runs on every CPU backend that is compiled in, or on the
//! device that `BURN_DEVICE` names; `PARITY_CASES` names another folder of cases. The differences are printed:
//! `docs/backends.md` lists the worst, and `docs/fidelity.md` those of every case, written by
//!
//!     FIDELITY=docs/fidelity.md BURN_DEVICE=flex cargo test --workspace --features ndarray --test parity

#![allow(clippy::unwrap_used, clippy::float_cmp)] // A test may panic, and compares exact figures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

#[path = "fidelity/table.rs"]
mod table;

#[path = "../examples/parity/main.rs"]
#[allow(dead_code, missing_docs)]
mod parity;

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

fn cases() -> Vec<PathBuf> {
    let root = std::env::var_os("PARITY_CASES")
        .map_or_else(|| Path::new("tests/reference").to_owned(), PathBuf::from);
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("expected.safetensors").exists())
        .collect();
    cases.sort();
    assert!(!cases.is_empty(), "{} holds no cases", root.display());
    cases
}

/// The devices to compare on, by name.
fn devices() -> Vec<String> {
    if let Some(named) = std::env::var("BURN_DEVICE")
        .ok()
        .filter(|name| !name.is_empty())
    {
        return vec![named];
    }
    let compiled: &[&str] = &[
        #[cfg(feature = "flex")]
        "flex",
        #[cfg(feature = "ndarray")]
        "ndarray",
    ];
    assert!(!compiled.is_empty(), "BURN_DEVICE must name a device");
    compiled.iter().map(|&name| name.to_owned()).collect()
}

fn flags(case: &Path, device: &str) -> parity::Flags {
    parity::Flags {
        checkpoint: case.to_owned(),
        adapter: None,
        lora: None,
        inputs: case.join("inputs.safetensors"),
        output: PathBuf::new(),
        head: None,
        gradients: true,
        steps: Some(20),
        learning_rate: 3e-3,
        weight_decay: 0.01,
        clip: 1.0,
        save: None,
        greedy: Some(16),
        device: Some(device.to_owned()),
    }
}

fn golden(path: &Path) -> Tensors {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let values = |view: &safetensors::tensor::TensorView<'_>| -> Vec<f32> {
        match view.dtype() {
            safetensors::Dtype::F32 => view
                .data()
                .chunks(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect(),
            _ => view
                .data()
                .chunks(8)
                .map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f32)
                .collect(),
        }
    };
    file.iter()
        .map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), values(&view))))
        .collect()
}

fn worst(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

/// The difference of logits on text; what stands on padding has no meaning.
fn on_text(case: &Path, found: &(Vec<usize>, Vec<f32>), expected: &(Vec<usize>, Vec<f32>)) -> f32 {
    assert_eq!(
        found.0,
        expected.0,
        "{}: shape of the logits",
        case.display()
    );
    let width = found.0[found.0.len() - 1];
    let inputs = golden(&case.join("inputs.safetensors"));
    // A decoder without a mask of its own reads all of its places, and predictions of chosen places are none of
    // padding.
    let all = vec![1.0; found.1.len() / width];
    let mask = match (
        inputs.get("decoder_attention_mask"),
        inputs.get("attention_mask"),
    ) {
        (Some((_, mask)), _) => mask,
        (None, Some((_, mask))) if inputs["labels"].1.len() == mask.len() => mask,
        _ => &all,
    };
    let rows = found
        .1
        .chunks(width)
        .zip(expected.1.chunks(width))
        .enumerate();
    rows.filter(|(row, _)| found.0.len() == 2 || mask[*row] == 1.0)
        .map(|(_, (a, b))| worst(a, b))
        .fold(0.0, f32::max)
}

/// How far logits and losses of a curve may be apart. T5 has larger numbers than others: its attention and, from the
/// second release on, its embeddings are not scaled.
fn most(case: &Path) -> (f32, f32) {
    let config = std::fs::read_to_string(case.join("config.json")).unwrap();
    if config.contains("\"model_type\": \"t5\"") {
        (5e-5, 1e-3)
    } else {
        (1e-5, 1e-4)
    }
}

/// The greatest differences of a case.
#[derive(Default)]
struct Differences {
    logits: f32,
    loss: f32,
    gradients: f32,
    curve: f32,
}

impl Differences {
    fn max(&self, other: &Self) -> Self {
        Self {
            logits: self.logits.max(other.logits),
            loss: self.loss.max(other.loss),
            gradients: self.gradients.max(other.gradients),
            curve: self.curve.max(other.curve),
        }
    }
}

impl std::fmt::Display for Differences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "logits {:.1e}, loss {:.1e}, gradients {:.1e}, 20 steps {:.1e}",
            self.logits, self.loss, self.gradients, self.curve
        )
    }
}

/// The greatest difference of all gradients, relative to the largest element of each.
fn gradients(name: &str, found: &Tensors, expected: &Tensors) -> f32 {
    let keys: Vec<&String> = expected
        .keys()
        .filter(|key| key.starts_with("grad."))
        .collect();
    assert!(keys.len() > 10, "{name}: only {} gradients", keys.len());
    let mut most = 0.0_f32;
    for key in keys {
        let (shape, values) = found
            .get(key)
            .unwrap_or_else(|| panic!("{name}: {key} is missing"));
        assert_eq!(*shape, expected[key].0, "{name}: {key}");
        let (difference, size) = (worst(values, &expected[key].1), largest(&expected[key].1));
        // Softmax does not change when all keys move alike: the gradient of their bias is rounding on both sides.
        if size < 1e-6 {
            assert!(difference < 1e-7, "{name}: {key} differs by {difference}");
            continue;
        }
        let difference = difference / size;
        assert!(
            difference < 1e-4,
            "{name}: {key} differs by {difference} of its largest element"
        );
        most = most.max(difference);
    }
    most
}

fn compare(name: &str, case: &Path, device: &str) -> Differences {
    let expected = golden(&case.join("expected.safetensors"));
    let found = parity::run(&flags(case, device)).unwrap();
    let logits = on_text(case, &found["logits"], &expected["logits"]);
    assert!(logits < most(case).0, "{name}: logits differ by {logits}");
    let loss = worst(&found["loss"].1, &expected["loss"].1);
    assert!(loss < 1e-5, "{name}: loss differs by {loss}");
    let gradients = gradients(name, &found, &expected);
    let curve = found["curve"]
        .1
        .iter()
        .zip(&expected["curve"].1)
        .map(|(a, b)| (a - b).abs() / b.abs().max(1e-2))
        .fold(0.0, f32::max);
    assert_eq!(found["curve"].1.len(), 20, "{name}");
    assert!(
        curve < most(case).1,
        "{name}: the curve differs by {curve}: {:?}",
        found["curve"].1
    );
    if let Some((_, tokens)) = expected.get("greedy") {
        assert_eq!(&found["greedy"].1, tokens, "{name}: greedy tokens");
    }
    Differences {
        logits,
        loss,
        gradients,
        curve,
    }
}

/// The difference of the logits with the adapter that peft wrote.
fn adapted(name: &str, case: &Path, device: &str) -> f32 {
    let expected = golden(&case.join("adapter.safetensors"));
    let plain = parity::Flags {
        adapter: Some(case.join("adapter")),
        gradients: false,
        steps: None,
        greedy: None,
        ..flags(case, device)
    };
    let found = parity::run(&plain).unwrap();
    let logits = on_text(case, &found["logits"], &expected["logits"]);
    assert!(
        logits < most(case).0,
        "{name}: logits with the adapter differ by {logits}"
    );
    logits
}

/// A row of the table in `docs/fidelity.md`.
fn row(case: &Path, device: &str, differences: &Differences) -> table::Row {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let expected = golden(&case.join("expected.safetensors"));
    let adapter = case.join("adapter").is_dir();
    let figures = [
        Some(differences.logits),
        Some(differences.loss),
        Some(differences.gradients),
        Some(differences.curve),
        adapter.then(|| adapted(&name, case, device)),
    ];
    let inputs = golden(&case.join("inputs.safetensors"));
    let (shape, ids) = &inputs["input_ids"];
    let all = vec![1.0; ids.len()];
    let mask = inputs.get("attention_mask").map_or(&all, |mask| &mask.1);
    table::Row::new(
        case,
        (mask, shape[1]),
        expected.contains_key("greedy"),
        figures,
    )
}

#[test]
fn logits_gradients_curves_and_greedy_tokens_are_those_of_transformers() {
    for device in devices() {
        let mut worst = Differences::default();
        let mut rows = Vec::new();
        for case in cases() {
            let name = format!("{device}, {}", case.file_name().unwrap().display());
            let differences = compare(&name, &case, &device);
            println!("{name}: {differences}");
            worst = worst.max(&differences);
            if std::env::var_os("FIDELITY").is_some() {
                rows.push(row(&case, &device, &differences));
            }
        }
        println!("{device}, the worst: {worst}");
        if let Some(path) = std::env::var_os("FIDELITY") {
            table::write(Path::new(&path), &device, &rows);
        }
    }
}

#[test]
fn adapters_of_peft_give_the_same_logits_here_and_come_back() {
    for device in devices() {
        let mut seen = 0;
        for case in cases() {
            if !case.join("adapter").is_dir() {
                continue;
            }
            let name = format!("{device}, {}", case.file_name().unwrap().display());
            let logits = adapted(&name, &case, &device);
            println!("{name}: logits with peft's adapter {logits:.1e}");
            seen += 1;
        }
        assert!(seen >= 3, "{device}: only {seen} cases with an adapter");
    }
}
