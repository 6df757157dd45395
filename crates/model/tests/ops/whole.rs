//! Sums, the optimizer's step, and the same bits for any number of threads.

use burn::tensor::{Device, Int, Tensor};
use finetune_model::noise::Noise;
use finetune_model::op::{self, Activation, AdamWStep, Form, Mask, Score};
use proptest::prelude::*;

use crate::agree::{agree, devices, distance, flat, values, wave};
use crate::composed;

type One = Tensor<1>;
type Step = fn(One, One, One, One, AdamWStep) -> (One, One, One);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn sums_agree(n in 1usize..50_000, seed in 0u64..1000) {
        let inputs = [wave(n, seed)];
        // It is burn's own sum that is less precise, see below.
        agree(|i| op::sum(i[0].clone()), |i| composed::sum(i[0].clone()), &inputs, 1e-4);
        agree(
            |i| op::square_sum(i[0].clone().reshape([n, 1])),
            |i| composed::square_sum(i[0].clone()),
            &inputs,
            1e-4,
        );
    }

    #[test]
    fn steps_agree(
        n in 1usize..40_000,
        seed in 0u64..1000,
        step in 1u64..1000,
        decay in 0.0f64..0.5,
    ) {
        let inputs = [0, 1, 2, 3].map(|part| wave(n, seed + part));
        let step = AdamWStep { rate: 0.01, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decay, step };
        let run = |f: Step, device: &Device| {
            let [p, g, m, v] = inputs.clone().map(|x| flat(&x, device));
            let (p, m, v) = f(p, g, m, v.abs(), step);
            [values(p), values(m), values(v)]
        };
        for device in devices() {
            let device = device.inner();
            let expected = run(composed::adamw, &device);
            for (found, expected) in run(op::adamw, &device).iter().zip(expected) {
                prop_assert!(distance(found, &expected) < 1e-6, "{device:?}");
            }
        }
    }
}

/// Ten steps on one number, as PyTorch 2 computes them: parameter 1, gradient 0.1·step, rate 0.1, decay 0.01.
#[test]
fn ten_steps_follow_the_rule_in_double_precision() {
    for device in devices() {
        ten_steps(&device.inner());
    }
}

fn ten_steps(device: &Device) {
    let (mut p, mut m, mut v) = (1.0f64, 0.0f64, 0.0f64);
    let mut state = [1.0, 0.0, 0.0].map(|x| flat(&[x], device));
    for t in 1..=10 {
        let g = 0.1 * f64::from(t);
        p *= 1.0 - 0.1 * 0.01;
        m = 0.9 * m + 0.1 * g;
        v = 0.999 * v + 0.001 * g * g;
        let scale = (v / (1.0 - 0.999f64.powi(t))).sqrt() + 1e-8;
        p -= 0.1 * (m / (1.0 - 0.9f64.powi(t))) / scale;
        let step = AdamWStep {
            rate: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            decay: 0.01,
            step: t as u64,
        };
        let [parameter, first, second] = state;
        let gradient = flat(&[g as f32], device);
        let (parameter, first, second) = op::adamw(parameter, gradient, first, second, step);
        assert!((f64::from(values(parameter.clone())[0]) - p).abs() < 1e-6);
        state = [parameter, first, second];
    }
}

#[test]
fn the_sum_of_many_numbers_is_precise() {
    let x = wave(9_000_000, 1);
    let exact: f64 = x.iter().map(|&x| f64::from(x)).sum();
    let squares: f64 = x.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
    for device in devices() {
        let x = flat(&x, &device.clone().inner());
        let sum = f64::from(values(op::sum(x.clone()))[0]);
        assert!(
            (sum - exact).abs() < 1e-3 * exact.abs().max(10.0),
            "{device:?}: {sum} {exact}"
        );
        let sum = f64::from(values(op::square_sum(x))[0]);
        assert!(
            (sum / squares - 1.0).abs() < 1e-6,
            "{device:?}: {sum} {squares}"
        );
    }
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}

/// Runs with 1, 2 and 8 threads, twice each, and compares the bits.
fn same_bits(name: &str, run: impl Fn() -> Vec<Vec<f32>> + Send + Sync) {
    let mut first: Option<Vec<Vec<u32>>> = None;
    for threads in [1, 2, 8, 1, 2, 8] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let found: Vec<_> = pool.install(&run).iter().map(|x| bits(x)).collect();
        match &first {
            Some(first) => assert!(*first == found, "{name} differs with {threads} threads"),
            None => first = Some(found),
        }
    }
}

/// The result and every gradient of an operation.
fn everything(inputs: &[Vec<f32>], f: impl Fn(&[Tensor<1>]) -> Tensor<1>) -> Vec<Vec<f32>> {
    let device = Device::flex().autodiff();
    let leaves: Vec<_> = inputs
        .iter()
        .map(|x| flat(x, &device).require_grad())
        .collect();
    let y = f(&leaves);
    let weights = flat(&wave(y.dims()[0], 5), &device);
    let mut all = vec![values(y.clone())];
    let gradients = op::sum(y * weights).backward();
    all.extend(
        leaves
            .iter()
            .map(|leaf| values(leaf.grad(&gradients).unwrap())),
    );
    all
}

#[test]
fn sums_and_steps_have_the_same_bits_for_any_number_of_threads() {
    // Above 4,194,304 elements burn's own sum depends on the threads.
    let n = 4_200_000;
    let [p, g, m, v] = [1, 2, 3, 4].map(|seed| wave(n, seed));
    let device = Device::flex();
    same_bits("sum", || {
        let x = flat(&g, &device);
        vec![
            values(op::sum(x.clone())),
            values(op::square_sum(x.reshape([2100, 2000]))),
        ]
    });
    let step = AdamWStep {
        rate: 0.1,
        beta1: 0.9,
        beta2: 0.99,
        epsilon: 1e-8,
        decay: 0.1,
        step: 3,
    };
    same_bits("adamw", || {
        let [p, g, m, v] = [&p, &g, &m, &v].map(|x| flat(x, &device));
        let (p, m, v) = op::adamw(p, g, m, v.abs(), step);
        vec![values(p), values(m), values(v)]
    });
}

#[test]
fn rows_have_the_same_bits_for_any_number_of_threads() {
    let (rows, width) = (700, 300);
    let flatten = |x: Tensor<2>| x.reshape([rows * width]);
    let inputs = [wave(rows * width, 1), wave(width, 2), wave(width, 3)];
    same_bits("layer_norm", || {
        everything(&inputs, |i| {
            let x = i[0].clone().reshape([rows, width]);
            flatten(op::layer_norm(x, i[1].clone(), Some(i[2].clone()), 1e-5))
        })
    });
    same_bits("gate", || {
        everything(&[wave(rows * width, 1), wave(rows * width, 2)], |i| {
            let [gate, up] = [0, 1].map(|part: usize| i[part].clone().reshape([rows, width]));
            let y = op::gate(gate, up, Activation::Gelu);
            flatten(op::dropout(y, 0.2, Noise::new(1, 2, 3)))
        })
    });
    let ids: Vec<i32> = (0..rows as i32).map(|i| i * i % 50).collect();
    same_bits("embed", || {
        let ids = Tensor::<1, Int>::from_data(ids.as_slice(), &Device::flex().autodiff());
        everything(&[wave(50 * width, 1)], |i| {
            flatten(op::embed(i[0].clone().reshape([50, width]), ids.clone()))
        })
    });
    let inputs = [wave(rows * 200, 1), wave(200 * width, 2), wave(width, 3)];
    same_bits("linear", || {
        everything(&inputs, |i| {
            let x = i[0].clone().reshape([rows, 200]);
            let weight = i[1].clone().reshape([200, width]);
            flatten(op::linear(x, weight, Some(i[2].clone())))
        })
    });
}

#[test]
fn heads_have_the_same_bits_for_any_number_of_threads() {
    let (batch, length, heads, kv_heads, width) = (2, 150, 4, 2, 16);
    let inputs = [heads, kv_heads, kv_heads].map(|n| wave(batch * length * n * width, n as u64));
    same_bits("attention", || {
        everything(&inputs, |i| {
            let [q, k, v] = [(0, heads), (1, kv_heads), (2, kv_heads)]
                .map(|(part, n): (usize, _)| i[part].clone().reshape([batch, length, n, width]));
            let noise = Noise::new(1, 2, 3);
            let y = op::attention(q, k, v, &Mask::causal(), &Score::scaled(0.3), 0.1, noise);
            y.reshape([batch * length * heads * width])
        })
    });
    let added = [1, heads, length, length];
    let inputs = [&inputs[..], &[wave(added.iter().product(), 9)]].concat();
    same_bits("attention with numbers added", || {
        everything(&inputs, |i| {
            let [q, k, v] = [(0, heads), (1, kv_heads), (2, kv_heads)]
                .map(|(part, n): (usize, _)| i[part].clone().reshape([batch, length, n, width]));
            let score = Score {
                scale: 0.3,
                form: Form::Added(i[3].clone().reshape(added)),
            };
            let y = op::attention(q, k, v, &Mask::default(), &score, 0.0, Noise::off());
            y.reshape([batch * length * heads * width])
        })
    });
    let (rows, width, vocabulary) = (300, 64, 20_000);
    let targets: Vec<i32> = (0..rows as i32)
        .map(|i| i * i % vocabulary as i32)
        .collect();
    let inputs = [
        wave(rows * width, 1),
        wave(vocabulary * width, 2),
        wave(vocabulary, 3),
    ];
    same_bits("log_probs", || {
        let targets = Tensor::<1, Int>::from_data(targets.as_slice(), &Device::flex().autodiff());
        everything(&inputs, |i| {
            let hidden = i[0].clone().reshape([rows, width]);
            let weight = i[1].clone().reshape([vocabulary, width]).transpose();
            op::log_probs(hidden, weight, Some(i[2].clone()), targets.clone(), None)
        })
    });
}
