use burn::tensor::{Device, Int, Tensor};
use finetune_model::op;
use proptest::prelude::*;

use crate::agree::{agree, devices, distance, flat, values, wave};
use crate::composed;

type LogProbs =
    fn(Tensor<2>, Tensor<2>, Option<Tensor<1>>, Tensor<1, Int>, Option<f64>) -> Tensor<1>;

#[derive(Clone, Copy, Debug)]
struct Case {
    rows: usize,
    width: usize,
    vocabulary: usize,
    transposed: bool,
    biased: bool,
    cap: Option<f64>,
    seed: u64,
}

fn check(case: Case, tolerance: f32) {
    let Case {
        rows,
        width,
        vocabulary,
        transposed,
        biased,
        cap,
        seed,
    } = case;
    let targets: Vec<i32> = (0..rows)
        .map(|row| ((row * 7 + seed as usize) % vocabulary) as i32)
        .collect();
    let through = |f: LogProbs| {
        let targets = targets.clone();
        move |x: &[Tensor<1>]| {
            let hidden = x[0].clone().reshape([rows, width]) * 3.0;
            let weight = if transposed {
                x[1].clone().reshape([vocabulary, width]).transpose()
            } else {
                x[1].clone().reshape([width, vocabulary])
            };
            let targets = Tensor::from_data(targets.as_slice(), &hidden.device());
            f(hidden, weight, biased.then(|| x[2].clone()), targets, cap)
        }
    };
    let mut inputs = vec![wave(rows * width, seed), wave(width * vocabulary, seed + 1)];
    if biased {
        inputs.push(wave(vocabulary, seed + 2));
    }
    agree(
        through(op::log_probs),
        through(composed::log_probs),
        &inputs,
        tolerance,
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn agrees(
        rows in 1usize..40,
        width in 1usize..40,
        vocabulary in 1usize..150,
        transposed: bool,
        biased: bool,
        capped: bool,
        seed in 0u64..1000,
    ) {
        let cap = capped.then_some(2.5);
        check(Case { rows, width, vocabulary, transposed, biased, cap, seed }, 1e-5);
    }
}

#[test]
fn several_blocks_agree() {
    // 70 rows of 60,000 logits do not fit into one block. burn's own sum of so many numbers is off by 2e-5.
    let case = Case {
        rows: 70,
        width: 8,
        vocabulary: 60_000,
        transposed: true,
        biased: true,
        cap: None,
        seed: 3,
    };
    check(case, 5e-5);
}

#[test]
fn a_large_vocabulary_keeps_its_precision() {
    let (rows, width, vocabulary) = (3, 8, 60_000);
    let (hidden, weight) = (wave(rows * width, 1), wave(width * vocabulary, 2));
    let exact: Vec<f32> = hidden
        .chunks(width)
        .map(|hidden| {
            let mut logits = vec![0.0f64; vocabulary];
            for (&h, weights) in hidden.iter().zip(weight.chunks(vocabulary)) {
                for (logit, &weight) in logits.iter_mut().zip(weights) {
                    *logit += f64::from(h) * f64::from(weight);
                }
            }
            (logits[7] - logits.iter().map(|x| x.exp()).sum::<f64>().ln()) as f32
        })
        .collect();
    for device in devices() {
        let found = op::log_probs(
            flat(&hidden, &device).reshape([rows, width]),
            flat(&weight, &device).reshape([width, vocabulary]),
            None,
            Tensor::from_data([7, 7, 7], &device),
            None,
        );
        let far = distance(&values(found), &exact);
        assert!(far < 2e-7, "{device:?}: {far:e}");
    }
}

#[test]
fn no_rows_give_nothing() {
    for device in devices() {
        let hidden = Tensor::<2>::zeros([0, 4], &device);
        let weight = Tensor::<2>::zeros([4, 5], &device);
        let targets = Tensor::<1, Int>::zeros([0], &device);
        assert_eq!(
            op::log_probs(hidden, weight, None, targets, None).dims(),
            [0]
        );
    }
}

#[test]
#[should_panic(expected = "token id 5 is not in 0..5")]
fn a_target_outside_of_the_vocabulary_is_refused() {
    let device = Device::flex().autodiff();
    let hidden = Tensor::<2>::zeros([1, 4], &device);
    let weight = Tensor::<2>::zeros([4, 5], &device);
    let targets = Tensor::<1, Int>::from_data([5], &device);
    op::log_probs(hidden, weight, None, targets, None);
}
