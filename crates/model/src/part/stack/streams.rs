//! What two streams of hidden states know of each other.

use burn::tensor::Tensor;

use super::blind::blind;
use crate::op::{Hidden, Mask, Own};
use crate::part::attention::{Pass, Sights};
use crate::tokens::Tokens;

/// Who sees whom beyond what tokens and trunk say.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// Whether nothing sees what comes after it, nor a second stream what stands at its own place.
    pub(crate) forwards: bool,
    /// Single places that others do not see.
    pub(crate) hidden: Option<Hidden>,
}

/// Hidden states that look at those of the trunk, which do not know of them.
#[derive(Debug, Clone)]
pub(crate) struct Second {
    /// `[rows, width]`.
    pub(crate) x: Tensor<2>,
    /// The places that the rows stand at; see [`Pass::asked`].
    pub(crate) asked: Option<Tensor<3>>,
}

/// What the first of two streams has left for later passes, block by block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    pub(super) blocks: Vec<Option<Sights>>,
}

impl Kept {
    /// Changes the keys and the values of every block.
    pub(crate) fn change(&mut self, change: impl Fn(Tensor<4>) -> Tensor<4>) {
        for sights in self.blocks.iter_mut().flatten() {
            *sights = sights.map(&change);
        }
    }
}

/// What the second stream is told, besides what the first one is. A query of it that sees nothing is no padding: it
/// looks at all keys evenly, as in the reference.
pub(super) fn asking(pass: &Pass, second: &Second, tokens: &Tokens, view: &View) -> Pass {
    let mask = Mask {
        own: if view.forwards {
            Own::Unseen
        } else {
            Own::Alike
        },
        ..pass.mask.clone()
    };
    Pass {
        blind: blind(&mask, &second.x, tokens),
        mask,
        asked: second.asked.clone(),
        ..pass.clone()
    }
}
