//! Scaled dot-product attention with grouped heads.

use burn::tensor::{Tensor, TensorData};

use super::Mask;
use crate::noise::Noise;

/// Attention: `softmax(q·kᵀ · scale, over the visible keys) · v` (Vaswani et al. 2017), with grouped heads
/// (Ainslie et al. 2023): query head `h` reads key head `h / (heads / kv_heads)`.
///
/// A query that sees no key gets zeros.
///
/// # Arguments
///
/// - `mask`: what each query sees; no tensor of it is needed.
/// - `scale`: usually `1 / sqrt(width)`.
/// - `dropout`: share of the probabilities that are dropped (the rest is scaled up) when `noise` is on.
///
/// # Shapes
///
/// `q`: `[batch, queries, heads, width]`, `k`: `[batch, keys, kv_heads, width]`, `v`: `[batch, keys, kv_heads, out]`,
/// result: `[batch, queries, heads, out]`.
///
/// # Panics
///
/// If the shapes do not fit each other or the mask, or `dropout` is not in `[0, 1)`.
pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: &Mask,
    scale: f64,
    dropout: f64,
    noise: Noise,
) -> Tensor<4> {
    let [batch, queries, heads, width] = q.dims();
    let [_, keys, kv_heads, _] = k.dims();
    let out = v.dims()[3];
    check(q.dims(), k.dims(), v.dims(), mask);
    let groups = heads / kv_heads;
    let device = q.device();

    // One matrix product per key head: the queries of its group stand below each other.
    let q = q
        .reshape([batch, queries, kv_heads, groups, width])
        .permute([0, 2, 3, 1, 4])
        .reshape([batch, kv_heads, groups * queries, width]);
    let k = k.permute([0, 2, 3, 1]);
    let v = v.swap_dims(1, 2);
    let hidden = mask
        .hidden(batch, queries, keys, &device)
        .expand([batch, heads, queries, keys])
        .reshape([batch, kv_heads, groups * queries, keys]);

    // A finite low value and a zeroed numerator instead of -inf: a query that sees nothing must not give NaN.
    let scores = (q.matmul(k) * scale).mask_fill(hidden.clone(), LOW);
    let highest = scores.clone().detach().max_dim(3);
    let weights = (scores - highest).exp().mask_fill(hidden, 0.0);
    let total = weights.clone().sum_dim(3).clamp_min(f32::MIN_POSITIVE);
    let mut weights = weights / total;
    if noise.is_on() && dropout > 0.0 {
        let keep = kept(batch * heads * queries * keys, dropout, noise);
        let keep = TensorData::new(keep, [batch, kv_heads, groups * queries, keys]);
        weights = weights * Tensor::from_data(keep, &device);
    }
    weights
        .matmul(v)
        .reshape([batch, heads, queries, out])
        .swap_dims(1, 2)
}

const LOW: f32 = -1e30;

fn check(q: [usize; 4], k: [usize; 4], v: [usize; 4], mask: &Mask) {
    assert!(
        q[0] == k[0] && q[3] == k[3] && k[..3] == v[..3] && k[2] > 0 && q[2].is_multiple_of(k[2]),
        "attention: query {q:?}, key {k:?} and value {v:?} do not fit: expected [batch, queries, heads, width], \
         [batch, keys, kv_heads, width], [batch, keys, kv_heads, out] with heads a multiple of kv_heads"
    );
    mask.check(q[0]);
}

/// The factors of inverted dropout.
fn kept(count: usize, rate: f64, noise: Noise) -> Vec<f32> {
    super::dropout::factors(0..count as u64, rate, noise)
}
