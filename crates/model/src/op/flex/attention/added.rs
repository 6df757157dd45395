//! What is added to the scores.

use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::BLOCK;
use super::kernels::accumulate;
use crate::op::attention::{Bend, Plan};
use crate::op::flex::{floats, tensor, whole};

/// A number for each query and key, `[batch or 1, heads, queries, keys]`.
pub(super) struct Added {
    tensor: FlexTensor,
    shape: [usize; 4],
}

impl Added {
    /// `None` where the tensor is a placeholder.
    pub(super) fn new(tensor: FlexTensor, plan: &Plan) -> Option<Self> {
        let Bend::Added = plan.bend else {
            return None;
        };
        let shape = tensor.layout().shape().dims();
        let tensor = whole(tensor);
        Some(Self { tensor, shape })
    }

    /// Of one query of one head, for all keys.
    pub(super) fn row(&self, batch: usize, head: usize, query: usize) -> &[f32] {
        let [batches, heads, queries, keys] = self.shape;
        let batch = if batches == 1 { 0 } else { batch };
        let start = ((batch * heads + head) * queries + query) * keys;
        &floats(&self.tensor)[start..start + keys]
    }

    /// The gradient of it from that of the scores, `[batch, heads, queries, keys]`.
    pub(super) fn gradient(&self, for_scores: &[f32]) -> FlexTensor {
        let size = self.shape.iter().product();
        let mut gradient = vec![0.0; size];
        if size > 0 {
            gradient
                .par_chunks_mut(BLOCK * self.shape[3])
                .enumerate()
                .for_each(|(block, gradient)| {
                    // In the order of the rows, so that the sum has the same bits for any number of threads.
                    for row in for_scores.chunks_exact(size) {
                        let row = &row[block * BLOCK * self.shape[3]..][..gradient.len()];
                        accumulate(gradient, row);
                    }
                });
        }
        tensor(gradient, self.shape)
    }
}
