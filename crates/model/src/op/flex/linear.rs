//! Matrix products with the bias inside.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::{Matrix, Threads, kernel, product};
use super::{add_columns, all_f32, block_rows, floats, tensor, whole};
use crate::op::linear::{LinearOps, affine, for_bias, for_weight, for_x};

impl LinearOps for Flex {
    fn affine(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, biased: bool) -> FlexTensor {
        if !all_f32(&[&x, &weight, &bias]) {
            return affine::<Self>(x, weight, bias, biased);
        }
        let [rows, _] = x.layout().shape().dims();
        let [_, width] = weight.layout().shape().dims();
        let (x, weight) = (Strided::new(x), Strided::new(weight));
        let mut y = product(x.matrix(), weight.matrix(), 1.0, Threads::All);
        if biased {
            let bias = whole(bias);
            y.par_chunks_mut(block_rows(width) * width)
                .for_each(|y| add_to_rows(y, floats(&bias)));
        }
        tensor(y, [rows, width])
    }

    fn affine_for_x(gradient: FlexTensor, weight: FlexTensor) -> FlexTensor {
        if !all_f32(&[&gradient, &weight]) {
            return for_x::<Self>(gradient, weight);
        }
        let [rows, _] = gradient.layout().shape().dims();
        let [width, _] = weight.layout().shape().dims();
        let (gradient, weight) = (Strided::new(gradient), Strided::new(weight));
        let y = product(gradient.matrix(), weight.matrix().t(), 1.0, Threads::All);
        tensor(y, [rows, width])
    }

    fn affine_for_weight(gradient: FlexTensor, x: FlexTensor, transposed: bool) -> FlexTensor {
        if !all_f32(&[&gradient, &x]) {
            return for_weight::<Self>(gradient, x);
        }
        let [_, outer] = gradient.layout().shape().dims();
        let [_, inner] = x.layout().shape().dims();
        let (gradient, x) = (Strided::new(gradient), Strided::new(x));
        if transposed {
            let y = product(gradient.matrix().t(), x.matrix(), 1.0, Threads::All);
            tensor(y, [outer, inner]).transpose(0, 1)
        } else {
            let y = product(x.matrix().t(), gradient.matrix(), 1.0, Threads::All);
            tensor(y, [inner, outer])
        }
    }

    fn affine_for_bias(gradient: FlexTensor) -> FlexTensor {
        if !all_f32(&[&gradient]) {
            return for_bias::<Self>(gradient);
        }
        let width = gradient.layout().shape()[1];
        let mut total = vec![0.0; width];
        add_columns(&mut total, floats(&whole(gradient)));
        tensor(total, [width])
    }

    fn affine_transposed(weight: &FlexTensor) -> bool {
        lies_transposed(weight)
    }
}

/// Whether a matrix lies in memory as its transpose.
pub(super) fn lies_transposed(matrix: &FlexTensor) -> bool {
    let rows = matrix.layout().shape()[0];
    let strides = matrix.layout().strides();
    strides[0] == 1 && strides[1].unsigned_abs() == rows && strides[1] > 1
}

kernel! {
    fn add_to_rows(rows: &mut [f32], bias: &[f32]) {
        for row in rows.chunks_exact_mut(bias.len()) {
            for (x, bias) in row.iter_mut().zip(bias) {
                *x += bias;
            }
        }
    }
}

/// A matrix with its elements anywhere.
struct Strided(FlexTensor);

impl Strided {
    fn new(tensor: FlexTensor) -> Self {
        let forward = tensor.layout().strides().iter().all(|&stride| stride >= 0);
        Self(if forward { tensor } else { whole(tensor) })
    }

    fn matrix(&self) -> Matrix<'_> {
        let layout = self.0.layout();
        let strides = layout.strides();
        Matrix::strided(
            &self.0.storage::<f32>()[layout.start_offset()..],
            layout.shape().dims(),
            [strides[0].unsigned_abs(), strides[1].unsigned_abs()],
        )
    }
}
