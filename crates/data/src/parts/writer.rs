//! Writing the file of a part that holds documents.

use std::collections::BTreeMap;
#[cfg(feature = "parquet")]
use std::fs::File;
use std::io::Write;
#[cfg(feature = "parquet")]
use std::io::{BufWriter, IntoInnerError};
use std::path::Path;
#[cfg(feature = "parquet")]
use std::path::PathBuf;

use super::{Format, line, record};
use crate::document::{Document, Fields};
use crate::draft::{Draft, Written};
use crate::error::Result;
#[cfg(feature = "parquet")]
use crate::error::{DataError, Place};

/// A document as it is written.
pub(super) struct Line {
    #[cfg_attr(not(feature = "parquet"), expect(dead_code))]
    record: Fields,
    json: Vec<u8>,
}

impl Line {
    pub(super) fn of(document: Document) -> Result<Self> {
        let record = record(document)?;
        let mut json = Vec::new();
        line(&record, &mut json).expect("memory takes whatever is JSON");
        Ok(Self { record, json })
    }
}

/// The file of a part while documents are added.
pub(super) enum Writer {
    /// One line after the other.
    JsonLines { file: Box<Draft>, rows: u64 },
    /// The types of the columns are those of all rows, so the rows wait in an unnamed file until the last is known.
    #[cfg(feature = "parquet")]
    Parquet {
        path: PathBuf,
        spool: BufWriter<File>,
        columns: super::columns::Columns,
    },
}

/// What was written.
pub(super) struct Finished {
    pub(super) written: Written,
    pub(super) rows: u64,
    pub(super) columns: BTreeMap<String, String>,
}

impl Writer {
    pub(super) fn create(format: Format, path: &Path) -> Result<Self> {
        Ok(match format {
            Format::JsonLines => Self::JsonLines {
                file: Box::new(Draft::create(path)?),
                rows: 0,
            },
            #[cfg(feature = "parquet")]
            Format::Parquet => Self::Parquet {
                path: path.to_owned(),
                spool: BufWriter::new(tempfile::tempfile().map_err(|error| failed(path, error))?),
                columns: super::columns::Columns::default(),
            },
        })
    }

    pub(super) fn push(&mut self, line: &Line) -> Result<()> {
        match self {
            Self::JsonLines { file, rows } => {
                file.write_all(&line.json)
                    .map_err(|error| file.failed(error))?;
                *rows += 1;
            }
            #[cfg(feature = "parquet")]
            Self::Parquet {
                path,
                spool,
                columns,
            } => {
                columns.add(&line.record);
                spool
                    .write_all(&line.json)
                    .map_err(|error| failed(path, error))?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Finished> {
        match self {
            Self::JsonLines { file, rows } => Ok(Finished {
                written: file.finish()?,
                rows,
                columns: BTreeMap::new(),
            }),
            #[cfg(feature = "parquet")]
            Self::Parquet {
                path,
                spool,
                columns,
            } => {
                let spool = spool.into_inner().map_err(IntoInnerError::into_error);
                let spool = spool.map_err(|error| failed(&path, error))?;
                let (written, rows) = columns.write(spool, &path)?;
                Ok(Finished {
                    written,
                    rows,
                    columns: columns.names(),
                })
            }
        }
    }
}

#[cfg(feature = "parquet")]
fn failed(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io {
        place: Place::file(path),
        operation: "write",
        source,
    }
}
