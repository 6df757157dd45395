//! How tokens look at each other.

use burn::module::Module;
use burn::tensor::Tensor;

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
    pub(crate) mask: Mask,
    pub(crate) angles: Option<Angles>,
    /// What is added to the scores for the distances of keys, `[1, heads, length, keys]`, where the family does so.
    pub(crate) distances: Option<Tensor<4>>,
    /// What the relative part of an attention needs.
    pub(crate) offsets: Option<Offsets>,
    /// 1 where a query sees nothing and 0 elsewhere, `[batch, length, 1, 1]`; `None` when zeros will do.
    pub(crate) blind: Option<Tensor<4>>,
    /// Which places the queries stand at, `[batch, predictions, length]`; `None` for one at every place.
    pub(crate) asked: Option<Tensor<3>>,
}

/// Keys and values, `[batch, places, groups, head_width]` each.
#[derive(Debug, Clone)]
pub(crate) struct Sights {
    pub(crate) key: Tensor<4>,
    pub(crate) value: Tensor<4>,
}

impl Sights {
    /// These behind others that were seen before.
    pub(crate) fn behind(self, before: &Self) -> Self {
        let behind = |before: &Tensor<4>, new| Tensor::cat(vec![before.clone(), new], 1);
        Self {
            key: behind(&before.key, self.key),
            value: behind(&before.value, self.value),
        }
    }

    /// The same for keys and for values.
    pub(crate) fn map(&self, change: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        Self {
            key: change(self.key.clone()),
            value: change(self.value.clone()),
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
            query: Linear::new(
                &init.at_query("query", attention.head_width),
                width,
                queries,
                inputs,
            ),
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
        let seen = self.seen(x.clone(), pass, noise, cache);
        self.attend(x, seen, pass, noise)
    }

    /// What queries look at: rotated keys and values, those of the cache included.
    ///
    /// # Shapes
    /// `[batch * length, width]` to [`Sights`].
    pub(crate) fn seen(
        &self,
        x: Tensor<2>,
        pass: &Pass,
        noise: Noise,
        cache: Option<LayerCache<'_>>,
    ) -> Sights {
        let Sights { mut key, mut value } = self.sights(x, pass.batch, noise);
        if let Some(Angles { cos, sin }) = &pass.angles {
            key = op::rotate(key, cos.clone(), sin.clone());
        }
        if let Some(cache) = cache {
            (key, value) = cache.extend(key, value);
        }
        Sights { key, value }
    }

    /// Looks at what was seen.
    ///
    /// # Shapes
    /// `[rows, width]` to the same: a row for every place, or for every prediction where the pass has [`Pass::asked`].
    pub(crate) fn attend(
        &self,
        x: Tensor<2>,
        seen: Sights,
        pass: &Pass,
        noise: Noise,
    ) -> Tensor<2> {
        let query = self.query.forward(x, noise.site(site::QUERY));
        let query = pass.at_places(Norm::maybe(self.query_norm.as_ref(), query));
        let mut query = self.heads(query, pass.batch);
        if let Some(Angles { cos, sin }) = &pass.angles {
            query = op::rotate(query, cos.clone(), sin.clone());
        }
        let (query, score) = self.scored(query, pass, noise);
        let guess = pass.blind.as_ref().map(|blind| {
            let Sights { key, value } = seen.clone();
            evenly(query.clone(), key, value, &score) * blind.clone()
        });
        let seen = self.look(query, seen, &pass.mask, &score, noise);
        let seen = match guess {
            Some(guess) => seen + guess,
            None => seen,
        };
        self.output
            .forward(pass.at_predictions(rows(seen)), noise.site(site::OUTPUT))
    }

    /// The query that meets the keys, and what becomes of their products.
    fn scored(&self, query: Tensor<4>, pass: &Pass, noise: Noise) -> (Tensor<4>, Score) {
        let scale = self.score.scale;
        let with = |added| Score {
            scale,
            form: Form::Added(added),
        };
        if let Some(distances) = &pass.distances {
            return (query, with(distances.clone()));
        }
        let (Some(relative), Some(offsets)) = (&self.relative, &pass.offsets) else {
            return (query, self.score.clone());
        };
        let added = relative.added(&query, offsets, scale, noise.site(site::DISTANCE));
        (relative.of_content(&query, offsets), with(added))
    }

    /// Looks at another text: its keys and values come from [`Self::sights`].
    ///
    /// # Shapes
    /// `[batch * length, width]` to the same.
    pub(crate) fn across(
        &self,
        x: Tensor<2>,
        sights: Sights,
        mask: &Mask,
        noise: Noise,
    ) -> Tensor<2> {
        let query = self.query.forward(x, noise.site(site::QUERY));
        let query = Norm::maybe(self.query_norm.as_ref(), query);
        let query = self.heads(query, sights.key.dims()[0]);
        let seen = self.look(query, sights, mask, &self.score, noise);
        self.output.forward(rows(seen), noise.site(site::OUTPUT))
    }

    /// Keys and values before any rotation.
    ///
    /// # Shapes
    /// `[batch * length, width]` to [`Sights`].
    pub(crate) fn sights(&self, x: Tensor<2>, batch: usize, noise: Noise) -> Sights {
        let key = self.key.forward(x.clone(), noise.site(site::KEY));
        let value = self.value.forward(x, noise.site(site::VALUE));
        Sights {
            key: self.heads(Norm::maybe(self.key_norm.as_ref(), key), batch),
            value: self.heads(value, batch),
        }
    }

    fn look(
        &self,
        query: Tensor<4>,
        Sights { key, value }: Sights,
        mask: &Mask,
        score: &Score,
        noise: Noise,
    ) -> Tensor<4> {
        let places = noise.site(site::PROBABILITIES);
        op::attention(query, key, value, mask, score, self.dropout, places)
    }

    /// `[batch * length, heads * head_width]` as `[batch, length, heads, head_width]`.
    fn heads(&self, x: Tensor<2>, batch: usize) -> Tensor<4> {
        let [rows, features] = x.dims();
        let heads = features / self.head_width;
        x.reshape([batch, rows / batch, heads, self.head_width])
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

/// `[batch, length, heads, head_width]` as `[batch * length, heads * head_width]`.
fn rows(x: Tensor<4>) -> Tensor<2> {
    let [batch, length, heads, width] = x.dims();
    x.reshape([batch * length, heads * width])
}

/// What becomes of the products of queries and keys in one block.
fn score(plan: &Blueprint, block: usize) -> Score {
    let attention = &plan.attention;
    let form = match (attention.cap, &plan.position) {
        (Some(cap), _) => Form::Capped(cap),
        (None, Position::Alibi) => Form::Falling(slopes(attention.heads).into()),
        // What distances add is known only when there are any.
        (
            None,
            Position::Learned { .. }
            | Position::Rotary(_)
            | Position::Distance(_)
            | Position::Relative(_),
        ) => Form::Plain,
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
