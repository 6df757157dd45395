//! The problems of a classifier.

use std::error::Error;

use finetune::burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};
use finetune::model::op;
use finetune::prelude::*;

use super::given::Given;

/// What a classifier is asked for, as transformers decides it: `problem_type`, or one output means a number, labels
/// that are whole mean one class, and others several at once.
#[derive(Clone, Copy)]
pub(super) enum Problem {
    Regression,
    OneClass,
    SeveralClasses,
}

impl Problem {
    pub(super) fn of(checkpoint: &Checkpoint, given: &Given) -> Result<Self, Box<dyn Error>> {
        let named = checkpoint.config().get("problem_type");
        match named.and_then(|name| name.as_str()) {
            Some("regression") => Ok(Self::Regression),
            Some("single_label_classification") => Ok(Self::OneClass),
            Some("multi_label_classification") => Ok(Self::SeveralClasses),
            Some(other) => Err(format!("problem_type {other} is not known").into()),
            None if checkpoint.labels().len() == 1 => Ok(Self::Regression),
            None if given.targets.is_empty() => Ok(Self::SeveralClasses),
            None => Ok(Self::OneClass),
        }
    }

    /// The labels as the problem takes them.
    pub(super) fn given(self, given: &Given) -> Given {
        match self {
            Self::OneClass => given.clone(),
            Self::Regression | Self::SeveralClasses => given.as_numbers(),
        }
    }

    /// The sum of the losses: of each row, or of each of its numbers.
    pub(super) fn loss(self, scores: Tensor<2>, batch: &Given) -> Tensor<1> {
        let ([rows, labels], device) = (scores.dims(), scores.device());
        let numbers = || {
            let data = TensorData::new(batch.numbers.clone(), [rows, labels]);
            Tensor::<2>::from_data(data, &device)
        };
        let losses = match self {
            Self::Regression => (scores - numbers()).square(),
            Self::SeveralClasses => {
                let tail = scores.clone().abs().neg().exp().log1p();
                scores.clone().clamp_min(0.0) - scores * numbers() + tail
            }
            Self::OneClass => {
                let ids: Vec<i32> = batch.targets.ids.iter().map(|id| *id as i32).collect();
                let ids = TensorData::new(ids, [rows, 1]);
                let ids: Tensor<2, Int> = Tensor::from_data(ids, &device);
                log_softmax(scores, 1).gather(1, ids).neg()
            }
        };
        let count = losses.shape().num_elements();
        op::sum(losses.reshape([count]))
    }
}
