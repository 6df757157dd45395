//! Where the rows of an inspection are.

use std::borrow::Cow;

use super::any::AnyExample;
use super::sample::Sample;
use crate::document::Origin;
use crate::error::Result;

/// Rows that can be asked for by their number, again and again: an inspection holds a few numbers of each in memory,
/// and asks for the few that it has to see a second time.
///
/// This is the seam for data that are neither in memory nor in files; [`Spool`](super::Spool) is the one for files.
pub trait Rows: Sync {
    /// How many rows there are.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where a row comes from.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    fn origin(&self, row: usize) -> Origin;

    /// A row.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    fn example(&self, row: usize) -> Result<Cow<'_, AnyExample>>;
}

impl Rows for Vec<AnyExample> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn origin(&self, row: usize) -> Origin {
        self[row].origin().clone()
    }

    fn example(&self, row: usize) -> Result<Cow<'_, AnyExample>> {
        Ok(Cow::Borrowed(&self[row]))
    }
}

/// What is done with a row.
pub(crate) type Look<'a> = &'a mut dyn FnMut(&Sample<'_>);

/// How a row that was seen is seen once more.
pub(crate) struct Reread<'a> {
    pub(crate) origin: &'a (dyn Fn(usize) -> Origin + Sync),
    pub(crate) sample: &'a (dyn Fn(usize, Look<'_>) -> Result<()> + Sync),
}

impl Reread<'_> {
    /// What is seen of a row.
    pub(crate) fn see<T>(&self, row: usize, look: impl Fn(&Sample<'_>) -> T) -> Result<T> {
        let mut seen = None;
        (self.sample)(row, &mut |sample| seen = Some(look(sample)))?;
        Ok(seen.expect("a row that is read is looked at"))
    }
}
