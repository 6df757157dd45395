//! Relative positions and segments (Dai et al. 2019; Yang et al. 2019): what they add to the score of a key.

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::{Init, Linear, LinearVisitor};
use crate::blueprint::{self, Blueprint};
use crate::noise::Noise;
use crate::op;
use crate::tokens::Tokens;

/// The parameters of one attention that know of distances and segments.
///
/// The score of a key is the scaled sum of three products: of the query and the key, of the query and the projected
/// distance, of the query and the vector of *same segment* or *other segment*. Each has a bias for the query.
#[derive(Module, Debug)]
pub struct Relative {
    /// From the sines and cosines of a distance, width to `heads * head_width`.
    pub distance: Linear,
    /// Added to the query that meets a key, `[heads, head_width]`.
    pub content_bias: Param<Tensor<2>>,
    /// Added to the query that meets a distance, `[heads, head_width]`.
    pub distance_bias: Param<Tensor<2>>,
    /// Added to the query that meets a segment, `[heads, head_width]`.
    pub kind_bias: Param<Tensor<2>>,
    /// The vectors of the query's own segment and of any other one, `[2, heads, head_width]`.
    pub kinds: Param<Tensor<3>>,
}

impl Relative {
    /// Random values.
    pub fn new(init: &Init, plan: &Blueprint) -> Self {
        let (heads, width) = (plan.attention.heads, plan.attention.head_width);
        let bias = |name| init.vectors(name, [heads, width]);
        Self {
            distance: Linear::new(&init.at("distance"), plan.width, heads * width, false),
            content_bias: bias("content_bias"),
            distance_bias: bias("distance_bias"),
            kind_bias: bias("kind_bias"),
            kinds: init.vectors("kinds", [2, heads, width]),
        }
    }

    /// The query that meets the keys.
    ///
    /// # Shapes
    /// `[batch, queries, heads, head_width]` to the same.
    pub(crate) fn of_content(&self, query: &Tensor<4>, offsets: &Offsets) -> Tensor<4> {
        let bias = self.content_bias.val();
        let bias = match offsets.apart {
            Some(_) => bias,
            // Without segments these have no effect, and gradients of zero.
            None => bias + (self.kinds.val().sum() + self.kind_bias.val().sum()).unsqueeze() * 0.0,
        };
        biased(query, bias)
    }

    /// What is added to the scaled products of queries and keys.
    ///
    /// # Shapes
    /// `[batch, queries, heads, head_width]` to `[batch, heads, queries, keys]`.
    pub(crate) fn added(
        &self,
        query: &Tensor<4>,
        offsets: &Offsets,
        scale: f64,
        noise: Noise,
    ) -> Tensor<4> {
        let [_, _, heads, width] = query.dims();
        let projected = self.distance.forward(offsets.waves.clone(), noise);
        let far = projected.reshape([offsets.copies as i32, -1, heads as i32, width as i32]);
        let products = biased(query, self.distance_bias.val())
            .swap_dims(1, 2)
            .matmul(far.permute([0, 2, 3, 1]));
        let by_distance = offsets.of_keys(products);
        let Some(apart) = &offsets.apart else {
            return by_distance * scale;
        };
        let kinds = self.kinds.val().permute([1, 2, 0]).unsqueeze();
        let products = biased(query, self.kind_bias.val())
            .swap_dims(1, 2)
            .matmul(kinds);
        let (same, other) = (products.clone().narrow(3, 0, 1), products.narrow(3, 1, 1));
        let together = apart.clone().neg() + 1.0;
        (by_distance + same * together + other * apart.clone()) * scale
    }

    pub(crate) fn linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) {
        visit(&format!("{path}.distance"), &mut self.distance);
    }
}

/// Queries with a bias, `[batch, queries, heads, head_width]` and `[heads, head_width]`.
fn biased(query: &Tensor<4>, bias: Tensor<2>) -> Tensor<4> {
    let [batch, queries, heads, width] = query.dims();
    let rows = query.clone().reshape([batch * queries, heads * width]);
    let bias = bias.reshape([1, heads * width]);
    (rows + bias).reshape([batch, queries, heads, width])
}

/// What a batch has for every [`Relative`].
#[derive(Debug, Clone)]
pub(crate) struct Offsets {
    /// Sines and cosines of every distance, the largest first, `[copies * distances, width]`.
    waves: Tensor<2>,
    /// 1, or the batch where its rows differ.
    copies: usize,
    /// 1 where query and key are of different segments and 0 elsewhere, `[batch, 1, queries, keys]`.
    apart: Option<Tensor<4>>,
    keys: usize,
}

impl Offsets {
    /// # Arguments
    /// - `width`: of the hidden state
    /// - `causal`: whether no key lies behind its query
    /// - `dropout`: the rate on the sines and cosines
    pub(crate) fn new(
        plan: &blueprint::Relative,
        tokens: &Tokens,
        (width, causal): (usize, bool),
        (dropout, noise): (f64, Noise),
        (device, dtype): (&Device, DType),
    ) -> Self {
        let (batch, length) = (tokens.batch(), tokens.length());
        let keys = tokens.past + length;
        let last = if causal { 0 } else { 1 - length as i32 };
        let distances = || (last..=keys as i32).rev();
        let dropped = dropout > 0.0 && noise.is_on();
        let copies = if plan.mirrored || dropped { batch } else { 1 };
        let mut values = Vec::with_capacity(copies * (keys + length) * width);
        for row in 0..copies {
            let backwards = plan.mirrored && row >= batch.div_ceil(2);
            for distance in distances() {
                let distance = if backwards { -distance } else { distance };
                values.extend(waves(clamped(distance, plan.clamp), width));
            }
        }
        let rows = values.len() / width;
        let waves = Tensor::from_data(TensorData::new(values, [rows, width]), (device, dtype));
        Self {
            waves: op::dropout(waves, dropout, noise),
            copies,
            apart: apart(tokens, (device, dtype)),
            keys,
        }
    }

    /// The products of each query with its own keys' distances, from those with all distances.
    ///
    /// Offsets lie from the largest to the smallest, so each query's begin one place before those of the query before
    /// it. Rows that are read one element shorter move by one place each (Dai et al. 2019, appendix B). Behind the
    /// smallest distance of a causal trunk follow those of the next query, for keys that are not seen.
    ///
    /// # Shapes
    /// `[batch, heads, queries, distances]` to `[batch, heads, queries, keys]`.
    fn of_keys(&self, products: Tensor<4>) -> Tensor<4> {
        let [batch, heads, queries, distances] = products.dims();
        products
            .reshape([batch, heads, distances, queries])
            .narrow(2, 1, distances - 1)
            .reshape([batch, heads, queries, distances - 1])
            .narrow(3, 0, self.keys)
    }
}

fn clamped(distance: i32, clamp: Option<usize>) -> f32 {
    let distance = distance as f32;
    clamp.map_or(distance, |most| distance.clamp(-(most as f32), most as f32))
}

/// `sin(d · 10000^(-2i/width))` for every `i`, then the cosines; in f32 as the reference computes them.
fn waves(distance: f32, width: usize) -> impl Iterator<Item = f32> {
    let angle = move |pair: usize| {
        let exponent = (2 * pair) as f32 / width as f32;
        distance * (1.0 / 10_000_f64.powf(f64::from(exponent)) as f32)
    };
    let pairs = 0..width / 2;
    let sines = pairs.clone().map(move |pair| angle(pair).sin());
    sines.chain(pairs.map(move |pair| angle(pair).cos()))
}

/// Where query and key are of different segments. What lies in a cache is of segment 0.
fn apart(tokens: &Tokens, (device, dtype): (&Device, DType)) -> Option<Tensor<4>> {
    let kinds = tokens.kinds.clone()?;
    let [batch, length] = kinds.dims();
    let keys = tokens.past + length;
    let before: Tensor<2, Int> = Tensor::zeros([batch, tokens.past], device);
    let all = match tokens.past {
        0 => kinds.clone(),
        _ => Tensor::cat(vec![before, kinds.clone()], 1),
    };
    let of_queries = kinds
        .reshape([batch, 1, length, 1])
        .expand([batch, 1, length, keys]);
    let of_keys = all
        .reshape([batch, 1, 1, keys])
        .expand([batch, 1, length, keys]);
    Some(of_queries.not_equal(of_keys).float().cast(dtype))
}
