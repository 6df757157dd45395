//! Who may not see whom, and which places are asked, beyond what padding and direction say.

use burn::tensor::{Tensor, TensorData};

use super::Tokens;
use crate::error::{ModelError, Result};
use crate::op::Hidden;

/// An order in which the tokens of a batch are predicted, for models with a second stream of hidden states (Yang et al.
/// 2019): which places a place must not see, and which places are predicted.
#[derive(Debug, Clone)]
pub struct Order {
    batch: usize,
    length: usize,
    hidden: Option<Hidden>,
    asked: Option<Tensor<3>>,
}

impl Order {
    /// Every place sees its whole text, and nothing is asked.
    pub fn new(tokens: &Tokens) -> Self {
        Self {
            batch: tokens.batch(),
            length: tokens.length(),
            hidden: None,
            asked: None,
        }
    }

    /// The same where places do not see others. (In the first stream a place sees itself in any case.)
    ///
    /// # Arguments
    /// - `hidden`: `[batch, length, length]`, true where the place of the second index is not seen from that of the
    ///   first
    ///
    /// # Errors
    /// When there are not as many pairs.
    pub fn hiding(self, hidden: &[bool]) -> Result<Self> {
        let (batch, length) = (self.batch, self.length);
        if hidden.len() != batch * length * length {
            let why = format!(
                "found {} pairs of places; expected {batch}x{length}x{length}",
                hidden.len()
            );
            return Err(ModelError::Tokens { why });
        }
        let hidden = Hidden::new(batch, length, length, hidden);
        Ok(Self {
            hidden: Some(hidden),
            ..self
        })
    }

    /// The same with places that are asked.
    ///
    /// # Arguments
    /// - `asked`: `[batch, predictions, length]`, usually 1 at the place of a prediction and 0 elsewhere
    ///
    /// # Errors
    /// When the weights are none, or no multiple of `batch * length`.
    pub fn asking(self, asked: &[f32], tokens: &Tokens) -> Result<Self> {
        let (batch, length) = (self.batch, self.length);
        if asked.is_empty() || !asked.len().is_multiple_of(batch * length) {
            let why = format!(
                "found {} weights of places; expected {batch} rows of predictions of {length} places",
                asked.len()
            );
            return Err(ModelError::Tokens { why });
        }
        let shape = [batch, asked.len() / (batch * length), length];
        let data = TensorData::new(asked.to_vec(), shape);
        Ok(Self {
            asked: Some(Tensor::from_data(data, &tokens.ids.device())),
            ..self
        })
    }

    /// How many predictions each row has; `None` where nothing is asked.
    pub fn predictions(&self) -> Option<usize> {
        self.asked.as_ref().map(|asked| asked.dims()[1])
    }

    /// # Panics
    /// When the tokens have another shape.
    pub(crate) fn parts(&self, tokens: &Tokens) -> (Option<Hidden>, Option<Tensor<3>>) {
        assert_eq!(
            [self.batch, self.length],
            [tokens.batch(), tokens.length()],
            "the order is that of other tokens"
        );
        (self.hidden.clone(), self.asked.clone())
    }
}
