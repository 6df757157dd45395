//! What a decoder sees of an encoder.

use burn::tensor::Tensor;

use crate::op::Mask;
use crate::part::attention::Sights;
use crate::tokens::int_tensor;

/// What a decoder sees of another text: keys and values for each of its blocks, made once for all of the answer.
#[derive(Debug, Clone)]
pub struct Memory {
    pub(super) blocks: Vec<Sights>,
    pub(super) mask: Mask,
}

impl Memory {
    /// The given rows, in the given order; a row may be taken more than once or not at all.
    ///
    /// # Panics
    /// When a row does not exist.
    pub fn select(&self, rows: &[u32]) -> Self {
        let taken = |x: &Tensor<4>| {
            let of: Vec<i32> = rows.iter().map(|row| *row as i32).collect();
            x.clone()
                .select(0, int_tensor(of, [rows.len()], &x.device()))
        };
        let spans = &self.mask.spans;
        Self {
            blocks: self
                .blocks
                .iter()
                .map(|Sights { key, value }| Sights {
                    key: taken(key),
                    value: taken(value),
                })
                .collect(),
            mask: Mask {
                spans: rows
                    .iter()
                    .map(|row| spans[*row as usize].clone())
                    .collect(),
                ..self.mask.clone()
            },
        }
    }

    /// These rows, and those of `more` below.
    pub fn join(&self, more: &Self) -> Self {
        let longest = [self, more]
            .map(Self::places)
            .into_iter()
            .max()
            .unwrap_or(0);
        let pairs = self.blocks.iter().zip(&more.blocks);
        Self {
            blocks: pairs
                .map(|(a, b)| Sights {
                    key: Tensor::cat(vec![padded(&a.key, longest), padded(&b.key, longest)], 0),
                    value: Tensor::cat(
                        vec![padded(&a.value, longest), padded(&b.value, longest)],
                        0,
                    ),
                })
                .collect(),
            mask: Mask {
                spans: [&self.mask.spans[..], &more.mask.spans[..]].concat().into(),
                ..self.mask.clone()
            },
        }
    }

    fn places(&self) -> usize {
        self.blocks.first().map_or(0, |first| first.key.dims()[1])
    }
}

/// The same with zeros behind each row, up to so many places.
fn padded(x: &Tensor<4>, places: usize) -> Tensor<4> {
    let [batch, length, groups, width] = x.dims();
    if length == places {
        return x.clone();
    }
    let zeros = Tensor::zeros(
        [batch, places - length, groups, width],
        (&x.device(), x.dtype()),
    );
    Tensor::cat(vec![x.clone(), zeros], 1)
}
