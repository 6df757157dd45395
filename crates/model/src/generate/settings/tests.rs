use std::fs;

use serde_json::json;

use super::*;

#[test]
fn silence_means_the_references_defaults() {
    let settings = Settings::new(&json!({})).unwrap();
    assert_eq!(settings, Settings::default());
    assert!(settings.sampling().is_greedy());
    let drawn = Settings::new(&json!({"do_sample": true})).unwrap();
    let sampling = drawn.sampling();
    assert_eq!((sampling.temperature, sampling.top_k), (1.0, Some(50)));
    let all = Settings::new(&json!({"do_sample": true, "top_k": 0})).unwrap();
    assert_eq!(all.sampling().top_k, None);
}

#[test]
fn every_setting_is_read() {
    let settings = Settings::new(&json!({
        "do_sample": true, "temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.1, "typical_p": 0.8,
        "epsilon_cutoff": 0.01, "eta_cutoff": 0.02, "repetition_penalty": 1.1, "encoder_repetition_penalty": 1.2,
        "no_repeat_ngram_size": 3, "encoder_no_repeat_ngram_size": 4, "bad_words_ids": [[1], [2, 3]],
        "min_length": 5, "min_new_tokens": 6, "forced_bos_token_id": 7, "forced_eos_token_id": 8,
        "exponential_decay_length_penalty": [9, 1.5], "suppress_tokens": [10], "begin_suppress_tokens": [11, 12],
        "num_beams": 4, "length_penalty": -1.0, "early_stopping": "never", "renormalize_logits": true,
        "num_return_sequences": 2, "max_new_tokens": 30, "max_length": 20, "eos_token_id": [2, 13],
        "bos_token_id": 1, "decoder_start_token_id": 0, "pad_token_id": -1, "stop_strings": ["\n\n"],
        "guidance_scale": 1.0, "num_beam_groups": 1, "penalty_alpha": null, "diversity_penalty": 0.0,
        "transformers_version": "5.23.0", "use_cache": true, "trust": 1
    }))
    .unwrap();
    let expected = Settings {
        draw: true,
        drawn: Sampling {
            temperature: 0.7,
            top_k: Some(40),
            top_p: 0.9,
            min_p: 0.1,
            typical_p: 0.8,
            epsilon_cutoff: 0.01,
            eta_cutoff: 0.02,
            repetition_penalty: 1.1,
            rules: crate::generate::Rules {
                encoder_repetition_penalty: 1.2,
                no_repeat_ngram_size: 3,
                encoder_no_repeat_ngram_size: 4,
                bad_words_ids: vec![vec![1], vec![2, 3]],
                min_length: 5,
                min_new_tokens: 6,
                forced_bos_token_id: Some(7),
                forced_eos_token_id: vec![8],
                exponential_decay_length_penalty: Some((9, 1.5)),
                suppress_tokens: vec![10],
                begin_suppress_tokens: vec![11, 12],
            },
            seed: 0,
        },
        beams: Beams {
            count: 4,
            length_penalty: -1.0,
            early_stopping: crate::generate::Early::Impossible,
            renormalize_logits: true,
        },
        answers: 2,
        length: Some(Length::New(30)),
        ends: vec![2, 13],
        stop_strings: vec!["\n\n".to_owned()],
        begin: Some(1),
        decoder_start: Some(0),
        notes: vec!["generation_config.json: trust is not known here and has no effect".to_owned()],
    };
    assert_eq!(settings, expected);
}

#[test]
fn what_cannot_be_and_what_is_not_built_is_refused_by_name() {
    let table = [
        (
            json!({"temperature": "hot"}),
            "temperature: found \"hot\"; expected a number",
        ),
        (
            json!({"temperature": 0.0, "do_sample": true}),
            "temperature: found 0.0; expected a number above 0",
        ),
        (
            json!({"top_p": 1.5, "do_sample": true}),
            "top_p: found 1.5; expected a number from 0 to 1",
        ),
        (
            json!({"typical_p": 0, "do_sample": true}),
            "typical_p: found 0; expected a share above 0",
        ),
        (json!({"top_k": -1}), "top_k: found -1"),
        (
            json!({"repetition_penalty": 0}),
            "repetition_penalty: found 0",
        ),
        (json!({"num_beams": 0}), "num_beams: found 0"),
        (
            json!({"early_stopping": "sometimes"}),
            "early_stopping: found \"sometimes\"; expected true, false",
        ),
        (
            json!({"eos_token_id": [2, "x"]}),
            "eos_token_id: found [2,\"x\"]",
        ),
        (json!({"bad_words_ids": [[]]}), "bad_words_ids: found [[]]"),
        (
            json!({"exponential_decay_length_penalty": [1]}),
            "exponential_decay_length_penalty: found [1]",
        ),
        (json!({"max_new_tokens": 0}), "max_new_tokens: found 0"),
        (
            json!({"guidance_scale": 1.5}),
            "guidance_scale: found 1.5; it changes what is written",
        ),
        (json!({"penalty_alpha": 0.6}), "penalty_alpha: found 0.6"),
        (json!({"num_beam_groups": 2}), "num_beam_groups: found 2"),
        (json!({"constraints": []}), "constraints: found []"),
        (
            json!({"remove_invalid_values": true}),
            "remove_invalid_values: found true",
        ),
        (json!([1]), "expected an object"),
    ];
    for (config, expected) in table {
        let error = Settings::new(&config).unwrap_err().to_string();
        assert!(
            error.starts_with(FILE) && error.contains(expected),
            "{error}, expected {expected}"
        );
    }
    // A greedy file may hold any share, as it does in the reference.
    assert!(Settings::new(&json!({"top_p": 0.0, "temperature": 0.0})).is_ok());
}

#[test]
fn a_folder_without_the_file_has_the_tokens_of_its_model() {
    let model = json!({"eos_token_id": 2, "decoder_start_token_id": 0, "num_beams": 4});
    let none: [(String, Value); 0] = [];
    let settings = of_folder(None, &model, none.clone()).unwrap();
    assert_eq!((settings.ends, settings.decoder_start), (vec![2], Some(0)));
    assert_eq!(settings.beams.count, 1);
    let folder = std::env::temp_dir().join(format!("finetune-settings-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(FILE), r#"{"eos_token_id": 5, "top_k": 7}"#).unwrap();
    let change = [("top_k".to_owned(), json!(9))];
    let changed = of_folder(Some(&folder), &model, change).unwrap();
    assert_eq!((changed.ends, changed.drawn.top_k), (vec![5], Some(9)));
    fs::write(folder.join(FILE), r#"{"top_k": "x"}"#).unwrap();
    let error = of_folder(Some(&folder), &model, none)
        .unwrap_err()
        .to_string();
    fs::remove_dir_all(&folder).unwrap();
    let path = folder.join(FILE);
    assert!(
        error.contains(&format!("{}: top_k: found \"x\"", path.display())),
        "{error}"
    );
}
