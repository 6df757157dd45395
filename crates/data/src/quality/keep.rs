//! The rows that stay, as a file that is read again like the source.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::inspection::Inspected;
use super::sensitive::Sensitive;
use super::spool::Spool;
use crate::document::Document;
use crate::draft::Draft;
use crate::error::{DataError, Result, quoted};
use crate::parts::{line, record};

/// Where the rows that stay are to be written: a file of JSON lines, each record with the fields that it had, so that
/// the same mapping reads it again, its text as `text`, and its place as `source_path` and `source_place`. Personal data
/// and secrets are masked.
#[derive(Debug, Clone)]
pub struct Keep {
    path: PathBuf,
    masks: Option<Sensitive>,
}

/// A file of rows that stayed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The file.
    pub path: String,
    /// How many rows it has.
    pub rows: u64,
    /// How many of them had personal data or secrets, which are masked.
    pub masked_rows: u64,
    /// How many places were masked.
    pub masked: u64,
}

impl Keep {
    /// How many rows are masked at a time.
    const CHUNK: usize = 1_024;

    /// A file that is none of the inputs, nor in a folder that is one: the next run would read it.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if it is.
    pub fn new<P: AsRef<Path>>(path: impl Into<PathBuf>, inputs: &[P]) -> Result<Self> {
        let path = path.into();
        let real = whole(&path);
        let inside = |input: &P| {
            let input = input.as_ref().canonicalize();
            input.is_ok_and(|input| real.starts_with(input))
        };
        if inputs.iter().any(inside) {
            return Err(DataError::Setting {
                name: "keep".into(),
                found: quoted(&path.to_string_lossy()),
                expected: "a file that is neither one of the inputs nor inside of one".into(),
            });
        }
        Ok(Self {
            path,
            masks: Some(Sensitive::default()),
        })
    }

    /// Sets what is masked; `None` leaves the rows as they were.
    pub fn masks(mut self, masks: Option<Sensitive>) -> Self {
        self.masks = masks;
        self
    }

    /// Writes the rows that stay, in order.
    ///
    /// # Errors
    ///
    /// What the system says; [`DataError::DuplicateKey`] if a document has both a text and a field `text`. No file is
    /// left then.
    pub fn write(&self, rows: &Spool, inspected: &Inspected) -> Result<Kept> {
        let mut file = Draft::create(&self.path)?;
        let mut kept = Kept {
            path: self.path.to_string_lossy().into_owned(),
            ..Kept::default()
        };
        let stay: Vec<usize> = inspected.kept().collect();
        for chunk in stay.chunks(Self::CHUNK) {
            let records: Vec<Result<(Document, u64)>> = chunk
                .par_iter()
                .map(|&row| {
                    let mut document = rows.document(row)?;
                    let masks = self.masks.as_ref();
                    let masked = masks.map_or(0, |masks| masks.mask_document(&mut document));
                    Ok((document, masked))
                })
                .collect();
            for outcome in records {
                let (document, masked) = outcome?;
                line(&record(document)?, &mut file).map_err(|error| file.failed(error))?;
                kept.rows += 1;
                kept.masked_rows += u64::from(masked > 0);
                kept.masked += masked;
            }
        }
        file.finish()?;
        Ok(kept)
    }
}

/// The path of a file that need not be there, without links.
fn whole(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (absolute.parent(), absolute.file_name()) {
        (Some(folder), Some(name)) => whole(folder).join(name),
        _ => absolute,
    }
}
