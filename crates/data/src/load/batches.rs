//! Batches of rows as records: what Parquet and Arrow files share.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::cells;
use super::chain::until_error;
use super::file::input;
use crate::document::{Content, Document, Origin, PlaceUnit, Record, Records};
use crate::error::{DataError, Place, Result};

/// The rows of a small file may take this many bytes in memory, all together.
const SMALL: u64 = 256 << 20;
/// Those of a larger one this many times its size. A column that hardly changes is packed to next to nothing, and each of
/// its rows is a value nevertheless.
const RATIO: u64 = 1000;

/// How many bytes the rows of a file may take in memory, all together, unless it is said.
pub(super) fn limit(said: Option<u64>, file: &File, path: &Path) -> Result<u64> {
    if let Some(limit) = said {
        return Ok(limit);
    }
    let metadata = file
        .metadata()
        .map_err(|error| input(path, "read", error))?;
    Ok(metadata.len().saturating_mul(RATIO).max(SMALL))
}

/// The rows of the batches that `next` gives until it gives none. An error of `next` concerns the file and ends it; so do
/// rows that take more than `limit` bytes in memory.
pub(super) fn records(
    path: &Path,
    limit: u64,
    mut next: impl FnMut() -> Result<Option<Vec<RecordBatch>>> + Send + 'static,
) -> Records {
    let path = path.to_path_buf();
    let (at, mut left) = (Place::file(&path), limit);
    let mut within = move |batch: RecordBatch| match cells::spend(&batch, &mut left) {
        Some(()) => Ok(batch),
        None => Err(DataError::LimitExceeded {
            place: at.clone(),
            what: "the size of the rows in memory in bytes, as far as it was counted,",
            found: limit.saturating_add(1),
            limit,
            hint: "It repeats a few values many times. If it is what it should be, raise the limit of its loader (rows_limit)",
        }),
    };
    let batches = std::iter::from_fn(move || next().transpose());
    let batches = batches.flat_map(move |batches| match batches {
        Ok(batches) => batches.into_iter().map(&mut within).collect(),
        Err(error) => vec![Err(error)],
    });
    let mut before = 0;
    until_error(batches.flat_map(move |batch| -> Records {
        let batch = match batch {
            Ok(batch) => Arc::new(batch),
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let (path, first) = (path.clone(), before + 1);
        before += batch.num_rows() as u64;
        Box::new((0..batch.num_rows()).map(move |row| {
            let place = Place::of(&path, PlaceUnit::Row, first + row as u64);
            Ok(record(&batch, row, place))
        }))
    }))
}

/// A row that becomes a document when it is asked for, so that rows can be read in parallel.
fn record(batch: &Arc<RecordBatch>, row: usize, place: Place) -> Record {
    let batch = Arc::clone(batch);
    Record::of(Content::Later {
        place,
        read: Arc::new(move |_, place| {
            Ok(Document {
                text: String::new(),
                fields: cells::row(&batch, row, place)?,
                origin: Origin::of(&place.path, place.unit, place.line),
            })
        }),
    })
}
