//! Attention in blocks of queries, parallel over rows of the batch, blocks and heads.

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::{Matrix, MatrixMut, Threads, kernel, multiply};
use super::{Scratch, all_f32, floats, lanes, tensor, whole};
use crate::op::attention::{AttentionOps, Composed, Form, Kept, Plan};

impl AttentionOps for Flex {
    fn attend_forward(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        plan: Plan,
    ) -> (FlexTensor, FlexTensor) {
        if !all_f32(&[&q, &k, &v]) {
            return Composed::<Self>::new(&q, &k, &v, &plan).forward(q, k, v);
        }
        let (q, k, v) = (Heads::new(q), Heads::new(k), Heads::new(v));
        Attention::new(&q, &k, &v, &plan).forward()
    }

    fn attend_backward(
        gradient: FlexTensor,
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        result: FlexTensor,
        sums: FlexTensor,
        plan: Plan,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&gradient, &q, &k, &v]) {
            let kept = Kept {
                q,
                k,
                v,
                result,
                sums,
                plan,
            };
            return Composed::<Self>::new(&kept.q, &kept.k, &kept.v, &kept.plan)
                .backward(gradient, &kept);
        }
        let (q, k, v) = (Heads::new(q), Heads::new(k), Heads::new(v));
        let (gradient, result) = (Heads::new(gradient), Heads::new(result));
        let sums = whole(sums);
        Attention::new(&q, &k, &v, &plan).backward(&gradient, &result, floats(&sums))
    }
}

/// Queries of a block.
const BLOCK: usize = 64;

/// A tensor `[batch, length, heads, width]` whose features lie behind each other.
struct Heads {
    tensor: FlexTensor,
    start: usize,
    strides: [usize; 3],
    shape: [usize; 4],
}

impl Heads {
    fn new(tensor: FlexTensor) -> Self {
        let strides = tensor.layout().strides();
        let direct = strides[3] == 1 && strides.iter().all(|&stride| stride >= 0);
        let tensor = if direct { tensor } else { whole(tensor) };
        let strides = tensor.layout().strides();
        Self {
            start: tensor.layout().start_offset(),
            strides: [0, 1, 2].map(|dim| strides[dim].unsigned_abs()),
            shape: tensor.layout().shape().dims(),
            tensor,
        }
    }

    /// Positions of one head, `[positions, width]`.
    fn matrix(&self, batch: usize, positions: &Range<usize>, head: usize) -> Matrix<'_> {
        let [by_batch, by_position, by_head] = self.strides;
        let start = self.start + batch * by_batch + positions.start * by_position + head * by_head;
        let data = &self.tensor.storage::<f32>()[start..];
        Matrix::strided(data, [positions.len(), self.shape[3]], [by_position, 1])
    }

    fn row(&self, batch: usize, position: usize, head: usize) -> &[f32] {
        let [by_batch, by_position, by_head] = self.strides;
        let start = self.start + batch * by_batch + position * by_position + head * by_head;
        &self.tensor.storage::<f32>()[start..][..self.shape[3]]
    }
}

/// The keys that a block of queries sees.
struct Sight {
    /// From the first to the last visible key of any query of the block.
    keys: Range<usize>,
    /// The visible keys of each query, counted from `keys.start`.
    rows: Vec<Vec<Range<usize>>>,
}

impl Sight {
    fn new(plan: &Plan, batch: usize, queries: &Range<usize>, keys: usize) -> Self {
        let mut rows: Vec<_> = queries
            .clone()
            .map(|query| plan.mask.ranges(batch, query, keys))
            .collect();
        let start = rows.iter().flatten().map(|range| range.start).min();
        let end = rows.iter().flatten().map(|range| range.end).max();
        let keys = start.unwrap_or(0)..end.unwrap_or(0);
        for range in rows.iter_mut().flatten() {
            *range = range.start - keys.start..range.end - keys.start;
        }
        Self { keys, rows }
    }
}

struct Attention<'a> {
    q: &'a Heads,
    k: &'a Heads,
    v: &'a Heads,
    plan: &'a Plan,
    batch: usize,
    queries: usize,
    keys: usize,
    heads: usize,
    kv_heads: usize,
    groups: usize,
    width: usize,
    out: usize,
    scale: f32,
}

impl<'a> Attention<'a> {
    fn new(q: &'a Heads, k: &'a Heads, v: &'a Heads, plan: &'a Plan) -> Self {
        let [batch, queries, heads, width] = q.shape;
        let [_, keys, kv_heads, out] = v.shape;
        Self {
            q,
            k,
            v,
            plan,
            batch,
            queries,
            keys,
            heads,
            kv_heads,
            groups: heads / kv_heads,
            width,
            out,
            scale: plan.score.scale as f32,
        }
    }

    /// The scores of a block of queries of one head, `[queries, keys]`, of any value where hidden.
    fn scores(
        &self,
        scores: &mut [f32],
        batch: usize,
        queries: &Range<usize>,
        sight: &Sight,
        head: usize,
    ) {
        multiply(
            MatrixMut::new(scores, [queries.len(), sight.keys.len()]),
            self.q.matrix(batch, queries, head),
            self.k.matrix(batch, &sight.keys, head / self.groups).t(),
            0.0,
            self.scale,
            Threads::One,
        );
        match &self.plan.score.form {
            Form::Plain => {}
            Form::Capped(cap) => bound(scores, *cap as f32),
            Form::Falling(slopes) => {
                let rows = scores.chunks_exact_mut(sight.keys.len());
                for (row, query) in rows.zip(queries.clone()) {
                    let place = (self.plan.mask.past + query) as f32;
                    incline(row, slopes[head], sight.keys.start as f32 - place);
                }
            }
        }
    }

    /// One over the bound of the scores; 0 where there is none.
    fn inverse_cap(&self) -> f32 {
        match self.plan.score.form {
            Form::Capped(cap) => (1.0 / cap) as f32,
            Form::Plain | Form::Falling(_) => 0.0,
        }
    }

    /// Applies dropout to what belongs to one query.
    fn drop(&self, row: &mut [f32], batch: usize, head: usize, query: usize, first_key: usize) {
        if !self.plan.noise.is_on() {
            return;
        }
        let line = (batch * self.heads + head) * self.queries + query;
        let start = (line * self.keys + first_key) as u64;
        super::dropout::apply(row, start, self.plan.dropout, self.plan.noise);
    }

    fn forward(&self) -> (FlexTensor, FlexTensor) {
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

    fn backward(
        &self,
        gradient: &Heads,
        result: &Heads,
        sums: &[f32],
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let by_q = self.groups * self.queries * self.width;
        let (by_k, by_v) = (self.keys * self.width, self.keys * self.out);
        let tasks = self.batch * self.kv_heads;
        let mut for_q = Scratch::new(tasks * by_q);
        let mut for_k = Scratch::zeros(tasks * by_k);
        let mut for_v = Scratch::zeros(tasks * by_v);
        if by_q > 0 && by_k > 0 && by_v > 0 {
            for_q
                .par_chunks_mut(by_q)
                .zip(for_k.par_chunks_mut(by_k))
                .zip(for_v.par_chunks_mut(by_v))
                .enumerate()
                .for_each(|(task, ((for_q, for_k), for_v))| {
                    let place = (task / self.kv_heads, task % self.kv_heads);
                    let known = Known {
                        gradient,
                        result,
                        sums,
                    };
                    self.backward_head(place, &known, for_q, for_k, for_v);
                });
        }
        let (batch, queries, keys) = (self.batch, self.queries, self.keys);
        (
            interleave(&for_q, [batch, queries, self.heads, self.width]),
            interleave(&for_k, [batch, keys, self.kv_heads, self.width]),
            interleave(&for_v, [batch, keys, self.kv_heads, self.out]),
        )
    }

    /// The gradients of one key head: `for_q` is `[groups, queries, width]`, `for_k` and `for_v` are
    /// `[keys, width]` and `[keys, out]`.
    fn backward_head(
        &self,
        (batch, kv_head): (usize, usize),
        known: &Known<'_>,
        for_q: &mut [f32],
        for_k: &mut [f32],
        for_v: &mut [f32],
    ) {
        for start in (0..self.queries).step_by(BLOCK) {
            let queries = start..self.queries.min(start + BLOCK);
            let sight = Sight::new(self.plan, batch, &queries, self.keys);
            for group in 0..self.groups {
                let head = kv_head * self.groups + group;
                let first = (group * self.queries + queries.start) * self.width;
                let for_q = &mut for_q[first..first + queries.len() * self.width];
                if sight.keys.is_empty() {
                    for_q.fill(0.0);
                    continue;
                }
                let for_k = &mut for_k[sight.keys.start * self.width..];
                let for_v = &mut for_v[sight.keys.start * self.out..];
                let block = Block {
                    batch,
                    queries: &queries,
                    head,
                    sight: &sight,
                };
                self.backward_block(&block, known, for_q, for_k, for_v);
            }
        }
    }

    fn backward_block(
        &self,
        block: &Block<'_>,
        known: &Known<'_>,
        for_q: &mut [f32],
        for_k: &mut [f32],
        for_v: &mut [f32],
    ) {
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
            let factors = [self.scale, self.inverse_cap()];
            through_softmax(weights, spread, visible, sums[query], product, factors);
            self.drop(weights, batch, head, query, sight.keys.start);
        }
        let weights = Matrix::new(&weights, [rows, keys]);
        let spread = Matrix::new(&spread, [rows, keys]);
        let out = MatrixMut::new(&mut for_v[..keys * self.out], [keys, self.out]);
        multiply(out, weights.t(), gradient, 1.0, 1.0, Threads::One);
        let k = self.k.matrix(batch, &sight.keys, kv_head);
        let out = MatrixMut::new(for_q, [rows, self.width]);
        multiply(out, spread, k, 0.0, 1.0, Threads::One);
        let q = self.q.matrix(batch, queries, head);
        let out = MatrixMut::new(&mut for_k[..keys * self.width], [keys, self.width]);
        multiply(out, spread.t(), q, 1.0, 1.0, Threads::One);
    }
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

kernel! {
    /// Makes exponentials (not divided by their total) of the visible scores and zeros of the others. Returns the total
    /// and the logarithm of the sum of exponentials of the scores; zeros if nothing is visible.
    fn soften(scores: &mut [f32], visible: &[Range<usize>]) -> (f32, f32) {
        let mut highest = f32::NEG_INFINITY;
        for range in visible {
            let value = lanes::max(&scores[range.clone()]);
            highest = if value > highest { value } else { highest };
        }
        let mut total = 0.0;
        let mut done = 0;
        for range in visible {
            scores[done..range.start].fill(0.0);
            let scores = &mut scores[range.clone()];
            for score in scores.iter_mut() {
                *score = lanes::exp(*score - highest);
            }
            total += lanes::sum(scores);
            done = range.end;
        }
        scores[done..].fill(0.0);
        if visible.is_empty() {
            return (0.0, 0.0);
        }
        (total, highest + total.ln())
    }
}

kernel! {
    /// Makes probabilities of scores, and in `spread` the gradients of the products from those of the probabilities.
    /// `product` is the result times its gradient; a bound on the scores is given as its inverse, none as 0.
    fn through_softmax(
        scores: &mut [f32],
        spread: &mut [f32],
        visible: &[Range<usize>],
        sum: f32,
        product: f32,
        factors: [f32; 2],
    ) {
        let [scale, inverse_cap] = factors;
        let mut done = 0;
        for range in visible {
            scores[done..range.start].fill(0.0);
            spread[done..range.start].fill(0.0);
            let pairs = scores[range.clone()].iter_mut().zip(&mut spread[range.clone()]);
            for (score, spread) in pairs {
                let weight = lanes::exp(*score - sum);
                let share = *score * inverse_cap;
                *spread = weight * (*spread - product) * (scale * (1.0 - share * share));
                *score = weight;
            }
            done = range.end;
        }
        scores[done..].fill(0.0);
        spread[done..].fill(0.0);
    }
}

kernel! {
    fn product(x: &[f32], y: &[f32]) -> f32 {
        lanes::dot(x, y)
    }
}

kernel! {
    /// `cap · tanh(x / cap)`.
    fn bound(scores: &mut [f32], cap: f32) {
        for score in scores {
            *score = lanes::bound(*score, cap);
        }
    }
}

kernel! {
    /// Adds `slope · (first + index)`.
    fn incline(scores: &mut [f32], slope: f32, first: f32) {
        for (index, score) in scores.iter_mut().enumerate() {
            *score += slope * (first + index as f32);
        }
    }
}
