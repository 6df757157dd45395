//! The result, and the logarithms of the sums of exponentials that the backward pass takes up.

use std::ops::Range;

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernels::soften;
use super::sight::Sight;
use super::{Attention, BLOCK};
use crate::op::flex::kernel::{Matrix, MatrixMut, Threads, multiply};
use crate::op::flex::{Scratch, tensor};

impl Attention<'_> {
    /// `[batch, queries, heads, out]` and `[batch, heads, queries]`.
    pub(super) fn forward(&self) -> (FlexTensor, FlexTensor) {
        let (queries, heads, out) = (self.queries, self.heads, self.out);
        let mut result = vec![0.0; self.batch * queries * heads * out];
        let mut sums = vec![0.0; self.batch * heads * queries];
        if result.is_empty() {
            // Nothing to cut into blocks.
        } else if queries == 1 {
            // The heads of a single query lie behind each other: one task for each key head.
            result
                .par_chunks_mut(self.groups * out)
                .zip(sums.par_chunks_mut(self.groups))
                .enumerate()
                .for_each(|(task, (result, sums))| {
                    let first = task % self.kv_heads * self.groups;
                    let heads = first..first + self.groups;
                    self.forward_block(result, sums, task / self.kv_heads, &(0..1), heads);
                });
        } else {
            let blocks = queries.div_ceil(BLOCK);
            // Sums of a block stand together here and are sorted by heads below.
            let mut by_block = Scratch::new(self.batch * queries * heads);
            result
                .par_chunks_mut(queries * heads * out)
                .zip(by_block.par_chunks_mut(queries * heads))
                .enumerate()
                .flat_map(|(batch, (result, sums))| {
                    result
                        .par_chunks_mut(BLOCK * heads * out)
                        .zip(sums.par_chunks_mut(BLOCK * heads))
                        .enumerate()
                        .map(move |(block, parts)| (batch, block, parts))
                })
                .for_each(|(batch, block, (result, sums))| {
                    let start = block * BLOCK;
                    let rows = start..queries.min(start + BLOCK);
                    self.forward_block(result, sums, batch, &rows, 0..heads);
                });
            for batch in 0..self.batch {
                for block in 0..blocks {
                    let start = block * BLOCK;
                    let rows = start..queries.min(start + BLOCK);
                    let from = &by_block[(batch * queries + start) * heads..];
                    for head in 0..heads {
                        let to = (batch * heads + head) * queries;
                        sums[to + rows.start..to + rows.end]
                            .copy_from_slice(&from[head * rows.len()..(head + 1) * rows.len()]);
                    }
                }
            }
        }
        (
            tensor(result, [self.batch, queries, heads, out]),
            tensor(sums, [self.batch, heads, queries]),
        )
    }

    /// Some heads of a block of queries. `result` is `[queries, heads, out]`, `sums` is `[heads, queries]`.
    fn forward_block(
        &self,
        result: &mut [f32],
        sums: &mut [f32],
        batch: usize,
        queries: &Range<usize>,
        heads: Range<usize>,
    ) {
        let sight = Sight::new(self.plan, batch, queries, self.keys);
        if sight.keys.is_empty() {
            sums.fill(0.0);
            return;
        }
        let (out, stride) = (self.out, heads.len() * self.out);
        let mut weights = Scratch::new(queries.len() * sight.keys.len());
        let mut totals = [0.0f32; BLOCK];
        for (index, head) in heads.enumerate() {
            self.scores(&mut weights, batch, queries, &sight, head);
            let rows = weights.chunks_exact_mut(sight.keys.len());
            for (row, weights) in rows.enumerate() {
                let (total, sum) = soften(weights, &sight.rows[row]);
                totals[row] = total;
                sums[index * queries.len() + row] = sum;
                let query = queries.start + row;
                self.drop(weights, batch, head, query, sight.keys.start);
            }
            let result = &mut result[index * out..];
            multiply(
                MatrixMut::strided(result, [queries.len(), out], [stride, 1]),
                Matrix::new(&weights, [queries.len(), sight.keys.len()]),
                self.v.matrix(batch, &sight.keys, head / self.groups),
                0.0,
                1.0,
                Threads::One,
            );
            // The weights were not divided by their total: it is less work here.
            for (result, &total) in result.chunks_mut(stride).zip(&totals[..queries.len()]) {
                let factor = if total > 0.0 { 1.0 / total } else { 0.0 };
                result[..out].iter_mut().for_each(|x| *x *= factor);
            }
        }
    }
}
