//! Batches: what an objective is computed on, and where they come from.

mod answers;
mod causal;
mod labels;
mod order;
mod read;
mod rows;
mod store;
mod token_labels;

pub use answers::{AnswerBatch, AnswerBatches};
pub use causal::{CausalBatch, CausalBatches};
pub use labels::{LabelBatch, LabelBatches, Labels};
pub use rows::Specials;
pub use store::Rows;
pub use token_labels::{LabeledTokens, TokenLabelBatch, TokenLabelBatches};

use finetune_data::Origin;

use crate::error::Result;

/// What an [`Objective`](crate::Objective) is computed on: one micro-batch.
pub trait Batch {
    /// How many losses the objective sums up. The loop divides by the targets of the whole step.
    fn targets(&self) -> usize;

    /// How many tokens are read, padding not counted. For the display of speed.
    fn tokens(&self) -> usize;

    /// Where the rows come from. Asked for only when something is wrong with them.
    fn origins(&self) -> Vec<Origin>;
}

/// A source of micro-batches whose order is a pure function of the epoch, so that a run can go on anywhere in it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` gives no batches of type `{B}`",
    note = "implement `Batches<{B}>`: the number of micro-batches of an epoch, and an iterator from any of them"
)]
pub trait Batches<B> {
    /// Micro-batches in an epoch. The same answer every time.
    fn per_epoch(&self, epoch: u64) -> u64;

    /// The micro-batches of an epoch from number `from` on, both counted from 0. Must not read what lies before.
    ///
    /// An error ends the run, with its checkpoints intact.
    fn epoch(&self, epoch: u64, from: u64) -> Box<dyn Iterator<Item = Result<B>> + '_>;

    /// A text that changes when the content or the order of the data does; a run does not go on with other data.
    /// Empty: not checked.
    fn fingerprint(&self) -> String {
        String::new()
    }
}
