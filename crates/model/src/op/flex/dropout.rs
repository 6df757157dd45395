//! Dropout by position.

use crate::noise::Noise;

/// Multiplies element `i` of `x` with its factor, decided by number `start + i` of the noise.
pub(super) fn apply(x: &mut [f32], start: u64, rate: f64, noise: Noise) {
    let scale = (1.0 / (1.0 - rate)) as f32;
    let rate = rate as f32;
    for (x, index) in x.iter_mut().zip(start..) {
        let keep = noise.uniform(index) >= rate;
        *x *= if keep { scale } else { 0.0 };
    }
}
