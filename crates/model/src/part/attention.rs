//! How tokens look at each other.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};

use super::relative::Offsets;
use super::{Angles, Init, Linear, LinearVisitor, Norm, Relative, site};
use crate::blueprint::{Blueprint, Position, QueryKeyNorm};
use crate::generate::cache::LayerCache;
use crate::noise::Noise;
use crate::op::{self, Form, Mask, Score};

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
    /// The norm of queries, where there is one.
    pub query_norm: Option<Norm>,
    /// The norm of keys, where there is one.
    pub key_norm: Option<Norm>,
    /// What knows of distances and segments, where they are relative.
    pub relative: Option<Relative>,
    head_width: usize,
    #[module(skip)]
    score: Score,
    dropout: f64,
}

/// What a block is told about a batch.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    pub(crate) batch: usize,
    pub(crate) length: usize,
    pub(crate) mask: Mask,
    pub(crate) angles: Option<Angles>,
    pub(crate) offsets: Option<Offsets>,
    /// 1 where a query sees nothing and 0 elsewhere, `[batch, length, 1, 1]`; `None` when zeros will do.
    pub(crate) blind: Option<Tensor<4>>,
    /// Which places the queries stand at, `[batch, predictions, length]`; `None` for one at every place.
    pub(crate) asked: Option<Tensor<3>>,
}

/// Keys and values, `[batch, keys, groups, head_width]` each.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    key: Tensor<4>,
    value: Tensor<4>,
}

impl Keys {
    /// These behind others that were kept.
    pub(crate) fn behind(self, before: &Self) -> Self {
        let behind = |before: &Tensor<4>, new| Tensor::cat(vec![before.clone(), new], 1);
        Self {
            key: behind(&before.key, self.key),
            value: behind(&before.value, self.value),
        }
    }

    pub(crate) fn device(&self) -> Device {
        self.key.device()
    }

    /// Those of some places.
    pub(crate) fn narrow(&self, first: usize, count: usize) -> Self {
        Self {
            key: self.key.clone().narrow(1, first, count),
            value: self.value.clone().narrow(1, first, count),
        }
    }

    /// Those of some rows.
    pub(crate) fn select(&self, rows: &Tensor<1, Int>) -> Self {
        Self {
            key: self.key.clone().select(0, rows.clone()),
            value: self.value.clone().select(0, rows.clone()),
        }
    }
}

impl Pass {
    /// From rows for every prediction to rows for every place.
    fn at_places(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.asked {
            Some(asked) => times(asked.clone().transpose(), x),
            None => x,
        }
    }

    /// From rows for every place to rows for every prediction.
    fn at_predictions(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.asked {
            Some(asked) => times(asked.clone(), x),
            None => x,
        }
    }
}

/// `[batch, m, n]` and `[batch * n, width]` to `[batch * m, width]`.
fn times(matrix: Tensor<3>, x: Tensor<2>) -> Tensor<2> {
    let ([batch, m, n], width) = (matrix.dims(), x.dims()[1]);
    let product = matrix.matmul(x.reshape([batch, n, width]));
    product.reshape([batch * m, width])
}

impl Attention {
    /// An attention with random weights.
    ///
    /// # Arguments
    /// - `block`: the number of the block, from 0
    pub fn new(init: &Init, plan: &Blueprint, block: usize) -> Self {
        let (width, attention) = (plan.width, &plan.attention);
        let queries = attention.heads * attention.head_width;
        let keys = attention.groups * attention.head_width;
        let (inputs, output) = (attention.bias.of_inputs(), attention.bias.of_output());
        let norm = |name: &str, whole| match attention.norm {
            QueryKeyNorm::None => None,
            QueryKeyNorm::Heads(norm) => {
                Some(Norm::new(&init.at(name), attention.head_width, norm))
            }
            QueryKeyNorm::Whole(norm) => Some(Norm::new(&init.at(name), whole, norm)),
        };
        Self {
            query: Linear::new(&init.at("query"), width, queries, inputs),
            key: Linear::new(&init.at("key"), width, keys, inputs),
            value: Linear::new(&init.at("value"), width, keys, inputs),
            output: Linear::new(&init.at_residual("output"), queries, width, output),
            query_norm: norm("query_norm", queries),
            key_norm: norm("key_norm", keys),
            relative: matches!(plan.position, Position::Relative(_))
                .then(|| Relative::new(&init.at("relative"), plan)),
            head_width: attention.head_width,
            score: score(plan, block),
            dropout: plan.dropout.attention,
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
        let keys = self.keys(x.clone(), pass, noise, cache);
        self.look(x, keys, pass, noise)
    }

    /// What queries look at: keys and values, those of the cache included.
    ///
    /// # Shapes
    /// `[batch * length, width]` to `[batch, keys, groups, head_width]`, twice.
    pub(crate) fn keys(
        &self,
        x: Tensor<2>,
        pass: &Pass,
        noise: Noise,
        cache: Option<LayerCache<'_>>,
    ) -> Keys {
        let key = self.key.forward(x.clone(), noise.site(site::KEY));
        let value = self.value.forward(x, noise.site(site::VALUE));
        let mut key = self.heads(Norm::maybe(self.key_norm.as_ref(), key), pass);
        let value = self.heads(value, pass);
        if let Some(Angles { cos, sin }) = &pass.angles {
            key = op::rotate(key, cos.clone(), sin.clone());
        }
        let (key, value) = match cache {
            Some(cache) => cache.extend(key, value),
            None => (key, value),
        };
        Keys { key, value }
    }

    /// What queries see of the keys.
    ///
    /// # Shapes
    /// `[rows, width]` to the same: a row for every place, or for every prediction where the pass has [`Pass::asked`].
    pub(crate) fn look(&self, x: Tensor<2>, keys: Keys, pass: &Pass, noise: Noise) -> Tensor<2> {
        let query = self.query.forward(x, noise.site(site::QUERY));
        let query = pass.at_places(Norm::maybe(self.query_norm.as_ref(), query));
        let mut query = self.heads(query, pass);
        if let Some(Angles { cos, sin }) = &pass.angles {
            query = op::rotate(query, cos.clone(), sin.clone());
        }
        let mut score = self.score.clone();
        if let (Some(relative), Some(offsets)) = (&self.relative, &pass.offsets) {
            let noise = noise.site(site::DISTANCE);
            score.form = Form::Added(relative.added(&query, offsets, score.scale, noise));
            query = relative.of_content(&query, offsets);
        }
        let Keys { key, value } = keys;
        let places = noise.site(site::PROBABILITIES);
        let guess = pass
            .blind
            .as_ref()
            .map(|blind| evenly(query.clone(), key.clone(), value.clone(), &score) * blind.clone());
        let seen = op::attention(query, key, value, &pass.mask, &score, self.dropout, places);
        let seen = match guess {
            Some(guess) => seen + guess,
            None => seen,
        };
        let [batch, length, heads, width] = seen.dims();
        let seen = pass.at_predictions(seen.reshape([batch * length, heads * width]));
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
        if let Some(relative) = &mut self.relative {
            relative.linears(&format!("{path}.relative"), visit);
        }
    }
}

/// What becomes of the products of queries and keys in one block.
fn score(plan: &Blueprint, block: usize) -> Score {
    let attention = &plan.attention;
    let form = match (attention.cap, &plan.position) {
        (Some(cap), _) => Form::Capped(cap),
        (None, Position::Alibi) => Form::Falling(slopes(attention.heads).into()),
        // What relative positions add is known only when they are.
        (None, Position::Learned { .. } | Position::Rotary(_) | Position::Relative(_)) => {
            Form::Plain
        }
    };
    Score {
        scale: attention.scale.of(block),
        form,
    }
}

/// The slopes of each head (Press et al. 2022): with `n` heads, a power of two, `2^(-8/n), 2^(-16/n), …`; otherwise
/// those of the next lower power of two, then every second one of the next higher.
fn slopes(heads: usize) -> Vec<f32> {
    let lower = 1 << heads.ilog2();
    let slope = |exponent: usize, of: usize| 2f32.powf(-8.0 * exponent as f32 / of as f32);
    let first = (1..=lower).map(|head| slope(head, lower));
    let more = (0..heads - lower).map(|head| slope(2 * head + 1, 2 * lower));
    first.chain(more).collect()
}

/// What a query gets that looks at all keys evenly: a softmax over equal scores, through which gradients flow back to
/// query and key as if the scores were theirs.
///
/// # Shapes
/// As [`op::attention`].
fn evenly(query: Tensor<4>, key: Tensor<4>, value: Tensor<4>, score: &Score) -> Tensor<4> {
    let [batch, _, heads, _] = query.dims();
    let repeated = |x: Tensor<4>| {
        let [_, keys, groups, width] = x.dims();
        x.reshape([batch, keys, groups, 1, width])
            .expand([batch, keys, groups, heads / groups, width])
            .reshape([batch, keys, heads, width])
            .swap_dims(1, 2)
    };
    let scores = query.swap_dims(1, 2).matmul(repeated(key).transpose()) * score.scale;
    let scores = match &score.form {
        Form::Capped(cap) => op::bound(scores, *cap),
        // What is added takes its part of the gradient.
        Form::Added(added) => scores + added.clone(),
        Form::Plain | Form::Falling(_) => scores,
    };
    let equal = scores.clone() - scores.detach();
    let weights = burn::tensor::activation::softmax(equal, 3);
    weights.matmul(repeated(value)).swap_dims(1, 2)
}
