//! Parquet files, row group by row group.

mod check;
mod thrift;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use self::check::Fault;
use super::batches;
use super::cells;
use super::file::input;
use super::guard::guarded;
use super::spool::spooled;
use crate::document::{Documents, Load, Records, documents};
use crate::error::{DataError, Place, Result, escaped};

const FORMAT: &str = "Parquet file";
const HINT: &str = "Get the file again, or write it again";
/// How long reading a batch may take. Nothing but a hostile file takes this long.
const TIME_LIMIT: Duration = Duration::from_mins(1);
/// How many rows, and about how many bytes of them, are read at a time.
const ROWS: usize = 1024;
const BYTES: usize = 4 << 20;

/// Loads `.parquet` files: every row is a document, whose columns become its fields. The place is the row.
///
/// Types are kept: integers of 64 bits and floats exactly, truth values, texts, and lists, structs and maps of any of
/// them. What JSON has no type for becomes text: dates and times as ISO 8601 has them (time stamps with a zone are
/// written in UTC), decimals digit by digit, binary data in base 64, and the floats `NaN`, `Infinity` and `-Infinity`.
/// A column of intervals or unions, and a column's name that stands twice, are errors of the file.
///
/// No more than a batch of rows is in memory at a time. The pages that lie at the same place of all columns must fit
/// into 256 MiB together when they are unpacked, or into [`Parquet::page_limit`]; a row may take 64 MiB. All rows together
/// may take 256 MiB or a thousand times the size of the file, whichever is more, or [`Parquet::rows_limit`]: a kilobyte
/// can say that a long value comes a million times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parquet {
    page_limit: u64,
    rows_limit: Option<u64>,
}

impl Default for Parquet {
    fn default() -> Self {
        Self {
            page_limit: 256 << 20,
            rows_limit: None,
        }
    }
}

impl Parquet {
    /// How many bytes the pages that are in memory at a time may take, unpacked.
    pub fn page_limit(mut self, bytes: u64) -> Self {
        self.page_limit = bytes;
        self
    }

    /// How many bytes the rows of a file may take in memory, all together, whatever the size of the file.
    pub fn rows_limit(mut self, bytes: u64) -> Self {
        self.rows_limit = Some(bytes);
        self
    }
}

impl Load for Parquet {
    fn extensions(&self) -> &[&str] {
        &["parquet", "pq"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let (file, metadata) = open(path)?;
        cells::check(metadata.schema(), &Place::file(path))?;
        let limit = batches::limit(self.rows_limit, &file, path)?;
        let mut groups = Groups {
            path: path.to_path_buf(),
            file,
            metadata,
            page_limit: self.page_limit,
            next: 0,
            open: None,
        };
        Ok(batches::records(path, limit, move || groups.batches()))
    }
}

fn open(path: &Path) -> Result<(File, ArrowReaderMetadata)> {
    let mut file = spooled(path)?;
    let named = path.to_path_buf();
    guarded(&Place::file(path), FORMAT, TIME_LIMIT, move || {
        check::footer(&mut file).map_err(|fault| explain(&named, fault, "", FOOTER_HINT))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
            .map_err(|error| broken(&named, &error.to_string()))?;
        Ok((file, metadata))
    })
}

const FOOTER_HINT: &str = "Write the file with fewer columns, or in several files";

/// The row groups that are still to be read.
struct Groups {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    page_limit: u64,
    next: usize,
    open: Option<Group>,
}

/// A row group that is being read.
struct Group {
    reader: ParquetRecordBatchReader,
    /// From 1.
    number: usize,
    /// How many rows are still to come, as the file says.
    left: u64,
}

impl Groups {
    /// The next rows; `None` at the end.
    fn batches(&mut self) -> Result<Option<Vec<RecordBatch>>> {
        loop {
            let group = match self.open.take() {
                Some(group) => group,
                None if self.next == self.metadata.metadata().num_row_groups() => return Ok(None),
                None => self.group()?,
            };
            let path = self.path.clone();
            let (group, batches) =
                guarded(&Place::file(&self.path), FORMAT, TIME_LIMIT, move || {
                    group.read(&path)
                })?;
            self.open = group;
            if !batches.is_empty() {
                return Ok(Some(batches));
            }
        }
    }

    fn group(&mut self) -> Result<Group> {
        let (index, path, limit) = (self.next, self.path.clone(), self.page_limit);
        self.next += 1;
        let metadata = self.metadata.clone();
        let file = self
            .file
            .try_clone()
            .map_err(|error| input(&path, "read", error))?;
        guarded(&Place::file(&self.path), FORMAT, TIME_LIMIT, move || {
            let number = index + 1;
            let group = metadata.metadata().row_group(index);
            let explain =
                |fault| explain(&path, fault, &format!("row group {number}: "), PAGE_HINT);
            let rows = check::pages(
                &mut file.try_clone().map_err(|error| explain(error.into()))?,
                group,
                limit,
            )
            .map_err(explain)?;
            let left = u64::try_from(group.num_rows())
                .map_err(|_| explain(Fault::Broken("the number of rows is negative")))?;
            let rows = usize::try_from(rows).unwrap_or(ROWS).clamp(1, ROWS);
            let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
                .with_row_groups(vec![index])
                .with_batch_size(rows)
                .build()
                .map_err(|error| in_group(&path, number, &error))?;
            Ok(Group {
                reader,
                number,
                left,
            })
        })
    }
}

const PAGE_HINT: &str = "Write the file with smaller pages or row groups, or raise the page limit";

impl Group {
    /// The next rows, and the group if there may be more.
    fn read(mut self, path: &Path) -> Result<(Option<Self>, Vec<RecordBatch>)> {
        let (mut batches, mut rows, mut bytes) = (Vec::new(), 0, 0);
        while rows < ROWS && bytes < BYTES {
            let Some(batch) = self.reader.next() else {
                return match self.left {
                    0 => Ok((None, batches)),
                    _ => Err(self.wrong(path, "it has fewer rows than it says")),
                };
            };
            let batch = batch.map_err(|error| in_group(path, self.number, &error.into()))?;
            let left = self.left.checked_sub(batch.num_rows() as u64);
            self.left = left.ok_or_else(|| self.wrong(path, "it has more rows than it says"))?;
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            batches.push(batch);
        }
        Ok((Some(self), batches))
    }

    fn wrong(&self, path: &Path, message: &str) -> DataError {
        broken(path, &format!("row group {}: {message}", self.number))
    }
}

fn in_group(path: &Path, number: usize, error: &ParquetError) -> DataError {
    broken(path, &format!("row group {number}: {error}"))
}

fn broken(path: &Path, message: &str) -> DataError {
    DataError::Broken {
        place: Place::file(path),
        format: FORMAT,
        message: escaped(message),
        hint: HINT,
    }
}

fn explain(path: &Path, fault: Fault, prefix: &str, large: &'static str) -> DataError {
    let place = Place::file(path);
    match fault {
        Fault::Io(error) => input(path, "read", error),
        Fault::Encrypted => DataError::Unsupported {
            place,
            what: "an encrypted Parquet file".into(),
            hint: "Write it again without encryption",
        },
        Fault::Nested => DataError::TooDeep { place, limit: 64 },
        Fault::Large { what, found, limit } => DataError::LimitExceeded {
            place,
            what,
            found,
            limit,
            hint: large,
        },
        Fault::Broken(message) => broken(path, &format!("{prefix}{message}")),
    }
}
