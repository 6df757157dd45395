//! The affine map of rows.

use burn::tensor::Tensor;

/// `x · weight + bias`. A weight that is not tracked gets no gradient, and `x` is then not kept for it.
///
/// # Shapes
///
/// `x`: `[rows, in]`, `weight`: `[in, out]`, `bias`: `[out]`, result: `[rows, out]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    burn::tensor::module::linear(x, weight, bias)
}
