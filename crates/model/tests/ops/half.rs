//! Half precision: near the result in f32, in the type that came in.

use burn::tensor::{DType, Device, FloatDType, Int, Tensor};
use finetune_model::noise::Noise;
use finetune_model::op::{self, Activation, AdamWStep, Mask, Score};

use crate::agree::{devices, distance, flat, values, wave};

/// Runs with f32, bf16 and f16, where a device has them, and compares results and gradients.
fn close(name: &str, shapes: &[usize], f: impl Fn(&[Tensor<1>]) -> Tensor<1>) {
    for device in devices() {
        close_on(&device, name, shapes, &f);
    }
}

fn close_on(device: &Device, name: &str, shapes: &[usize], f: impl Fn(&[Tensor<1>]) -> Tensor<1>) {
    let mut first: Option<Vec<Vec<f32>>> = None;
    for dtype in [FloatDType::F32, FloatDType::BF16, FloatDType::F16] {
        if !device.supports_dtype(dtype) {
            continue;
        }
        let dtype = DType::from(dtype);
        let leaves: Vec<_> = shapes
            .iter()
            .zip(1..)
            .map(|(&count, seed)| {
                let x = wave(count, seed);
                Tensor::<1>::from_data(x.as_slice(), (device, dtype)).require_grad()
            })
            .collect();
        let y = f(&leaves);
        assert_eq!(y.dtype(), dtype, "{name}");
        let mut found = vec![values(y.clone())];
        let gradients = y.cast(DType::F32).sum().backward();
        for leaf in &leaves {
            let gradient = leaf.grad(&gradients).unwrap();
            assert_eq!(gradient.dtype(), dtype, "{name}");
            found.push(values(gradient));
        }
        let Some(expected) = &first else {
            first = Some(found);
            continue;
        };
        for (found, expected) in found.iter().zip(expected) {
            let far = distance(found, expected);
            assert!(far < 0.03, "{device:?}: {name} in {dtype:?}: {far}");
        }
    }
}

#[test]
fn every_operation_takes_half_precision() {
    let (rows, width) = (12, 16);
    let n = rows * width;
    let matrix = |x: &Tensor<1>| x.clone().reshape([rows, width]);
    let flatten = |x: Tensor<2>| x.reshape([n]);
    close("rms_norm", &[n, width], |i| {
        flatten(op::rms_norm(matrix(&i[0]), i[1].clone(), 1e-5))
    });
    close("layer_norm", &[n, width, width], |i| {
        flatten(op::layer_norm(
            matrix(&i[0]),
            i[1].clone(),
            Some(i[2].clone()),
            1e-5,
        ))
    });
    close("activate", &[n], |i| {
        flatten(op::activate(matrix(&i[0]), Activation::Gelu))
    });
    close("gate", &[n, n], |i| {
        flatten(op::gate(matrix(&i[0]), matrix(&i[1]), Activation::Silu))
    });
    close("rotate", &[n], |i| {
        let angles = flat(&wave(rows * 4, 7), &i[0].device());
        let angles = angles.cast(i[0].dtype()).reshape([rows, 4]);
        let x = i[0].clone().reshape([2, 6, 1, width]);
        op::rotate(x, angles.clone().cos(), angles.sin()).reshape([n])
    });
    close("dropout", &[n], |i| {
        flatten(op::dropout(matrix(&i[0]), 0.3, Noise::new(1, 2, 3)))
    });
    close("embed", &[n], |i| {
        let ids = Tensor::<1, Int>::from_data([3, 1, 3], &i[0].device());
        op::embed(matrix(&i[0]), ids).reshape([3 * width])
    });
    close("linear", &[n, width * 5, 5], |i| {
        let weight = i[1].clone().reshape([width, 5]);
        op::linear(matrix(&i[0]), weight, Some(i[2].clone())).reshape([rows * 5])
    });
    close("attention", &[n, n, n], |i| {
        let [q, k, v] = [0, 1, 2].map(|part: usize| i[part].clone().reshape([1, rows, 2, 8]));
        let y = op::attention(
            q,
            k,
            v,
            &Mask::causal(),
            &Score::scaled(0.3),
            0.1,
            Noise::new(1, 2, 3),
        );
        y.reshape([n])
    });
    close("log_probs", &[n, width * 9], |i| {
        let ids: Vec<i32> = (0..rows as i32).map(|row| row % 9).collect();
        let ids = Tensor::<1, Int>::from_data(ids.as_slice(), &i[0].device());
        op::log_probs(
            matrix(&i[0]),
            i[1].clone().reshape([width, 9]),
            None,
            ids,
            None,
        )
    });
}

#[test]
fn sums_and_moments_stay_in_single_precision() {
    let device = Device::flex();
    let x = flat(&vec![1e-3; 5000], &device).cast(DType::BF16);
    let total = op::sum(x.clone());
    assert_eq!(total.dtype(), DType::F32);
    assert!((values(total)[0] - 5.0).abs() < 0.02);
    let step = AdamWStep {
        rate: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        decay: 0.0,
        step: 1,
    };
    let moment = || Tensor::<1>::zeros([5000], (&device, DType::F32));
    let (p, m, v) = op::adamw(x.clone(), x, moment(), moment(), step);
    assert_eq!(
        [p.dtype(), m.dtype(), v.dtype()],
        [DType::BF16, DType::F32, DType::F32]
    );
    assert!((values(p)[0] + 0.099).abs() < 0.001);
    assert!((values(v)[0] - 1e-9).abs() < 1e-11);
}
