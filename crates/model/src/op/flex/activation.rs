//! Activations, in place where the input is not kept.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

use super::kernel::kernel;
use super::{BLOCK, all_f32, floats, lanes, tensor, whole};
use crate::op::activation as rule;
use crate::op::activation::{Activation, ActivationOps, GELU_TANH};

impl ActivationOps for Flex {
    fn activate(x: FlexTensor, activation: Activation) -> FlexTensor {
        if !all_f32(&[&x]) {
            return rule::activated::<Self>(&x, activation);
        }
        let mut x = whole(x);
        if let Some(elements) = x.try_storage_mut::<f32>() {
            elements
                .par_chunks_mut(BLOCK)
                .for_each(|x| apply_in_place(x, activation));
            return x;
        }
        let mut y = vec![0.0; x.layout().num_elements()];
        y.par_chunks_mut(BLOCK)
            .zip(floats(&x).par_chunks(BLOCK))
            .for_each(|(y, x)| apply(y, x, activation));
        tensor(y, x.layout().shape().clone())
    }

    fn activate_backward(
        gradient: FlexTensor,
        x: FlexTensor,
        activation: Activation,
    ) -> FlexTensor {
        if !all_f32(&[&gradient, &x]) {
            return rule::activated_backward::<Self>(gradient, &x, activation);
        }
        let (mut gradient, x) = (whole(gradient), whole(x));
        gradient
            .storage_mut::<f32>()
            .par_chunks_mut(BLOCK)
            .zip(floats(&x).par_chunks(BLOCK))
            .for_each(|(gradient, x)| apply_slope(gradient, x, activation));
        gradient
    }

    fn gate(gate: FlexTensor, up: FlexTensor, activation: Activation) -> FlexTensor {
        if !all_f32(&[&gate, &up]) {
            return rule::gated::<Self>(gate, &up, activation);
        }
        let (gate, mut up) = (whole(gate), whole(up));
        if let Some(elements) = up.try_storage_mut::<f32>() {
            elements
                .par_chunks_mut(BLOCK)
                .zip(floats(&gate).par_chunks(BLOCK))
                .for_each(|(up, gate)| apply_gate_in_place(up, gate, activation));
            return up;
        }
        let mut y = vec![0.0; up.layout().num_elements()];
        y.par_chunks_mut(BLOCK)
            .zip(floats(&gate).par_chunks(BLOCK))
            .zip(floats(&up).par_chunks(BLOCK))
            .for_each(|((y, gate), up)| apply_gate(y, gate, up, activation));
        tensor(y, up.layout().shape().clone())
    }

    fn gate_backward(
        gradient: FlexTensor,
        gate: FlexTensor,
        up: FlexTensor,
        activation: Activation,
    ) -> (FlexTensor, FlexTensor) {
        if !all_f32(&[&gradient, &gate, &up]) {
            return rule::gated_backward::<Self>(gradient, &gate, &up, activation);
        }
        let (mut gradient, mut gate, up) = (whole(gradient), whole(gate), whole(up));
        // The gradient's buffer becomes that of `up`, and the gate's own buffer (kept for this pass) that of the gate.
        gate.storage_mut::<f32>()
            .par_chunks_mut(BLOCK)
            .zip(gradient.storage_mut::<f32>().par_chunks_mut(BLOCK))
            .zip(floats(&up).par_chunks(BLOCK))
            .for_each(|((gate, gradient), up)| gate_slopes(gate, gradient, up, activation));
        (gate, gradient)
    }
}

#[allow(clippy::inline_always)] // See `Kernel`.
mod formula {
    use super::{GELU_TANH, lanes};

    const ROOT: f32 = GELU_TANH.0 as f32;
    const CUBIC: f32 = GELU_TANH.1 as f32;

    /// The function and its derivative at `x`. What is not used is not computed.
    #[inline(always)]
    pub(super) fn relu(x: f32) -> (f32, f32) {
        // Written so that NaN stays NaN.
        if x <= 0.0 { (0.0, 0.0) } else { (x, 1.0) }
    }

    #[inline(always)]
    pub(super) fn gelu(x: f32) -> (f32, f32) {
        let (cumulative, density) = lanes::normal(x);
        (x * cumulative, cumulative + x * density)
    }

    #[inline(always)]
    pub(super) fn gelu_tanh(x: f32) -> (f32, f32) {
        // Further out nothing changes, but the cube would overflow.
        let near = lanes::clamp(x, -20.0, 20.0);
        let square = near * near;
        let s = lanes::sigmoid(2.0 * ROOT * near * (1.0 + CUBIC * square));
        let inner = 2.0 * ROOT * (1.0 + 3.0 * CUBIC * square);
        (x * s, s + s * (1.0 - s) * near * inner)
    }

    #[inline(always)]
    pub(super) fn silu(x: f32) -> (f32, f32) {
        let s = lanes::sigmoid(x);
        (x * s, s + s * (1.0 - s) * x)
    }

    #[inline(always)]
    pub(super) fn tanh(x: f32) -> (f32, f32) {
        let y = x.tanh();
        (y, 1.0 - y * y)
    }

    /// Calls a loop with the function that is meant, so that the choice is made once.
    macro_rules! choose {
        ($activation:expr, $each:ident($($argument:expr),*)) => {
            match $activation {
                Activation::Relu => formula::$each($($argument),*, formula::relu),
                Activation::Gelu => formula::$each($($argument),*, formula::gelu),
                Activation::GeluTanh => formula::$each($($argument),*, formula::gelu_tanh),
                Activation::Silu => formula::$each($($argument),*, formula::silu),
                Activation::Tanh => formula::$each($($argument),*, formula::tanh),
            }
        };
    }
    pub(super) use choose;

    #[inline(always)]
    pub(super) fn each(y: &mut [f32], x: &[f32], f: impl Fn(f32) -> (f32, f32)) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = f(x).0;
        }
    }

    #[inline(always)]
    pub(super) fn each_in_place(x: &mut [f32], f: impl Fn(f32) -> (f32, f32)) {
        for x in x {
            *x = f(*x).0;
        }
    }

    #[inline(always)]
    pub(super) fn each_slope(gradient: &mut [f32], x: &[f32], f: impl Fn(f32) -> (f32, f32)) {
        for (gradient, &x) in gradient.iter_mut().zip(x) {
            *gradient *= f(x).1;
        }
    }

    #[inline(always)]
    pub(super) fn each_gate(
        y: &mut [f32],
        gate: &[f32],
        up: &[f32],
        f: impl Fn(f32) -> (f32, f32),
    ) {
        for ((y, &gate), up) in y.iter_mut().zip(gate).zip(up) {
            *y = f(gate).0 * up;
        }
    }

    #[inline(always)]
    pub(super) fn each_gate_in_place(up: &mut [f32], gate: &[f32], f: impl Fn(f32) -> (f32, f32)) {
        for (up, &gate) in up.iter_mut().zip(gate) {
            *up *= f(gate).0;
        }
    }

    #[inline(always)]
    pub(super) fn each_gate_slope(
        gate: &mut [f32],
        gradient: &mut [f32],
        up: &[f32],
        f: impl Fn(f32) -> (f32, f32),
    ) {
        for ((gate, gradient), up) in gate.iter_mut().zip(gradient).zip(up) {
            let (value, slope) = f(*gate);
            *gate = *gradient * up * slope;
            *gradient *= value;
        }
    }
}

use formula::choose;

kernel! {
    fn apply(y: &mut [f32], x: &[f32], activation: Activation) {
        choose!(activation, each(y, x));
    }
}

kernel! {
    fn apply_in_place(x: &mut [f32], activation: Activation) {
        choose!(activation, each_in_place(x));
    }
}

kernel! {
    fn apply_slope(gradient: &mut [f32], x: &[f32], activation: Activation) {
        choose!(activation, each_slope(gradient, x));
    }
}

kernel! {
    fn apply_gate(y: &mut [f32], gate: &[f32], up: &[f32], activation: Activation) {
        choose!(activation, each_gate(y, gate, up));
    }
}

kernel! {
    fn apply_gate_in_place(up: &mut [f32], gate: &[f32], activation: Activation) {
        choose!(activation, each_gate_in_place(up, gate));
    }
}

kernel! {
    /// Makes of `gate` and `gradient` the gradients of gate and up.
    fn gate_slopes(gate: &mut [f32], gradient: &mut [f32], up: &[f32], activation: Activation) {
        choose!(activation, each_gate_slope(gate, gradient, up));
    }
}
