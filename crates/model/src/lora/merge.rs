//! Folding adapters into the weights.

use burn::module::Param;
use burn::tensor::Tensor;

use crate::head::Network;
use crate::part::Linear;

/// What merging did.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeReport {
    /// How many layers had an adapter.
    pub layers: usize,
    /// The largest change of a single weight.
    pub largest_change: f32,
    /// The largest difference between the outputs of the probe before and after. It is rounding, and large only where
    /// the weights are stored in a short type.
    pub difference: f32,
}

/// Adds `scale · a · b` to every adapted weight and takes the adapters off.
///
/// # Arguments
/// - `probe`: computes outputs to compare, such as the logits of a few rows
pub fn merge<M: Network>(model: M, probe: impl Fn(&M) -> Tensor<2>) -> (M, MergeReport) {
    let before = probe(&model);
    let mut model = model;
    let (mut layers, mut largest_change) = (0, 0.0_f32);
    model.linears(&mut |_, linear| {
        if let Some(change) = fold(linear) {
            layers += 1;
            largest_change = largest_change.max(change);
        }
    });
    let difference = largest(probe(&model) - before);
    (
        model,
        MergeReport {
            layers,
            largest_change,
            difference,
        },
    )
}

fn fold(linear: &mut Linear) -> Option<f32> {
    let lora = linear.lora.take()?;
    let weight = linear.weight.val();
    let change = lora.a.val().matmul(lora.b.val()) * lora.scale;
    let change_size = largest(change.clone());
    // Added in f32 and rounded once, also where the weights are stored in a short type.
    let dtype = weight.dtype();
    let merged = (weight.cast(change.dtype()) + change).cast(dtype).detach();
    let trained = linear.weight.is_require_grad();
    linear.weight = Param::initialized(linear.weight.id, merged).set_require_grad(trained);
    Some(change_size)
}

fn largest(tensor: Tensor<2>) -> f32 {
    let values = tensor.into_data().convert::<f32>();
    values
        .iter::<f32>()
        .fold(0.0, |largest, value| largest.max(value.abs()))
}
