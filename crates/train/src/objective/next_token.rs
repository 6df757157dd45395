//! The objective of models that write.

use burn::tensor::Tensor;
use finetune_model::noise::Noise;
use finetune_model::{CausalLm, Seq2Seq, op};

use super::Objective;
use crate::batch::{AnswerBatch, CausalBatch};

/// The cross-entropy of every learned token given the ones before it (and the text that an encoder read): the sum of
/// `−log p`, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextToken;

impl Objective<CausalLm, CausalBatch> for NextToken {
    fn loss(&self, model: &CausalLm, batch: &CausalBatch, noise: Noise) -> Tensor<1> {
        op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
    }
}

impl Objective<Seq2Seq, AnswerBatch> for NextToken {
    fn loss(&self, model: &Seq2Seq, batch: &AnswerBatch, noise: Noise) -> Tensor<1> {
        let AnswerBatch {
            source,
            answer,
            targets,
            ..
        } = batch;
        op::sum(model.log_probs(source, answer, targets, noise)).neg()
    }
}
