//! A linear layer, and the low-rank adapter that it may carry.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

use super::Init;
use crate::noise::Noise;
use crate::op;

/// `x · weight + bias`, plus a low-rank term when an adapter is attached.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[in, out]`.
    pub weight: Param<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// The adapter, when there is one.
    pub lora: Option<Lora>,
}

/// A low-rank adapter (Hu et al. 2021): adds `scale · (dropout(x) · a) · b` to a layer's output.
///
/// The sum of the weights is never formed: a frozen weight keeps no activation and gets no gradient.
#[derive(Module, Debug)]
pub struct Lora {
    /// `[in, rank]`.
    pub a: Param<Tensor<2>>,
    /// `[rank, out]`.
    pub b: Param<Tensor<2>>,
    /// What the term is multiplied by.
    pub scale: f64,
    /// The share of the input's features that the term does not see while training, in `0..1`.
    pub dropout: f64,
}

impl Linear {
    /// A layer with normally distributed weights and a bias of zeros.
    pub fn new(init: &Init, input: usize, output: usize, bias: bool) -> Self {
        Self {
            weight: init.projection("weight", [input, output]),
            bias: bias.then(|| init.constant("bias", [output], 0.0)),
            lora: None,
        }
    }

    /// Number of input and of output features; computes no lazy value.
    pub fn shape(&self) -> [usize; 2] {
        let shape = self.weight.lazy_shape();
        [shape[0], shape[1]]
    }

    /// # Shapes
    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: Tensor<2>, noise: Noise) -> Tensor<2> {
        let bias = self.bias.as_ref().map(Param::val);
        match &self.lora {
            None => op::linear(x, self.weight.val(), bias),
            Some(lora) => {
                let base = op::linear(x.clone(), self.weight.val(), bias);
                base + lora.forward(x, noise)
            }
        }
    }
}

impl Linear {
    /// The log-probability of one output for each row, when the outputs are a vocabulary; with a cap as
    /// [`op::log_probs`] has it.
    ///
    /// # Shapes
    /// `[rows, in]` and `[rows]` to `[rows]`.
    pub fn log_probs(
        &self,
        x: Tensor<2>,
        ids: Tensor<1, Int>,
        cap: Option<f64>,
        noise: Noise,
    ) -> Tensor<1> {
        let bias = self.bias.as_ref().map(Param::val);
        let Some(lora) = &self.lora else {
            return op::log_probs(x, self.weight.val(), bias, ids, cap);
        };
        // x·W + (x·a)·b is one product of longer rows, so that the adapter needs no logits either.
        let (low, b) = lora.inner(x.clone(), noise);
        let x = Tensor::cat(vec![x, low], 1);
        let weight = Tensor::cat(vec![self.weight.val(), b], 0);
        op::log_probs(x, weight, bias, ids, cap)
    }
}

impl Lora {
    /// The scaled input of `b`, and `b`, both in the type of `x`.
    fn inner(&self, x: Tensor<2>, noise: Noise) -> (Tensor<2>, Tensor<2>) {
        let (a, b) = (self.a.val(), self.b.val());
        let (outer, inner) = (x.dtype(), a.dtype());
        let low = op::linear(op::dropout(x, self.dropout, noise).cast(inner), a, None) * self.scale;
        (low.cast(outer), b.cast(outer))
    }

    /// The term that is added. Computed in the adapter's own type, returned in the input's.
    ///
    /// # Shapes
    /// `[rows, in]` to `[rows, out]`.
    pub fn forward(&self, x: Tensor<2>, noise: Noise) -> Tensor<2> {
        let (a, b) = (self.a.val(), self.b.val());
        let (outer, inner) = (x.dtype(), a.dtype());
        let x = op::dropout(x, self.dropout, noise).cast(inner);
        // The scale meets the narrow side: rank numbers per row instead of `out`.
        let low = op::linear(x, a, None) * self.scale;
        op::linear(low, b, None).cast(outer)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{DType, Device, TensorData, activation};

    use super::*;
    use crate::blueprint::Spread;
    use crate::weights;

    fn adapted(device: &Device) -> Linear {
        let init = Init::new(2, Spread::even(0.5), device, DType::F32);
        let lora = Lora {
            a: init.projection("a", [5, 2]),
            b: init.projection("b", [2, 7]),
            scale: 1.5,
            dropout: 0.0,
        };
        Linear {
            lora: Some(lora),
            ..Linear::new(&init, 5, 7, true)
        }
    }

    fn input(device: &Device) -> Tensor<2> {
        let values: Vec<f32> = (0..15).map(|i| (i as f32 * 0.7).sin()).collect();
        Tensor::from_data(TensorData::new(values, [3, 5]), device)
    }

    fn worst<const D: usize>(a: Tensor<D>, b: Tensor<D>) -> f32 {
        (a - b).abs().max().into_scalar()
    }

    #[test]
    fn an_adapter_adds_the_product_of_its_factors() {
        let device = Device::default();
        let layer = adapted(&device);
        let lora = layer.lora.as_ref().unwrap();
        let weight = layer.weight.val() + lora.a.val().matmul(lora.b.val()) * lora.scale;
        let bias = layer.bias.as_ref().map(Param::val);
        let expected = op::linear(input(&device), weight, bias);
        let found = layer.forward(input(&device), Noise::off());
        assert!(worst(found.clone(), expected) < 1e-6);

        let ids = Tensor::from_data([6, 0, 3], &device);
        let log_probs = activation::log_softmax(found, 1);
        let expected = log_probs
            .gather(1, ids.clone().unsqueeze_dim(1))
            .squeeze_dim(1);
        let found = layer.log_probs(input(&device), ids, None, Noise::off());
        assert!(worst::<1>(found, expected) < 1e-6);
    }

    #[test]
    fn a_frozen_base_lets_gradients_through_and_gets_none() {
        let device = Device::default().autodiff();
        let layer = weights::set_trainable(adapted(&device), &mut |path| path.contains("lora"));
        let x = input(&device).require_grad();
        let mut gradients = layer.forward(x.clone(), Noise::off()).sum().backward();
        let of_x = x.grad_remove(&mut gradients).unwrap();
        let lora = layer.lora.as_ref().unwrap();
        let weight = layer.weight.val() + lora.a.val().matmul(lora.b.val()) * lora.scale;
        let expected = weight.inner().sum_dim(1).transpose().expand([3, 5]);
        assert!(worst(of_x, expected) < 1e-5);
        let found = weights::gradients(&layer, &mut gradients);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["lora.a", "lora.b"]);
    }

    #[test]
    fn the_adapter_alone_sees_dropout() {
        let device = Device::default();
        let mut layer = adapted(&device);
        let off = layer.forward(input(&device), Noise::off());
        if let Some(lora) = &mut layer.lora {
            lora.dropout = 0.5;
        }
        let same = layer.forward(input(&device), Noise::off());
        assert_eq!(same.to_data(), off.to_data());
        let dropped = layer.forward(input(&device), Noise::new(1, 0, 0));
        assert!(worst(dropped, off) > 1e-3);
    }
}
