//! The arithmetic of the model as free functions on burn tensors.
//!
//! Each works on every device and is differentiable. Results do not depend on the number of threads.

// Without any backend the routes to backends are empty.
#![cfg_attr(
    not(any(
        feature = "flex",
        feature = "ndarray",
        feature = "wgpu",
        feature = "cuda"
    )),
    allow(unused_variables)
)]
// burn deprecates this backend; until it goes it checks the bodies that GPUs use.
#![cfg_attr(feature = "ndarray", allow(deprecated))]

mod activation;
mod adamw;
mod attention;
mod bound;
mod composed;
mod dropout;
mod embed;
#[cfg(feature = "flex")]
mod flex;
mod linear;
mod log_probs;
mod mask;
mod norm;
mod rotary;
mod sum;

pub use activation::{Activation, UnknownActivation, activate, gate};
pub use adamw::{AdamWStep, adamw};
pub use attention::{Form, Score, attention};
pub use bound::bound;
pub use dropout::dropout;
pub use embed::embed;
pub use linear::linear;
pub use log_probs::log_probs;
pub use mask::{Hidden, Mask, Own};
pub use norm::{layer_norm, rms_norm};
pub use rotary::rotate;
pub use sum::{square_sum, sum};
