//! Operands as their heads.

use std::ops::Range;

use burn::backend::flex::FlexTensor;

use crate::op::flex::kernel::Matrix;
use crate::op::flex::whole;

/// A tensor `[batch, length, heads, width]` whose features lie behind each other.
pub(super) struct Heads {
    tensor: FlexTensor,
    start: usize,
    strides: [usize; 3],
    pub(super) shape: [usize; 4],
}

impl Heads {
    pub(super) fn new(tensor: FlexTensor) -> Self {
        let strides = tensor.layout().strides();
        let direct = strides[3] == 1 && strides.iter().all(|&stride| stride >= 0);
        let tensor = if direct { tensor } else { whole(tensor) };
        let strides = tensor.layout().strides();
        Self {
            start: tensor.layout().start_offset(),
            strides: [0, 1, 2].map(|dim| strides[dim].unsigned_abs()),
            shape: tensor.layout().shape().dims(),
            tensor,
        }
    }

    /// Positions of one head, `[positions, width]`.
    pub(super) fn matrix(&self, batch: usize, positions: &Range<usize>, head: usize) -> Matrix<'_> {
        let [by_batch, by_position, by_head] = self.strides;
        let start = self.start + batch * by_batch + positions.start * by_position + head * by_head;
        let data = &self.tensor.storage::<f32>()[start..];
        Matrix::strided(data, [positions.len(), self.shape[3]], [by_position, 1])
    }

    pub(super) fn row(&self, batch: usize, position: usize, head: usize) -> &[f32] {
        let [by_batch, by_position, by_head] = self.strides;
        let start = self.start + batch * by_batch + position * by_position + head * by_head;
        &self.tensor.storage::<f32>()[start..][..self.shape[3]]
    }
}
