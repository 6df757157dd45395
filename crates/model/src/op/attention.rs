//! Scaled dot-product attention with grouped heads.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Autodiff, Backend, Dispatch, TensorMetadata, backend_extension};
use burn::tensor::{Shape, Tensor, TensorData};

use super::{Mask, bound, composed, dropout};
use crate::noise::Noise;

/// Attention: `softmax(score(q·kᵀ), over the visible keys) · v` (Vaswani et al. 2017), with grouped heads
/// (Ainslie et al. 2023): query head `h` reads key head `h / (heads / kv_heads)`.
///
/// A query that sees no key gets zeros. On the CPU the probabilities exist for a block of queries of one head at a
/// time and are computed again in the backward pass (Rabe & Staats 2021; Dao et al. 2022).
///
/// # Arguments
///
/// - `mask`: what each query sees.
/// - `score`: what becomes of a product before the softmax; usually it is multiplied by `1 / sqrt(width)`.
/// - `dropout`: share of the probabilities that are dropped (the rest is scaled up) when `noise` is on. The
///   probability of key `j` for query `i` of head `h` in row `b` is decided by
///   `noise.uniform(((b·heads + h)·queries + i)·keys + j)`.
///
/// # Shapes
///
/// `q`: `[batch, queries, heads, width]`, `k`: `[batch, keys, kv_heads, width]`, `v`: `[batch, keys, kv_heads, out]`,
/// result: `[batch, queries, heads, out]`.
///
/// # Panics
///
/// If the shapes do not fit each other, the mask or the slopes, or `dropout` is not in `[0, 1)`.
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: &Mask,
    score: &Score,
    dropout: f64,
    noise: Noise,
) -> Tensor<4> {
    check(q.dims(), k.dims(), v.dims(), mask);
    score.check(q.dims()[2]);
    dropout::check(dropout);
    let plan = Plan {
        mask: mask.clone(),
        score: score.clone(),
        dropout,
        noise: if dropout > 0.0 { noise } else { Noise::off() },
    };
    Tensor::from_dispatch(Dispatch::attend(
        q.into_dispatch(),
        k.into_dispatch(),
        v.into_dispatch(),
        plan,
    ))
}

/// What becomes of the product of a query and a key before the softmax.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The factor of the product.
    pub scale: f64,
    /// What happens to the scaled product.
    pub form: Form,
}

/// What happens to the scaled product of a query and a key.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Nothing.
    Plain,
    /// It stays between `-cap` and `cap`: `cap · tanh(x / cap)` (Gemma 2).
    Capped(f64),
    /// It falls with the distance of the key: `x + slope · (place of the key - place of the query)`, with one slope for
    /// each query head (Press et al. 2022).
    Falling(Arc<[f32]>),
}

impl Score {
    /// The product times a factor.
    pub fn scaled(scale: f64) -> Self {
        Self {
            scale,
            form: Form::Plain,
        }
    }

    fn check(&self, heads: usize) {
        if let Form::Falling(slopes) = &self.form {
            assert_eq!(slopes.len(), heads, "one slope for each query head");
        }
    }
}

fn check(q: [usize; 4], k: [usize; 4], v: [usize; 4], mask: &Mask) {
    assert!(
        q[0] == k[0] && q[3] == k[3] && k[..3] == v[..3] && k[2] > 0 && q[2].is_multiple_of(k[2]),
        "attention: query {q:?}, key {k:?} and value {v:?} do not fit: expected [batch, queries, heads, width], \
         [batch, keys, kv_heads, width], [batch, keys, kv_heads, out] with heads a multiple of kv_heads"
    );
    mask.check(q[0]);
}

/// Everything about an attention but its tensors.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) mask: Mask,
    pub(super) score: Score,
    pub(super) dropout: f64,
    /// Off when there is no dropout.
    pub(super) noise: Noise,
}

impl Plan {
    /// What [`Form::Falling`] adds to the scores, `[heads, queries, keys]`.
    fn fall(&self, queries: usize, keys: usize) -> Option<Vec<f32>> {
        let Form::Falling(slopes) = &self.score.form else {
            return None;
        };
        let mut fall = Vec::with_capacity(slopes.len() * queries * keys);
        for slope in slopes.iter() {
            for query in 0..queries {
                let place = (self.mask.past + query) as f32;
                fall.extend((0..keys).map(|key| slope * (key as f32 - place)));
            }
        }
        Some(fall)
    }
}

/// What a backend does. `sums` is, for each query, the logarithm of the sum of exponentials of its scores:
/// `[batch, heads, queries]`.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda")),
)]
pub(super) trait AttentionOps: Backend {
    /// The differentiable operation.
    #[fusion(default)]
    fn attend(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self> {
        Self::attend_forward(q, k, v, plan).0
    }

    /// The result and `sums`.
    #[fusion(default)]
    fn attend_forward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        plan: Plan,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        Composed::<Self>::new(&q, &k, &v, &plan).forward(q, k, v)
    }

    /// The gradients of q, k and v.
    #[fusion(default)]
    fn attend_backward(
        gradient: FloatTensor<Self>,
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        result: FloatTensor<Self>,
        sums: FloatTensor<Self>,
        plan: Plan,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let kept = Kept {
            q,
            k,
            v,
            result,
            sums,
            plan,
        };
        Composed::<Self>::new(&kept.q, &kept.k, &kept.v, &kept.plan).backward(gradient, &kept)
    }
}

composed::on_other_backends!(AttentionOps);

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub(super) struct Kept<B: Backend> {
    pub(super) q: FloatTensor<B>,
    pub(super) k: FloatTensor<B>,
    pub(super) v: FloatTensor<B>,
    pub(super) result: FloatTensor<B>,
    pub(super) sums: FloatTensor<B>,
    pub(super) plan: Plan,
}

/// Attention in operations that every backend has: one matrix product per key head, with the queries of its group
/// below each other.
pub(super) struct Composed<B: Backend> {
    batch: usize,
    queries: usize,
    keys: usize,
    kv_heads: usize,
    groups: usize,
    score: Score,
    /// What is added to the scores, `[1, kv_heads, groups·queries, keys]`.
    fall: Option<FloatTensor<B>>,
    hidden: BoolTensor<B>,
    /// The factors of dropout.
    factors: Option<FloatTensor<B>>,
}

/// A finite low value instead of -∞: a query that sees nothing must not give NaN.
const LOW: f64 = -1e30;

impl<B: Backend> Composed<B> {
    pub(super) fn new(
        q: &FloatTensor<B>,
        k: &FloatTensor<B>,
        v: &FloatTensor<B>,
        plan: &Plan,
    ) -> Self {
        let [batch, queries, heads, _] = q.shape().dims();
        let [_, keys, kv_heads, _] = k.shape().dims();
        let groups = heads / kv_heads;
        let device = v.device();
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
            score: plan.score.clone(),
            fall: plan
                .fall(queries, keys)
                .map(|fall| TensorData::new(fall, [1, kv_heads, groups * queries, keys]))
                .map(|fall| B::float_from_data(fall, &device)),
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
        let scores = B::float_mul_scalar(composed::widen::<B>(scores), self.score.scale.into());
        let scores = match (&self.score.form, &self.fall) {
            (Form::Capped(cap), _) => bound::forward::<B>(scores, *cap),
            (Form::Falling(_), Some(fall)) => {
                let fall = composed::cast_like::<B>(fall.clone(), &scores);
                B::float_add(scores, fall)
            }
            _ => scores,
        };
        B::float_mask_fill(scores, self.hidden.clone(), LOW.into())
    }

    /// The gradients of the products from those of the scores.
    fn through_scores(&self, gradient: FloatTensor<B>, scores: FloatTensor<B>) -> FloatTensor<B> {
        let gradient = B::float_mul_scalar(gradient, self.score.scale.into());
        match self.score.form {
            Form::Capped(cap) => bound::backward::<B>(gradient, scores, cap),
            Form::Plain | Form::Falling(_) => gradient,
        }
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

    pub(super) fn forward(
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

    pub(super) fn backward(
        &self,
        gradient: FloatTensor<B>,
        kept: &Kept<B>,
    ) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
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
        let for_scores = self.through_scores(for_scores, scores);
        let for_scores = composed::cast_like::<B>(for_scores, &q);
        let for_k = B::float_matmul(B::float_swap_dims(for_scores.clone(), 2, 3), q);
        debug_assert_eq!(for_k.shape()[2], self.keys);
        let for_q = self.unstack(B::float_matmul(for_scores, k));
        (
            for_q,
            B::float_swap_dims(for_k, 1, 2),
            B::float_swap_dims(for_v, 1, 2),
        )
    }
}

#[derive(Debug)]
struct Attention;

impl<B: Backend + AttentionOps> Backward<B, 3> for Attention {
    type State = Kept<B>;

    fn backward(self, ops: Ops<Kept<B>, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let s = ops.state;
        let (q, k, v) = B::attend_backward(gradient, s.q, s.k, s.v, s.result, s.sums, s.plan);
        for (node, gradient) in ops.parents.into_iter().zip([q, k, v]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Backend + AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn attend(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self> {
        let (q, q_node) = q.into_parts();
        let (k, k_node) = k.into_parts();
        let (v, v_node) = v.into_parts();
        match Attention
            .prepare::<C>([q_node, k_node, v_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let (result, sums) =
                    B::attend_forward(q.clone(), k.clone(), v.clone(), plan.clone());
                let kept = Kept {
                    q,
                    k,
                    v,
                    result: result.clone(),
                    sums,
                    plan,
                };
                prepared.finish(kept, result)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::attend(q, k, v, plan)),
        }
    }
}
