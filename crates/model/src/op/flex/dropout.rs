//! Dropout in place, without a mask in memory.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::kernel;
use super::{BLOCK, all_f32, whole};
use crate::noise::Noise;
use crate::op::dropout::{DropoutOps, drop_out};

impl DropoutOps for Flex {
    fn drop_out(x: FlexTensor, rate: f64, noise: Noise) -> FlexTensor {
        if !all_f32(&[&x]) {
            return drop_out::<Self>(x, rate, noise);
        }
        let mut x = whole(x);
        x.storage_mut::<f32>()
            .par_chunks_mut(BLOCK)
            .enumerate()
            .for_each(|(block, x)| apply(x, (block * BLOCK) as u64, rate, noise));
        x
    }
}

kernel! {
    /// Multiplies element `i` of `x` with its factor, decided by number `start + i` of the noise.
    pub(super) fn apply(x: &mut [f32], start: u64, rate: f64, noise: Noise) {
        let scale = (1.0 / (1.0 - rate)) as f32;
        let rate = rate as f32;
        for (x, index) in x.iter_mut().zip(start..) {
            *x *= if noise.uniform(index) < rate { 0.0 } else { scale };
        }
    }
}
