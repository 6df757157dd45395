//! Dropout whose pattern is a function of the place, not of a generator's state.

use std::ops::Range;

use burn::tensor::{Tensor, TensorData};

use crate::noise::Noise;

/// Inverted dropout: each element is zeroed with probability `rate`, the others are divided by `1 - rate`.
/// Element `i` (row-major) is decided by `noise.uniform(i)`. Without noise or with rate 0 `x` comes back.
///
/// # Shapes
///
/// `x` and the result: `[rows, width]`.
///
/// # Panics
///
/// If `rate` is not in `[0, 1)`.
pub fn dropout(x: Tensor<2>, rate: f64, noise: Noise) -> Tensor<2> {
    check(rate);
    if !noise.is_on() || rate == 0.0 {
        return x;
    }
    let count = x.dims().iter().product::<usize>();
    let factors = TensorData::new(factors(0..count as u64, rate, noise), x.dims());
    let factors = Tensor::from_data(factors, (&x.device(), x.dtype()));
    x * factors
}

pub(super) fn check(rate: f64) {
    assert!(
        (0.0..1.0).contains(&rate),
        "dropout rate {rate} is not in [0, 1)"
    );
}

/// What the elements of `range` are multiplied with.
pub(super) fn factors(range: Range<u64>, rate: f64, noise: Noise) -> Vec<f32> {
    let scale = (1.0 / (1.0 - rate)) as f32;
    let rate = rate as f32;
    range
        .map(|i| if noise.uniform(i) < rate { 0.0 } else { scale })
        .collect()
}
