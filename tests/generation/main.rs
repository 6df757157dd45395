//! Generation: with the cache and without it, alone and in a batch, stopped by tokens, strings and callers; against
//! transformers; with any model.

#![allow(clippy::unwrap_used, clippy::float_cmp)] // A test may panic, and compares exact figures.

mod answering;
mod batches;
mod beams;
mod families;
mod parity;
mod rules;
mod seam;

use std::ops::ControlFlow;
use std::path::Path;

use finetune::burn::tensor::{Device, Tensor};
use finetune::model::generate::Pieces;
use finetune::model::{
    CausalLm, Checkpoint, Finish, Generated, Generator, Noise, Sampling, Stops, Tokens,
};

/// The first of the compiled devices, or the one that `BURN_DEVICE` names.
fn device() -> Device {
    finetune::model::device(None).unwrap()
}

fn model(case: &str) -> CausalLm {
    let checkpoint = Checkpoint::open(Path::new("tests/reference").join(case)).unwrap();
    checkpoint.causal_lm(&device()).unwrap()
}

/// What a causal model writes where it reads the whole text again for every token.
fn without_cache(model: &CausalLm, prompt: &[u32], count: usize) -> (Vec<u32>, Vec<f64>) {
    read_again(prompt, count, |tokens| {
        model.logits(model.hidden(tokens, Noise::off(), None))
    })
}

/// The likeliest tokens after a text, which is read again for every one, and their log-probabilities.
///
/// # Arguments
/// - `logits`: of every place, `[length, vocabulary]`
fn read_again(
    opening: &[u32],
    count: usize,
    logits: impl Fn(&Tokens) -> Tensor<2>,
) -> (Vec<u32>, Vec<f64>) {
    let (mut ids, mut log_probs) = (opening.to_vec(), Vec::new());
    for _ in 0..count {
        let tokens = Tokens::single(&ids, &device()).unwrap();
        let last = logits(&tokens).narrow(0, ids.len() - 1, 1).into_data();
        let row: Vec<f64> = last.iter::<f64>().collect();
        let best = (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
        let sum: f64 = row.iter().map(|logit| (logit - row[best]).exp()).sum();
        ids.push(best as u32);
        log_probs.push(-sum.ln());
    }
    (ids.split_off(opening.len()), log_probs)
}

/// The greatest difference of two lists of one length.
fn farthest(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

fn ids(made: &[Generated]) -> Vec<&[u32]> {
    made.iter().map(|made| made.ids.as_slice()).collect()
}

fn prompts() -> Vec<Vec<u32>> {
    vec![
        vec![5, 6, 7],
        vec![9],
        (10..30).collect(),
        vec![40, 41, 42, 43, 44],
    ]
}

#[test]
fn the_cache_and_the_batch_change_nothing() {
    for case in [
        "llama_grouped",
        "llama_tied_bias",
        "gpt2_tied",
        "gpt2_untied",
    ] {
        let model = model(case);
        let together = Generator::new(&model)
            .new_tokens(12)
            .generate(&prompts())
            .unwrap();
        for (prompt, made) in prompts().iter().zip(&together) {
            assert_eq!(made.ids, without_cache(&model, prompt, 12).0, "{case}");
            assert_eq!(made.finish, Finish::Length);
            let alone = Generator::new(&model)
                .new_tokens(12)
                .generate(std::slice::from_ref(prompt))
                .unwrap();
            assert_eq!(alone[0].ids, made.ids, "{case}");
        }
    }
}

#[test]
fn rows_that_stop_leave_the_batch_and_disturb_nobody() {
    let model = model("llama_grouped");
    let free = Generator::new(&model)
        .new_tokens(10)
        .generate(&prompts())
        .unwrap();
    let stop = free[0].ids[3];
    let stopped = Generator::new(&model)
        .new_tokens(10)
        .stops(Stops::at([stop]))
        .generate(&prompts())
        .unwrap();
    for (free, stopped) in free.iter().zip(&stopped) {
        let end = free.ids.iter().position(|id| *id == stop);
        assert_eq!(stopped.ids, free.ids[..end.unwrap_or(10)]);
        assert_eq!(stopped.finish == Finish::Stop, end.is_some());
    }
    assert_eq!(stopped[0].finish, Finish::Stop);
}

#[test]
fn drawing_follows_the_seed_and_the_number_of_the_prompt() {
    let model = model("gpt2_tied");
    let draw = |seed, batch| {
        let sampling = Sampling {
            temperature: 1.0,
            top_p: 0.9,
            seed,
            ..Sampling::default()
        };
        Generator::new(&model)
            .sampling(sampling)
            .new_tokens(12)
            .batch(batch)
            .generate(&prompts())
            .unwrap()
    };
    assert_eq!(ids(&draw(1, 4)), ids(&draw(1, 1)));
    assert_ne!(ids(&draw(1, 4)), ids(&draw(2, 4)));
}

#[test]
fn tokens_are_told_as_they_come_and_the_caller_may_end() {
    let model = model("llama_grouped");
    let free = Generator::new(&model)
        .new_tokens(6)
        .generate(&prompts())
        .unwrap();
    let mut told = vec![Vec::new(); 4];
    let mut tell = |row: usize, id| {
        told[row].push(id);
        if row == 1 && told[1].len() == 2 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let made = Generator::new(&model)
        .new_tokens(6)
        .stream(&prompts(), &mut tell)
        .unwrap();
    assert_eq!(made[1].finish, Finish::Cancelled);
    assert_eq!(made[1].ids, free[1].ids[..2]);
    for (made, told) in made.iter().zip(&told) {
        assert_eq!(made.ids, *told);
    }
    assert_eq!(made[2].ids, free[2].ids);
}

#[test]
fn strings_end_an_answer_where_they_are_complete() {
    let model = model("llama_grouped");
    let free = &Generator::new(&model)
        .new_tokens(8)
        .generate(&prompts())
        .unwrap()[0]
        .ids;
    let text = |ids: &[u32]| {
        format!("{ids:?}")
            .replace(", ", "><")
            .replace('[', "<")
            .replace(']', ">")
    };
    let pieces = || -> Pieces<'_> { Box::new(|id| text(&[id])) };
    let stops_text = text(&free[2..4]);
    let stops = Stops {
        tokens: vec![],
        strings: vec![stops_text.clone()],
    };
    let made = Generator::new(&model)
        .new_tokens(8)
        .stops(stops.clone())
        .decoder(&pieces)
        .generate(&prompts()[..1])
        .unwrap();
    let end = (1..=8)
        .find(|end| text(&free[..*end]).contains(&stops_text))
        .unwrap();
    assert_eq!(
        (made[0].ids.as_slice(), made[0].finish),
        (&free[..end], Finish::Stop)
    );
    let error = Generator::new(&model)
        .stops(stops)
        .generate(&prompts())
        .unwrap_err()
        .to_string();
    assert!(error.contains("decoder"), "{error}");
}

#[test]
fn bad_prompts_are_refused() {
    let model = model("gpt2_tied");
    let error = Generator::new(&model)
        .generate(&[vec![], (0..48).collect()])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("prompt 0 is empty") && error.contains("prompt 1 has 48 tokens"),
        "{error}"
    );
    // Learned positions end: the answer does too.
    let made = Generator::new(&model)
        .new_tokens(20)
        .generate(&[(3..43).collect()])
        .unwrap();
    assert_eq!((made[0].ids.len(), made[0].finish), (8, Finish::Length));
}
