//! Norms, activations, rotation, lookup, dropout, linear.

use burn::tensor::{Device, Int, Tensor};
use finetune_model::noise::Noise;
use finetune_model::op::{self, Activation};
use proptest::prelude::*;

use crate::agree::{agree, devices, distance, flat, values, wave};
use crate::composed;

fn flatten<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    x.reshape([count])
}

const ACTIVATIONS: [Activation; 5] = [
    Activation::Relu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Silu,
    Activation::Tanh,
];

/// Every activation on every device.
fn with_activations() -> impl Iterator<Item = (Device, Activation)> {
    devices()
        .into_iter()
        .flat_map(|device| ACTIVATIONS.map(|activation| (device.clone(), activation)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn norms_agree(rows in 1usize..200, width in 1usize..200, seed in 0u64..1000) {
        let inputs = [wave(rows * width, seed), wave(width, seed + 1), wave(width, seed + 2)];
        let x = |x: &[Tensor<1>]| x[0].clone().reshape([rows, width]) * 4.0 + 1.0;
        agree(
            |i| flatten(op::rms_norm(x(i), i[1].clone(), 1e-5)),
            |i| flatten(composed::rms_norm(x(i), i[1].clone(), 1e-5)),
            &inputs[..2],
            2e-5,
        );
        if width > 1 {
            agree(
                |i| flatten(op::layer_norm(x(i), i[1].clone(), Some(i[2].clone()), 1e-5)),
                |i| flatten(composed::layer_norm(x(i), i[1].clone(), Some(i[2].clone()), 1e-5)),
                &inputs,
                2e-5,
            );
            agree(
                |i| flatten(op::layer_norm(x(i), i[1].clone(), None, 1e-5)),
                |i| flatten(composed::layer_norm(x(i), i[1].clone(), None, 1e-5)),
                &inputs[..2],
                2e-5,
            );
        }
    }

    #[test]
    fn activations_agree(rows in 1usize..60, width in 1usize..400, seed in 0u64..1000) {
        let inputs = [wave(rows * width, seed), wave(rows * width, seed + 1)];
        let x = |x: &Tensor<1>| x.clone().reshape([rows, width]) * 6.0;
        // The reference takes the square of a tangent near 1 from 1, and multiplies what is left by up to 14: that, and
        // not the operation, is off by 2e-6.
        for activation in ACTIVATIONS {
            agree(
                |i| flatten(op::activate(x(&i[0]), activation)),
                |i| flatten(composed::activate(x(&i[0]), activation)),
                &inputs[..1],
                4e-6,
            );
            agree(
                |i| flatten(op::gate(x(&i[0]), x(&i[1]), activation)),
                |i| flatten(composed::gate(x(&i[0]), x(&i[1]), activation)),
                &inputs,
                4e-6,
            );
        }
    }

    #[test]
    fn rotations_agree(
        batch in 1usize..3,
        length in 1usize..70,
        heads in 1usize..4,
        half in 1usize..20,
        rest in 0usize..5,
        seed in 0u64..1000,
    ) {
        let width = 2 * half + rest;
        let angles: Vec<f32> = wave(batch * length * half, seed).iter().map(|x| x * 7.0).collect();
        let angles = |x: &Tensor<4>| {
            let angles = flat(&angles, &x.device()).reshape([batch * length, half]);
            angles.cast(x.dtype())
        };
        let x = |x: &[Tensor<1>]| x[0].clone().reshape([batch, length, heads, width]);
        // In memory the heads may stand before the positions.
        let strided = |x: &[Tensor<1>]| {
            x[0].clone().reshape([batch, heads, length, width]).swap_dims(1, 2)
        };
        let inputs = [wave(batch * length * heads * width, seed + 1)];
        let turn = |x: Tensor<4>| {
            let (cos, sin) = (angles(&x).cos(), angles(&x).sin());
            flatten(op::rotate(x, cos, sin))
        };
        let composed = |x: Tensor<4>| {
            let (cos, sin) = (angles(&x).cos(), angles(&x).sin());
            flatten(composed::rotate(x, cos, sin))
        };
        agree(|i| turn(x(i)), |i| composed(x(i)), &inputs, 1e-6);
        agree(|i| turn(strided(i)), |i| composed(strided(i)), &inputs, 1e-6);
    }

    #[test]
    fn lookups_agree(
        vocabulary in 1usize..300,
        width in 1usize..100,
        ids in prop::collection::vec(0u32..1000, 0..200),
        seed in 0u64..1000,
    ) {
        let ids: Vec<i32> = ids.iter().map(|id| (id % vocabulary as u32) as i32).collect();
        prop_assume!(!ids.is_empty());
        let ids = |x: &[Tensor<1>]| Tensor::<1, Int>::from_data(ids.as_slice(), &x[0].device());
        let table = |x: &[Tensor<1>]| x[0].clone().reshape([vocabulary, width]);
        agree(
            |i| flatten(op::embed(table(i), ids(i))),
            |i| flatten(composed::embed(table(i), ids(i))),
            &[wave(vocabulary * width, seed)],
            1e-6,
        );
    }

    #[test]
    fn dropouts_agree(rows in 1usize..100, width in 1usize..300, rate in 0.01f64..0.9, seed in 0u64..1000) {
        let noise = Noise::new(seed, 1, 0).site(4);
        let x = |x: &[Tensor<1>]| x[0].clone().reshape([rows, width]);
        agree(
            |i| flatten(op::dropout(x(i) * 1.0, rate, noise)),
            |i| flatten(composed::dropout(x(i), rate, noise)),
            &[wave(rows * width, seed)],
            0.0,
        );
    }

    #[test]
    fn linears_agree(
        rows in 1usize..150,
        inner in 1usize..70,
        outer in 1usize..70,
        biased: bool,
        transposed: bool,
        seed in 0u64..1000,
    ) {
        let x = |x: &[Tensor<1>]| x[0].clone().reshape([rows, inner]);
        let weight = |x: &[Tensor<1>]| {
            if transposed {
                x[1].clone().reshape([outer, inner]).transpose()
            } else {
                x[1].clone().reshape([inner, outer])
            }
        };
        let mut inputs = vec![wave(rows * inner, seed), wave(inner * outer, seed + 1)];
        if biased {
            inputs.push(wave(outer, seed + 2));
        }
        let bias = |x: &[Tensor<1>]| biased.then(|| x[2].clone());
        agree(
            |i| flatten(op::linear(x(i), weight(i), bias(i))),
            |i| flatten(composed::linear(x(i), weight(i), bias(i))),
            &inputs,
            1e-5,
        );
    }
}

#[test]
fn activations_far_out() {
    let x = [
        -1e30f32, -200.0, -100.0, -40.0, -9.0, -0.0, 0.0, 9.0, 40.0, 100.0, 200.0,
    ];
    for (device, activation) in with_activations() {
        let input = flat(&x, &device).require_grad();
        let y = op::activate(input.clone().reshape([1, x.len()]), activation);
        let found = values(y.clone());
        let gradient = values(input.grad(&y.sum().backward()).unwrap());
        for (&x, (&y, &slope)) in x.iter().zip(found.iter().zip(&gradient)) {
            let expected = match activation {
                Activation::Tanh => x.signum() * f32::from(x != 0.0),
                _ => x.max(0.0),
            };
            assert!(
                (y - expected).abs() < 0.002,
                "{device:?} {activation} {x}: {y}"
            );
            assert!(
                slope.is_finite() && slope.abs() < 1.2,
                "{device:?} {activation} {x}: {slope}"
            );
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let x = |device: &Device| flat(&[f32::NAN, 1.0], device).reshape([1, 2]);
    for (device, activation) in with_activations() {
        let y = values(op::activate(x(&device), activation));
        assert!(
            y[0].is_nan() && y[1].is_finite(),
            "{device:?} {activation}: {y:?}"
        );
    }
    for device in devices() {
        let y = op::rms_norm(x(&device), flat(&[1.0, 1.0], &device), 1e-5);
        assert!(values(y)[1].is_nan(), "{device:?}");
    }
}

#[test]
fn norms_of_large_and_constant_rows_are_finite() {
    for device in devices() {
        let x = flat(&[1e4, 1e4, 1e4, 1e4, 0.0, 0.0, 0.0, 0.0], &device).require_grad();
        let weight = flat(&[1.0; 4], &device);
        let rows = || x.clone().reshape([2, 4]);
        let y =
            op::layer_norm(rows(), weight.clone(), None, 1e-5) + op::rms_norm(rows(), weight, 1e-5);
        let expected = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        assert!(distance(&values(y.clone()), &expected) < 1e-6, "{device:?}");
        let gradient = values(x.grad(&y.sum().backward()).unwrap());
        assert!(gradient.iter().all(|x| x.is_finite()), "{device:?}");
    }
}

#[test]
fn an_input_that_is_used_again_is_not_overwritten() {
    for device in devices() {
        let device = device.inner();
        let x = flat(&wave(12, 1), &device).reshape([3, 4]);
        let before = values(x.clone());
        let _ = op::dropout(x.clone(), 0.5, Noise::new(1, 1, 1));
        let _ = op::activate(x.clone(), Activation::Silu);
        let _ = op::gate(x.clone(), x.clone(), Activation::Silu);
        let angles = flat(&wave(6, 2), &device).reshape([3, 2]);
        let _ = op::rotate(x.clone().reshape([1, 3, 1, 4]), angles.clone(), angles);
        assert_eq!(values(x), before, "{device:?}");
    }
}

#[test]
fn no_rows_stay_no_rows() {
    for device in devices() {
        let none = || Tensor::<2>::zeros([0, 4], &device);
        let weight = flat(&[1.0; 4], &device);
        assert_eq!(op::rms_norm(none(), weight, 1e-5).dims(), [0, 4]);
        assert_eq!(op::activate(none(), Activation::Gelu).dims(), [0, 4]);
        assert_eq!(op::gate(none(), none(), Activation::Gelu).dims(), [0, 4]);
        assert_eq!(op::dropout(none(), 0.5, Noise::new(1, 1, 1)).dims(), [0, 4]);
        let table = Tensor::<2>::zeros([3, 4], &device);
        let ids = Tensor::<1, Int>::zeros([0], &device);
        assert_eq!(op::embed(table, ids).dims(), [0, 4]);
    }
}
