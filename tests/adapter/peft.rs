//! Equal to peft 0.21: the layers it chooses, its files read and written again, and its merged weights.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use finetune::burn::tensor::{Device, Tensor};
use finetune::model::lora::{self, LoraConfig, LoraTargets};
use finetune::model::{Checkpoint, Classifier, Head, Network, Noise, Tokens, weights};
use safetensors::SafeTensors;
use serde_json::{Value, json};

/// The golden cases with an adapter that peft wrote.
const ADAPTED: [&str; 10] = [
    "bert_classifier",
    "bert_tokens",
    "distilbert_classifier",
    "electra_classifier",
    "gpt2_tied",
    "llama_grouped",
    "llama_tied_bias",
    "modernbert_classifier",
    "roberta_classifier",
    "xlnet_classifier",
];

/// Shape and bytes by name.
type File = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn read(path: &Path) -> File {
    let bytes = std::fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.iter();
    tensors
        .map(|(name, view)| {
            let tensor = (view.shape().to_vec(), view.data().to_vec());
            (name.to_owned(), tensor)
        })
        .collect()
}

fn settings(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(lora::CONFIG_FILE)).unwrap()).unwrap()
}

fn numbers(file: &File, name: &str) -> Option<Vec<u32>> {
    let (_, bytes) = file.get(name)?;
    let number = |b: &[u8]| i64::from_le_bytes(b.try_into().unwrap()) as u32;
    Some(bytes.chunks(8).map(number).collect())
}

/// The inputs of a case, and which places hold text.
fn inputs(folder: &Path) -> (Tokens, Vec<bool>) {
    let file = read(&folder.join("inputs.safetensors"));
    let length = file["input_ids"].0[1];
    let mask: Vec<bool> = numbers(&file, "attention_mask")
        .unwrap()
        .iter()
        .map(|one| *one == 1)
        .collect();
    let ids = numbers(&file, "input_ids").unwrap();
    let tokens = Tokens::from_mask(&ids, &mask, length, &Device::default()).unwrap();
    match numbers(&file, "token_type_ids") {
        Some(kinds) => (tokens.with_kinds(&kinds).unwrap(), mask),
        None => (tokens, mask),
    }
}

/// Reads peft's adapter, writes it again, and merges it.
///
/// # Returns
/// The logits of the merged model, `[rows, outputs]`.
fn again_and_merged<M: Network>(
    name: &str,
    model: M,
    checkpoint: &Checkpoint,
    logits: impl Fn(&M) -> Tensor<2>,
) -> Tensor<2> {
    let given = super::case(name).join("adapter");
    let model = lora::load(model, checkpoint.architecture(), &given).unwrap();
    let folder = tempfile::tempdir().unwrap();
    lora::save(&model, checkpoint.architecture(), "base", folder.path()).unwrap();
    let weights =
        [given.as_path(), folder.path()].map(|folder| read(&folder.join(lora::WEIGHTS_FILE)));
    assert_eq!(weights[0], weights[1], "{name}");
    let [old, new] = [given.as_path(), folder.path()].map(settings);
    for field in [
        "r",
        "peft_type",
        "task_type",
        "bias",
        "fan_in_fan_out",
        "rank_pattern",
    ] {
        assert_eq!(old[field], new[field], "{name}: {field}");
    }
    let scale = |settings: &Value| {
        let rank = settings["r"].as_f64().unwrap();
        let root = settings["use_rslora"].as_bool().unwrap();
        settings["lora_alpha"].as_f64().unwrap() / if root { rank.sqrt() } else { rank }
    };
    assert!((scale(&old) - scale(&new)).abs() < 1e-12, "{name}");
    let (merged, report) = lora::merge(model, &logits);
    assert!(report.difference < 1e-5, "{name}: {report:?}");
    logits(&merged)
}

#[test]
fn adapters_of_peft_are_written_as_they_came_and_merge_as_in_peft() {
    let (device, off) = (Device::default(), Noise::off());
    for name in ADAPTED {
        let folder = super::case(name);
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let (tokens, mask) = inputs(&folder);
        let merged = match checkpoint.head().unwrap() {
            Head::Classifier => {
                let model = checkpoint.classifier(3, &device).unwrap();
                again_and_merged(name, model, &checkpoint, |model| model.logits(&tokens, off))
            }
            Head::TokenClassifier => {
                let model = checkpoint.token_classifier(3, &device).unwrap();
                again_and_merged(name, model, &checkpoint, |model| model.logits(&tokens, off))
            }
            _ => {
                let model = checkpoint.causal_lm(&device).unwrap();
                again_and_merged(name, model, &checkpoint, |model| {
                    model.logits(model.hidden(&tokens, off, None))
                })
            }
        };
        let [rows, width] = merged.dims();
        let (shape, bytes) = &read(&folder.join("adapter.safetensors"))["merged"];
        assert_eq!(shape.iter().product::<usize>(), rows * width, "{name}");
        let expected = bytes
            .chunks(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let found = merged.into_data();
        let worst = found
            .iter::<f32>()
            .zip(expected)
            .enumerate()
            // What stands on padding has no meaning.
            .filter(|(place, _)| shape.len() == 2 || mask[place / width])
            .fold(0.0_f32, |worst, (_, (a, b))| worst.max((a - b).abs()));
        println!("{name}: logits merged here and in peft differ by {worst:.1e}");
        assert!(worst < 1e-5, "{name}: {worst}");
    }
}

/// The names in the file of an adapter of all linear layers, without PEFT's prefix.
fn all_linear_names<M: Network>(checkpoint: &Checkpoint, model: M) -> BTreeSet<String> {
    let config = LoraConfig {
        targets: LoraTargets::AllLinear,
        ..LoraConfig::default()
    };
    let model = lora::attach(model, checkpoint.architecture(), &config).unwrap();
    let folder = tempfile::tempdir().unwrap();
    lora::save(&model, checkpoint.architecture(), "base", folder.path()).unwrap();
    let bytes = std::fs::read(folder.path().join(lora::WEIGHTS_FILE)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let bare = |name: &&str| name.strip_prefix("base_model.model.").unwrap().to_owned();
    file.names().iter().map(bare).collect()
}

/// The parameters beside the factors that are trained.
fn trained<M: Network>(model: M) -> BTreeSet<String> {
    weights::parameters(&model.train())
        .into_iter()
        .filter(|parameter| parameter.trainable && !parameter.path.contains(".lora."))
        .map(|parameter| parameter.path)
        .collect()
}

#[test]
fn what_a_head_has_beside_the_trunk_is_trained_and_comes_back() {
    let layers =
        |names: &[&str]| LoraTargets::Names(names.iter().map(|n| (*n).to_owned()).collect());
    let both = ["head.bias", "head.weight", "pooler.bias", "pooler.weight"];
    for (name, targets, expected, saved) in [
        (
            "roberta_classifier",
            LoraTargets::Family,
            &both[..],
            json!(["classifier"]),
        ),
        (
            "roberta_classifier",
            LoraTargets::AllLinear,
            &both[..],
            json!(["classifier"]),
        ),
        (
            "distilbert_classifier",
            LoraTargets::AllLinear,
            &both[..],
            json!(["pre_classifier", "classifier"]),
        ),
        (
            "bert_classifier",
            LoraTargets::Family,
            &both[..2],
            json!(["classifier"]),
        ),
        (
            "modernbert_left",
            layers(&["Wqkv", "classifier"]),
            &[
                "head.bias",
                "head.weight",
                "norm.bias",
                "norm.weight",
                "pooler.weight",
            ],
            json!(["head", "classifier"]),
        ),
        (
            "modernbert_left",
            LoraTargets::AllLinear,
            &both[..2],
            json!(["classifier"]),
        ),
    ] {
        let folder = super::case(name);
        let checkpoint = Checkpoint::open(&folder).unwrap();
        let base = checkpoint.classifier(3, &Device::default()).unwrap();
        let config = LoraConfig {
            targets,
            ..LoraConfig::default()
        };
        let model = lora::attach(base.clone(), checkpoint.architecture(), &config).unwrap();
        let expected: BTreeSet<String> = expected.iter().map(ToString::to_string).collect();
        assert_eq!(trained(model.clone()), expected, "{name}");
        let model = weights::map_values(model, &mut |path, value| {
            let moved = expected.contains(path) || path.ends_with("lora.b");
            if moved { value + 0.125 } else { value }
        });
        let written = tempfile::tempdir().unwrap();
        lora::save(&model, checkpoint.architecture(), "base", written.path()).unwrap();
        assert_eq!(settings(written.path())["modules_to_save"], saved, "{name}");
        let again = lora::load(base.clone(), checkpoint.architecture(), written.path()).unwrap();
        assert_eq!(trained(again.clone()), expected, "{name}");
        let (tokens, _) = inputs(&folder);
        let logits = |model: &Classifier| model.logits(&tokens, Noise::off()).into_data();
        assert_eq!(logits(&model), logits(&again), "{name}");
        assert_ne!(logits(&model), logits(&base), "{name}");
    }
}

#[test]
fn all_linear_layers_are_those_that_peft_adapts_and_trains() {
    let golden = std::fs::read("tests/reference/all_linear.json").unwrap();
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let golden = golden.as_object().unwrap();
    assert!(golden.len() > 8);
    for (name, expected) in golden {
        let folder = super::case(name.trim_end_matches(" untied"));
        let mut config: Value =
            serde_json::from_slice(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
        if name.ends_with(" untied") {
            config["tie_word_embeddings"] = json!(false);
        }
        let checkpoint = Checkpoint::create(config, 1).unwrap();
        let device = Device::default();
        let found = match checkpoint.head().unwrap() {
            Head::Causal => all_linear_names(&checkpoint, checkpoint.causal_lm(&device).unwrap()),
            Head::Classifier => {
                all_linear_names(&checkpoint, checkpoint.classifier(3, &device).unwrap())
            }
            Head::Masked => all_linear_names(&checkpoint, checkpoint.masked_lm(&device).unwrap()),
            Head::Seq2Seq => all_linear_names(&checkpoint, checkpoint.seq2seq(&device).unwrap()),
            Head::Discriminator => {
                all_linear_names(&checkpoint, checkpoint.discriminator(&device).unwrap())
            }
            other => panic!("{other}"),
        };
        let list = |field: &str| -> Vec<String> {
            serde_json::from_value(expected[field].clone()).unwrap()
        };
        let factors = ["lora_A.weight", "lora_B.weight"];
        let adapted = list("adapted");
        let adapted = adapted
            .iter()
            .flat_map(|module| factors.map(|factor| format!("{module}.{factor}")));
        let whole: Vec<String> = list("whole");
        let (head, layers): (BTreeSet<String>, BTreeSet<String>) =
            found.into_iter().partition(|name| {
                whole
                    .iter()
                    .any(|module| name.starts_with(&format!("{module}.")))
            });
        assert_eq!(layers, adapted.collect(), "{name}");
        assert_eq!(head.is_empty(), whole.is_empty(), "{name}: {head:?}");
    }
}
