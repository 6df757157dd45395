//! Rotary position embedding.

use burn::tensor::Tensor;

/// Rotates the first features of each head by the angles of its position (Su et al. 2021), pairing feature `i` with
/// feature `i + rotated/2` as Hugging Face checkpoints do. The remaining features pass unchanged.
///
/// # Shapes
///
/// `x`: `[batch, length, heads, width]`, `cos` and `sin`: `[batch·length, rotated/2]`, result as `x`.
///
/// # Panics
///
/// If `cos` and `sin` do not fit `x`.
pub fn rotate(x: Tensor<4>, cos: Tensor<2>, sin: Tensor<2>) -> Tensor<4> {
    let [batch, length, heads, width] = x.dims();
    let half = check([batch, length, heads, width], cos.dims(), sin.dims());
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

/// Half the number of rotated features.
fn check(x: [usize; 4], cos: [usize; 2], sin: [usize; 2]) -> usize {
    let [batch, length, _, width] = x;
    assert_eq!(cos, sin, "cos and sin differ in shape");
    assert!(
        cos[0] == batch * length && 2 * cos[1] <= width,
        "angles {cos:?} do not fit {x:?}: expected [batch·length, at most width/2]"
    );
    cos[1]
}
