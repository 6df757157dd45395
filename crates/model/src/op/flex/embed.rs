//! Rows of a table, and their gradients in the order of the ids.

use burn::backend::flex::FlexTensor;
use burn::backend::{Flex, ops::FloatTensorOps};
use rayon::prelude::*;

use super::{all_f32, block_rows, floats, indices, tensor, whole};
use crate::op::embed::{EmbedOps, backward};

impl EmbedOps for Flex {
    fn embed(weight: FlexTensor, ids: FlexTensor) -> FlexTensor {
        if !all_f32(&[&weight]) {
            return Self::float_select(weight, 0, ids);
        }
        let [vocabulary, width] = weight.layout().shape().dims();
        let (weight, ids) = (whole(weight), indices(ids, vocabulary));
        let table = floats(&weight);
        let mut y = vec![0.0; ids.len() * width];
        let block = block_rows(width);
        y.par_chunks_mut(block * width)
            .zip(ids.par_chunks(block))
            .for_each(|(y, ids)| {
                for (y, &id) in y.chunks_exact_mut(width).zip(ids) {
                    y.copy_from_slice(&table[id as usize * width..][..width]);
                }
            });
        tensor(y, [ids.len(), width])
    }

    fn embed_backward(gradient: FlexTensor, ids: FlexTensor, vocabulary: usize) -> FlexTensor {
        if !all_f32(&[&gradient]) {
            return backward::<Self>(gradient, ids, vocabulary);
        }
        let width = gradient.layout().shape()[1];
        let (gradient, ids) = (whole(gradient), indices(ids, vocabulary));
        let rows = floats(&gradient);
        let (starts, order) = grouped(&ids, vocabulary);
        let mut table = vec![0.0; vocabulary * width];
        let block = block_rows(width);
        table
            .par_chunks_mut(block * width)
            .enumerate()
            .for_each(|(index, table)| {
                for (id, total) in (index * block..).zip(table.chunks_exact_mut(width)) {
                    for &row in &order[starts[id]..starts[id + 1]] {
                        let part = &rows[row as usize * width..][..width];
                        total.iter_mut().zip(part).for_each(|(x, part)| *x += part);
                    }
                }
            });
        tensor(table, [vocabulary, width])
    }
}

/// The places of each id in ascending order: those of `id` are `order[starts[id]..starts[id + 1]]`.
fn grouped(ids: &[u32], vocabulary: usize) -> (Vec<usize>, Vec<u32>) {
    let mut starts = vec![0; vocabulary + 1];
    for &id in ids {
        starts[id as usize + 1] += 1;
    }
    for id in 0..vocabulary {
        starts[id + 1] += starts[id];
    }
    let mut next = starts.clone();
    let mut order = vec![0; ids.len()];
    for (place, &id) in ids.iter().enumerate() {
        order[next[id as usize]] = place as u32;
        next[id as usize] += 1;
    }
    (starts, order)
}
