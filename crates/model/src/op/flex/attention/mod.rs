//! Attention in blocks of queries, parallel over rows of the batch, blocks and heads.

mod added;
mod backward;
mod forward;
mod heads;
mod kernels;
mod sight;

use std::ops::Range;

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;

use super::kernel::{MatrixMut, Threads, multiply};
use super::{all_f32, floats, whole};
use crate::op::attention::{AttentionOps, Bend, Composed, Kept, Plan};
use added::Added;
use heads::Heads;
use kernels::{accumulate, bound, incline};
use sight::Sight;

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

/// The operands, and their sizes: `q` is `[batch, queries, heads, width]`, `k` is `[batch, keys, kv_heads, width]` and
/// `v` is `[batch, keys, kv_heads, out]`.
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
                for ((row, visible), ahead) in rows.zip(&sight.rows).zip(&sight.ahead) {
                    for (range, ahead) in visible.iter().zip(ahead) {
                        incline(&mut row[range.clone()], slopes[head], *ahead);
                    }
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
}
