//! Preparing data on several machines: each takes its share of the inputs and writes one part, and the parts together
//! are the data set.
//!
//! ```text
//! part-00003-of-00016.jsonl | .parquet | .tokens     what rank 3 of 16 made
//! part-00003-of-00016.json                           what it is: rows, bytes, checksum, settings; written last
//! manifest.json                                      written by [`merge`] when all parts are there and right
//! ```
//!
//! Nothing is talked over: which inputs are a rank's is a function of their order, the rank and the number of ranks. A
//! rank that failed is run again, and writes the same part.

#[cfg(feature = "parquet")]
mod columns;
mod manifest;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use manifest::{Manifest, Part, merge};

use crate::document::{Document, Fields};
use crate::draft::{Draft, Written};
use crate::encode::{Fingerprint, Row};
use crate::error::{DataError, Place, Result, quoted};
use crate::load::Loaders;
use crate::shard::{self, ShardWriter};

/// What one of several machines does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    rank: u32,
    world: u32,
}

impl Share {
    /// The share of machine `rank`, from 0, of `world`.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if the rank is not below the number of machines.
    pub fn new(rank: u32, world: u32) -> Result<Self> {
        if rank < world {
            return Ok(Self { rank, world });
        }
        Err(DataError::Setting {
            name: "rank".into(),
            found: format!("{rank} of {world}"),
            expected: "a rank from 0, below the world's size".into(),
        })
    }

    /// Whether input number `input`, from 0, belongs to it: every `world`th does.
    pub fn takes(&self, input: u64) -> bool {
        input % u64::from(self.world) == u64::from(self.rank)
    }

    /// Its documents of these files, in order. If there are at least as many files as machines, it takes whole files,
    /// and reads no others; else it reads all, and takes every `world`th record.
    pub fn documents<'a>(
        &self,
        loaders: &'a Loaders,
        files: &'a [PathBuf],
    ) -> impl Iterator<Item = Result<Document>> + use<'a> {
        let share = *self;
        let whole = files.len() as u64 >= u64::from(self.world);
        let files = (0..).zip(files);
        let files = files.filter(move |(number, _)| !whole || share.takes(*number));
        let documents = files.flat_map(|(_, file)| match loaders.load(file) {
            Ok(documents) => documents,
            Err(error) => Box::new(std::iter::once(Err(error))),
        });
        let numbered = (0..).zip(documents);
        numbered
            .filter(move |(number, _)| whole || share.takes(*number))
            .map(|(_, document)| document)
    }

    /// The name of its part, without the extension.
    pub fn name(&self) -> String {
        format!("part-{:05}-of-{:05}", self.rank, self.world)
    }
}

/// How documents are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON lines: an object for each document.
    JsonLines,
    /// Parquet, snappy-packed: a column for each field. What differs in type from row to row is JSON text.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl FromStr for Format {
    type Err = DataError;

    /// `jsonl`, or `parquet` with that feature.
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "jsonl" => Ok(Self::JsonLines),
            #[cfg(feature = "parquet")]
            "parquet" => Ok(Self::Parquet),
            _ => Err(DataError::Setting {
                name: "format".into(),
                found: quoted(text),
                expected: "jsonl, or parquet in a build with the feature parquet".into(),
            }),
        }
    }
}

/// A part to be written.
///
/// ```
/// use finetune_data::parts::{Format, Job, Share, merge};
/// use finetune_data::{Document, Origin};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let folder = folder.path();
/// let document = |place| Document { text: "One.".into(), fields: [].into(), origin: Origin::new("a.txt", place) };
/// for rank in 0..2 {
///     let job = Job::new(Share::new(rank, 2)?, folder).settings("all of a.txt");
///     job.documents(Format::JsonLines, [Ok(document(1)), Ok(document(2))])?;
/// }
/// assert_eq!(merge(folder)?.rows, 4);
/// # Ok::<(), finetune_data::DataError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Job {
    share: Share,
    folder: PathBuf,
    settings: String,
}

impl Job {
    /// The part of a share, in this folder, which is made if there is none.
    pub fn new(share: Share, folder: impl Into<PathBuf>) -> Self {
        Self {
            share,
            folder: folder.into(),
            settings: String::new(),
        }
    }

    /// Sets what all parts must have in common to be merged, in words: the inputs, and what is made of them.
    pub fn settings(mut self, settings: impl Into<String>) -> Self {
        self.settings = settings.into();
        self
    }

    /// Writes documents: their fields, `text` if there is one, and where they come from as `source_path`,
    /// `source_place` and, unless it is a line, `source_unit`. A document that has these already keeps them: it was
    /// prepared before.
    ///
    /// Memory: a few thousand documents at a time for Parquet, one for JSON lines. For Parquet the types of the columns
    /// are those of all rows, so the rows wait in an unnamed temporary file until the last is known.
    ///
    /// # Errors
    ///
    /// The first error of a document; [`DataError::DuplicateKey`] if one has both a text and a field `text`; what the
    /// system says. No part is left then.
    pub fn documents(
        &self,
        format: Format,
        documents: impl IntoIterator<Item = Result<Document>>,
    ) -> Result<Part> {
        match format {
            Format::JsonLines => {
                let path = self.path("jsonl");
                let mut file = Draft::create(&path)?;
                let mut rows = 0;
                for document in documents {
                    let record = record(document?)?;
                    line(&record, &mut file).map_err(|error| file.failed(error))?;
                    rows += 1;
                }
                self.finish(&path, file.finish()?, (rows, None), BTreeMap::new())
            }
            #[cfg(feature = "parquet")]
            Format::Parquet => {
                let path = self.path("parquet");
                let failed = |source| DataError::Io {
                    place: Place::file(&path),
                    operation: "write",
                    source,
                };
                let mut spool = tempfile::tempfile().map_err(failed)?;
                let mut columns = columns::Columns::default();
                let mut writer = std::io::BufWriter::new(&mut spool);
                for document in documents {
                    let record = record(document?)?;
                    columns.add(&record);
                    line(&record, &mut writer).map_err(failed)?;
                }
                writer.flush().map_err(failed)?;
                drop(writer);
                let (written, rows) = columns.write(spool, &path)?;
                self.finish(&path, written, (rows, None), columns.names())
            }
        }
    }

    /// Writes rows of tokens as a [`Shard`](crate::shard::Shard), with the fingerprint of the encoder that made them.
    ///
    /// # Errors
    ///
    /// The first error of a row; what [`ShardWriter::push`] and the system say.
    pub fn rows(
        &self,
        fingerprint: Fingerprint,
        rows: impl IntoIterator<Item = Result<Row>>,
    ) -> Result<Part> {
        let path = self.path(shard::EXTENSION);
        let mut writer = ShardWriter::new(fingerprint);
        for row in rows {
            writer.push(&row?)?;
        }
        let size = writer.size();
        let written = writer.write_to(&path)?;
        self.finish(
            &path,
            written,
            (size.rows, Some(size.tokens)),
            BTreeMap::new(),
        )
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.folder
            .join(format!("{}.{extension}", self.share.name()))
    }

    fn finish(
        &self,
        path: &Path,
        written: Written,
        (rows, tokens): (u64, Option<u64>),
        columns: BTreeMap<String, String>,
    ) -> Result<Part> {
        let part = Part {
            rank: self.share.rank,
            world: self.share.world,
            file: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into(),
            rows,
            tokens,
            bytes: written.bytes,
            xxh3: format!("{:016x}", written.xxh3),
            columns,
            settings: self.settings.clone(),
        };
        manifest::write(&self.path("json"), &part)?;
        Ok(part)
    }
}

/// A document as one object: its fields, its text as `text`, and where it lies.
pub(crate) fn record(document: Document) -> Result<Fields> {
    let Document {
        text,
        fields: mut record,
        origin,
    } = document;
    if !text.is_empty() && record.contains_key("text") {
        return Err(DataError::DuplicateKey {
            place: Place::from(&origin),
            key: quoted("text"),
        });
    }
    if !text.is_empty() {
        record.insert("text".into(), text.into());
    }
    if !record.contains_key("source_path") && !record.contains_key("source_place") {
        let path = origin.path.to_string_lossy().into_owned();
        record.insert("source_path".into(), path.into());
        record.insert("source_place".into(), origin.place.into());
        if origin.unit != crate::document::PlaceUnit::Line {
            record.insert("source_unit".into(), origin.unit.name().into());
        }
    }
    Ok(record)
}

/// Writes an object as a line of JSON.
pub(crate) fn line(record: &Fields, to: &mut impl Write) -> std::io::Result<()> {
    serde_json::to_writer(&mut *to, record)?;
    to.write_all(b"\n")
}
