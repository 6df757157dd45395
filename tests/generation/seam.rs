//! A model that is none of ours, behind the seam of the loop.

use finetune::burn::tensor::{Tensor, TensorData};
use finetune::model::generate::{Autoregressive, Beams, Rules};
use finetune::model::{Finish, Generator, ModelError, Sampling, Stops};

use super::{device, ids, prompts};

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
                    12.0
                } else {
                    1.0 / (2.0 + id as f32)
                }
            })
        };
        let values: Vec<f32> = state.iter().flat_map(row).collect();
        Tensor::from_data(TensorData::new(values, [state.len(), 20]), &device())
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
