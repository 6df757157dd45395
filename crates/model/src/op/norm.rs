//! Normalisation of rows.

use burn::tensor::Tensor;

/// Root-mean-square norm: `x / sqrt(mean(x²) + eps) · weight` for each row (Zhang & Sennrich 2019).
///
/// # Shapes
///
/// `x`: `[rows, width]`, `weight`: `[width]`, result: `[rows, width]`.
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, eps: f64) -> Tensor<2> {
    let mean = x.clone().square().mean_dim(1);
    x * (mean + eps).sqrt().recip() * weight.unsqueeze()
}

/// Layer norm: `(x - mean) / sqrt(variance + eps) · weight + bias` for each row, with the biased variance
/// (Ba et al. 2016).
///
/// # Shapes
///
/// `x`: `[rows, width]`, `weight` and `bias`: `[width]`, result: `[rows, width]`.
pub fn layer_norm(x: Tensor<2>, weight: Tensor<1>, bias: Option<Tensor<1>>, eps: f64) -> Tensor<2> {
    let mean = x.clone().mean_dim(1);
    let centred = x - mean;
    let variance = centred.clone().square().mean_dim(1);
    let y = centred * (variance + eps).sqrt().recip() * weight.unsqueeze();
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}
