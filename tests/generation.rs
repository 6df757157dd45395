//! Generation: with the cache and without it, alone and in a batch, stopped by tokens, strings and callers.

#![allow(clippy::unwrap_used, clippy::float_cmp)] // A test may panic, and compares exact figures.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::path::Path;

use finetune::burn::tensor::{Device, Tensor, TensorData};
use finetune::model::generate::{Autoregressive, Beams, Pieces, Rules};
use finetune::model::{
    Cache, CausalLm, Checkpoint, Finish, Generated, Generator, ModelError, Noise, Sampling, Stops,
    Tokens,
};
use serde_json::{Value, json};

fn model(case: &str) -> CausalLm {
    let checkpoint = Checkpoint::open(Path::new("tests/reference").join(case)).unwrap();
    checkpoint.causal_lm(&Device::default()).unwrap()
}

/// Reads the whole text again for every token.
fn without_cache(model: &CausalLm, prompt: &[u32], count: usize) -> Vec<u32> {
    let mut ids = prompt.to_vec();
    for _ in 0..count {
        let tokens = Tokens::single(&ids, &Device::default()).unwrap();
        let logits = model.logits(model.hidden(&tokens, Noise::off(), None));
        let row: Vec<f32> = logits
            .narrow(0, ids.len() - 1, 1)
            .into_data()
            .iter::<f32>()
            .collect();
        let best = (0..row.len()).fold(0, |best, at| if row[at] > row[best] { at } else { best });
        ids.push(best as u32);
    }
    ids.split_off(prompt.len())
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
            assert_eq!(made.ids, without_cache(&model, prompt, 12), "{case}");
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
fn texts_that_are_read_again_do_not_depend_on_their_batch() {
    for case in ["xlnet", "xlnet_streams", "xlnet_uni", "xlnet_level"] {
        let model = model(case);
        let generate = |prompts: &[Vec<u32>], batch| {
            let generator = Generator::new(&model).new_tokens(12).batch(batch);
            generator.generate(prompts).unwrap()
        };
        for batch in [2, 4] {
            let together = generate(&prompts(), batch);
            for (prompt, made) in prompts().iter().zip(&together) {
                let alone = generate(std::slice::from_ref(prompt), 1);
                assert_eq!(alone[0].ids, made.ids, "{case}");
            }
        }
    }
}

#[test]
fn memories_that_cannot_be_continued_are_refused() {
    let config = |field: &str, value: Value| {
        let mut config = json!({
            "model_type": "xlnet", "vocab_size": 11, "d_model": 12, "n_layer": 1, "n_head": 2, "d_inner": 8
        });
        config[field] = value;
        config
    };
    for (field, value) in [("reuse_len", json!(4)), ("bi_data", json!(true))] {
        let checkpoint = Checkpoint::create(config(field, value), 0).unwrap();
        let model = checkpoint.causal_lm(&Device::default()).unwrap();
        let error = Generator::new(&model).generate(&[vec![1, 2]]).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
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

/// A model that counts how often it reads, and how many rows.
struct Counted<'m> {
    model: &'m CausalLm,
    passes: Cell<usize>,
    most_rows: Cell<usize>,
}

impl Counted<'_> {
    fn count(&self, logits: Tensor<2>) -> Tensor<2> {
        self.passes.set(self.passes.get() + 1);
        self.most_rows
            .set(self.most_rows.get().max(logits.dims()[0]));
        logits
    }
}

impl Autoregressive for Counted<'_> {
    type State = <CausalLm as Autoregressive>::State;

    fn vocabulary(&self) -> usize {
        self.model.vocabulary()
    }

    fn longest(&self) -> Option<usize> {
        self.model.longest()
    }

    fn read(
        &self,
        prompts: &[&[u32]],
        room: usize,
    ) -> Result<(Self::State, Tensor<2>), ModelError> {
        let (state, logits) = self.model.read(prompts, room)?;
        Ok((state, self.count(logits)))
    }

    fn extend(&self, state: &mut Self::State, ids: &[u32]) -> Result<Tensor<2>, ModelError> {
        Ok(self.count(self.model.extend(state, ids)?))
    }

    fn select(&self, state: &mut Self::State, rows: &[u32]) {
        self.model.select(state, rows);
    }

    fn join(&self, state: &mut Self::State, more: Self::State) {
        self.model.join(state, more);
    }
}

#[test]
fn waiting_prompts_enter_a_running_batch_and_change_nothing() {
    for case in [
        "llama_grouped",
        "gpt2_tied",
        "bloom",
        "gemma2",
        "mistral_window",
    ] {
        let model = model(case);
        let many: Vec<Vec<u32>> = (0..11)
            .map(|n: u32| {
                (0..1 + (n * 5) % 9)
                    .map(|at| 3 + (n * 7 + at * 3) % 61)
                    .collect()
            })
            .collect();
        for temperature in [0.0, 1.0] {
            let sampling = Sampling {
                temperature,
                seed: 4,
                ..Sampling::default()
            };
            // Tokens that come up often end answers at unlike lengths.
            let free = Generator::new(&model)
                .sampling(sampling.clone())
                .new_tokens(16);
            let free = free.generate(&many).unwrap();
            let stops = Stops::at([free[0].ids[2], free[3].ids[5], free[7].ids[9]]);
            let counted = Counted {
                model: &model,
                passes: Cell::new(0),
                most_rows: Cell::new(0),
            };
            let answers = |batch: usize| {
                counted.passes.set(0);
                let generator = Generator::new(&counted).sampling(sampling.clone());
                let generator = generator.stops(stops.clone()).new_tokens(16).batch(batch);
                (generator.generate(&many).unwrap(), counted.passes.get())
            };
            let (alone, passes_alone) = answers(1);
            let (made, passes) = answers(4);
            assert_eq!(counted.most_rows.get(), 4);
            assert_eq!(ids(&made), ids(&alone), "{case}");
            for (made, alone) in made.iter().zip(&alone) {
                assert_eq!(made.finish, alone.finish);
                for (a, b) in made.log_probs.iter().zip(&alone.log_probs) {
                    assert!((a - b).abs() < 1e-5, "{case}: {a}, alone {b}");
                }
            }
            // Batches that are read to the end of their longest row, in the same order.
            let mut order: Vec<usize> = (0..many.len()).collect();
            order.sort_by_key(|number| (many[*number].len(), *number));
            let steps = |number: &usize| {
                alone[*number].ids.len() + usize::from(alone[*number].finish == Finish::Stop)
            };
            let fixed: usize = order
                .chunks(4)
                .map(|rows| rows.iter().map(steps).max().unwrap())
                .sum();
            let all: usize = (0..many.len()).map(|number| steps(&number)).sum();
            assert_eq!(passes_alone, all);
            println!(
                "{case}, temperature {temperature}: {passes} passes, {fixed} in fixed batches, {all} alone"
            );
        }
    }
}

#[test]
fn a_window_bounds_the_cache_and_changes_nothing() {
    let table: [(&str, &[Option<usize>]); 6] = [
        ("mistral_window", &[Some(5), Some(5)]),
        ("phi3_window", &[Some(6), Some(6)]),
        ("qwen2_window", &[None, Some(4), Some(4)]),
        ("gemma2", &[Some(5), None, Some(5)]),
        ("gemma3", &[Some(4), Some(4), None]),
        ("smollm3_window", &[None, Some(5), None]),
    ];
    for (case, windows) in table {
        let model = model(case);
        let prompt: Vec<u32> = (3..20).collect();
        let run = |mut tokens: Tokens| {
            let mut cache = Cache::new();
            let mut made = Vec::new();
            for _ in 0..60 {
                let hidden = model.hidden(&tokens, Noise::off(), Some(&mut cache));
                let [rows, _] = hidden.dims();
                let logits = model.logits(hidden.narrow(0, rows - 1, 1)).into_data();
                let logits: Vec<f32> = logits.iter::<f32>().collect();
                let best =
                    (0..logits.len()).fold(0, |b, at| if logits[at] > logits[b] { at } else { b });
                made.push((best as u32, logits[best]));
                tokens = tokens.next(&[best as u32]).unwrap();
            }
            (made, cache.rooms())
        };
        let (bounded, rooms) = run(Tokens::single(&prompt, &Device::default()).unwrap());
        // The reference's padding may look at every place, so nothing is forgotten for it.
        let mask = vec![true; prompt.len()];
        let whole = Tokens::from_mask(&prompt, &mask, prompt.len(), &Device::default()).unwrap();
        let (unbounded, all) = run(whole);
        assert_eq!(bounded, unbounded, "{case}");
        assert!(all.iter().all(|room| *room >= 76), "{case}: {all:?}");
        for (room, window) in rooms.iter().zip(windows) {
            assert_eq!(*room, window.map_or(all[0], |window| 2 * window), "{case}");
        }
    }
}

/// A model without weights: an "encoder" keeps the prompt, and the decoder is likeliest to write it backwards and then
/// token 1.
struct Backwards;

/// For each row its prompt, and what was written.
type Written = Vec<(Vec<u32>, Vec<u32>)>;

impl Backwards {
    fn logits(state: &Written) -> Tensor<2> {
        let row = |(prompt, written): &(Vec<u32>, Vec<u32>)| {
            let next = prompt.iter().rev().nth(written.len()).copied().unwrap_or(1);
            (0..20u32).map(move |id| {
                if id == next {
                    3.0
                } else {
                    1.0 / (2.0 + id as f32)
                }
            })
        };
        let values: Vec<f32> = state.iter().flat_map(row).collect();
        Tensor::from_data(
            TensorData::new(values, [state.len(), 20]),
            &Device::default(),
        )
    }
}

impl Autoregressive for Backwards {
    type State = Written;

    fn vocabulary(&self) -> usize {
        20
    }

    fn longest(&self) -> Option<usize> {
        None
    }

    fn opening(&self, _prompt: &[u32]) -> Vec<u32> {
        vec![0]
    }

    fn read(&self, prompts: &[&[u32]], _room: usize) -> Result<(Written, Tensor<2>), ModelError> {
        let state: Written = prompts
            .iter()
            .map(|prompt| (prompt.to_vec(), vec![]))
            .collect();
        let logits = Self::logits(&state);
        Ok((state, logits))
    }

    fn extend(&self, state: &mut Written, ids: &[u32]) -> Result<Tensor<2>, ModelError> {
        assert_eq!(state.len(), ids.len());
        for ((_, written), id) in state.iter_mut().zip(ids) {
            written.push(*id);
        }
        Ok(Self::logits(state))
    }

    fn select(&self, state: &mut Written, rows: &[u32]) {
        *state = rows
            .iter()
            .map(|row| state[*row as usize].clone())
            .collect();
    }

    fn join(&self, state: &mut Written, mut more: Written) {
        state.append(&mut more);
    }
}

#[test]
fn any_model_that_reads_and_goes_on_can_write() {
    let prompts = [
        vec![5, 6, 7],
        vec![8],
        (2..14).collect(),
        vec![9, 9],
        vec![4; 7],
    ];
    let backwards: Vec<Vec<u32>> = prompts
        .iter()
        .map(|p| p.iter().rev().copied().collect())
        .collect();
    for beams in [1, 3] {
        for batch in [1, 2, 7] {
            let beams = Beams {
                count: beams,
                length_penalty: 4.0,
                ..Beams::default()
            };
            let generator = Generator::new(&Backwards)
                .stops(Stops::at([1]))
                .beams(beams)
                .batch(batch);
            let made = generator.generate(&prompts).unwrap();
            assert_eq!(ids(&made), backwards);
            assert!(made.iter().all(|made| made.finish == Finish::Stop));
        }
    }
    let sampling = Sampling {
        rules: Rules {
            forced_bos_token_id: Some(15),
            forced_eos_token_id: vec![16],
            min_new_tokens: 3,
            ..Rules::default()
        },
        ..Sampling::default()
    };
    let generator = Generator::new(&Backwards)
        .stops(Stops::at([1]))
        .sampling(sampling)
        .new_tokens(5);
    let made = generator.generate(&prompts[..2]).unwrap();
    // What is forced is read, so the third is the prompt's first.
    assert_eq!(made[0].ids, [15, 6, 5]);
    assert_eq!(made[1].ids, [15, 0, 0]);
}

#[test]
fn several_answers_are_drawn_and_each_is_a_draw_of_its_own() {
    let model = model("llama_grouped");
    let sampling = Sampling {
        temperature: 1.0,
        seed: 3,
        ..Sampling::default()
    };
    let generator = || {
        Generator::new(&model)
            .sampling(sampling.clone())
            .new_tokens(6)
    };
    let made = generator().answers(3).generate(&prompts()[..2]).unwrap();
    let asked: Vec<usize> = made.iter().map(|made| made.prompt).collect();
    assert_eq!(asked, [0, 0, 0, 1, 1, 1]);
    assert!(made[0].ids != made[1].ids && made[1].ids != made[2].ids);
    let again = generator()
        .answers(3)
        .batch(2)
        .generate(&prompts()[..2])
        .unwrap();
    assert_eq!(ids(&made), ids(&again));
    let error = Generator::new(&model)
        .answers(2)
        .generate(&prompts())
        .unwrap_err();
    assert!(
        error.to_string().contains("num_return_sequences is 2"),
        "{error}"
    );
}

#[test]
fn beams_may_be_drawn_stopped_by_strings_and_told() {
    let model = model("llama_grouped");
    let beams = Beams {
        count: 3,
        ..Beams::default()
    };
    let generator = || Generator::new(&model).beams(beams).answers(3).new_tokens(8);
    let draw = |seed, batch| {
        let sampling = Sampling {
            temperature: 1.5,
            seed,
            ..Sampling::default()
        };
        generator()
            .sampling(sampling)
            .batch(batch)
            .generate(&prompts())
            .unwrap()
    };
    assert_eq!(ids(&draw(1, 64)), ids(&draw(1, 1)));
    assert_ne!(ids(&draw(1, 64)), ids(&draw(2, 64)));

    let mut told = vec![Vec::new(); 12];
    let mut tell = |answer: usize, id| {
        told[answer].push(id);
        ControlFlow::Continue(())
    };
    let made = generator().stream(&prompts(), &mut tell).unwrap();
    assert_eq!(
        ids(&made),
        told.iter().map(Vec::as_slice).collect::<Vec<_>>()
    );
    for made in made.chunks(3) {
        let scores: Vec<f64> = made.iter().map(|made| made.score.unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        for made in made {
            let sum: f64 = made.log_probs.iter().sum();
            assert!((sum / 8.0 - made.score.unwrap()).abs() < 1e-5);
        }
    }

    let id = made[0].ids[3];
    let stop = format!("<{id}>");
    let pieces = || -> Pieces<'_> { Box::new(|id| format!("<{id}>")) };
    let stops = Stops {
        tokens: vec![],
        strings: vec![stop.clone()],
    };
    let stopped = generator()
        .stops(stops)
        .decoder(&pieces)
        .generate(&prompts())
        .unwrap();
    assert!(stopped.iter().any(|made| made.finish == Finish::Stop));
    for made in stopped {
        let at = made.ids.iter().position(|other| *other == id);
        assert_eq!(at.is_some(), made.finish == Finish::Stop);
        assert!(at.is_none_or(|at| at + 1 == made.ids.len()), "{made:?}");
    }
}

#[test]
fn what_is_forbidden_altogether_ends_an_answer_and_bad_settings_are_refused_together() {
    let rules = Rules {
        suppress_tokens: (0..20).collect(),
        ..Rules::default()
    };
    let sampling = Sampling {
        rules,
        ..Sampling::default()
    };
    for count in [1, 2] {
        let beams = Beams {
            count,
            ..Beams::default()
        };
        let generator = Generator::new(&Backwards).beams(beams);
        let made = generator
            .sampling(sampling.clone())
            .generate(&prompts()[..2])
            .unwrap();
        assert!(
            made.iter()
                .all(|made| made.ids.is_empty() && made.finish == Finish::Forbidden)
        );
    }
    let bad = Beams {
        count: 0,
        length_penalty: f64::NAN,
        ..Beams::default()
    };
    let mut generator = Generator::new(&Backwards).beams(bad).answers(0);
    generator.sampling.rules.suppress_tokens = vec![20];
    let error = generator.generate(&[vec![]]).unwrap_err().to_string();
    for name in [
        "num_beams",
        "length_penalty",
        "num_return_sequences",
        "suppress_tokens",
        "prompt 0",
    ] {
        assert!(error.contains(name), "{error}");
    }
}
