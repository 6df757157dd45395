//! Comparing two ways to compute the same thing, with every gradient.

use burn::tensor::{DType, Device, Tensor};
use finetune_model::noise::Noise;

/// Numbers in `[-1, 1)`.
pub fn wave(count: usize, seed: u64) -> Vec<f32> {
    let noise = Noise::new(seed, 0, 0);
    (0..count as u64)
        .map(|i| noise.uniform(i) * 2.0 - 1.0)
        .collect()
}

pub fn device() -> Device {
    Device::flex().autodiff()
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
    f: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    inputs: &[Vec<f32>],
    tracked: &[bool],
    uniform: bool,
) -> (Vec<f32>, Vec<Option<Vec<f32>>>) {
    run_as(DType::F32, f, inputs, tracked, uniform)
}

fn run_as(
    dtype: DType,
    f: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    inputs: &[Vec<f32>],
    tracked: &[bool],
    uniform: bool,
) -> (Vec<f32>, Vec<Option<Vec<f32>>>) {
    let device = device();
    let float = |x: &[f32]| Tensor::<1>::from_data(x, (&device, dtype));
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

/// Asserts that `fused` and `composed` agree: the result, every gradient when all inputs are tracked, and when each
/// is the only one; that inputs that are not tracked get none; and that the bodies for other devices agree too.
pub fn agree(
    fused: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    composed: impl Fn(&[Tensor<1>]) -> Tensor<1>,
    inputs: &[Vec<f32>],
    tolerance: f32,
) {
    let count = inputs.len();
    let all = vec![true; count];
    for uniform in [false, true] {
        let (y, gradients) = run(&composed, inputs, &all, uniform);
        for only in (0..count).map(Some).chain([None]) {
            let tracked: Vec<_> = (0..count)
                .map(|i| only.is_none_or(|only| only == i))
                .collect();
            let (found, found_gradients) = run(&fused, inputs, &tracked, uniform);
            let far = distance(&found, &y);
            assert!(far <= tolerance, "result: {far:e}");
            for (index, (found, expected)) in found_gradients.iter().zip(&gradients).enumerate() {
                assert_eq!(found.is_some(), tracked[index], "gradient {index}");
                if let (Some(found), Some(expected)) = (found, expected) {
                    let far = distance(found, expected);
                    assert!(
                        far <= tolerance,
                        "gradient {index}, uniform {uniform}: {far:e}"
                    );
                }
            }
        }
        let (found, _) = run(&fused, inputs, &vec![false; count], uniform);
        let far = distance(&found, &y);
        assert!(far <= tolerance, "not tracked: {far:e}");
        // There are kernels for f32 only: this goes through the bodies that other devices use.
        let (found, found_gradients) = run_as(DType::F64, &fused, inputs, &all, uniform);
        let far = distance(&found, &y);
        assert!(far <= tolerance, "other devices, result: {far:e}");
        for (index, (found, expected)) in found_gradients.iter().zip(&gradients).enumerate() {
            let far = distance(found.as_ref().unwrap(), expected.as_ref().unwrap());
            assert!(far <= tolerance, "other devices, gradient {index}: {far:e}");
        }
    }
}
