//! Scaled dot-product attention with grouped heads.

mod composed;

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;

use super::composed::{on_other_backends, placeholder};
use super::{Mask, dropout};
use crate::noise::Noise;

pub(super) use composed::Composed;

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
/// If the shapes do not fit each other, the mask or the form of the scores, or `dropout` is not in `[0, 1)`.
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
    let [batch, queries, heads, _] = q.dims();
    score.check([batch, heads, queries, k.dims()[1]]);
    dropout::check(dropout);
    let plan = Plan {
        mask: mask.clone(),
        scale: score.scale,
        bend: Bend::from(&score.form),
        dropout,
        noise: if dropout > 0.0 { noise } else { Noise::off() },
    };
    let added = match &score.form {
        Form::Added(added) => added.clone().into_dispatch(),
        _ => placeholder(&v).into_dispatch(),
    };
    Tensor::from_dispatch(Dispatch::attend(
        q.into_dispatch(),
        k.into_dispatch(),
        v.into_dispatch(),
        added,
        plan,
    ))
}

/// What becomes of the product of a query and a key before the softmax.
#[derive(Clone, Debug)]
pub struct Score {
    /// The factor of the product.
    pub scale: f64,
    /// What happens to the scaled product.
    pub form: Form,
}

/// What happens to the scaled product of a query and a key.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One value per block and pass, moved nowhere in between.
pub enum Form {
    /// Nothing.
    Plain,
    /// It stays between `-cap` and `cap`: `cap · tanh(x / cap)` (Gemma 2).
    Capped(f64),
    /// It falls with the distance of the key: `x + slope · (place of the key - place of the query)`, with one slope for
    /// each query head (Press et al. 2022).
    Falling(Arc<[f32]>),
    /// A number for each query head, query and key is added to it: `[batch, heads, queries, keys]`, or one for all rows
    /// of the batch, `[1, heads, queries, keys]`. Gradients flow into it (Raffel et al. 2020; Dai et al. 2019).
    Added(Tensor<4>),
}

impl Score {
    /// The product times a factor.
    pub fn scaled(scale: f64) -> Self {
        Self {
            scale,
            form: Form::Plain,
        }
    }

    /// `shape` is that of the scores, `[batch, heads, queries, keys]`.
    fn check(&self, shape: [usize; 4]) {
        match &self.form {
            Form::Plain | Form::Capped(_) => {}
            Form::Falling(slopes) => {
                assert_eq!(slopes.len(), shape[1], "one slope for each query head");
            }
            Form::Added(added) => {
                let found = added.dims();
                assert!(
                    found[1..] == shape[1..] && (found[0] == 1 || found[0] == shape[0]),
                    "attention: {found:?} is added to scores {shape:?}; expected that shape, or 1 in place of the batch"
                );
            }
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
    pub(super) scale: f64,
    pub(super) bend: Bend,
    pub(super) dropout: f64,
    /// Off when there is no dropout.
    pub(super) noise: Noise,
}

/// [`Form`] without its tensor, which is an input of its own.
#[derive(Clone, Debug)]
pub(super) enum Bend {
    Plain,
    Capped(f64),
    Falling(Arc<[f32]>),
    Added,
}

impl From<&Form> for Bend {
    fn from(form: &Form) -> Self {
        match form {
            Form::Plain => Self::Plain,
            Form::Capped(cap) => Self::Capped(*cap),
            Form::Falling(slopes) => Self::Falling(slopes.clone()),
            Form::Added(_) => Self::Added,
        }
    }
}

impl Plan {
    /// What [`Bend::Falling`] adds to the scores, `[batch, heads, queries, keys]`, or for one row of the batch where all
    /// are alike.
    fn fall(&self, batch: usize, queries: usize, keys: usize) -> Option<Vec<f32>> {
        let Bend::Falling(slopes) = &self.bend else {
            return None;
        };
        let batch = if self.mask.is_branched() { batch } else { 1 };
        let mut fall = Vec::with_capacity(batch * slopes.len() * queries * keys);
        for row in 0..batch {
            let positions = self.mask.positions(row, keys.max(self.mask.past + queries));
            for slope in slopes.iter() {
                for at in &positions[self.mask.past..][..queries] {
                    let ahead = |key: &usize| slope * (*key as f32 - *at as f32);
                    fall.extend(positions[..keys].iter().map(ahead));
                }
            }
        }
        Some(fall)
    }
}

/// What a backend does. `added` is a placeholder unless something is added to the scores. `sums` is, for each query,
/// the logarithm of the sum of exponentials of its scores: `[batch, heads, queries]`.
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
        added: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self> {
        Self::attend_forward(q, k, v, added, plan).0
    }

    /// The result and `sums`.
    #[fusion(default)]
    fn attend_forward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        added: FloatTensor<Self>,
        plan: Plan,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        Composed::<Self>::new(&q, &k, &added, &plan).forward(q, k, v)
    }

    /// The gradients of q, k, v and `added`; that of a placeholder is the placeholder.
    #[fusion(default)]
    #[allow(clippy::too_many_arguments)] // Inputs, result and plan of the operation: routing takes no struct of tensors.
    fn attend_backward(
        gradient: FloatTensor<Self>,
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        added: FloatTensor<Self>,
        result: FloatTensor<Self>,
        sums: FloatTensor<Self>,
        plan: Plan,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let kept = Kept {
            q,
            k,
            v,
            added,
            result,
            sums,
            plan,
        };
        Composed::<Self>::new(&kept.q, &kept.k, &kept.added, &kept.plan).backward(gradient, &kept)
    }
}

on_other_backends!(AttentionOps);

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub(super) struct Kept<B: Backend> {
    pub(super) q: FloatTensor<B>,
    pub(super) k: FloatTensor<B>,
    pub(super) v: FloatTensor<B>,
    pub(super) added: FloatTensor<B>,
    pub(super) result: FloatTensor<B>,
    pub(super) sums: FloatTensor<B>,
    pub(super) plan: Plan,
}

#[derive(Debug)]
struct Attention;

impl<B: Backend + AttentionOps> Backward<B, 4> for Attention {
    type State = Kept<B>;

    fn backward(self, ops: Ops<Kept<B>, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let s = ops.state;
        let (q, k, v, added) =
            B::attend_backward(gradient, s.q, s.k, s.v, s.added, s.result, s.sums, s.plan);
        for (node, gradient) in ops.parents.into_iter().zip([q, k, v, added]) {
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
        added: FloatTensor<Self>,
        plan: Plan,
    ) -> FloatTensor<Self> {
        let (q, q_node) = q.into_parts();
        let (k, k_node) = k.into_parts();
        let (v, v_node) = v.into_parts();
        let (added, added_node) = added.into_parts();
        match Attention
            .prepare::<C>([q_node, k_node, v_node, added_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let (result, sums) =
                    B::attend_forward(q.clone(), k.clone(), v.clone(), added.clone(), plan.clone());
                let kept = Kept {
                    q,
                    k,
                    v,
                    added,
                    result: result.clone(),
                    sums,
                    plan,
                };
                prepared.finish(kept, result)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::attend(q, k, v, added, plan)),
        }
    }
}
