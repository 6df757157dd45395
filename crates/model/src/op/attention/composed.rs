//! The body for any backend.

use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, TensorMetadata};
use burn::tensor::{Shape, TensorData};

use super::super::{bound, composed, dropout};
use super::{Bend, Kept, Plan};

/// Attention in operations that every backend has: one matrix product per key head, with the queries of its group
/// below each other.
pub(in crate::op) struct Composed<B: Backend> {
    batch: usize,
    queries: usize,
    keys: usize,
    kv_heads: usize,
    groups: usize,
    scale: f64,
    bend: Bend,
    /// What is added to the scores, `[batch or 1, kv_heads, groups·queries, keys]`.
    added: Option<FloatTensor<B>>,
    hidden: BoolTensor<B>,
    /// The factors of dropout.
    factors: Option<FloatTensor<B>>,
}

/// A finite low value instead of -∞: a query that sees nothing must not give NaN.
const LOW: f64 = -1e30;

impl<B: Backend> Composed<B> {
    pub(in crate::op) fn new(
        q: &FloatTensor<B>,
        k: &FloatTensor<B>,
        added: &FloatTensor<B>,
        plan: &Plan,
    ) -> Self {
        let [batch, queries, heads, _] = q.shape().dims();
        let [_, keys, kv_heads, _] = k.shape().dims();
        let groups = heads / kv_heads;
        let device = k.device();
        let stacked = Shape::new([batch, kv_heads, groups * queries, keys]);
        let hidden = plan.mask.hidden(batch, queries, keys);
        let hidden = composed::bools::<B>(hidden, &device);
        let hidden = B::bool_expand(hidden, Shape::new([batch, heads, queries, keys]));
        let hidden = B::bool_reshape(hidden, stacked.clone());
        let factors = plan.noise.is_on().then(|| {
            let count = stacked.num_elements() as u64;
            let factors = dropout::factors(0..count, plan.dropout, plan.noise);
            B::float_from_data(TensorData::new(factors, stacked), &device)
        });
        Self {
            batch,
            queries,
            keys,
            kv_heads,
            groups,
            scale: plan.scale,
            bend: plan.bend.clone(),
            added: match (&plan.bend, plan.fall(batch, queries, keys)) {
                (Bend::Added, _) => {
                    let shape = [added.shape()[0], kv_heads, groups * queries, keys];
                    Some(B::float_reshape(added.clone(), Shape::new(shape)))
                }
                (_, Some(fall)) => {
                    let rows = fall.len() / (heads * queries * keys).max(1);
                    let fall = TensorData::new(fall, [rows, kv_heads, groups * queries, keys]);
                    Some(B::float_from_data(fall, &device))
                }
                (_, None) => None,
            },
            hidden,
            factors,
        }
    }

    /// `[batch, queries, heads, n]` as `[batch, kv_heads, groups·queries, n]`.
    fn stack(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        let n = x.shape()[3];
        let split = Shape::new([self.batch, self.queries, self.kv_heads, self.groups, n]);
        let x = B::float_permute(B::float_reshape(x, split), &[0, 2, 3, 1, 4]);
        let rows = self.groups * self.queries;
        B::float_reshape(x, Shape::new([self.batch, self.kv_heads, rows, n]))
    }

    /// The inverse of [`Self::stack`].
    fn unstack(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        let n = x.shape()[3];
        let split = Shape::new([self.batch, self.kv_heads, self.groups, self.queries, n]);
        let x = B::float_permute(B::float_reshape(x, split), &[0, 3, 1, 2, 4]);
        let heads = self.kv_heads * self.groups;
        B::float_reshape(x, Shape::new([self.batch, self.queries, heads, n]))
    }

    /// Scores, low where hidden.
    fn scores(&self, stacked_q: FloatTensor<B>, k: FloatTensor<B>) -> FloatTensor<B> {
        let scores = B::float_matmul(stacked_q, B::float_permute(k, &[0, 2, 3, 1]));
        let scores = B::float_mul_scalar(composed::widen::<B>(scores), self.scale.into());
        let scores = match (&self.bend, &self.added) {
            (Bend::Capped(cap), _) => bound::forward::<B>(scores, *cap),
            (_, Some(added)) => {
                let added = composed::cast_like::<B>(added.clone(), &scores);
                B::float_add(scores, added)
            }
            (_, None) => scores,
        };
        B::float_mask_fill(scores, self.hidden.clone(), LOW.into())
    }

    /// The gradients of the products from those of the scores.
    fn through_scores(&self, gradient: FloatTensor<B>, scores: FloatTensor<B>) -> FloatTensor<B> {
        let gradient = B::float_mul_scalar(gradient, self.scale.into());
        match self.bend {
            Bend::Capped(cap) => bound::backward::<B>(gradient, scores, cap),
            Bend::Plain | Bend::Falling(_) | Bend::Added => gradient,
        }
    }

    /// The gradient of what was added from that of the scores.
    fn for_added(&self, for_scores: &FloatTensor<B>, added: &FloatTensor<B>) -> FloatTensor<B> {
        let Bend::Added = self.bend else {
            return added.clone();
        };
        let mut gradient = composed::cast_like::<B>(for_scores.clone(), added);
        if added.shape()[0] < self.batch {
            gradient = B::float_sum_dim(gradient, 0);
        }
        B::float_reshape(gradient, added.shape())
    }

    fn dropped(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        match &self.factors {
            Some(factors) => {
                let factors = composed::cast_like::<B>(factors.clone(), &x);
                B::float_mul(x, factors)
            }
            None => x,
        }
    }

    fn visible(&self, x: FloatTensor<B>) -> FloatTensor<B> {
        B::float_mask_fill(x, self.hidden.clone(), 0.0.into())
    }

    pub(in crate::op) fn forward(
        &self,
        q: FloatTensor<B>,
        k: FloatTensor<B>,
        v: FloatTensor<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>) {
        let scores = self.scores(self.stack(q), k);
        let highest = B::float_max_dim(scores.clone(), 3);
        let weights = self.visible(B::float_exp(B::float_sub(scores, highest.clone())));
        let total = B::float_sum_dim(weights.clone(), 3);
        let total = B::float_clamp_min(total, f32::MIN_POSITIVE.into());
        let sums = B::float_add(highest, B::float_log(total.clone()));
        let weights = self.dropped(B::float_div(weights, total));
        let weights = composed::cast_like::<B>(weights, &v);
        let result = B::float_matmul(weights, B::float_swap_dims(v, 1, 2));
        let heads = self.kv_heads * self.groups;
        let sums = B::float_reshape(sums, Shape::new([self.batch, heads, self.queries]));
        (self.unstack(result), sums)
    }

    pub(in crate::op) fn backward(
        &self,
        gradient: FloatTensor<B>,
        kept: &Kept<B>,
    ) -> (
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
        FloatTensor<B>,
    ) {
        let rows = self.groups * self.queries;
        let column = Shape::new([self.batch, self.kv_heads, rows, 1]);
        let q = self.stack(kept.q.clone());
        let k = B::float_swap_dims(kept.k.clone(), 1, 2);
        let v = B::float_permute(kept.v.clone(), &[0, 2, 3, 1]);
        let sums = B::float_reshape(kept.sums.clone(), column);
        let scores = self.scores(q.clone(), kept.k.clone());
        let weights = self.visible(B::float_exp(B::float_sub(scores.clone(), sums)));
        let product = B::float_mul(
            composed::widen::<B>(gradient.clone()),
            composed::widen::<B>(kept.result.clone()),
        );
        let product = self.stack(B::float_sum_dim(product, 3));
        let gradient = self.stack(gradient);
        let dropped = composed::cast_like::<B>(self.dropped(weights.clone()), &gradient);
        let for_v = B::float_matmul(B::float_swap_dims(dropped, 2, 3), gradient.clone());
        let for_weights = composed::widen::<B>(B::float_matmul(gradient, v));
        let for_scores = B::float_sub(self.dropped(for_weights), product);
        let for_scores = B::float_mul(weights, for_scores);
        let for_added = self.for_added(&for_scores, &kept.added);
        let for_scores = self.through_scores(for_scores, scores);
        let for_scores = composed::cast_like::<B>(for_scores, &q);
        let for_k = B::float_matmul(B::float_swap_dims(for_scores.clone(), 2, 3), q);
        debug_assert_eq!(for_k.shape()[2], self.keys);
        let for_q = self.unstack(B::float_matmul(for_scores, k));
        (
            for_q,
            B::float_swap_dims(for_k, 1, 2),
            B::float_swap_dims(for_v, 1, 2),
            for_added,
        )
    }
}
