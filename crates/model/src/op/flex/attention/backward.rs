//! The gradients, block by block from scores that are computed again.

use std::ops::Range;

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::heads::Heads;
use super::kernels::{product, through_softmax};
use super::sight::Sight;
use super::{Attention, BLOCK};
use crate::op::flex::kernel::{Matrix, MatrixMut, Threads, multiply};
use crate::op::flex::{Scratch, tensor};

impl Attention<'_> {
    /// The gradients of queries, keys and values, and of what is added to the scores, each in the shape of its own.
    pub(super) fn backward(
        &self,
        gradient: &Heads,
        result: &Heads,
        sums: &[f32],
    ) -> (FlexTensor, FlexTensor, FlexTensor, Option<FlexTensor>) {
        let by_q = self.groups * self.queries * self.width;
        let (by_k, by_v) = (self.keys * self.width, self.keys * self.out);
        let by_added = self
            .added
            .map_or(0, |_| self.groups * self.queries * self.keys);
        let tasks = self.batch * self.kv_heads;
        let mut for_added = Scratch::zeros(tasks * by_added);
        let mut for_q = Scratch::new(tasks * by_q);
        let mut for_k = Scratch::zeros(tasks * by_k);
        let mut for_v = Scratch::zeros(tasks * by_v);
        if by_q > 0 && by_k > 0 && by_v > 0 {
            for_q
                .par_chunks_mut(by_q)
                .zip(for_k.par_chunks_mut(by_k))
                .zip(for_v.par_chunks_mut(by_v))
                .zip(pieces(&mut for_added, by_added, tasks))
                .enumerate()
                .for_each(|(task, (((for_q, for_k), for_v), for_added))| {
                    let place = (task / self.kv_heads, task % self.kv_heads);
                    let known = Known {
                        gradient,
                        result,
                        sums,
                    };
                    let mut out = Out {
                        q: for_q,
                        k: for_k,
                        v: for_v,
                        added: for_added,
                    };
                    self.backward_head(place, &known, &mut out);
                });
        }
        let (batch, queries, keys) = (self.batch, self.queries, self.keys);
        (
            interleave(&for_q, [batch, queries, self.heads, self.width]),
            interleave(&for_k, [batch, keys, self.kv_heads, self.width]),
            interleave(&for_v, [batch, keys, self.kv_heads, self.out]),
            self.added.map(|added| added.gradient(&for_added)),
        )
    }

    /// The gradients of one key head.
    fn backward_head(
        &self,
        (batch, kv_head): (usize, usize),
        known: &Known<'_>,
        out: &mut Out<'_>,
    ) {
        for start in (0..self.queries).step_by(BLOCK) {
            let queries = start..self.queries.min(start + BLOCK);
            let sight = Sight::new(self.plan, batch, &queries, self.keys);
            for group in 0..self.groups {
                let head = kv_head * self.groups + group;
                let first = group * self.queries + queries.start;
                let q = &mut out.q[first * self.width..][..queries.len() * self.width];
                if sight.keys.is_empty() {
                    q.fill(0.0);
                    continue;
                }
                let block = Block {
                    batch,
                    queries: &queries,
                    head,
                    sight: &sight,
                };
                let first_added = first * self.keys;
                let mut out = Out {
                    q,
                    k: &mut out.k[sight.keys.start * self.width..],
                    v: &mut out.v[sight.keys.start * self.out..],
                    added: out.added.get_mut(first_added..).unwrap_or_default(),
                };
                self.backward_block(&block, known, &mut out);
            }
        }
    }

    fn backward_block(&self, block: &Block<'_>, known: &Known<'_>, out: &mut Out<'_>) {
        let Block {
            batch,
            queries,
            head,
            sight,
        } = *block;
        let (rows, keys) = (queries.len(), sight.keys.len());
        let kv_head = head / self.groups;
        let mut weights = Scratch::new(rows * keys);
        let mut spread = Scratch::new(rows * keys);
        self.scores(&mut weights, batch, queries, sight, head);
        let gradient = known.gradient.matrix(batch, queries, head);
        multiply(
            MatrixMut::new(&mut spread, [rows, keys]),
            gradient,
            self.v.matrix(batch, &sight.keys, kv_head).t(),
            0.0,
            1.0,
            Threads::One,
        );
        let sums = &known.sums[(batch * self.heads + head) * self.queries..];
        // What is added meets the product after it was scaled.
        let (within, after) = match self.added {
            Some(_) => (1.0, self.scale),
            None => (self.scale, 1.0),
        };
        let lines = weights
            .chunks_exact_mut(keys)
            .zip(spread.chunks_exact_mut(keys))
            .zip(queries.clone());
        for (row, ((weights, spread), query)) in lines.enumerate() {
            let visible = &sight.rows[row];
            let product = product(
                known.gradient.row(batch, query, head),
                known.result.row(batch, query, head),
            );
            self.drop(spread, batch, head, query, sight.keys.start);
            let factors = [within, self.inverse_cap()];
            through_softmax(weights, spread, visible, sums[query], product, factors);
            if self.added.is_some() {
                out.added[row * self.keys..][sight.keys.clone()].copy_from_slice(spread);
            }
            self.drop(weights, batch, head, query, sight.keys.start);
        }
        let weights = Matrix::new(&weights, [rows, keys]);
        let spread = Matrix::new(&spread, [rows, keys]);
        let for_v = MatrixMut::new(&mut out.v[..keys * self.out], [keys, self.out]);
        multiply(for_v, weights.t(), gradient, 1.0, 1.0, Threads::One);
        let k = self.k.matrix(batch, &sight.keys, kv_head);
        let for_q = MatrixMut::new(out.q, [rows, self.width]);
        multiply(for_q, spread, k, 0.0, after, Threads::One);
        let q = self.q.matrix(batch, queries, head);
        let for_k = MatrixMut::new(&mut out.k[..keys * self.width], [keys, self.width]);
        multiply(for_k, spread.t(), q, 1.0, after, Threads::One);
    }
}

/// Where the gradients of one key head go: `[groups, queries, width]`, `[keys, width]`, `[keys, out]`, and
/// `[groups, queries, keys]` where something was added to the scores. Of a block, the same from its first query and key
/// on.
struct Out<'a> {
    q: &'a mut [f32],
    k: &'a mut [f32],
    v: &'a mut [f32],
    added: &'a mut [f32],
}

/// What the forward pass left.
struct Known<'a> {
    gradient: &'a Heads,
    result: &'a Heads,
    sums: &'a [f32],
}

/// A block of queries of one head.
struct Block<'a> {
    batch: usize,
    queries: &'a Range<usize>,
    head: usize,
    sight: &'a Sight,
}

/// `count` pieces of `size` elements each; empty ones where there are none.
fn pieces(x: &mut [f32], size: usize, count: usize) -> Vec<&mut [f32]> {
    if size == 0 {
        return (0..count).map(|_| <&mut [f32]>::default()).collect();
    }
    x.chunks_mut(size).collect()
}

/// `[batch, heads, length, width]` as `[batch, length, heads, width]`.
fn interleave(x: &[f32], [batch, length, heads, width]: [usize; 4]) -> FlexTensor {
    let mut y = vec![0.0; x.len()];
    if !y.is_empty() {
        y.par_chunks_mut(heads * width)
            .enumerate()
            .for_each(|(line, y)| {
                let (batch, position) = (line / length, line % length);
                for (head, y) in y.chunks_exact_mut(width).enumerate() {
                    let start = ((batch * heads + head) * length + position) * width;
                    y.copy_from_slice(&x[start..start + width]);
                }
            });
    }
    tensor(y, [batch, length, heads, width])
}
