//! Configurations that cannot be, or ask for what is not implemented.

use std::fs;

use finetune_model::Checkpoint;
use serde_json::{Value, json};

use crate::files::{config, good, open, says};

#[test]
fn settings_that_cannot_be_or_are_not_implemented() {
    let refuse = |field: &str, value: Value, parts: &[&str]| {
        let mut config = config();
        config[field] = value;
        let error = Checkpoint::create(config, 0).unwrap_err();
        says(&error, &[&[field], parts].concat());
    };
    refuse("hidden_size", json!(0), &["found 0"]);
    refuse(
        "hidden_size",
        json!(9),
        &["multiple of num_attention_heads (2)"],
    );
    refuse("num_key_value_heads", json!(3), &["divisor"]);
    refuse("vocab_size", json!(1u64 << 40), &["found 1099511627776"]);
    refuse(
        "num_hidden_layers",
        json!(1_000_000_000),
        &["found 1000000000"],
    );
    refuse("rms_norm_eps", json!("NaN"), &["found \"NaN\""]);
    refuse(
        "hidden_act",
        json!("mish"),
        &["\"mish\" is not implemented"],
    );
    refuse("attention_dropout", json!(1.0), &["rate"]);
    refuse(
        "pad_token_id",
        json!(11),
        &["a token of the vocabulary of 11"],
    );
    let mut stretched = config();
    stretched["rope_scaling"] = json!({"rope_type": "longrope", "factor": 2.0});
    let error = Checkpoint::create(stretched, 0).unwrap_err();
    says(&error, &["rope_type = \"longrope\" is not implemented"]);
    let error = Checkpoint::create(json!({"model_type": "mamba\u{7}"}), 0).unwrap_err();
    says(&error, &["mamba\\\\u{7}", "bert, bloom, distilbert"]);
    // A family's own name of the field.
    let odd = json!({"model_type": "gpt2", "n_embd": 10, "n_head": 4});
    let error = Checkpoint::create(odd, 0).unwrap_err();
    says(&error, &["n_embd: found 10", "a multiple of n_head (4)"]);
    let error = Checkpoint::create(json!({}), 0).unwrap_err();
    says(&error, &["model_type", "bert, bloom, distilbert"]);
    let error =
        Checkpoint::create(json!({"model_type": "bert", "is_decoder": true}), 0).unwrap_err();
    says(&error, &["is_decoder = true is not implemented"]);
    for (field, value, part) in [
        (
            "feed_forward_proj",
            json!("gated-mish"),
            "\"gated-mish\" is not implemented",
        ),
        (
            "feed_forward_proj",
            json!("double-gelu"),
            "\"double-gelu\" is not implemented",
        ),
        (
            "relative_attention_num_buckets",
            json!(3),
            "found 3; expected at least 4",
        ),
        (
            "relative_attention_max_distance",
            json!(16),
            "found 16; expected more than half",
        ),
        ("is_decoder", json!(true), "true is not implemented"),
    ] {
        let mut config = json!({"model_type": "t5"});
        config[field] = value;
        let error = Checkpoint::create(config, 0).unwrap_err();
        says(&error, &[field, part]);
    }
    let mut config = config();
    config["auto_map"] = json!({"AutoModel": "evil.Model"});
    assert_eq!(Checkpoint::create(config, 0).unwrap().notes().len(), 1);
    let folder = good(self::config());
    fs::write(folder.path().join("m/config.json"), "{\"a\": NaN}").unwrap();
    says(&open(&folder).unwrap_err(), &["config.json:1:"]);
    says(
        &Checkpoint::open(folder.path()).unwrap_err(),
        &["config.json is missing"],
    );
}

#[test]
fn settings_of_a_modernbert_that_cannot_be_or_are_not_implemented() {
    let config = json!({"model_type": "modernbert", "vocab_size": 20, "hidden_size": 8, "num_attention_heads": 2,
        "num_hidden_layers": 2, "pad_token_id": 0});
    let made = |changes: Value| {
        let mut config = config.clone();
        for (field, value) in changes.as_object().unwrap() {
            config[field] = value.clone();
        }
        Checkpoint::create(config, 0)
    };
    let refuse = |changes: Value, parts: &[&str]| says(&made(changes).unwrap_err(), parts);
    refuse(
        json!({"classifier_pooling": "max"}),
        &[
            "classifier_pooling = \"max\" is not implemented",
            "cls and mean",
        ],
    );
    refuse(
        json!({"local_attention": -1}),
        &["local_attention: found -1"],
    );
    refuse(
        json!({"global_attn_every_n_layers": 0}),
        &["global_attn_every_n_layers: found 0"],
    );
    refuse(
        json!({"layer_types": ["full_attention", "chunked_attention"]}),
        &["layer_types = \"chunked_attention\" is not implemented"],
    );
    refuse(
        json!({"layer_types": ["full_attention"]}),
        &["one for each of 2 blocks, found 1"],
    );
    refuse(
        json!({"hidden_activation": "mish"}),
        &["hidden_activation = \"mish\""],
    );
    refuse(json!({"mlp_dropout": 1.0}), &["mlp_dropout", "rate"]);
    let rotation = |layers: &str, fields: Value| json!({"rope_parameters": {layers: fields}});
    refuse(
        rotation("sliding_attention", json!({"rope_type": "longrope"})),
        &["rope_type = \"longrope\" is not implemented"],
    );
    refuse(
        rotation("full_attention", json!({"partial_rotary_factor": 0.5})),
        &["partial_rotary_factor: found 0.5"],
    );
    let mut both = rotation("full_attention", json!({"rope_type": "default"}));
    both["rope_scaling"] = json!({"rope_type": "linear", "factor": 2.0});
    refuse(both, &["rope_scaling", "rope_parameters is there too"]);
    refuse(
        json!({"num_attention_heads": 3}),
        &["hidden_size: found 8", "num_attention_heads (3)"],
    );
    // Silence means the reference's own token, which this vocabulary does not have; null means none.
    let mut silent = config.clone();
    silent.as_object_mut().unwrap().remove("pad_token_id");
    let error = Checkpoint::create(silent, 0).unwrap_err();
    says(&error, &["pad_token_id: found nothing", "takes 50283"]);
    let none = made(json!({"pad_token_id": null})).unwrap();
    assert_eq!(none.blueprint().embedding.padding, None);
}

#[test]
fn a_head_that_the_reference_has_not_is_refused() {
    let device = crate::files::device();
    for (family, heads) in [
        ("olmo2", "causal, classifier"),
        ("gemma3_text", "causal, classifier"),
    ] {
        let config = json!({"model_type": family, "vocab_size": 20, "hidden_size": 8, "num_attention_heads": 2,
            "num_key_value_heads": 1, "num_hidden_layers": 1, "intermediate_size": 8, "head_dim": 4});
        let checkpoint = Checkpoint::create(config, 0).unwrap();
        let error = checkpoint.token_classifier(2, &device).unwrap_err();
        says(&error, &[family, "token-classifier", heads]);
        says(
            &checkpoint.discriminator(&device).unwrap_err(),
            &["discriminator"],
        );
    }
}

#[test]
fn settings_of_relative_positions_and_summaries() {
    let create = |field: &str, value: Value| {
        let mut config = json!({
            "model_type": "xlnet", "vocab_size": 11, "d_model": 12, "n_layer": 1, "n_head": 2, "d_inner": 8
        });
        config[field] = value;
        Checkpoint::create(config, 0)
    };
    let refuse = |field: &str, value: Value, parts: &[&str]| {
        let error = create(field, value).unwrap_err();
        says(&error, &[&[field], parts].concat());
    };
    refuse("attn_type", json!("tri"), &["\"tri\" is not implemented"]);
    refuse(
        "summary_type",
        json!("attn"),
        &["\"attn\" is not implemented"],
    );
    refuse(
        "summary_proj_to_labels",
        json!(true),
        &["true is not implemented"],
    );
    refuse("summary_activation", json!("softmax"), &["not implemented"]);
    refuse("ff_activation", json!("mish"), &["not implemented"]);
    refuse("d_head", json!(5), &["d_model / n_head, 6"]);
    refuse("d_model", json!(13), &["a multiple of n_head (2)"]);
    refuse("clamp_len", json!(2.5), &["found 2.5"]);
    refuse("mem_len", json!(-3), &["found -3"]);
    refuse("dropout", json!(1.0), &["rate"]);
    for (field, value) in [
        ("clamp_len", json!(-1)),
        ("mem_len", json!(null)),
        ("summary_activation", json!("")),
        ("summary_type", json!("cls_index")),
        // Transformers reads neither of them.
        ("untie_r", json!(false)),
        ("pad_token_id", json!(77)),
    ] {
        create(field, value).unwrap();
    }
}
