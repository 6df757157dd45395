//! Files with random damage, of weights and of adapters: never a panic, and never more accepted than the format's own
//! library accepts.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use burn::tensor::Device;
use finetune_model::Checkpoint;
use finetune_model::lora::{self, LoraConfig};
use proptest::prelude::*;
use safetensors::SafeTensors;
use serde_json::json;
use tempfile::TempDir;

/// A small checkpoint and the bytes of its weights.
fn small() -> (TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "model_type": "gpt2", "vocab_size": 3, "n_embd": 2, "n_layer": 1, "n_head": 1, "n_positions": 2, "n_inner": 2,
    });
    let checkpoint = Checkpoint::create(config, 1).unwrap();
    let model = checkpoint.causal_lm(&Device::default()).unwrap();
    checkpoint.save(&model, folder.path().join("m")).unwrap();
    let bytes = fs::read(folder.path().join("m/model.safetensors")).unwrap();
    (folder, bytes)
}

/// Opens and loads the damaged file; the result does not matter, that there is one does.
fn try_to_load(folder: &Path, bytes: &[u8]) -> bool {
    fs::write(folder.join("m/model.safetensors"), bytes).unwrap();
    match Checkpoint::open(folder.join("m")) {
        Ok(checkpoint) => {
            let _ = checkpoint.causal_lm(&Device::default());
            true
        }
        Err(error) => {
            assert!(
                error.to_string().chars().all(|c| !c.is_control()),
                "{error:?}"
            );
            false
        }
    }
}

/// A small checkpoint with a folder that holds an adapter of its fused projections.
fn small_adapter() -> (Checkpoint, TempDir) {
    let (base, _) = small();
    let checkpoint = Checkpoint::open(base.path().join("m")).unwrap();
    let model = checkpoint.causal_lm(&Device::default()).unwrap();
    let model = lora::attach(model, checkpoint.architecture(), &LoraConfig::default()).unwrap();
    lora::save(&model, checkpoint.architecture(), "m", base.path()).unwrap();
    (checkpoint, base)
}

/// One change of a file.
#[derive(Debug, Clone)]
enum Damage {
    Set(usize, u8),
    Remove(usize, usize),
    Insert(usize, Vec<u8>),
    Repeat(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = 0..4000usize;
    prop_oneof![
        (place.clone(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        // Digits and punctuation keep the header's JSON alive more often than any byte does.
        (
            place.clone(),
            prop::sample::select(b"0123456789[]{},:\"-. F".to_vec())
        )
            .prop_map(|(at, byte)| Damage::Set(at, byte)),
        (place.clone(), 1..40usize).prop_map(|(at, count)| Damage::Remove(at, count)),
        (place.clone(), prop::collection::vec(any::<u8>(), 1..20))
            .prop_map(|(at, new)| Damage::Insert(at, new)),
        (place, 1..200usize).prop_map(|(at, count)| Damage::Repeat(at, count)),
    ]
}

fn apply(bytes: &mut Vec<u8>, damage: &Damage) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match damage {
        Damage::Set(at, byte) => bytes[at % length] = *byte,
        Damage::Remove(at, count) => {
            let at = at % length;
            bytes.drain(at..length.min(at + count));
        }
        Damage::Insert(at, new) => {
            let at = at % length;
            bytes.splice(at..at, new.iter().copied());
        }
        Damage::Repeat(at, count) => {
            let at = at % length;
            let again = bytes[at..length.min(at + count)].to_vec();
            bytes.splice(at..at, again);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_files_are_refused_or_sound(damages in prop::collection::vec(damage(), 1..4)) {
        let (folder, mut bytes) = small();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        if try_to_load(folder.path(), &bytes) {
            prop_assert!(SafeTensors::deserialize(&bytes).is_ok());
        }
    }

    #[test]
    fn damaged_adapters_are_refused_or_sound(
        in_settings in any::<bool>(),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let (checkpoint, folder) = small_adapter();
        let file = if in_settings { lora::CONFIG_FILE } else { lora::WEIGHTS_FILE };
        let path = folder.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        for damage in &damages {
            apply(&mut bytes, damage);
        }
        fs::write(&path, &bytes).unwrap();
        let model = checkpoint.causal_lm(&Device::default()).unwrap();
        match lora::load(model, checkpoint.architecture(), folder.path()) {
            Ok(_) => prop_assert!(in_settings || SafeTensors::deserialize(&bytes).is_ok()),
            Err(error) => prop_assert!(
                error.to_string().chars().all(|c| !c.is_control()),
                "{error:?}"
            ),
        }
    }

    #[test]
    fn any_header_is_refused_or_sound(header in "\\{(\"[a-z_]{0,12}\":(\\{.{0,60}\\}|[0-9]{1,20}|null),?){0,4}\\}", tail in 0..64usize) {
        let (folder, _) = small();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.resize(bytes.len() + tail, 0);
        if try_to_load(folder.path(), &bytes) {
            prop_assert!(SafeTensors::deserialize(&bytes).is_ok());
        }
    }
}

#[test]
fn every_cut_of_a_file_is_refused() {
    let (folder, bytes) = small();
    for length in 0..bytes.len() {
        assert!(
            !try_to_load(folder.path(), &bytes[..length]),
            "{length} bytes were accepted"
        );
    }
    assert!(try_to_load(folder.path(), &bytes));
}
