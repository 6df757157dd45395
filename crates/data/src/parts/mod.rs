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
mod share;
mod writer;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use manifest::{Manifest, Part, merge};
pub use share::{Account, Inputs, Share};

use crate::document::{Document, Fields};
use crate::draft::Written;
use crate::encode::{EncodeReport, Encoder, Fingerprint, Row};
use crate::error::{DataError, Place, Result, quoted};
use crate::example::Conversation;
use crate::mapping::Mapping;
use crate::shard::{self, ShardWriter};
use writer::{Finished, Line, Writer};

/// How documents are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON lines: an object for each document.
    JsonLines,
    /// Parquet, snappy-packed: a column for each field. What differs in type from row to row is JSON text.
    #[cfg(feature = "parquet")]
    Parquet,
}

impl Format {
    fn extension(self) -> &'static str {
        match self {
            Self::JsonLines => "jsonl",
            #[cfg(feature = "parquet")]
            Self::Parquet => "parquet",
        }
    }
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

    /// Writes its share of the documents of files: their fields, `text` if there is one, and where they come from as
    /// `source_path`, `source_place` and, unless it is a line, `source_unit`. A document that has these already keeps
    /// them: it was prepared before.
    ///
    /// Memory: some thousand or some megabytes of documents at a time. For Parquet the types of the columns are those of
    /// all rows, so the rows wait in an unnamed temporary file until the last is known.
    ///
    /// # Errors
    ///
    /// As [`Share::each`]; a document with both a text and a field `text` is broken ([`DataError::DuplicateKey`]). No
    /// part is left then.
    pub fn load_documents(&self, inputs: &Inputs<'_>, format: Format) -> Result<Part> {
        let path = self.path(format.extension());
        let mut writer = Writer::create(format, &path)?;
        let account = self
            .share
            .each(inputs, Line::of, |line| writer.push(&line))?;
        self.documents_written(&path, writer.finish()?, Some(account))
    }

    /// Writes its share of the conversations of files, encoded, as a [`Shard`](crate::shard::Shard); with what became
    /// of those that were kept. A record that the mapping refuses, or the encoder, is as broken as one that cannot be
    /// read; those that the encoder's policies drop are among the part's counts.
    ///
    /// Memory: the shard, see [`ShardWriter`].
    ///
    /// # Errors
    ///
    /// As [`Share::each`]; what the system says.
    pub fn load_tokens<M: Mapping<Example = Conversation>>(
        &self,
        inputs: &Inputs<'_>,
        encoder: &Encoder,
        mapping: &M,
    ) -> Result<(Part, EncodeReport)> {
        let mut writer = ShardWriter::new(encoder.fingerprint());
        let mut report = EncodeReport::default();
        let read = |document| encoder.row(&mapping.example(document)?);
        let account = self.share.each(inputs, read, |(row, of_row)| {
            report.add(&of_row);
            writer.push(&row)
        })?;
        Ok((self.tokens_written(writer, Some(account))?, report))
    }

    /// Writes these documents, as [`Job::load_documents`] does.
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
        let path = self.path(format.extension());
        let mut writer = Writer::create(format, &path)?;
        for document in documents {
            writer.push(&Line::of(document?)?)?;
        }
        self.documents_written(&path, writer.finish()?, None)
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
        let mut writer = ShardWriter::new(fingerprint);
        for row in rows {
            writer.push(&row?)?;
        }
        self.tokens_written(writer, None)
    }

    fn documents_written(
        &self,
        path: &Path,
        finished: Finished,
        account: Option<Account>,
    ) -> Result<Part> {
        let part = Part {
            columns: finished.columns,
            ..self.part(path, finished.written, finished.rows, account)
        };
        self.describe(part)
    }

    fn tokens_written(&self, writer: ShardWriter, account: Option<Account>) -> Result<Part> {
        let path = self.path(shard::EXTENSION);
        let size = writer.size();
        let written = writer.write_to(&path)?;
        let part = Part {
            tokens: Some(size.tokens),
            ..self.part(&path, written, size.rows, account)
        };
        self.describe(part)
    }

    fn path(&self, extension: &str) -> PathBuf {
        self.folder
            .join(format!("{}.{extension}", self.share.name()))
    }

    fn part(&self, path: &Path, written: Written, rows: u64, account: Option<Account>) -> Part {
        let (counts, records) = account.map_or((None, None), |account| {
            (Some(account.counts), account.records)
        });
        Part {
            rank: self.share.rank,
            world: self.share.world,
            file: path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into(),
            rows,
            tokens: None,
            bytes: written.bytes,
            xxh3: format!("{:016x}", written.xxh3),
            columns: BTreeMap::new(),
            counts,
            records,
            settings: self.settings.clone(),
        }
    }

    /// Writes the description, which is what makes the file a part.
    fn describe(&self, part: Part) -> Result<Part> {
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
