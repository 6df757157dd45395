//! Adapters: what is written is read back, merging changes nothing but rounding, and what does not fit is refused.

#![allow(clippy::unwrap_used, clippy::float_cmp)] // A test may panic, and compares exact figures.

mod peft;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use finetune::burn::module::Module;
use finetune::burn::tensor::{Device, Tensor};
use finetune::model::lora::{self, LoraConfig, LoraTargets};
use finetune::model::{CausalLm, Checkpoint, Classifier, Network, Noise, Tokens, weights};

fn case(name: &str) -> PathBuf {
    Path::new("tests/reference").join(name)
}

fn tokens() -> Tokens {
    let ids: Vec<u32> = (3..27).collect();
    Tokens::from_mask(&ids, &[true; 24], 12, &Device::default()).unwrap()
}

fn logits(model: &CausalLm) -> Tensor<2> {
    model.logits(model.hidden(&tokens(), Noise::off(), None))
}

fn difference(a: Tensor<2>, b: Tensor<2>) -> f32 {
    (a - b).abs().max().into_scalar::<f32>()
}

/// A model with an adapter whose factors are all different from zero.
fn tuned(name: &str, config: &LoraConfig) -> (Checkpoint, CausalLm) {
    let checkpoint = Checkpoint::open(case(name)).unwrap();
    let model = checkpoint.causal_lm(&Device::default()).unwrap();
    let model = lora::attach(model, checkpoint.architecture(), config).unwrap();
    let mut number = 0_u64;
    let model = weights::map_values(model, &mut |path, value| {
        number += 1;
        if !path.ends_with("lora.b") {
            return value;
        }
        let [count] = value.dims();
        let noise = Noise::new(number, 0, 0);
        let values: Vec<f32> = (0..count as u64)
            .map(|at| noise.uniform(at) - 0.5)
            .collect();
        Tensor::from_data(values.as_slice(), &Device::default())
    });
    (checkpoint, model)
}

#[test]
fn a_fresh_adapter_changes_nothing_and_freezes_the_base() {
    let checkpoint = Checkpoint::open(case("llama_grouped")).unwrap();
    let base = checkpoint.causal_lm(&Device::default()).unwrap();
    let model = lora::attach(
        base.clone(),
        checkpoint.architecture(),
        &LoraConfig::default(),
    )
    .unwrap();
    assert_eq!(difference(logits(&base), logits(&model)), 0.0);
    let trained: Vec<String> = weights::parameters(&model.train())
        .into_iter()
        .filter(|p| p.trainable)
        .map(|p| p.path)
        .collect();
    assert_eq!(
        trained.len(),
        2 * 2 * 2,
        "two layers, query and value, two factors: {trained:?}"
    );
    assert!(
        trained.iter().all(|path| path.contains(".lora.")),
        "{trained:?}"
    );
}

#[test]
fn what_is_written_comes_back_also_where_the_checkpoint_fuses_projections() {
    for (name, targets) in [
        ("llama_grouped", LoraTargets::AllLinear),
        ("gpt2_tied", LoraTargets::Family),
        ("gpt2_tied", LoraTargets::AllLinear),
    ] {
        let config = LoraConfig {
            rank: 3,
            alpha: 5.0,
            targets,
            ..LoraConfig::default()
        };
        let (checkpoint, model) = tuned(name, &config);
        let folder = tempfile::tempdir().unwrap();
        lora::save(&model, checkpoint.architecture(), "base", folder.path()).unwrap();
        let base = checkpoint.causal_lm(&Device::default()).unwrap();
        let again = lora::load(base.clone(), checkpoint.architecture(), folder.path()).unwrap();
        let (own, back, plain) = (logits(&model), logits(&again), logits(&base));
        assert!(
            difference(own.clone(), plain) > 1e-2,
            "{name}: the adapter does nothing"
        );
        let worst = difference(own, back);
        println!("{name}: logits of an adapter read back differ by {worst:.1e}");
        assert!(worst < 1e-5, "{name}");
    }
}

#[test]
fn a_classifiers_head_is_trained_as_a_whole_and_has_no_factors() {
    let checkpoint = Checkpoint::open(case("bert_classifier")).unwrap();
    let device = Device::default();
    let logits = |model: &Classifier| model.logits(&tokens(), Noise::off());
    for targets in [vec!["query", "classifier"], vec!["classifier"]] {
        let config = LoraConfig {
            targets: LoraTargets::Names(targets.iter().map(ToString::to_string).collect()),
            ..LoraConfig::default()
        };
        let base = checkpoint.classifier(3, &device).unwrap();
        let attached = lora::attach(base.clone(), checkpoint.architecture(), &config);
        if targets.len() == 1 {
            let error = attached.unwrap_err().to_string();
            assert!(error.contains("classifier"), "{error}");
            continue;
        }
        let model = weights::map_values(attached.unwrap(), &mut |path, value| {
            if path.starts_with("head.") || path.ends_with("lora.b") {
                value + 0.25
            } else {
                value
            }
        });
        let folder = tempfile::tempdir().unwrap();
        lora::save(&model, checkpoint.architecture(), "base", folder.path()).unwrap();
        let again = lora::load(base.clone(), checkpoint.architecture(), folder.path()).unwrap();
        assert!(difference(logits(&base), logits(&model)) > 1e-2);
        assert_eq!(difference(logits(&model), logits(&again)), 0.0);
        let trained: BTreeSet<String> = weights::parameters(&again.train())
            .into_iter()
            .filter(|p| p.trainable && !p.path.contains(".lora."))
            .map(|p| p.path)
            .collect();
        assert_eq!(
            trained,
            ["head.bias", "head.weight"].map(String::from).into()
        );
    }
}

#[test]
fn a_fused_projection_of_which_one_part_is_adapted_comes_back() {
    let (checkpoint, mut model) = tuned("gpt2_tied", &LoraConfig::default());
    model.linears(&mut |path, linear| {
        if path.ends_with("attention.key") {
            linear.lora = None;
        }
        if let (true, Some(lora)) = (path.ends_with("attention.value"), &mut linear.lora) {
            lora.scale *= 3.0;
        }
    });
    let folder = tempfile::tempdir().unwrap();
    lora::save(&model, checkpoint.architecture(), "base", folder.path()).unwrap();
    let base = checkpoint.causal_lm(&Device::default()).unwrap();
    let again = lora::load(base, checkpoint.architecture(), folder.path()).unwrap();
    assert!(difference(logits(&model), logits(&again)) < 1e-5);
}

#[test]
fn merging_reports_the_difference_it_makes() {
    let (checkpoint, model) = tuned(
        "llama_tied_bias",
        &LoraConfig {
            targets: LoraTargets::AllLinear,
            rslora: true,
            ..LoraConfig::default()
        },
    );
    let before = logits(&model);
    let (merged, report) = lora::merge(model, logits);
    assert_eq!(report.layers, 14);
    assert!(
        report.largest_change > 0.0 && report.difference < 1e-5,
        "{report:?}"
    );
    let worst = difference(before, logits(&merged));
    println!("logits of a merged adapter differ by {worst:.1e}");
    assert!(worst < 1e-5);
    let folder = tempfile::tempdir().unwrap();
    checkpoint
        .save(&merged, folder.path().join("merged"))
        .unwrap();
}

#[test]
fn a_model_with_an_adapter_is_not_saved_as_a_checkpoint() {
    let (checkpoint, model) = tuned("llama_grouped", &LoraConfig::default());
    let folder = tempfile::tempdir().unwrap();
    let error = checkpoint
        .save(&model, folder.path().join("x"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("lora") && error.contains("merge"), "{error}");
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let (checkpoint, model) = tuned("llama_grouped", &LoraConfig::default());
    let folder = tempfile::tempdir().unwrap();
    let write = |change: &dyn Fn(&mut serde_json::Value)| {
        lora::save(&model, checkpoint.architecture(), "base", folder.path()).unwrap();
        let path = folder.path().join(lora::CONFIG_FILE);
        let mut config: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        change(&mut config);
        std::fs::write(&path, config.to_string()).unwrap();
        let base = checkpoint.causal_lm(&Device::default()).unwrap();
        lora::load(base, checkpoint.architecture(), folder.path())
            .unwrap_err()
            .to_string()
    };
    for (field, value) in [
        ("peft_type", "\"IA3\""),
        ("use_dora", "true"),
        ("bias", "\"all\""),
        ("r", "0"),
        ("r", "4"),
    ] {
        let error = write(&|config| config[field] = serde_json::from_str(value).unwrap());
        assert!(
            error.contains(field) || error.contains("lora_A"),
            "{field}: {error}"
        );
    }
    let other = Checkpoint::open(case("gpt2_tied")).unwrap();
    lora::save(&model, checkpoint.architecture(), "base", folder.path()).unwrap();
    let error = lora::load(
        other.causal_lm(&Device::default()).unwrap(),
        other.architecture(),
        folder.path(),
    )
    .unwrap_err()
    .to_string();
    assert!(error.contains("q_proj"), "{error}");
    let none = LoraConfig {
        targets: LoraTargets::Names(vec!["nothing".to_owned()]),
        ..LoraConfig::default()
    };
    let base = checkpoint.causal_lm(&Device::default()).unwrap();
    let error = lora::attach(base, checkpoint.architecture(), &none)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("nothing") && error.contains("q_proj"),
        "{error}"
    );
}

/// The names are those of the reference's bare class, which has no prefix, and the task is the one that PEFT calls so.
#[test]
fn a_trunk_has_adapters_by_the_names_of_a_bare_model() {
    for (name, layer) in [
        ("bert_masked", "encoder.layer.0.attention.self.query"),
        ("llama_grouped", "layers.0.self_attn.q_proj"),
        ("gpt2_tied", "h.0.attn.c_attn"),
    ] {
        let checkpoint = Checkpoint::open(case(name)).unwrap();
        let (architecture, off) = (checkpoint.architecture(), Noise::off());
        let trunk = checkpoint.trunk(&Device::default()).unwrap();
        let trunk = lora::attach(trunk, architecture, &LoraConfig::default()).unwrap();
        let trunk = weights::map_values(trunk, &mut |path, value| {
            if path.ends_with("lora.b") {
                value + 0.1
            } else {
                value
            }
        });
        let folder = tempfile::tempdir().unwrap();
        lora::save(&trunk, architecture, name, folder.path()).unwrap();
        let bytes = std::fs::read(folder.path().join(lora::WEIGHTS_FILE)).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let key = format!("base_model.model.{layer}.lora_A.weight");
        assert!(file.names().contains(&key.as_str()), "{:?}", file.names());
        let config = std::fs::read_to_string(folder.path().join(lora::CONFIG_FILE)).unwrap();
        assert!(config.contains("\"FEATURE_EXTRACTION\""), "{config}");
        let again = checkpoint.trunk(&Device::default()).unwrap();
        let again = lora::load(again, architecture, folder.path()).unwrap();
        let [a, b] = [&trunk, &again].map(|trunk| trunk.hidden(&tokens(), off));
        assert!(difference(a, b) < 1e-5, "{name}");
    }
}
