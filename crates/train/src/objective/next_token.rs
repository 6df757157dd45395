//! The objective of causal language models.

use burn::tensor::Tensor;
use finetune_model::noise::Noise;
use finetune_model::{CausalLm, op};

use super::Objective;
use crate::batch::CausalBatch;

/// The cross-entropy of every learned token given the ones before it: the sum of `−log p`, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextToken;

impl Objective<CausalLm, CausalBatch> for NextToken {
    fn loss(&self, model: &CausalLm, batch: &CausalBatch, noise: Noise) -> Tensor<1> {
        op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
    }
}
