//! Sums whose bits do not depend on the number of threads.

use burn::tensor::Tensor;

/// Elements that are added in one go; fixed, so that the tree of additions depends on nothing but the length.
const BLOCK: usize = 4096;

/// The sum of all elements, the same bits for any number of threads and any length.
///
/// # Shapes
///
/// `x`: `[n]`, result: `[1]`.
pub fn sum(mut x: Tensor<1>) -> Tensor<1> {
    loop {
        let n = x.dims()[0];
        if n <= BLOCK {
            return x.sum();
        }
        let whole = n / BLOCK * BLOCK;
        let blocks = x
            .clone()
            .narrow(0, 0, whole)
            .reshape([n / BLOCK, BLOCK])
            .sum_dim(1)
            .squeeze_dim(1);
        x = if whole < n {
            Tensor::cat(vec![blocks, x.narrow(0, whole, n - whole).sum()], 0)
        } else {
            blocks
        };
    }
}

/// The sum of the squares of all elements, the same bits for any number of threads and any size.
///
/// # Shapes
///
/// `x`: any, result: `[1]`.
pub fn square_sum<const D: usize>(x: Tensor<D>) -> Tensor<1> {
    let count = x.shape().num_elements();
    sum(x.reshape([count]).square())
}
