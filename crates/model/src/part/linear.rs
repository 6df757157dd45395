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
            weight: init.normal("weight", [input, output]),
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
    /// The log-probability of one output for each row, when the outputs are a vocabulary.
    ///
    /// # Shapes
    /// `[rows, in]` and `[rows]` to `[rows]`.
    pub fn log_probs(&self, x: Tensor<2>, ids: Tensor<1, Int>, noise: Noise) -> Tensor<1> {
        let bias = self.bias.as_ref().map(Param::val);
        let Some(lora) = &self.lora else {
            return op::log_probs(x, self.weight.val(), bias, ids);
        };
        // x·W + (x·a)·b is one product of longer rows, so that the adapter needs no logits either.
        let (low, b) = lora.inner(x.clone(), noise);
        let x = Tensor::cat(vec![x, low], 1);
        let weight = Tensor::cat(vec![self.weight.val(), b], 0);
        op::log_probs(x, weight, bias, ids)
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
