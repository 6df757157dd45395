//! Queries that see nothing.

use burn::tensor::{Tensor, TensorData};

use crate::op::Mask;
use crate::tokens::{Convention, Tokens};

/// What the windows that have been met leave blind.
#[derive(Default)]
pub(super) struct Blind {
    known: Vec<(Option<usize>, Option<Tensor<4>>)>,
}

impl Blind {
    /// Which queries see nothing, as [`Pass::blind`](crate::part::attention::Pass::blind) wants it.
    pub(super) fn of(&mut self, mask: &Mask, x: &Tensor<2>, tokens: &Tokens) -> Option<Tensor<4>> {
        if tokens.convention == Convention::Documents {
            return None;
        }
        let window = mask.window;
        if let Some((_, blind)) = self.known.iter().find(|(known, _)| *known == window) {
            return blind.clone();
        }
        let blind = blind(mask, x, tokens);
        self.known.push((window, blind.clone()));
        blind
    }
}

/// Which queries see nothing, as [`Pass::blind`](crate::part::attention::Pass::blind) wants it.
pub(super) fn blind(mask: &Mask, x: &Tensor<2>, tokens: &Tokens) -> Option<Tensor<4>> {
    let (batch, length) = (tokens.batch(), tokens.length());
    let keys = tokens.past + length;
    let sees = |row, place| !mask.ranges(row, place, keys).is_empty();
    let rows = (0..batch).flat_map(|row| (0..length).map(move |place| (row, place)));
    let blind: Vec<f32> = rows
        .map(|(row, place)| if sees(row, place) { 0.0 } else { 1.0 })
        .collect();
    let any = blind.iter().any(|blind| *blind > 0.0);
    let data = || TensorData::new(blind, [batch, length, 1, 1]);
    any.then(|| Tensor::from_data(data(), (&x.device(), x.dtype())))
}
