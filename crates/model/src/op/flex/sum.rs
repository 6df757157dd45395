//! Sums in fixed blocks.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::kernel;
use super::{BLOCK, all_f32, floats, lanes, tensor, whole};
use crate::op::sum::{SumOps, total_in_blocks};

impl SumOps for Flex {
    fn total(x: FlexTensor, squared: bool) -> FlexTensor {
        if !all_f32(&[&x]) {
            return total_in_blocks::<Self>(x, squared);
        }
        let x = whole(x);
        let blocks: Vec<f32> = floats(&x)
            .par_chunks(BLOCK)
            .map(|x| if squared { squares(x) } else { elements(x) })
            .collect();
        let total: f64 = blocks.iter().map(|&block| f64::from(block)).sum();
        tensor(vec![total as f32], [1])
    }
}

kernel! {
    fn elements(x: &[f32]) -> f32 {
        lanes::sum(x)
    }
}

kernel! {
    fn squares(x: &[f32]) -> f32 {
        lanes::dot(x, x)
    }
}
