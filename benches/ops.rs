//! Every operation of the model, forward and backward, beside the same arithmetic in burn's own operations.
//!
//! The shapes are those of a small LLaMA: 8 rows of 256 tokens, width 256, 4 heads of 64 over 2 key heads, inner width
//! 688, vocabulary 4,096. `cargo bench --bench ops -- attention` runs one of them.
#![allow(missing_docs)] // criterion's macros define undocumented functions.

use std::hint::black_box;

use burn::tensor::{Device, Int, Tensor};
use criterion::{
    BatchSize, BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use finetune::model::noise::Noise;
use finetune::model::op::{self, Activation, AdamWStep, Mask, Score};

#[path = "../crates/model/tests/ops/composed.rs"]
mod composed;

const BATCH: usize = 8;
const LENGTH: usize = 256;
const ROWS: usize = BATCH * LENGTH;
const WIDTH: usize = 256;
const INNER: usize = 688;
const VOCABULARY: usize = 4096;
const HEADS: usize = 4;
const KV_HEADS: usize = 2;

fn wave<const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let noise = Noise::new(seed, 0, 0);
    let count = shape.iter().product::<usize>() as u64;
    let values: Vec<f32> = (0..count).map(|i| noise.uniform(i) * 2.0 - 1.0).collect();
    Tensor::<1>::from_floats(values.as_slice(), &Device::flex().autodiff()).reshape(shape)
}

fn leaf<const D: usize>(x: &Tensor<D>) -> Tensor<D> {
    x.clone().detach().require_grad()
}

/// One element of the result, so that the loss itself costs next to nothing.
fn first<const D: usize>(y: Tensor<D>) -> Tensor<1> {
    let count = y.shape().num_elements();
    y.reshape([count]).narrow(0, 0, 1)
}

fn pass(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, f: impl Fn() -> Tensor<1>) {
    group.bench_function(name, |bench| bench.iter(|| black_box(f().backward())));
}

fn heads(criterion: &mut Criterion) {
    let (hidden, weight) = (wave([ROWS, WIDTH], 1), wave([VOCABULARY, WIDTH], 2));
    let targets: Vec<i32> = (0..ROWS as i32)
        .map(|i| i * 37 % VOCABULARY as i32)
        .collect();
    let targets = Tensor::<1, Int>::from_data(targets.as_slice(), &Device::flex().autodiff());
    let mut group = criterion.benchmark_group("log_probs");
    group.sample_size(10);
    let tied = || leaf(&weight).transpose();
    let frozen = || weight.clone().transpose();
    pass(&mut group, "composed", || {
        composed::log_probs(leaf(&hidden), tied(), None, targets.clone(), None).sum()
    });
    pass(&mut group, "fused", || {
        op::log_probs(leaf(&hidden), tied(), None, targets.clone(), None).sum()
    });
    pass(&mut group, "composed, frozen weight", || {
        composed::log_probs(leaf(&hidden), frozen(), None, targets.clone(), None).sum()
    });
    pass(&mut group, "fused, frozen weight", || {
        op::log_probs(leaf(&hidden), frozen(), None, targets.clone(), None).sum()
    });
    group.finish();
}

fn attention(criterion: &mut Criterion) {
    let q = wave([BATCH, LENGTH, HEADS, 64], 1);
    let k = wave([BATCH, LENGTH, KV_HEADS, 64], 2);
    let v = wave([BATCH, LENGTH, KV_HEADS, 64], 3);
    let mask = Mask::causal();
    let score = Score::scaled(0.125);
    let off = Noise::off();
    let mut group = criterion.benchmark_group("attention");
    group.sample_size(20);
    pass(&mut group, "composed", || {
        first(composed::attention(
            leaf(&q),
            leaf(&k),
            leaf(&v),
            &mask,
            &score,
            0.0,
            off,
        ))
    });
    pass(&mut group, "fused", || {
        first(op::attention(
            leaf(&q),
            leaf(&k),
            leaf(&v),
            &mask,
            &score,
            0.0,
            off,
        ))
    });
    pass(&mut group, "fused, dropout", || {
        let noise = Noise::new(1, 2, 3);
        first(op::attention(
            leaf(&q),
            leaf(&k),
            leaf(&v),
            &mask,
            &score,
            0.1,
            noise,
        ))
    });
    group.finish();
}

fn rows(criterion: &mut Criterion) {
    let x = wave([ROWS, WIDTH], 1);
    let (weight, bias) = (wave([WIDTH], 2), wave([WIDTH], 3));
    let (gate, up) = (wave([ROWS, INNER], 4), wave([ROWS, INNER], 5));
    let heads = wave([BATCH, LENGTH, HEADS, 64], 6);
    let angles = wave([ROWS, 32], 7);
    let noise = Noise::new(1, 2, 3);

    let mut group = criterion.benchmark_group("rms_norm");
    pass(&mut group, "composed", || {
        first(composed::rms_norm(leaf(&x), leaf(&weight), 1e-5))
    });
    pass(&mut group, "fused", || {
        first(op::rms_norm(leaf(&x), leaf(&weight), 1e-5))
    });
    group.finish();

    let mut group = criterion.benchmark_group("layer_norm");
    let of = || (leaf(&x), leaf(&weight), Some(leaf(&bias)));
    pass(&mut group, "composed", || {
        let (x, weight, bias) = of();
        first(composed::layer_norm(x, weight, bias, 1e-5))
    });
    pass(&mut group, "fused", || {
        let (x, weight, bias) = of();
        first(op::layer_norm(x, weight, bias, 1e-5))
    });
    group.finish();

    for activation in [Activation::Silu, Activation::Gelu, Activation::GeluTanh] {
        let mut group = criterion.benchmark_group(format!("gate {activation}"));
        pass(&mut group, "composed", || {
            first(composed::gate(leaf(&gate), leaf(&up), activation))
        });
        pass(&mut group, "fused", || {
            first(op::gate(leaf(&gate), leaf(&up), activation))
        });
        group.finish();
        let mut group = criterion.benchmark_group(format!("activate {activation}"));
        pass(&mut group, "composed", || {
            first(composed::activate(leaf(&gate), activation))
        });
        pass(&mut group, "fused", || {
            first(op::activate(leaf(&gate), activation))
        });
        group.finish();
    }

    let mut group = criterion.benchmark_group("rotate");
    pass(&mut group, "composed", || {
        first(composed::rotate(
            leaf(&heads),
            angles.clone(),
            angles.clone(),
        ))
    });
    pass(&mut group, "fused", || {
        first(op::rotate(leaf(&heads), angles.clone(), angles.clone()))
    });
    group.finish();

    let mut group = criterion.benchmark_group("dropout");
    pass(&mut group, "composed", || {
        first(composed::dropout(leaf(&x), 0.1, noise))
    });
    pass(&mut group, "fused", || {
        first(op::dropout(leaf(&x), 0.1, noise))
    });
    group.finish();
}

fn tables(criterion: &mut Criterion) {
    let table = wave([VOCABULARY, WIDTH], 1);
    let ids: Vec<i32> = (0..ROWS as i32)
        .map(|i| i * 37 % VOCABULARY as i32)
        .collect();
    let ids = Tensor::<1, Int>::from_data(ids.as_slice(), &Device::flex().autodiff());
    let mut group = criterion.benchmark_group("embed");
    pass(&mut group, "composed", || {
        first(composed::embed(leaf(&table), ids.clone()))
    });
    pass(&mut group, "fused", || {
        first(op::embed(leaf(&table), ids.clone()))
    });
    group.finish();

    let x = wave([ROWS, WIDTH], 1);
    let (weight, bias) = (wave([WIDTH, INNER], 2), wave([INNER], 3));
    for biased in [false, true] {
        let mut group = criterion.benchmark_group(if biased { "linear, bias" } else { "linear" });
        group.sample_size(20);
        let bias = || biased.then(|| leaf(&bias));
        pass(&mut group, "composed", || {
            first(composed::linear(leaf(&x), leaf(&weight), bias()))
        });
        pass(&mut group, "fused", || {
            first(op::linear(leaf(&x), leaf(&weight), bias()))
        });
        group.finish();
    }
}

fn optimizer(criterion: &mut Criterion) {
    let count = 4_000_000;
    let state = [1, 2, 3, 4].map(|seed| wave([count], seed).inner().abs());
    let step = AdamWStep {
        rate: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        decay: 0.1,
        step: 3,
    };
    let mut group = criterion.benchmark_group("adamw, 4,000,000");
    group.sample_size(20);
    // A copy of the state that nobody else holds, as in a training step.
    let own = || state.clone().map(|x| x + 0.0);
    group.bench_function("composed", |bench| {
        bench.iter_batched(
            own,
            |[p, g, m, v]| composed::adamw(p, g, m, v, step),
            BatchSize::LargeInput,
        );
    });
    group.bench_function("fused", |bench| {
        bench.iter_batched(
            own,
            |[p, g, m, v]| op::adamw(p, g, m, v, step),
            BatchSize::LargeInput,
        );
    });
    group.finish();

    let mut group = criterion.benchmark_group("square_sum, 4,000,000");
    group.sample_size(20);
    let gradient = &state[1];
    group.bench_function("composed", |bench| {
        bench.iter(|| composed::square_sum(gradient.clone()).into_data());
    });
    group.bench_function("fused", |bench| {
        bench.iter(|| op::square_sum(gradient.clone()).into_data());
    });
    group.finish();
}

criterion_group!(benches, heads, attention, rows, tables, optimizer);
criterion_main!(benches);
