//! Every operation written with burn's own differentiable operations: what the fused ones must agree with.
#![allow(dead_code, missing_docs, unreachable_pub)] // The benches use a part of this file.

use burn::tensor::{Int, Tensor, TensorData};
use finetune_model::noise::Noise;
use finetune_model::op::{Activation, AdamWStep, Form, Mask, Score};

pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let mean = x.clone().square().mean_dim(1);
    x * (mean + eps).sqrt().recip() * weight.unsqueeze()
}

pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Option<Tensor<1>>, eps: f64) -> Tensor<2> {
    let mean = x.clone().mean_dim(1);
    let centred = x - mean;
    let variance = centred.clone().square().mean_dim(1);
    let y = centred * (variance + eps).sqrt().recip() * weight.unsqueeze();
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}

pub fn activate(x: Tensor<2>, activation: Activation) -> Tensor<2> {
    match activation {
        Activation::Relu => burn::tensor::activation::relu(x),
        // On most backends the gradient of burn's own GELU is that of the approximation, off by up to 2e-3.
        Activation::Gelu => x.clone() * ((x / std::f64::consts::SQRT_2).erf() + 1.0) * 0.5,
        Activation::GeluTanh => {
            let inner = (x.clone() + x.clone().powi_scalar(3) * 0.044_715)
                * (2.0 / std::f64::consts::PI).sqrt();
            x * 0.5 * (inner.tanh() + 1.0)
        }
        Activation::Silu => x.clone() * burn::tensor::activation::sigmoid(x),
        Activation::Tanh => x.tanh(),
    }
}

pub fn gate(gate: Tensor<2>, up: Tensor<2>, activation: Activation) -> Tensor<2> {
    activate(gate, activation) * up
}

pub fn rotate(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let [batch, length, _, width] = x.dims();
    let half = cos.dims()[1];
    let cos = cos.reshape([batch, length, 1, half]);
    let sin = sin.reshape([batch, length, 1, half]);
    let first = x.clone().narrow(3, 0, half);
    let second = x.clone().narrow(3, half, half);
    let mut parts = vec![
        first.clone() * cos.clone() - second.clone() * sin.clone(),
        second * cos + first * sin,
    ];
    if 2 * half < width {
        parts.push(x.narrow(3, 2 * half, width - 2 * half));
    }
    Tensor::cat(parts, 3)
}

/// True where a key is hidden, `[batch, heads, queries, keys]`.
fn hidden(
    mask: &Mask,
    shape: [usize; 4],
    device: &burn::tensor::Device,
) -> Tensor<4, burn::tensor::Bool> {
    let [batch, heads, queries, keys] = shape;
    let mut hidden = Vec::with_capacity(shape.iter().product());
    for b in 0..batch {
        for _ in 0..heads {
            for i in 0..queries {
                hidden.extend((0..keys).map(|j| !mask.visible(b, i, j)));
            }
        }
    }
    Tensor::from_data(TensorData::new(hidden, shape), device)
}

/// Where a place stands in its text; in a row without branches, in the row.
fn position(mask: &Mask, row: usize, place: u32) -> u32 {
    let spans = mask.spans.get(row).map_or(&[][..], |spans| spans);
    let holding = |place: u32| spans.iter().find(|span| span.contains(place));
    let branched = spans.iter().any(|span| span.after.is_some());
    match holding(place).filter(|_| branched) {
        Some(span) => {
            let after = span.after.filter(|after| holding(*after).is_some());
            let first = after.map_or(0, |after| position(mask, row, after) + 1);
            first + place - span.start
        }
        None => place,
    }
}

pub fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    mask: &Mask,
    score: &Score,
    dropout: f64,
    noise: Noise,
) -> Tensor<4> {
    let [batch, queries, heads, width] = q.dims();
    let [_, keys, kv_heads, _] = k.dims();
    let out = v.dims()[3];
    let groups = heads / kv_heads;
    let shape = [batch, heads, queries, keys];
    let device = q.device();
    let repeat = |x: Tensor<4>, width: usize| -> Tensor<4> {
        x.unsqueeze_dim::<5>(3)
            .expand([batch, keys, kv_heads, groups, width])
            .reshape([batch, keys, heads, width])
            .swap_dims(1, 2)
    };
    let (q, k, v) = (q.swap_dims(1, 2), repeat(k, width), repeat(v, out));
    let hidden = hidden(mask, shape, &device);
    let scores = q.matmul(k.transpose()) * score.scale;
    let scores = match &score.form {
        Form::Plain => scores,
        Form::Capped(cap) => (scores / *cap).tanh() * *cap,
        Form::Falling(slopes) => {
            let fall = (0..shape.iter().product::<usize>()).map(|at| {
                let row = at / keys / queries / heads;
                let place = |place| position(mask, row, place as u32) as f32;
                let (key, query) = (place(at % keys), place(at / keys % queries + mask.past));
                slopes[at / keys / queries % heads] * (key - query)
            });
            let fall = TensorData::new(fall.collect::<Vec<_>>(), shape);
            scores + Tensor::from_data(fall, &device)
        }
        Form::Added(added) => scores + added.clone(),
    };
    let scores = scores.mask_fill(hidden.clone(), -1e30);
    let highest = scores.clone().detach().max_dim(3);
    let weights = (scores - highest).exp().mask_fill(hidden, 0.0);
    let total = weights.clone().sum_dim(3).clamp_min(f32::MIN_POSITIVE);
    let mut weights = weights / total;
    if noise.is_on() && dropout > 0.0 {
        weights = weights * factors(shape, dropout, noise, &device);
    }
    weights.matmul(v).swap_dims(1, 2)
}

fn factors<const D: usize>(
    shape: [usize; D],
    rate: f64,
    noise: Noise,
    device: &burn::tensor::Device,
) -> Tensor<D> {
    let factors: Vec<f32> = (0..shape.iter().product::<usize>() as u64)
        .map(|i| {
            if noise.uniform(i) < rate as f32 {
                0.0
            } else {
                (1.0 / (1.0 - rate)) as f32
            }
        })
        .collect();
    Tensor::from_data(TensorData::new(factors, shape), device)
}

pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    burn::tensor::module::linear(x, weight, bias)
}

pub fn log_probs(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    targets: Tensor<1, Int>,
    cap: Option<f64>,
) -> Tensor<1> {
    let mut logits = linear(hidden, weight, bias);
    if let Some(cap) = cap {
        logits = (logits / cap).tanh() * cap;
    }
    let highest = logits.clone().detach().max_dim(1);
    let shifted = logits - highest;
    let total = shifted.clone().exp().sum_dim(1).log();
    let chosen = shifted.gather(1, targets.unsqueeze_dim(1));
    (chosen - total).squeeze_dim(1)
}

pub fn embed(weight: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    weight.select(0, ids)
}

pub fn dropout(x: Tensor<2>, rate: f64, noise: Noise) -> Tensor<2> {
    let factors = factors(x.dims(), rate, noise, &x.device());
    x * factors
}

pub fn sum(x: Tensor<1>) -> Tensor<1> {
    x.sum()
}

pub fn square_sum<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    x.square().sum()
}

pub fn adamw(
    parameter: Tensor<1>,
    gradient: Tensor<1>,
    first: Tensor<1>,
    second: Tensor<1>,
    s: AdamWStep,
) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
    let correction1 = 1.0 - s.beta1.powf(s.step as f64);
    let correction2 = 1.0 - s.beta2.powf(s.step as f64);
    let first = first.clone() + (gradient.clone() - first) * (1.0 - s.beta1);
    let second = second * s.beta2 + gradient.clone() * gradient * (1.0 - s.beta2);
    let scale = second.clone().sqrt() / correction2.sqrt() + s.epsilon;
    let parameter =
        parameter * (1.0 - s.rate * s.decay) - first.clone() / scale * (s.rate / correction1);
    (parameter, first, second)
}
