//! The objectives of classifiers.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor, TensorData};
use finetune_model::noise::Noise;
use finetune_model::{Classifier, op};

use super::Objective;
use crate::batch::{LabelBatch, Labels};

/// The cross-entropy of each row's class: the sum of `−log p`, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Classification;

/// The binary cross-entropy of every class of each row: the sum of `−log p` of what holds, in nats, where every output
/// is the logarithm of the odds of its class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeveralClasses;

/// The squared error of each row's number, summed. The model has one output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Regression;

impl Objective<Classifier, LabelBatch> for Classification {
    /// # Panics
    ///
    /// When the labels are numbers, not classes.
    fn loss(&self, model: &Classifier, batch: &LabelBatch, noise: Noise) -> Tensor<1> {
        let Labels::Classes(classes) = &batch.labels else {
            panic!("Classification needs classes; build the batches with LabelBatches::classes")
        };
        cross_entropy(model.logits(&batch.tokens, noise), classes)
    }
}

impl Objective<Classifier, LabelBatch> for SeveralClasses {
    /// # Panics
    ///
    /// When the labels are not sets of classes, or the model has not one output for each.
    fn loss(&self, model: &Classifier, batch: &LabelBatch, noise: Noise) -> Tensor<1> {
        let Labels::Several { classes, rows } = &batch.labels else {
            panic!(
                "SeveralClasses needs sets of classes; build the batches with LabelBatches::several"
            )
        };
        binary_cross_entropy(model.logits(&batch.tokens, noise), *classes, rows)
    }
}

impl Objective<Classifier, LabelBatch> for Regression {
    /// # Panics
    ///
    /// When the labels are classes, not numbers, or the model has several outputs.
    fn loss(&self, model: &Classifier, batch: &LabelBatch, noise: Noise) -> Tensor<1> {
        let Labels::Numbers(numbers) = &batch.labels else {
            panic!("Regression needs numbers; build the batches with LabelBatches::numbers")
        };
        squared_error(model.logits(&batch.tokens, noise), numbers)
    }
}

/// `−Σ log softmax(logits)[class]`.
///
/// # Shapes
///
/// `logits`: `[rows, classes]`, result: `[1]`.
fn cross_entropy(logits: Tensor<2>, classes: &[u32]) -> Tensor<1> {
    let rows = classes.len();
    let device = logits.device().without_autodiff();
    let classes: Vec<i32> = classes.iter().map(|class| *class as i32).collect();
    let places = Tensor::<2, Int>::from_data(TensorData::new(classes, [rows, 1]), &device);
    let chosen = log_softmax(logits, 1).gather(1, places);
    op::sum(chosen.reshape([rows])).neg()
}

/// `Σ log(1 + exp(odds)) − odds·[the row has the class]`, without overflow: `max(x, 0) + log(1 + exp(−|x|)) − x·y`.
///
/// # Shapes
///
/// `odds`: `[rows, classes]`, result: `[1]`.
fn binary_cross_entropy(odds: Tensor<2>, classes: usize, rows: &[Vec<u32>]) -> Tensor<1> {
    assert_eq!(
        odds.dims(),
        [rows.len(), classes],
        "the model needs one output for each class"
    );
    let mut holds = vec![0.0_f32; rows.len() * classes];
    for (row, of) in rows.iter().enumerate() {
        for class in of {
            holds[row * classes + *class as usize] = 1.0;
        }
    }
    let device = odds.device().without_autodiff();
    let count = holds.len();
    let holds = Tensor::<2>::from_data(TensorData::new(holds, [rows.len(), classes]), &device);
    let tail = odds.clone().abs().neg().exp().log1p();
    let losses = odds.clone().clamp_min(0.0) + tail - odds * holds;
    op::sum(losses.reshape([count]))
}

/// `Σ (output − number)²`.
///
/// # Shapes
///
/// `outputs`: `[rows, 1]`, result: `[1]`.
fn squared_error(outputs: Tensor<2>, numbers: &[f32]) -> Tensor<1> {
    let rows = numbers.len();
    assert_eq!(
        outputs.dims(),
        [rows, 1],
        "a regression needs a model with one output"
    );
    let device = outputs.device().without_autodiff();
    let numbers = Tensor::<1>::from_data(TensorData::new(numbers.to_vec(), [rows]), &device);
    op::sum((outputs.reshape([rows]) - numbers).square())
}
