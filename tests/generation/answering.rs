//! Models with an encoder: with the cache and without it, alone and beside others, and the token that a decoder begins with.

use std::fs;
use std::path::Path;

use finetune::model::{
    Checkpoint, Finish, Generated, Generator, Head, Noise, Sampling, Seq2Seq, Stops, Tokens,
};
use serde_json::{Value, json};

use super::families::{alone_and_beside, cases, golden};
use super::{device, farthest, ids, read_again};

/// The encoder reads once, the decoder everything again for every token.
fn without_cache(model: &Seq2Seq, prompt: &[u32], count: usize) -> (Vec<u32>, Vec<f64>) {
    let text = Tokens::single(prompt, &device()).unwrap();
    let memory = model.memory(&text, Noise::off());
    read_again(&[model.start().unwrap()], count, |tokens| {
        model.logits(model.decode(tokens, &memory, Noise::off(), None))
    })
}

/// Texts of 1 to 17 tokens, in no order.
fn nine() -> Vec<Vec<u32>> {
    let id = |n: u32, at: u32| 3 + (n * 7 + at * 5) % 57;
    let text = |n: u32| (0..=(n * 5) % 9 * 2).map(|at| id(n, at)).collect();
    (0..9).map(text).collect()
}

#[test]
fn golden_answers_come_with_the_cache_and_without_it() {
    let cases = cases(Head::Seq2Seq);
    assert!(cases.len() >= 3, "only {} cases", cases.len());
    for case in cases {
        let name = case.display().to_string();
        let model = Checkpoint::open(&case).unwrap().seq2seq(&device()).unwrap();
        alone_and_beside(&model, &golden(&case), &name);
        let made = Generator::new(&model)
            .new_tokens(16)
            .generate(&nine())
            .unwrap();
        for (prompt, made) in nine().iter().zip(&made) {
            let (tokens, log_probs) = without_cache(&model, prompt, 16);
            assert_eq!(made.ids, tokens, "{name}: {prompt:?}");
            let most = farthest(&made.log_probs, &log_probs);
            assert!(most < 1e-4, "{name}: {most}");
        }
    }
}

#[test]
fn waiting_texts_enter_a_running_batch_and_change_no_answer() {
    for case in ["t5", "t5_gated", "t5_apart"] {
        let checkpoint = Checkpoint::open(Path::new("tests/reference").join(case)).unwrap();
        let model = checkpoint.seq2seq(&device()).unwrap();
        for temperature in [0.0, 1.0] {
            let sampling = Sampling {
                temperature,
                seed: 6,
                ..Sampling::default()
            };
            let write = |stops: Stops, batch| -> Vec<Generated> {
                let generator = Generator::new(&model)
                    .sampling(sampling.clone())
                    .new_tokens(16);
                generator
                    .stops(stops)
                    .batch(batch)
                    .generate(&nine())
                    .unwrap()
            };
            // A token that comes up late ends answers at unlike lengths.
            let free = write(Stops::default(), 1);
            let late = |made: &Generated| {
                made.ids
                    .iter()
                    .skip(2)
                    .find(|id| **id != made.ids[0])
                    .copied()
            };
            let stops = Stops::at(free.iter().filter_map(late).take(3));
            let alone = write(stops.clone(), 1);
            if temperature > 0.0 {
                assert!(
                    alone.iter().any(|made| made.finish == Finish::Stop),
                    "{case}"
                );
                assert!(
                    alone
                        .iter()
                        .any(|made| made.ids.len() != alone[0].ids.len()),
                    "{case}"
                );
            }
            // All together; or two at once while seven wait, and those that enter bring longer texts.
            for batch in [9, 2, 4] {
                let made = write(stops.clone(), batch);
                assert_eq!(ids(&made), ids(&alone), "{case}, {batch} at once");
                for (made, alone) in made.iter().zip(&alone) {
                    assert_eq!(made.finish, alone.finish, "{case}");
                    let most = farthest(&made.log_probs, &alone.log_probs);
                    assert!(most < 1e-4, "{case}, {batch} at once: {most}");
                }
            }
        }
    }
}

#[test]
fn the_token_before_an_answer_is_that_of_either_file() {
    let folder = tempfile::tempdir().unwrap();
    let base = Path::new("tests/reference/t5");
    fs::copy(
        base.join("model.safetensors"),
        folder.path().join("model.safetensors"),
    )
    .unwrap();
    let text = fs::read_to_string(base.join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&text).unwrap();
    let open = |start: Value, generation: Option<Value>| {
        let mut config = config.clone();
        config["decoder_start_token_id"] = start;
        fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
        let file = folder.path().join("generation_config.json");
        let _ = fs::remove_file(&file);
        if let Some(generation) = generation {
            fs::write(&file, generation.to_string()).unwrap();
        }
        Checkpoint::open(folder.path()).unwrap()
    };
    let named = |id: Value| Some(json!({"decoder_start_token_id": id, "eos_token_id": 1}));
    let start = |checkpoint: &Checkpoint| checkpoint.seq2seq(&device()).map(|model| model.start());
    assert_eq!(start(&open(json!(0), None)).unwrap(), Some(0));
    assert_eq!(start(&open(Value::Null, named(json!(5)))).unwrap(), Some(5));
    // Where both name one and they differ, training and answers begin alike, and a note tells.
    let both = open(json!(0), named(json!(5)));
    assert_eq!(start(&both).unwrap(), Some(0));
    let notes = both.generation().unwrap().notes;
    assert!(
        notes.len() == 1 && notes[0].contains("is 5 and has no effect"),
        "{notes:?}"
    );
    for (checkpoint, expected) in [
        (open(json!(61), None), "decoder_start_token_id: found 61"),
        (
            open(Value::Null, named(json!("x"))),
            "generation_config.json: decoder_start_token_id",
        ),
    ] {
        let error = start(&checkpoint).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let nameless = open(Value::Null, None).seq2seq(&device()).unwrap();
    assert_eq!(nameless.start(), None);
    let error = Generator::new(&nameless).generate(&nine()).unwrap_err();
    assert!(
        error.to_string().contains("decoder_start_token_id"),
        "{error}"
    );
}
