//! Comparing two ways to compute the same thing, with every gradient.

use burn::tensor::{DType, Device, FloatDType, Tensor};
use finetune_model::noise::Noise;

/// Numbers in `[-1, 1)`.
pub fn wave(count: usize, seed: u64) -> Vec<f32> {
    let noise = Noise::new(seed, 0, 0);
    (0..count as u64)
        .map(|i| noise.uniform(i) * 2.0 - 1.0)
        .collect()
}

/// What runs the tests: the device that `BURN_DEVICE` names, else every CPU backend that is compiled in.
pub fn devices() -> Vec<Device> {
    let named = std::env::var_os("BURN_DEVICE").is_some_and(|name| !name.is_empty());
    let names: &[Option<&str>] = if named {
        &[None]
    } else {
        &[
            #[cfg(feature = "flex")]
            Some("flex"),
            #[cfg(feature = "ndarray")]
            Some("ndarray"),
        ]
    };
    names
        .iter()
        .map(|name| finetune_model::device(*name).unwrap().autodiff())
        .collect()
}

pub fn flat(values: &[f32], device: &Device) -> Tensor<1> {
    Tensor::from_floats(values, device)
}

pub fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.cast(DType::F32)
        .into_data()
        .try_to_vec_as::<f32>()
        .unwrap()
}

/// The result and the gradient of each input that is tracked.
///
/// The loss weighs each element of the result differently, or all alike with `uniform`.
pub fn run(
    device: &Device,
    f: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    inputs: &[Vec<f32>],
    tracked: &[bool],
    uniform: bool,
) -> (Vec<f32>, Vec<Option<Vec<f32>>>) {
    run_as(device, DType::F32, f, inputs, tracked, uniform)
}

fn run_as(
    device: &Device,
    dtype: DType,
    f: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    inputs: &[Vec<f32>],
    tracked: &[bool],
    uniform: bool,
) -> (Vec<f32>, Vec<Option<Vec<f32>>>) {
    let float = |x: &[f32]| Tensor::<1>::from_data(x, (device, dtype));
    let leaves: Vec<_> = inputs
        .iter()
        .zip(tracked)
        .map(|(input, &tracked)| float(input).set_require_grad(tracked))
        .collect();
    let y = f(&leaves);
    let result = values(y.clone());
    if !tracked.contains(&true) {
        return (result, vec![None; inputs.len()]);
    }
    let weights = if uniform {
        vec![-0.5; result.len()]
    } else {
        wave(result.len(), 99)
    };
    let gradients = (y * float(&weights)).sum().backward();
    let gradients = leaves
        .iter()
        .map(|leaf| leaf.grad(&gradients).map(values))
        .collect();
    (result, gradients)
}

/// The largest difference, relative to the largest element of `expected` (at least 1).
pub fn distance(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let mut largest = 1.0f32;
    let mut worst = 0.0f32;
    for (&found, &expected) in found.iter().zip(expected) {
        assert!(
            found.is_finite() && expected.is_finite(),
            "{found} {expected}"
        );
        largest = largest.max(expected.abs());
        worst = worst.max((found - expected).abs());
    }
    worst / largest
}

/// Asserts on every device that `fused` and `composed` agree: the result, every gradient when all inputs are tracked,
/// and when each is the only one; that inputs that are not tracked get none; and that the bodies for other types agree.
pub fn agree(
    fused: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    composed: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    inputs: &[Vec<f32>],
    tolerance: f32,
) {
    for device in devices() {
        for uniform in [false, true] {
            agree_on(&device, &fused, &composed, inputs, tolerance, uniform);
        }
    }
}

fn agree_on(
    device: &Device,
    fused: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    composed: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    inputs: &[Vec<f32>],
    tolerance: f32,
    uniform: bool,
) {
    let count = inputs.len();
    let all = vec![true; count];
    let (y, gradients) = run(device, &composed, inputs, &all, uniform);
    let near = |what: &str, found: &[f32], expected: &[f32]| {
        let far = distance(found, expected);
        assert!(
            far <= tolerance,
            "{device:?}, uniform {uniform}, {what}: {far:e}"
        );
    };
    for only in (0..count).map(Some).chain([None]) {
        let tracked: Vec<_> = (0..count)
            .map(|i| only.is_none_or(|only| only == i))
            .collect();
        let (found, found_gradients) = run(device, &fused, inputs, &tracked, uniform);
        near("result", &found, &y);
        for (index, (found, expected)) in found_gradients.iter().zip(&gradients).enumerate() {
            assert_eq!(found.is_some(), tracked[index], "gradient {index}");
            if let (Some(found), Some(expected)) = (found, expected) {
                near(&format!("gradient {index}"), found, expected);
            }
        }
    }
    let (found, _) = run(device, &fused, inputs, &vec![false; count], uniform);
    near("not tracked", &found, &y);
    if !device.supports_dtype(FloatDType::F64) {
        return;
    }
    // There are kernels for f32 only: this goes through the bodies that other backends use.
    let (found, found_gradients) = run_as(device, DType::F64, &fused, inputs, &all, uniform);
    near("result in f64", &found, &y);
    for (index, (found, expected)) in found_gradients.iter().zip(&gradients).enumerate() {
        let what = format!("gradient {index} in f64");
        near(&what, found.as_ref().unwrap(), expected.as_ref().unwrap());
    }
}
