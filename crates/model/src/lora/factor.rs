//! The two factors of an adapter.

use burn::module::{Param, ParamId};
use burn::tensor::{DType, Tensor, TensorData};

use super::LoraConfig;
use crate::noise::Noise;
use crate::part::init::hash;
use crate::part::{Linear, Lora};

/// Factors as PEFT begins them: the first uniform in `±1/sqrt(in)`, the second zero.
pub(super) fn fresh(path: &str, linear: &Linear, config: &LoraConfig) -> Lora {
    let [input, output] = linear.shape();
    let noise = Noise::new(config.seed, 0, 0).site(hash(path));
    let bound = 1.0 / (input as f32).sqrt();
    let a: Vec<f32> = (0..input * config.rank)
        .map(|index| (2.0 * noise.uniform(index as u64) - 1.0) * bound)
        .collect();
    let a = TensorData::new(a, [input, config.rank]);
    let b = TensorData::zeros::<f32, _>([config.rank, output]);
    given(path, linear, a, b, config.scale(), config.dropout)
}

/// An adapter with the given values, trainable, in f32, where its layer lies.
///
/// # Arguments
/// - `a`: `[in, rank]`
/// - `b`: `[rank, out]`
pub(super) fn given(
    path: &str,
    linear: &Linear,
    a: TensorData,
    b: TensorData,
    scale: f64,
    dropout: f64,
) -> Lora {
    let device = linear.weight.lazy_device();
    let parameter = |name: &str, values: TensorData| {
        let id = ParamId::from(hash(&format!("{path}.lora.{name}")));
        let tensor: Tensor<2> = Tensor::from_data(values, (&device, DType::F32));
        // Outside autodiff this is remembered until the model is brought there.
        Param::initialized(id, tensor).set_require_grad(true)
    };
    Lora {
        a: parameter("a", a),
        b: parameter("b", b),
        scale,
        dropout,
    }
}
