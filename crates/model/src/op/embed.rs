//! Rows of a table.

use burn::tensor::{Int, Tensor};

/// The rows of `weight` named by `ids`. The gradient adds the rows of equal ids in the order of `ids`.
///
/// # Shapes
///
/// `weight`: `[vocabulary, width]`, `ids`: `[rows]`, result: `[rows, width]`.
pub fn embed(weight: Tensor<2>, ids: Tensor<1, Int>) -> Tensor<2> {
    weight.select(0, ids)
}
