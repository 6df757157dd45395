//! What is minimised.

mod each_token;
mod labels;
mod next_token;

use burn::tensor::Tensor;
pub use each_token::EachToken;
use finetune_model::noise::Noise;
pub use labels::{Classification, Regression, SeveralClasses};
pub use next_token::NextToken;

/// A loss.
///
/// Closures are objectives too: `|model: &M, batch: &B, noise: Noise| -> Tensor<1>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no objective for the model `{M}` on batches of `{B}`",
    note = "implement `Objective<{M}, {B}>`, or pass a closure `|model: &{M}, batch: &{B}, noise: Noise| -> Tensor<1>` \
            that returns the SUM of the losses"
)]
pub trait Objective<M, B> {
    /// The **sum** of the losses over the batch's targets ([`Batch::targets`](crate::Batch::targets)), never their
    /// mean: the loop adds the sums of all micro-batches of a step and divides once.
    ///
    /// # Arguments
    ///
    /// - `noise`: the randomness of this micro-batch; off in a validation
    ///
    /// # Returns
    ///
    /// `[1]`.
    fn loss(&self, model: &M, batch: &B, noise: Noise) -> Tensor<1>;
}

impl<M, B, F> Objective<M, B> for F
where
    F: Fn(&M, &B, Noise) -> Tensor<1>,
{
    fn loss(&self, model: &M, batch: &B, noise: Noise) -> Tensor<1> {
        self(model, batch, noise)
    }
}
