//! Where the rows of a run lie.

use std::borrow::Cow;
use std::sync::Arc;

use finetune_data::encode::Row;
use finetune_data::shard::Shards;

/// Rows of tokens, in memory or in shards on disk. Made with `from` a `Vec<Row>`, [`Shards`], or shards with the numbers
/// of some of their rows, as [`Shards::split`] gives them.
#[derive(Clone, Debug)]
pub enum Rows {
    /// All of them at once.
    Memory(Vec<Row>),
    /// Read when they are needed; more than fit into memory, if need be.
    Shards(Arc<Shards>),
    /// Some of the rows of shards.
    Chosen {
        /// The shards.
        shards: Arc<Shards>,
        /// The numbers of the rows, from 0, in the order in which they are to come.
        rows: Vec<usize>,
    },
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

impl From<Arc<Shards>> for Rows {
    fn from(shards: Arc<Shards>) -> Self {
        Self::Shards(shards)
    }
}

impl From<(Arc<Shards>, Vec<usize>)> for Rows {
    fn from((shards, rows): (Arc<Shards>, Vec<usize>)) -> Self {
        Self::Chosen { shards, rows }
    }
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(rows) => rows.len(),
            Self::Shards(shards) => shards.len(),
            Self::Chosen { rows, .. } => rows.len(),
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
            Self::Shards(shards) => (0..shards.len()).map(|row| shards.length(row)).collect(),
            Self::Chosen { shards, rows } => rows.iter().map(|row| shards.length(*row)).collect(),
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
            Self::Shards(shards) => Cow::Owned(on_disk(shards, row)),
            Self::Chosen { shards, rows } => Cow::Owned(on_disk(shards, rows[row])),
        }
    }

    /// All rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Cow<'_, Row>> {
        (0..self.len()).map(|row| self.get(row))
    }
}

fn on_disk(shards: &Shards, row: usize) -> Row {
    let found = shards.row(row);
    found.unwrap_or_else(|| panic!("row {row} of {}", shards.len()))
}
