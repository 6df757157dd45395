//! How tokens look at each other.

use burn::module::Module;
use burn::tensor::Tensor;

use super::{Angles, Init, Linear, LinearVisitor, site};
use crate::blueprint;
use crate::generate::cache::LayerCache;
use crate::noise::Noise;
use crate::op::{self, Mask};

/// Attention with grouped heads; query, key and value are separate projections, whatever a checkpoint fuses.
#[derive(Module, Debug)]
pub struct Attention {
    /// Width to `heads * head_width`.
    pub query: Linear,
    /// Width to `groups * head_width`.
    pub key: Linear,
    /// Width to `groups * head_width`.
    pub value: Linear,
    /// `heads * head_width` to width.
    pub output: Linear,
    head_width: usize,
    scale: f64,
    dropout: f64,
}

/// What all blocks share in one pass over a batch.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) batch: usize,
    pub(crate) length: usize,
    pub(crate) mask: Mask,
    pub(crate) angles: Option<Angles>,
    /// 1 where a query sees nothing and 0 elsewhere, `[batch, length, 1, 1]`; `None` when zeros will do.
    pub(crate) blind: Option<Tensor<4>>,
}

impl Attention {
    /// An attention with random weights.
    ///
    /// # Arguments
    /// - `block`: the number of the block, from 0
    /// - `dropout`: rate on the probabilities
    pub fn new(
        init: &Init,
        width: usize,
        plan: &blueprint::Attention,
        block: usize,
        dropout: f64,
    ) -> Self {
        let queries = plan.heads * plan.head_width;
        let keys = plan.groups * plan.head_width;
        let (inputs, output) = (plan.bias.of_inputs(), plan.bias.of_output());
        Self {
            query: Linear::new(&init.at("query"), width, queries, inputs),
            key: Linear::new(&init.at("key"), width, keys, inputs),
            value: Linear::new(&init.at("value"), width, keys, inputs),
            output: Linear::new(&init.at_residual("output"), queries, width, output),
            head_width: plan.head_width,
            scale: plan.scale.of(block),
            dropout,
        }
    }

    /// # Shapes
    /// `[batch * length, width]` to the same.
    pub(crate) fn forward(
        &self,
        x: Tensor<2>,
        pass: &Pass,
        noise: Noise,
        cache: Option<LayerCache<'_>>,
    ) -> Tensor<2> {
        let query = self.query.forward(x.clone(), noise.site(site::QUERY));
        let key = self.key.forward(x.clone(), noise.site(site::KEY));
        let value = self.value.forward(x, noise.site(site::VALUE));
        let (mut query, mut key, mut value) = (
            self.heads(query, pass),
            self.heads(key, pass),
            self.heads(value, pass),
        );
        if let Some(Angles { cos, sin }) = &pass.angles {
            query = op::rotate(query, cos.clone(), sin.clone());
            key = op::rotate(key, cos.clone(), sin.clone());
        }
        if let Some(cache) = cache {
            (key, value) = cache.extend(key, value);
        }
        let places = noise.site(site::PROBABILITIES);
        let guess = pass.blind.as_ref().map(|blind| {
            evenly(query.clone(), key.clone(), value.clone(), self.scale) * blind.clone()
        });
        let seen = op::attention(
            query,
            key,
            value,
            &pass.mask,
            self.scale,
            self.dropout,
            places,
        );
        let seen = match guess {
            Some(guess) => seen + guess,
            None => seen,
        };
        let [batch, length, heads, width] = seen.dims();
        let seen = seen.reshape([batch * length, heads * width]);
        self.output.forward(seen, noise.site(site::OUTPUT))
    }

    /// `[batch * length, heads * head_width]` as `[batch, length, heads, head_width]`.
    fn heads(&self, x: Tensor<2>, pass: &Pass) -> Tensor<4> {
        let heads = x.dims()[1] / self.head_width;
        x.reshape([pass.batch, pass.length, heads, self.head_width])
    }

    pub(crate) fn linears(&mut self, path: &str, visit: &mut LinearVisitor<'_>) {
        visit(&format!("{path}.query"), &mut self.query);
        visit(&format!("{path}.key"), &mut self.key);
        visit(&format!("{path}.value"), &mut self.value);
        visit(&format!("{path}.output"), &mut self.output);
    }
}

/// What a query gets that looks at all keys evenly: a softmax over equal scores, through which gradients flow back to
/// query and key as if the scores were theirs.
///
/// # Shapes
/// As [`op::attention`].
fn evenly(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, scale: f64) -> Tensor<4> {
    let [batch, _, heads, _] = query.dims();
    let repeated = |x: Tensor<4>| {
        let [_, keys, groups, width] = x.dims();
        x.reshape([batch, keys, groups, 1, width])
            .expand([batch, keys, groups, heads / groups, width])
            .reshape([batch, keys, heads, width])
            .swap_dims(1, 2)
    };
    let scores = query.swap_dims(1, 2).matmul(repeated(key).transpose()) * scale;
    let equal = scores.clone() - scores.detach();
    let weights = burn::tensor::activation::softmax(equal, 3);
    weights.matmul(repeated(value)).swap_dims(1, 2)
}
