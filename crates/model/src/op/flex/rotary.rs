//! Rotation in place.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::kernel;
use super::{all_f32, block_rows, floats, whole};
use crate::op::rotary::{RotaryOps, turn};

impl RotaryOps for Flex {
    fn turn(x: FlexTensor, cos: FlexTensor, sin: FlexTensor, back: bool) -> FlexTensor {
        if !all_f32(&[&x, &cos, &sin]) {
            return turn::<Self>(&x, cos, sin, back);
        }
        let (mut x, cos, sin) = (whole(x), whole(cos), whole(sin));
        let [_, _, heads, width] = x.layout().shape().dims();
        let half = cos.layout().shape()[1];
        let block = block_rows(heads * width);
        x.storage_mut::<f32>()
            .par_chunks_mut(block * heads * width)
            .zip(floats(&cos).par_chunks(block * half))
            .zip(floats(&sin).par_chunks(block * half))
            .for_each(|((x, cos), sin)| turn_rows(x, cos, sin, [heads, width, half], back));
        x
    }
}

kernel! {
    fn turn_rows(x: &mut [f32], cos: &[f32], sin: &[f32], shape: [usize; 3], back: bool) {
        let [heads, width, half] = shape;
        let sign = if back { -1.0 } else { 1.0 };
        let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
        for (x, (cos, sin)) in x.chunks_exact_mut(heads * width).zip(angles) {
            for x in x.chunks_exact_mut(width) {
                let (first, rest) = x.split_at_mut(half);
                let pairs = first.iter_mut().zip(&mut rest[..half]);
                for ((first, second), (cos, sin)) in pairs.zip(cos.iter().zip(sin)) {
                    let (a, b, sin) = (*first, *second, sin * sign);
                    *first = a * cos - b * sin;
                    *second = b * cos + a * sin;
                }
            }
        }
    }
}
