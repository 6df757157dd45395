//! Activations and gated activations.

use std::{fmt, str::FromStr};

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::composed;

/// An activation function, by the names that Hugging Face configurations use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x · Φ(x)`, with the error function.
    Gelu,
    /// `0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks & Gimpel 2016).
    GeluTanh,
    /// `x · sigmoid(x)`.
    Silu,
    /// `tanh(x)`.
    Tanh,
}

impl Activation {
    /// Every name that configurations use; the first of each activation is the one that is written.
    const NAMES: [(&'static str, Self); 9] = [
        ("relu", Self::Relu),
        ("gelu", Self::Gelu),
        ("gelu_python", Self::Gelu),
        ("gelu_new", Self::GeluTanh),
        ("gelu_pytorch_tanh", Self::GeluTanh),
        ("gelu_fast", Self::GeluTanh),
        ("silu", Self::Silu),
        ("swish", Self::Silu),
        ("tanh", Self::Tanh),
    ];

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "relu",
            Self::Gelu => "gelu",
            Self::GeluTanh => "gelu_new",
            Self::Silu => "silu",
            Self::Tanh => "tanh",
        }
    }
}

impl fmt::Display for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name of an activation that is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown activation `{}`; expected one of {}", .0.chars().take(200).collect::<String>().escape_debug(),
    Activation::NAMES.map(|(name, _)| name).join(", "))]
pub struct UnknownActivation(pub String);

impl FromStr for Activation {
    type Err = UnknownActivation;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, activation)| activation)
            .ok_or_else(|| UnknownActivation(name.to_owned()))
    }
}

impl TryFrom<String> for Activation {
    type Error = UnknownActivation;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        name.parse()
    }
}

impl From<Activation> for String {
    fn from(activation: Activation) -> Self {
        activation.name().to_owned()
    }
}

/// The activation of each element.
///
/// # Shapes
///
/// `x` and the result: `[rows, width]`.
pub fn activate(x: Tensor<2>, activation: Activation) -> Tensor<2> {
    if x.shape().num_elements() == 0 {
        return x;
    }
    Tensor::from_dispatch(Dispatch::activate(x.into_dispatch(), activation))
}

/// A gated activation: `activation(gate) · up` (Shazeer 2020; with `Silu` this is SwiGLU).
///
/// # Shapes
///
/// `gate`, `up` and the result: `[rows, width]`.
///
/// # Panics
///
/// If the shapes differ.
pub fn gate(gate: Tensor<2>, up: Tensor<2>, activation: Activation) -> Tensor<2> {
    assert_eq!(gate.dims(), up.dims(), "gate and up differ in shape");
    if up.shape().num_elements() == 0 {
        return up;
    }
    Tensor::from_dispatch(Dispatch::gate(
        gate.into_dispatch(),
        up.into_dispatch(),
        activation,
    ))
}

/// What a backend does.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    NdArray: cfg(feature = "ndarray"),
    Cube: cfg(any(feature = "wgpu", feature = "cuda")),
    Autodiff,
    Fusion: cfg(any(feature = "wgpu", feature = "cuda")),
)]
pub(super) trait ActivationOps: Backend {
    /// The differentiable activation.
    #[fusion(default)]
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        activated::<Self>(&x, activation)
    }

    /// The gradient of x.
    #[fusion(default)]
    fn activate_backward(
        gradient: FloatTensor<Self>,
        x: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        activated_backward::<Self>(gradient, &x, activation)
    }

    /// The differentiable gated activation.
    #[fusion(default)]
    fn gate(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        gated::<Self>(gate, &up, activation)
    }

    /// The gradients of gate and up.
    #[fusion(default)]
    fn gate_backward(
        gradient: FloatTensor<Self>,
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        gated_backward::<Self>(gradient, &gate, &up, activation)
    }
}

composed::on_other_backends!(ActivationOps);

pub(super) fn activated<B: Backend>(x: &FloatTensor<B>, activation: Activation) -> FloatTensor<B> {
    let value = value::<B>(composed::widen::<B>(x.clone()), activation);
    composed::cast_like::<B>(value, x)
}

pub(super) fn activated_backward<B: Backend>(
    gradient: FloatTensor<B>,
    x: &FloatTensor<B>,
    activation: Activation,
) -> FloatTensor<B> {
    let slope = slope::<B>(composed::widen::<B>(x.clone()), activation);
    let gradient = B::float_mul(composed::widen::<B>(gradient), slope);
    composed::cast_like::<B>(gradient, x)
}

pub(super) fn gated<B: Backend>(
    gate: FloatTensor<B>,
    up: &FloatTensor<B>,
    activation: Activation,
) -> FloatTensor<B> {
    let value = value::<B>(composed::widen::<B>(gate), activation);
    let value = B::float_mul(value, composed::widen::<B>(up.clone()));
    composed::cast_like::<B>(value, up)
}

pub(super) fn gated_backward<B: Backend>(
    gradient: FloatTensor<B>,
    gate: &FloatTensor<B>,
    up: &FloatTensor<B>,
    activation: Activation,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let gradient = composed::widen::<B>(gradient);
    let wide = composed::widen::<B>(gate.clone());
    let of_up = B::float_mul(gradient.clone(), value::<B>(wide.clone(), activation));
    let of_value = B::float_mul(gradient, composed::widen::<B>(up.clone()));
    let of_gate = B::float_mul(of_value, slope::<B>(wide, activation));
    (
        composed::cast_like::<B>(of_gate, gate),
        composed::cast_like::<B>(of_up, up),
    )
}

/// √(2/π) and the cubic term of the tangent approximation of GELU.
pub(super) const GELU_TANH: (f64, f64) = (0.797_884_560_802_865_4, 0.044_715);

fn value<B: Backend>(x: FloatTensor<B>, activation: Activation) -> FloatTensor<B> {
    match activation {
        Activation::Relu => B::float_clamp_min(x, 0.0.into()),
        Activation::Gelu => B::float_mul(x.clone(), cumulative::<B>(x)),
        Activation::GeluTanh => B::float_mul(x.clone(), tanh_gate::<B>(x)),
        Activation::Silu => B::float_mul(x.clone(), B::sigmoid(x)),
        Activation::Tanh => B::float_tanh(x),
    }
}

/// The derivative.
fn slope<B: Backend>(x: FloatTensor<B>, activation: Activation) -> FloatTensor<B> {
    match activation {
        Activation::Relu => B::float_sign(B::float_clamp_min(x, 0.0.into())),
        Activation::Gelu => {
            let square = B::float_mul(x.clone(), x.clone());
            let bell = B::float_exp(B::float_mul_scalar(square, (-0.5).into()));
            let density = B::float_mul_scalar(bell, std::f64::consts::TAU.sqrt().recip().into());
            let along = B::float_mul(x.clone(), density);
            B::float_add(cumulative::<B>(x), along)
        }
        Activation::GeluTanh => {
            let (root, cubic) = GELU_TANH;
            let x = near::<B>(x);
            let gate = tanh_gate::<B>(x.clone());
            let square = B::float_mul(x.clone(), x.clone());
            let inner = B::float_mul_scalar(square, (6.0 * root * cubic).into());
            let inner = B::float_add_scalar(inner, (2.0 * root).into());
            sigmoid_slope::<B>(gate, B::float_mul(x, inner))
        }
        Activation::Silu => sigmoid_slope::<B>(B::sigmoid(x.clone()), x),
        Activation::Tanh => {
            let y = B::float_tanh(x);
            let square = B::float_neg(B::float_mul(y.clone(), y));
            B::float_add_scalar(square, 1.0.into())
        }
    }
}

/// `s + s (1 - s) · factor`.
fn sigmoid_slope<B: Backend>(s: FloatTensor<B>, factor: FloatTensor<B>) -> FloatTensor<B> {
    let rest = B::float_add_scalar(B::float_neg(s.clone()), 1.0.into());
    let along = B::float_mul(B::float_mul(s.clone(), rest), factor);
    B::float_add(s, along)
}

/// Φ(x).
fn cumulative<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let erf = B::float_erf(B::float_mul_scalar(
        x,
        std::f64::consts::FRAC_1_SQRT_2.into(),
    ));
    B::float_mul_scalar(B::float_add_scalar(erf, 1.0.into()), 0.5.into())
}

/// `½ (1 + tanh u)`, which is `sigmoid(2u)`.
fn tanh_gate<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let (root, cubic) = GELU_TANH;
    let x = near::<B>(x);
    let square = B::float_mul(x.clone(), x.clone());
    let inner = B::float_mul_scalar(square, (2.0 * root * cubic).into());
    let inner = B::float_add_scalar(inner, (2.0 * root).into());
    B::sigmoid(B::float_mul(x, inner))
}

/// Farther out the gate is 0 or 1 to the last digit, and the cube of a large number is infinite.
fn near<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_clamp(x, (-10.0).into(), 10.0.into())
}

#[derive(Debug)]
struct Activate;

impl<B: Backend + ActivationOps> Backward<B, 1> for Activate {
    type State = (FloatTensor<B>, Activation);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (x, activation) = ops.state;
        let [node] = ops.parents;
        if let Some(node) = node {
            grads.register::<B>(node.id, B::activate_backward(gradient, x, activation));
        }
    }
}

#[derive(Debug)]
struct Gate;

impl<B: Backend + ActivationOps> Backward<B, 2> for Gate {
    type State = (FloatTensor<B>, FloatTensor<B>, Activation);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (gate, up, activation) = ops.state;
        let (of_gate, of_up) = B::gate_backward(gradient, gate, up, activation);
        for (node, gradient) in ops.parents.into_iter().zip([of_gate, of_up]) {
            if let Some(node) = node {
                grads.register::<B>(node.id, gradient);
            }
        }
    }
}

impl<B: Backend + ActivationOps, C: CheckpointStrategy> ActivationOps for Autodiff<B, C> {
    fn activate(x: FloatTensor<Self>, activation: Activation) -> FloatTensor<Self> {
        let (x, node) = x.into_parts();
        match Activate.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => {
                let y = B::activate(x.clone(), activation);
                prepared.finish((x, activation), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::activate(x, activation)),
        }
    }

    fn gate(
        gate: FloatTensor<Self>,
        up: FloatTensor<Self>,
        activation: Activation,
    ) -> FloatTensor<Self> {
        let (gate, gate_node) = gate.into_parts();
        let (up, up_node) = up.into_parts();
        match Gate
            .prepare::<C>([gate_node, up_node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prepared) => {
                let y = B::gate(gate.clone(), up.clone(), activation);
                prepared.finish((gate, up, activation), y)
            }
            OpsKind::UnTracked(prepared) => prepared.finish(B::gate(gate, up, activation)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (name, activation) in Activation::NAMES {
            assert_eq!(name.parse::<Activation>().unwrap(), activation);
            assert_eq!(activation.name().parse::<Activation>().unwrap(), activation);
        }
        let error = "gelu-new".parse::<Activation>().unwrap_err().to_string();
        assert!(
            error.contains("`gelu-new`") && error.contains("gelu_new"),
            "{error}"
        );
    }
}
