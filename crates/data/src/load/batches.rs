//! Batches of rows as records: what Parquet and Arrow files share.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;

use super::cells;
use super::chain::until_error;
use crate::document::{Content, Document, Origin, PlaceUnit, Record, Records};
use crate::error::{Place, Result};

/// The rows of the batches that `next` gives until it gives none. An error of `next` concerns the file and ends it.
pub(super) fn records(
    path: &Path,
    mut next: impl FnMut() -> Result<Option<Vec<RecordBatch>>> + Send + 'static,
) -> Records {
    let path = path.to_path_buf();
    let batches = std::iter::from_fn(move || next().transpose());
    let batches = batches.flat_map(|batches| match batches {
        Ok(batches) => batches.into_iter().map(Ok).collect(),
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
