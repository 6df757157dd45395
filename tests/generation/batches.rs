//! Prompts that enter a running batch, and caches with a bound.

use std::cell::Cell;

use finetune::burn::tensor::Tensor;
use finetune::model::generate::Autoregressive;
use finetune::model::{
    Cache, CausalLm, Checkpoint, Finish, Generator, ModelError, Noise, Sampling, Stops, Tokens,
};

use serde_json::{Value, json};

use super::{device, ids, model, prompts};

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
        "llama_dynamic",
        "gpt2_tied",
        "bloom",
        "gemma2",
        "mistral_window",
    ] {
        let model = model(case);
        let many: Vec<Vec<u32>> = (0..11)
            .map(|n: u32| {
                (0..=(n * 5) % 9)
                    .map(|at| 3 + (n * 7 + at * 3) % 57)
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
            assert!(
                passes < fixed && fixed < all,
                "{case}: {passes} passes, {fixed} in fixed batches, {all} alone"
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
        let (bounded, rooms) = run(Tokens::single(&prompt, &device()).unwrap());
        // The reference's padding may look at every place, so nothing is forgotten for it.
        let mask = vec![true; prompt.len()];
        let whole = Tokens::from_mask(&prompt, &mask, prompt.len(), &device()).unwrap();
        let (unbounded, all) = run(whole);
        for ((id, logit), (other, expected)) in bounded.into_iter().zip(unbounded) {
            assert_eq!(id, other, "{case}");
            assert!(
                (logit - expected).abs() < 1e-5,
                "{case}: {logit}, {expected}"
            );
        }
        assert!(all.iter().all(|room| *room >= 76), "{case}: {all:?}");
        for (room, window) in rooms.iter().zip(windows) {
            assert_eq!(*room, window.map_or(all[0], |window| 2 * window), "{case}");
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
        let model = checkpoint.causal_lm(&device()).unwrap();
        let error = Generator::new(&model).generate(&[vec![1, 2]]).unwrap_err();
        assert!(error.to_string().contains(field), "{error}");
    }
}
