//! Where the rows of a run lie.

use std::borrow::Cow;
use std::sync::Arc;

use finetune_data::encode::Row;
use finetune_data::shard::Shards;

/// Rows of tokens, in memory or in shards on disk. Made with `from` a `Vec<Row>` or [`Shards`].
#[derive(Clone, Debug)]
pub enum Rows {
    /// All of them at once.
    Memory(Vec<Row>),
    /// Read when they are needed; more than fit into memory, if need be.
    Shards(Arc<Shards>),
}

impl From<Vec<Row>> for Rows {
    fn from(rows: Vec<Row>) -> Self {
        Self::Memory(rows)
    }
}

impl From<Shards> for Rows {
    fn from(shards: Shards) -> Self {
        Self::Shards(Arc::new(shards))
    }
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(rows) => rows.len(),
            Self::Shards(shards) => shards.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of tokens of each, in order.
    pub fn lengths(&self) -> Vec<usize> {
        match self {
            Self::Memory(rows) => rows.iter().map(|row| row.encoded.ids.len()).collect(),
            Self::Shards(shards) => shards.lengths(),
        }
    }

    /// A row by its number from 0.
    ///
    /// # Panics
    ///
    /// If there is none of this number.
    pub fn get(&self, row: usize) -> Cow<'_, Row> {
        match self {
            Self::Memory(rows) => Cow::Borrowed(&rows[row]),
            Self::Shards(shards) => {
                let found = shards.row(row);
                Cow::Owned(found.unwrap_or_else(|| panic!("row {row} of {}", shards.len())))
            }
        }
    }

    /// All rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, Row>> {
        (0..self.len()).map(|row| self.get(row))
    }
}
