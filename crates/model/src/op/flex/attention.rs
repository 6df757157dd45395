//! Attention in blocks of queries, parallel over rows of the batch, blocks and heads.

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::{Matrix, MatrixMut, Threads, kernel, multiply};
use super::{Scratch, all_f32, floats, lanes, tensor, whole};
use crate::op::attention::{AttentionOps, Bend, Composed, Kept, Plan};

impl AttentionOps for Flex {
    fn attend_forward(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        added: FlexTensor,
        plan: Plan,
    ) -> (FlexTensor, FlexTensor) {
        if !all_f32(&[&q, &k, &v, &added]) {
            return Composed::<Self>::new(&q, &k, &added, &plan).forward(q, k, v);
        }
        let (q, k, v) = (Heads::new(q), Heads::new(k), Heads::new(v));
        let added = Added::new(added, &plan);
        Attention::new(&q, &k, &v, added.as_ref(), &plan).forward()
    }

    fn attend_backward(
        gradient: FlexTensor,
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        added: FlexTensor,
        result: FlexTensor,
        sums: FlexTensor,
        plan: Plan,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&gradient, &q, &k, &v, &added]) {
            let kept = Kept {
                q,
                k,
                v,
                added,
                result,
                sums,
                plan,
            };
            return Composed::<Self>::new(&kept.q, &kept.k, &kept.added, &kept.plan)
                .backward(gradient, &kept);
        }
        let (q, k, v) = (Heads::new(q), Heads::new(k), Heads::new(v));
        let (gradient, result) = (Heads::new(gradient), Heads::new(result));
        let (sums, placeholder) = (whole(sums), added.clone());
        let added = Added::new(added, &plan);
        let attention = Attention::new(&q, &k, &v, added.as_ref(), &plan);
        let (for_q, for_k, for_v, for_added) =
            attention.backward(&gradient, &result, floats(&sums));
        (for_q, for_k, for_v, for_added.unwrap_or(placeholder))
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

/// What is added to the scores, `[batch or 1, heads, queries, keys]`.
struct Added {
    tensor: FlexTensor,
    shape: [usize; 4],
}

impl Added {
    /// `None` where the tensor is a placeholder.
    fn new(tensor: FlexTensor, plan: &Plan) -> Option<Self> {
        let Bend::Added = plan.bend else {
            return None;
        };
        let shape = tensor.layout().shape().dims();
        let tensor = whole(tensor);
        Some(Self { tensor, shape })
    }

    /// Of one query of one head, for all keys.
    fn row(&self, batch: usize, head: usize, query: usize) -> &[f32] {
        let [batches, heads, queries, keys] = self.shape;
        let batch = if batches == 1 { 0 } else { batch };
        let start = ((batch * heads + head) * queries + query) * keys;
        &floats(&self.tensor)[start..start + keys]
    }

    /// The gradient of it from that of the scores, `[batch, heads, queries, keys]`.
    fn gradient(&self, for_scores: Scratch) -> FlexTensor {
        let size = self.shape.iter().product();
        let mut gradient = vec![0.0; size];
        if size > 0 {
            gradient
                .par_chunks_mut(BLOCK * self.shape[3])
                .enumerate()
                .for_each(|(block, gradient)| {
                    // In the order of the rows, so that the sum has the same bits for any number of threads.
                    for row in for_scores.chunks_exact(size) {
                        let row = &row[block * BLOCK * self.shape[3]..][..gradient.len()];
                        accumulate(gradient, row);
                    }
                });
        }
        tensor(gradient, self.shape)
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
    added: Option<&'a Added>,
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
    fn new(
        q: &'a Heads,
        k: &'a Heads,
        v: &'a Heads,
        added: Option<&'a Added>,
        plan: &'a Plan,
    ) -> Self {
        let [batch, queries, heads, width] = q.shape;
        let [_, keys, kv_heads, out] = v.shape;
        Self {
            q,
            k,
            v,
            added,
            plan,
            batch,
            queries,
            keys,
            heads,
            kv_heads,
            groups: heads / kv_heads,
            width,
            out,
            scale: plan.scale as f32,
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
        let rows = scores.chunks_exact_mut(sight.keys.len());
        match (&self.plan.bend, self.added) {
            (Bend::Capped(cap), _) => bound(scores, *cap as f32),
            (Bend::Falling(slopes), _) => {
                for (row, query) in rows.zip(queries.clone()) {
                    let place = (self.plan.mask.past + query) as f32;
                    incline(row, slopes[head], sight.keys.start as f32 - place);
                }
            }
            (_, Some(added)) => {
                for (row, query) in rows.zip(queries.clone()) {
                    accumulate(row, &added.row(batch, head, query)[sight.keys.clone()]);
                }
            }
            (_, None) => {}
        }
    }

    /// One over the bound of the scores; 0 where there is none.
    fn inverse_cap(&self) -> f32 {
        match self.plan.bend {
            Bend::Capped(cap) => (1.0 / cap) as f32,
            Bend::Plain | Bend::Falling(_) | Bend::Added => 0.0,
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
                        for_q,
                        for_k,
                        for_v,
                        for_added,
                    };
                    self.backward_head(place, &known, &mut out);
                });
        }
        let (batch, queries, keys) = (self.batch, self.queries, self.keys);
        (
            interleave(&for_q, [batch, queries, self.heads, self.width]),
            interleave(&for_k, [batch, keys, self.kv_heads, self.width]),
            interleave(&for_v, [batch, keys, self.kv_heads, self.out]),
            self.added.map(|added| added.gradient(for_added)),
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
                let for_q = &mut out.for_q[first * self.width..][..queries.len() * self.width];
                if sight.keys.is_empty() {
                    for_q.fill(0.0);
                    continue;
                }
                let block = Block {
                    batch,
                    queries: &queries,
                    head,
                    sight: &sight,
                };
                let first_added = first * self.keys;
                let out = Out {
                    for_q,
                    for_k: &mut out.for_k[sight.keys.start * self.width..],
                    for_v: &mut out.for_v[sight.keys.start * self.out..],
                    for_added: out.for_added.get_mut(first_added..).unwrap_or_default(),
                };
                self.backward_block(&block, known, out);
            }
        }
    }

    fn backward_block(&self, block: &Block<'_>, known: &Known<'_>, out: Out<'_>) {
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
                out.for_added[row * self.keys..][sight.keys.clone()].copy_from_slice(spread);
            }
            self.drop(weights, batch, head, query, sight.keys.start);
        }
        let weights = Matrix::new(&weights, [rows, keys]);
        let spread = Matrix::new(&spread, [rows, keys]);
        let for_v = MatrixMut::new(&mut out.for_v[..keys * self.out], [keys, self.out]);
        multiply(for_v, weights.t(), gradient, 1.0, 1.0, Threads::One);
        let k = self.k.matrix(batch, &sight.keys, kv_head);
        let for_q = MatrixMut::new(out.for_q, [rows, self.width]);
        multiply(for_q, spread, k, 0.0, after, Threads::One);
        let q = self.q.matrix(batch, queries, head);
        let for_k = MatrixMut::new(&mut out.for_k[..keys * self.width], [keys, self.width]);
        multiply(for_k, spread.t(), q, 1.0, after, Threads::One);
    }
}

/// Where the gradients of one key head go: `[groups, queries, width]`, `[keys, width]`, `[keys, out]`, and
/// `[groups, queries, keys]` where something was added to the scores. Of a block, the same from its first query and key on.
struct Out<'a> {
    for_q: &'a mut [f32],
    for_k: &'a mut [f32],
    for_v: &'a mut [f32],
    for_added: &'a mut [f32],
}

/// `count` pieces of `size` elements each; empty ones where there are none.
fn pieces(x: &mut [f32], size: usize, count: usize) -> Vec<&mut [f32]> {
    if size == 0 {
        return (0..count).map(|_| <&mut [f32]>::default()).collect();
    }
    x.chunks_mut(size).collect()
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
    /// Adds `more` to `x`.
    fn accumulate(x: &mut [f32], more: &[f32]) {
        for (x, more) in x.iter_mut().zip(more) {
            *x += more;
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
