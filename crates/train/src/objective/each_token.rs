//! The objective of models that say something of single tokens.

use burn::tensor::Tensor;
use finetune_model::noise::Noise;
use finetune_model::{Discriminator, MaskedLm, TokenClassifier, op};

use super::Objective;
use crate::batch::TokenLabelBatch;

/// The cross-entropy of each label of a token: the sum of `−log p`, in nats. A label is the class of the token for a
/// [`TokenClassifier`], whether it was replaced for a [`Discriminator`], and the token that is hidden for a
/// [`MaskedLm`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EachToken;

impl Objective<TokenClassifier, TokenLabelBatch> for EachToken {
    fn loss(&self, model: &TokenClassifier, batch: &TokenLabelBatch, noise: Noise) -> Tensor<1> {
        op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
    }
}

impl Objective<Discriminator, TokenLabelBatch> for EachToken {
    fn loss(&self, model: &Discriminator, batch: &TokenLabelBatch, noise: Noise) -> Tensor<1> {
        op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
    }
}

impl Objective<MaskedLm, TokenLabelBatch> for EachToken {
    fn loss(&self, model: &MaskedLm, batch: &TokenLabelBatch, noise: Noise) -> Tensor<1> {
        op::sum(model.log_probs(&batch.tokens, &batch.targets, noise)).neg()
    }
}
