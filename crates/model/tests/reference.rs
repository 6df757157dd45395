//! Equal to the reference: logits, loss and every gradient of the golden checkpoints, and the files written back.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Gradients, Int, Tensor};
use finetune_model::checkpoint::names::{Layout, Names};
use finetune_model::{Checkpoint, Head, Network, Noise, Targets, Tokens, weights};
use safetensors::{Dtype, SafeTensors};

const CASES: [&str; 8] = [
    "llama_grouped",
    "llama_tied_bias",
    "llama_classifier",
    "gpt2_tied",
    "gpt2_untied",
    "gpt2_classifier",
    "bert_classifier",
    "bert_masked",
];

/// The golden cases, or those of the folder that `FINETUNE_REFERENCE` names.
fn cases() -> Vec<PathBuf> {
    if let Some(folder) = std::env::var_os("FINETUNE_REFERENCE") {
        let entries = fs::read_dir(folder).unwrap();
        let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        cases.sort();
        return cases;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference");
    CASES.iter().map(|name| folder.join(name)).collect()
}

/// A tensor of a golden file.
#[derive(Debug, Clone, PartialEq)]
struct Golden {
    shape: Vec<usize>,
    bytes: Vec<u8>,
    dtype: Dtype,
}

impl Golden {
    fn floats(&self) -> Vec<f32> {
        assert_eq!(self.dtype, Dtype::F32);
        self.bytes
            .chunks(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect()
    }

    fn numbers(&self) -> Vec<i64> {
        assert_eq!(self.dtype, Dtype::I64);
        let number = |b: &[u8]| i64::from_le_bytes(b.try_into().unwrap());
        self.bytes.chunks(8).map(number).collect()
    }
}

fn read(path: &Path) -> BTreeMap<String, Golden> {
    let bytes = fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    tensors
        .iter()
        .map(|(name, view)| {
            let golden = Golden {
                shape: view.shape().to_vec(),
                bytes: view.data().to_vec(),
                dtype: view.dtype(),
            };
            (name.to_owned(), golden)
        })
        .collect()
}

struct Inputs {
    tokens: Tokens,
    mask: Vec<bool>,
    labels: Vec<i64>,
    /// The numbers to predict, where there is one class.
    numbers: Vec<f32>,
    length: usize,
}

fn inputs(folder: &Path, device: &Device) -> Inputs {
    let given = read(&folder.join("inputs.safetensors"));
    let length = given["input_ids"].shape[1];
    let ids: Vec<u32> = given["input_ids"]
        .numbers()
        .iter()
        .map(|id| *id as u32)
        .collect();
    let mask: Vec<bool> = given["attention_mask"]
        .numbers()
        .iter()
        .map(|one| *one == 1)
        .collect();
    let mut tokens = Tokens::from_mask(&ids, &mask, length, device).unwrap();
    if let Some(kinds) = given.get("token_type_ids") {
        let kinds: Vec<u32> = kinds.numbers().iter().map(|kind| *kind as u32).collect();
        tokens = tokens.with_kinds(&kinds).unwrap();
    }
    let golden = &given["labels"];
    let (mut labels, mut numbers) = (Vec::new(), Vec::new());
    match golden.dtype {
        Dtype::F32 => numbers = golden.floats(),
        _ => labels = golden.numbers(),
    }
    Inputs {
        tokens,
        mask,
        labels,
        numbers,
        length,
    }
}

/// The targets of a loss as transformers counts them; a causal model's label is predicted by the place before it.
fn targets(inputs: &Inputs, head: Head) -> Targets {
    let mut targets = Targets::default();
    for (place, label) in inputs.labels.iter().enumerate() {
        let first = place % inputs.length == 0;
        if *label < 0 || (head == Head::Causal && first) {
            continue;
        }
        targets
            .places
            .push(place as u32 - u32::from(head == Head::Causal));
        targets.ids.push(*label as u32);
    }
    targets
}

struct Outcome {
    logits: Tensor<2>,
    loss: Tensor<1>,
    gradients: BTreeMap<String, Tensor<1>>,
}

fn outcome<M: Network>(model: &M, logits: Tensor<2>, loss: Tensor<1>) -> Outcome {
    let mut gradients: Gradients = loss.backward();
    let gradients = weights::gradients(model, &mut gradients);
    Outcome {
        logits,
        loss,
        gradients,
    }
}

fn run(checkpoint: &Checkpoint, inputs: &Inputs, device: &Device) -> Outcome {
    let (tokens, off) = (&inputs.tokens, Noise::off());
    match checkpoint.head().unwrap() {
        Head::Causal => {
            let model = checkpoint.causal_lm(device).unwrap();
            let targets = targets(inputs, Head::Causal);
            let loss = -model.log_probs(tokens, &targets, off).mean();
            let logits = model.logits(model.hidden(tokens, off, None));
            outcome(&model, logits, loss)
        }
        Head::Classifier => {
            let model = checkpoint
                .classifier(checkpoint.labels().len(), device)
                .unwrap();
            let logits = model.logits(tokens, off);
            if !inputs.numbers.is_empty() {
                let numbers = Tensor::<1>::from_data(inputs.numbers.as_slice(), device);
                let loss = (logits.clone().squeeze_dim::<1>(1) - numbers)
                    .square()
                    .mean();
                return outcome(&model, logits, loss);
            }
            let labels: Vec<i32> = inputs.labels.iter().map(|label| *label as i32).collect();
            let labels = Tensor::<1, Int>::from_data(labels.as_slice(), device);
            let log_probs = burn::tensor::activation::log_softmax(logits.clone(), 1);
            let loss = -log_probs.gather(1, labels.unsqueeze_dim::<2>(1)).mean();
            outcome(&model, logits, loss)
        }
        Head::Masked => {
            let model = checkpoint.masked_lm(device).unwrap();
            let targets = targets(inputs, Head::Masked);
            let loss = -model.log_probs(tokens, &targets, off).mean();
            let logits = model.logits(model.hidden(tokens, off));
            outcome(&model, logits, loss)
        }
        other => panic!("{other}"),
    }
}

fn floats<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_to_vec::<f32>().unwrap()
}

/// The gradient of a file's tensor from those of the model's parameters.
fn in_file(
    names: &Names,
    name: &str,
    found: &BTreeMap<String, Tensor<1>>,
    shape: &[usize],
) -> Option<Vec<f32>> {
    let entry = names.entries().iter().find(|entry| {
        let spelled = names
            .spellings(entry, true)
            .iter()
            .any(|spelling| spelling == name);
        spelled && entry.parts.iter().all(|part| found.contains_key(part))
    })?;
    let columns = match entry.layout {
        Layout::Transposed if shape.len() == 2 => shape[0],
        _ => shape[shape.len() - 1],
    };
    let rows = shape.iter().product::<usize>() / columns;
    let parts: Vec<Tensor<2>> = entry
        .parts
        .iter()
        .map(|part| {
            let flat = found[part].clone();
            let count = flat.dims()[0] / rows;
            flat.reshape([rows, count])
        })
        .collect();
    let whole = Tensor::cat(parts, 1);
    Some(match entry.layout {
        Layout::Transposed if shape.len() == 2 => floats(&whole.transpose()),
        _ => floats(&whole),
    })
}

fn worst(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn logits_loss_and_gradients_are_those_of_transformers() {
    let device = Device::default().autodiff();
    for folder in cases() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let inputs = inputs(&folder, &device);
        let found = run(&checkpoint, &inputs, &device);
        let expected = read(&folder.join("expected.safetensors"));

        let mut real = (0.0f32, 0);
        let (logits, golden) = (floats(&found.logits), expected["logits"].floats());
        let width = found.logits.dims()[1];
        assert_eq!(logits.len(), golden.len(), "{name}");
        for (row, (a, b)) in logits.chunks(width).zip(golden.chunks(width)).enumerate() {
            // What stands on padding has no meaning, and the reference does not define it.
            if checkpoint.head() == Some(Head::Classifier) || inputs.mask[row] {
                real = (real.0.max(worst(a, b)), real.1 + 1);
            }
        }
        assert!(
            real.0 < 1e-5 && real.1 > 2,
            "{name}: logits differ by {}",
            real.0
        );
        let loss = worst(&floats(&found.loss), &expected["loss"].floats());
        assert!(loss < 1e-5, "{name}: loss differs by {loss}");

        let mut relative: f32 = 0.0;
        for (key, golden) in expected.iter().filter(|(key, _)| key.starts_with("grad.")) {
            let tensor = key.trim_start_matches("grad.");
            let gradient = in_file(checkpoint.names(), tensor, &found.gradients, &golden.shape);
            let gradient = gradient.unwrap_or_else(|| panic!("{name}: {tensor} has no gradient"));
            let largest = golden
                .floats()
                .iter()
                .fold(0f32, |most, g| most.max(g.abs()));
            let difference = worst(&gradient, &golden.floats());
            if tensor.ends_with("key.bias") && largest < 1e-6 {
                // Without rotation the bias of the keys has no effect: its gradient is rounding on both sides.
                assert!(
                    difference < 1e-7,
                    "{name}: the gradient of {tensor} differs by {difference}"
                );
                continue;
            }
            let difference = difference / largest;
            assert!(
                difference < 1e-4,
                "{name}: the gradient of {tensor} differs by {difference}"
            );
            relative = relative.max(difference);
        }
        println!(
            "{name}: logits {:.1e}, loss {loss:.1e}, gradients {relative:.1e}",
            real.0
        );
    }
}

#[test]
fn saved_checkpoints_hold_the_same_tensors() {
    let device = Device::default();
    for folder in cases() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let to = tempfile::tempdir().unwrap();
        let copy = to.path().join("copy");
        match checkpoint.head().unwrap() {
            Head::Causal => checkpoint.save(&checkpoint.causal_lm(&device).unwrap(), &copy),
            Head::Classifier => {
                let labels = checkpoint.labels().len();
                checkpoint.save(&checkpoint.classifier(labels, &device).unwrap(), &copy)
            }
            Head::Masked => checkpoint.save(&checkpoint.masked_lm(&device).unwrap(), &copy),
            other => panic!("{other}"),
        }
        .unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let weights = entry.unwrap().file_name();
            if weights.to_string_lossy().starts_with("model") {
                let (old, new) = (folder.join(&weights), copy.join(&weights));
                if old.extension().unwrap() == "json" {
                    assert_eq!(json(&new), json(&old), "{name}");
                } else {
                    assert_eq!(read(&new), read(&old), "{name}");
                }
            }
        }
        let config = "config.json";
        assert_eq!(
            json(&copy.join(config)),
            json(&folder.join(config)),
            "{name}"
        );
        assert!(copy.join("inputs.safetensors").metadata().is_err());
    }
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
