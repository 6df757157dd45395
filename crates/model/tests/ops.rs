//! The operations against formulas written out by hand.
#![allow(clippy::unwrap_used)] // In a test a panic is the report.

use burn::tensor::{Device, Tensor};
use finetune_model::noise::Noise;
use finetune_model::op::{self, Mask};

fn wave<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let noise = Noise::new(seed, 0, 0);
    let n = shape.iter().product::<usize>();
    let values: Vec<f32> = (0..n as u64)
        .map(|i| noise.uniform(i) * 2.0 - 1.0)
        .collect();
    Tensor::<1>::from_floats(values.as_slice(), &Device::flex()).reshape(shape)
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_to_vec_as::<f32>().unwrap()
}

#[test]
fn attention_with_grouped_heads_and_cached_keys() {
    let (batch, queries, keys, heads, kv_heads, width) = (2, 3, 5, 4, 2, 4);
    let q = wave([batch, queries, heads, width], 1);
    let k = wave([batch, keys, kv_heads, width], 2);
    let v = wave([batch, keys, kv_heads, width], 3);
    let mask = Mask {
        past: 2,
        ..Mask::causal()
    };
    let y = values(op::attention(
        q.clone(),
        k.clone(),
        v.clone(),
        &mask,
        0.5,
        0.0,
        Noise::off(),
    ));
    let (q, k, v) = (values(q), values(k), values(v));
    for b in 0..batch {
        for i in 0..queries {
            for h in 0..heads {
                let g = h / (heads / kv_heads);
                let row = |x: &[f32], l, p, n, h| -> Vec<f32> {
                    let start = ((b * l + p) * n + h) * width;
                    x[start..start + width].to_vec()
                };
                let query = row(&q, queries, i, heads, h);
                let weights: Vec<f32> = (0..=2 + i)
                    .map(|j| {
                        let key = row(&k, keys, j, kv_heads, g);
                        (query.iter().zip(&key).map(|(a, b)| a * b).sum::<f32>() * 0.5).exp()
                    })
                    .collect();
                let total: f32 = weights.iter().sum();
                for d in 0..width {
                    let expected: f32 = weights
                        .iter()
                        .enumerate()
                        .map(|(j, w)| w / total * row(&v, keys, j, kv_heads, g)[d])
                        .sum();
                    let found = y[((b * queries + i) * heads + h) * width + d];
                    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
                }
            }
        }
    }
}
