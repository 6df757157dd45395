//! Tensors that do not fit the model, and weights that no model has.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use finetune_model::checkpoint::Loading;
use finetune_model::{ModelError, weights};
use serde_json::json;

use crate::files::{
    changed, config, device, good, gpt2, load, open, read, says, weights_of, write_config,
};

#[test]
fn a_good_checkpoint_loads() {
    load(&good(config())).unwrap();
    load(&good(gpt2())).unwrap();
}

#[test]
fn tensors_that_are_missing_unexpected_or_of_another_shape() {
    let folder = changed(config(), |tensors| {
        tensors.remove("model.norm.weight").unwrap();
        let odd = tensors["model.layers.0.mlp.up_proj.weight"].clone();
        tensors.insert("model.layers.1.mlp.up_proj.weight".to_owned(), odd);
        tensors
            .get_mut("model.layers.0.self_attn.q_proj.weight")
            .unwrap()
            .1 = vec![4, 16];
    });
    let error = load(&folder).unwrap_err();
    assert!(matches!(error, ModelError::Coverage { .. }), "{error}");
    says(
        &error,
        &[
            "1 missing: \"model.norm.weight\"",
            "1 unexpected: \"model.layers.1.mlp.up_proj.weight\"",
            "\"model.layers.0.self_attn.q_proj.weight\" is [4, 16], expected [8, 8]",
        ],
    );
}

#[test]
fn a_vocabulary_that_differs_from_the_embedding() {
    let folder = good(config());
    let mut other = config();
    other["vocab_size"] = json!(12);
    other["tie_word_embeddings"] = json!(true);
    write_config(&folder, &other);
    let error = load(&folder).unwrap_err();
    assert!(
        matches!(
            error,
            ModelError::VocabMismatch {
                config: 12,
                rows: 11,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn weights_that_are_not_finite() {
    let folder = changed(config(), |tensors| {
        let bytes = &mut tensors.get_mut("lm_head.weight").unwrap().2;
        bytes[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes[8..12].copy_from_slice(&f32::INFINITY.to_le_bytes());
    });
    let error = load(&folder).unwrap_err();
    assert!(
        matches!(error, ModelError::NonFiniteWeights { count: 2, .. }),
        "{error}"
    );
    says(&error, &["lm_head.weight"]);
    let allowed = open(&folder).unwrap().allow_non_finite();
    let model = allowed.causal_lm(&device()).unwrap();
    allowed.save(&model, folder.path().join("copy")).unwrap();
    assert_eq!(
        read(&folder.path().join("copy/model.safetensors")),
        read(&weights_of(&folder))
    );
}

#[test]
fn tied_tensors_must_be_equal_and_are_written_back() {
    let tied = |change: fn(&mut Vec<u8>)| {
        let mut config = config();
        config["tie_word_embeddings"] = json!(true);
        changed(config, |tensors| {
            let mut copy = tensors["model.embed_tokens.weight"].clone();
            change(&mut copy.2);
            tensors.insert("lm_head.weight".to_owned(), copy);
        })
    };
    let error = load(&tied(|bytes| bytes[0] ^= 1)).unwrap_err();
    assert!(matches!(error, ModelError::TiedMismatch { .. }), "{error}");
    says(&error, &["lm_head.weight", "model.embed_tokens.weight"]);
    let folder = tied(|_| ());
    let checkpoint = open(&folder).unwrap();
    let model = checkpoint.causal_lm(&device()).unwrap();
    let model = weights::map_values(model, &mut |_, value| value * 2.0);
    checkpoint.save(&model, folder.path().join("copy")).unwrap();
    let copy = read(&folder.path().join("copy/model.safetensors"));
    assert_eq!(copy["lm_head.weight"], copy["model.embed_tokens.weight"]);
    assert_ne!(
        copy["lm_head.weight"],
        read(&weights_of(&folder))["lm_head.weight"]
    );
}

#[test]
fn a_file_that_changes_after_opening() {
    let folder = good(config());
    let checkpoint = open(&folder).unwrap();
    let bytes = fs::read(weights_of(&folder)).unwrap();
    fs::write(weights_of(&folder), &bytes[..bytes.len() - 4]).unwrap();
    let error = checkpoint.causal_lm(&device()).unwrap_err();
    assert!(matches!(error, ModelError::FileChanged { .. }), "{error}");
    fs::remove_file(weights_of(&folder)).unwrap();
    let error = checkpoint.causal_lm(&device()).unwrap_err();
    assert!(matches!(error, ModelError::Io { .. }), "{error}");
}

/// An embedding that is read in several pieces.
fn long() -> serde_json::Value {
    let mut config = config();
    config["vocab_size"] = json!(20_011);
    config["hidden_size"] = json!(128);
    config
}

#[test]
fn a_file_that_is_cut_while_it_is_read() {
    let folder = good(long());
    let (file, seen) = (weights_of(&folder), Arc::new(AtomicU64::new(0)));
    let heard = seen.clone();
    let cut = move |loading: Loading| {
        assert!(loading.done < loading.total);
        heard.fetch_add(1, Ordering::Relaxed);
        let file = fs::File::options().write(true).open(&file).unwrap();
        file.set_len(1 << 20).unwrap();
    };
    let checkpoint = open(&folder).unwrap().watch(cut);
    let error = checkpoint.causal_lm(&device()).unwrap_err();
    assert!(matches!(error, ModelError::FileChanged { .. }), "{error}");
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[test]
fn reading_is_told_up_to_the_end() {
    let folder = good(long());
    let last = Arc::new(Mutex::new(Vec::new()));
    let heard = last.clone();
    let tell = move |loading: Loading| heard.lock().unwrap().push(loading);
    let checkpoint = open(&folder).unwrap().watch(tell);
    let model = checkpoint.causal_lm(&device()).unwrap();
    let told = last.lock().unwrap();
    assert!(told.is_sorted_by_key(|loading| loading.done));
    let numbers: usize = weights::declared(&model)
        .iter()
        .map(|parameter| parameter.shape.iter().product::<usize>())
        .sum();
    let total = 4 * numbers as u64;
    assert_eq!(told.last(), Some(&Loading { done: total, total }));
    assert!(told.len() > 12, "{}", told.len());
}

#[test]
fn long_tensors_and_their_copies_are_compared_to_the_end() {
    for place in [0, 5 << 20, 20_011 * 128 * 4 - 1] {
        let mut tied = long();
        tied["tie_word_embeddings"] = json!(true);
        let folder = changed(tied, |tensors| {
            let mut copy = tensors["model.embed_tokens.weight"].clone();
            copy.2[place] ^= 1;
            tensors.insert("lm_head.weight".to_owned(), copy);
        });
        let error = load(&folder).unwrap_err();
        assert!(matches!(error, ModelError::TiedMismatch { .. }), "{error}");
    }
}

#[test]
fn formats_that_can_run_code() {
    let folder = good(config());
    let refuse = |found: &str| {
        let error = open(&folder).unwrap_err();
        assert!(
            matches!(error, ModelError::UnsupportedFormat { .. }),
            "{error}"
        );
        says(&error, &[found]);
    };
    for (begin, found) in [
        (b"PK\x03\x04".as_slice(), "pickle can run code"),
        (b"\x80\x02\x8a\x0al\xfc\x9cF", "pickle can run code"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"GGUF\x03\0\0\0", "a GGUF file"),
        (b"7z\xbc\xaf\x27\x1c", "a compressed file"),
        (b"\x1f\x8b\x08", "a compressed file"),
        (b"version https://git-lfs", "run git lfs pull"),
        (b"<!DOCTYPE html>", "download the file again"),
    ] {
        fs::write(weights_of(&folder), [begin, &[255; 60]].concat()).unwrap();
        refuse(found);
    }
    fs::remove_file(weights_of(&folder)).unwrap();
    says(
        &open(&folder).unwrap_err(),
        &["model.safetensors is missing"],
    );
    for (name, found) in [
        ("pytorch_model.bin", "pickle can run code"),
        ("model.pt", "pickle can run code"),
        ("model.ckpt", "pickle can run code"),
        ("model.pkl", "the pickle format"),
        ("tf_model.h5", "the HDF5 format"),
        ("model.gguf", "the GGUF format"),
    ] {
        let path = folder.path().join("m").join(name);
        fs::write(&path, b"").unwrap();
        refuse(name);
        refuse(found);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_head_that_the_family_has_not() {
    let folder = good(config());
    let error = open(&folder).unwrap().masked_lm(&device()).unwrap_err();
    says(
        &error,
        &["\"llama\" has no masked head", "causal, classifier"],
    );
}
