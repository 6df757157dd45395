//! Norms in one pass over each row.
#![allow(clippy::type_complexity)] // As the trait.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::kernel;
use super::{Scratch, all_f32, block_rows, floats, lanes, tensor, whole};
use crate::op::norm::{NormOps, Rule, backward, forward};

impl NormOps for Flex {
    fn norm_forward(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        rule: Rule,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&x, &weight, &bias]) {
            return forward::<Self>(&x, weight, bias, rule);
        }
        let [rows, width] = x.layout().shape().dims();
        let (x, weight, bias) = (whole(x), whole(weight), whole(bias));
        let norm = Norm {
            weight: floats(&weight),
            bias: if rule.biased { floats(&bias) } else { &[] },
            rule,
        };
        let mut y = vec![0.0; rows * width];
        let mut means = vec![0.0; rows];
        let mut scales = vec![0.0; rows];
        let block = block_rows(width);
        y.par_chunks_mut(block * width)
            .zip(floats(&x).par_chunks(block * width))
            .zip(means.par_chunks_mut(block))
            .zip(scales.par_chunks_mut(block))
            .for_each(|(((y, x), means), scales)| normalise(y, x, means, scales, norm));
        let column = [rows, 1];
        (
            tensor(y, [rows, width]),
            tensor(means, column),
            tensor(scales, column),
        )
    }

    fn norm_backward(
        gradient: FlexTensor,
        x: FlexTensor,
        weight: FlexTensor,
        mean: FlexTensor,
        scale: FlexTensor,
        rule: Rule,
        needed: [bool; 2],
    ) -> (FlexTensor, Option<FlexTensor>, Option<FlexTensor>) {
        if !all_f32(&[&gradient, &x, &weight]) {
            return backward::<Self>(gradient, &x, &weight, mean, scale, rule, needed);
        }
        let [rows, width] = x.layout().shape().dims();
        let (x, weight, mean, scale) = (whole(x), whole(weight), whole(mean), whole(scale));
        let norm = Norm {
            weight: floats(&weight),
            bias: &[],
            rule,
        };
        // The gradient's buffer becomes the gradient of x.
        let mut gradient = whole(gradient);
        let block = block_rows(width);
        let blocks = rows.div_ceil(block);
        let mut by_block = Scratch::new(blocks * 2 * width);
        gradient
            .storage_mut::<f32>()
            .par_chunks_mut(block * width)
            .zip(floats(&x).par_chunks(block * width))
            .zip(floats(&mean).par_chunks(block))
            .zip(floats(&scale).par_chunks(block))
            .zip(by_block.par_chunks_mut(2 * width))
            .for_each(|((((gradient, x), means), scales), sums)| {
                let (of_weight, of_bias) = sums.split_at_mut(width);
                denormalise(gradient, x, means, scales, norm, of_weight, of_bias);
            });
        let total = |first: usize| {
            let mut total = vec![0.0; width];
            for sums in by_block.chunks_exact(2 * width) {
                for (total, part) in total.iter_mut().zip(&sums[first..first + width]) {
                    *total += part;
                }
            }
            tensor(total, [width])
        };
        let [for_weight, for_bias] = needed;
        (
            gradient,
            for_weight.then(|| total(0)),
            for_bias.then(|| total(width)),
        )
    }
}

#[derive(Clone, Copy)]
struct Norm<'a> {
    weight: &'a [f32],
    /// Empty if there is none.
    bias: &'a [f32],
    rule: Rule,
}

kernel! {
    fn normalise(y: &mut [f32], x: &[f32], means: &mut [f32], scales: &mut [f32], norm: Norm<'_>) {
        let width = norm.weight.len();
        let share = 1.0 / width as f32;
        let rows = y.chunks_exact_mut(width).zip(x.chunks_exact(width));
        for (((y, x), mean), scale) in rows.zip(means).zip(scales) {
            *mean = if norm.rule.centred { lanes::sum(x) * share } else { 0.0 };
            let m = *mean;
            let square = lanes::sum_of(x, |x| (x - m) * (x - m)) * share;
            *scale = 1.0 / (square + norm.rule.eps as f32).sqrt();
            let s = *scale;
            for ((y, x), weight) in y.iter_mut().zip(x).zip(norm.weight) {
                *y = (x - m) * s * weight;
            }
            for (y, bias) in y.iter_mut().zip(norm.bias) {
                *y += bias;
            }
        }
    }
}

kernel! {
    /// Turns the gradients of results into those of `x`, and sums those of weight and bias over the rows.
    fn denormalise(
        gradient: &mut [f32],
        x: &[f32],
        means: &[f32],
        scales: &[f32],
        norm: Norm<'_>,
        of_weight: &mut [f32],
        of_bias: &mut [f32],
    ) {
        let width = norm.weight.len();
        let share = 1.0 / width as f32;
        of_weight.fill(0.0);
        of_bias.fill(0.0);
        let rows = gradient.chunks_exact_mut(width).zip(x.chunks_exact(width));
        for (((gradient, x), &m), &s) in rows.zip(means).zip(scales) {
            for ((gradient, x), of_weight) in gradient.iter_mut().zip(x).zip(of_weight.iter_mut()) {
                *of_weight += *gradient * ((x - m) * s);
            }
            for ((gradient, weight), of_bias) in gradient.iter_mut().zip(norm.weight).zip(of_bias.iter_mut()) {
                *of_bias += *gradient;
                *gradient *= weight;
            }
            let along = lanes::sum_of_pairs(gradient, x, |g, x| g * ((x - m) * s)) * share;
            let mean = if norm.rule.centred { lanes::sum(gradient) * share } else { 0.0 };
            for (gradient, x) in gradient.iter_mut().zip(x) {
                *gradient = (*gradient - mean - (x - m) * s * along) * s;
            }
        }
    }
}
