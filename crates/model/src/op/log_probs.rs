//! The head's log-probabilities of given tokens.

use burn::tensor::{Int, Tensor};

/// The natural logarithm of the probability that the head gives each target:
/// `log_softmax(hidden · weight + bias)[row, target]`.
///
/// # Shapes
///
/// `hidden`: `[rows, width]`, `weight`: `[width, vocabulary]` (a transposed view is fine), `bias`: `[vocabulary]`,
/// `targets`: `[rows]` with ids below `vocabulary`, result: `[rows]`.
///
/// # Panics
///
/// If there is not one target for each row.
pub fn log_probs(
    hidden: Tensor<2>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    targets: Tensor<1, Int>,
) -> Tensor<1> {
    let rows = hidden.dims()[0];
    assert_eq!(targets.dims(), [rows], "one target for each row");
    let logits = super::linear(hidden, weight, bias);
    let highest = logits.clone().detach().max_dim(1);
    let shifted = logits - highest;
    let total = shifted.clone().exp().sum_dim(1).log();
    let chosen = shifted.gather(1, targets.unsqueeze_dim(1));
    (chosen - total).squeeze_dim(1)
}
