//! Arrow IPC files and streams, batch by batch.

mod messages;

use std::path::Path;
use std::time::Duration;

use self::messages::Messages;
use super::batches;
use super::guard::guarded;
use super::spool::spooled;
use crate::document::{Documents, Load, Records, documents};
use crate::error::{Place, Result};

const FORMAT: &str = "Arrow file";
/// How long reading a batch may take. Nothing but a hostile file takes this long.
const TIME_LIMIT: Duration = Duration::from_mins(1);

/// Loads Arrow IPC: files (`.arrow`, `.ipc`, and `.feather` of version 2) and streams (`.arrow`, `.arrows`, as
/// `datasets` writes them). What a file is its first bytes say. Every row is a document, whose columns become its
/// fields as those of a [`Parquet`](super::Parquet) file do. The place is the row.
///
/// No more than a batch is in memory at a time; it may take 256 MiB when it is unpacked, or
/// [`Arrow::batch_limit`], and a row 64 MiB. All rows together may take as much as those of a
/// [`Parquet`](super::Parquet) file, or [`Arrow::rows_limit`]. A stream that does not end with its end mark is truncated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrow {
    batch_limit: u64,
    rows_limit: Option<u64>,
}

impl Default for Arrow {
    fn default() -> Self {
        Self {
            batch_limit: 256 << 20,
            rows_limit: None,
        }
    }
}

impl Arrow {
    /// How many bytes a batch may take, unpacked.
    pub fn batch_limit(mut self, bytes: u64) -> Self {
        self.batch_limit = bytes;
        self
    }

    /// How many bytes the rows of a file may take in memory, all together, whatever the size of the file.
    pub fn rows_limit(mut self, bytes: u64) -> Self {
        self.rows_limit = Some(bytes);
        self
    }
}

impl Load for Arrow {
    fn extensions(&self) -> &[&str] {
        &["arrow", "arrows", "feather", "ipc"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let file = spooled(path)?;
        let rows_limit = batches::limit(self.rows_limit, &file, path)?;
        let (named, limit) = (path.to_path_buf(), self.batch_limit);
        let messages = guarded(&Place::file(path), FORMAT, TIME_LIMIT, move || {
            Messages::open(named, file, limit)
        })?;
        let (path, mut messages) = (path.to_path_buf(), Some(messages));
        let named = path.clone();
        Ok(batches::records(&named, rows_limit, move || {
            let Some(mut open) = messages.take() else {
                return Ok(None);
            };
            let (open, batch) = guarded(&Place::file(&path), FORMAT, TIME_LIMIT, move || {
                let batch = open.batch()?;
                Ok((open, batch))
            })?;
            messages = Some(open);
            Ok(batch.map(|batch| vec![batch]))
        }))
    }
}
