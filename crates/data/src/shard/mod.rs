//! Rows of tokens on disk, that load without being tokenized again.
//!
//! A shard is one file; all numbers are little-endian, and hashes are XXH3 of 64 bits:
//!
//! ```text
//! 0   8 bytes   FTTOKENS
//! 8   u32       version, 1
//! 12  u32       length of the header in bytes, at most 1 MiB
//! 16  u64       hash of the header
//! 24  u64       length of the file
//! 32  JSON      header: fingerprint {tokenizer, template, settings, vocabulary}, rows, tokens,
//!               sections [{name, offset, bytes, xxh3 in hexadecimal}]; offsets count from the file's start
//!     sections, in this order, each at the next multiple of 8 behind what stands before it; the bytes between are 0
//!     ends      u64 per row     the number of tokens up to the row's end
//!     places    u64 per row     line, row or page of the record, from 1
//!     ids       u16 per token, or u32 if the vocabulary has more than 65,536 tokens
//!     kinds     u32 per token, or nothing if all are 0
//!     files     u32 per row     which of the names
//!     learn     a bit per token, the lowest of each byte first; what is left of the last byte is 0
//!     names     JSON list of origins {path, place: 0, unit}
//! ```
//!
//! Where the sections lie follows from the counts, so a reader needs no trust: [`Shard::open`] refuses a file in which
//! they lie elsewhere, that is shorter or longer than it says, one byte of which changed, or whose numbers point outside
//! of it. No memory is taken for what a header promises before the file's length has been compared with it.

mod layout;
mod map;
mod write;

use std::path::{Path, PathBuf};

pub use write::{ShardSize, ShardWriter};

use crate::document::Origin;
use crate::encode::{Encoded, Fingerprint, Row};
use crate::error::{DataError, Place, Result};
use crate::split::{Parts, Split};
use crate::stream::{Items, Source};
use layout::Layout;
use map::Map;

/// The file extension of shards.
pub const EXTENSION: &str = "tokens";

/// Rows of tokens in a file, which is mapped into memory: the system reads what is asked for and forgets it again when
/// memory is needed.
///
/// ```
/// # use finetune_data::encode::{Encoder, Row};
/// # use finetune_data::template::Plain;
/// # use finetune_data::tokenizer::Tokenizer;
/// use finetune_data::shard::{Shard, ShardWriter};
///
/// # let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/assets/base");
/// # let encoder = Encoder::new(Tokenizer::open(base)?, Box::new(Plain::default()));
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("part-00000-of-00001.tokens");
/// # let chats = [finetune_data::Conversation::pair("Why?", "So.")];
/// let (rows, _) = encoder.encode_all(&chats)?;
/// let mut writer = ShardWriter::new(encoder.fingerprint());
/// for row in &rows {
///     writer.push(row)?;
/// }
/// writer.write(&path)?;
///
/// let shard = Shard::open(&path, &encoder.fingerprint())?;
/// assert_eq!(shard.rows().collect::<Vec<Row>>(), rows);
/// # Ok::<(), finetune_data::DataError>(())
/// ```
#[derive(Debug)]
pub struct Shard {
    path: PathBuf,
    map: Map,
    layout: Layout,
    names: Vec<Origin>,
}

impl Shard {
    /// Opens a shard whose rows an encoder of this fingerprint would make. The whole file is read once, to be checked.
    ///
    /// # Errors
    ///
    /// [`DataError::Stale`] if it was made with another tokenizer, template or settings; [`DataError::Broken`] if the
    /// file is not a shard, is cut, or was changed; what the system says.
    pub fn open(path: impl AsRef<Path>, fingerprint: &Fingerprint) -> Result<Self> {
        let path = path.as_ref();
        let map = Map::open(path)?;
        let layout = Layout::read(map.bytes(), path)?;
        // Told first: who has changed the tokenizer should not have to wait for the checksums.
        if let Some((what, found, expected)) = layout.fingerprint().difference(fingerprint) {
            return Err(DataError::Stale {
                place: Place::file(path),
                what,
                found: crate::error::escaped(found),
                expected: expected.to_owned(),
            });
        }
        Self::checked(path, map, layout)
    }

    /// Opens a shard whatever made its rows: to look at it.
    ///
    /// # Errors
    ///
    /// As [`Shard::open`], without [`DataError::Stale`].
    pub fn inspect(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let map = Map::open(path)?;
        let layout = Layout::read(map.bytes(), path)?;
        Self::checked(path, map, layout)
    }

    fn checked(path: &Path, map: Map, layout: Layout) -> Result<Self> {
        let names = layout.check(map.bytes(), path)?;
        Ok(Self {
            path: path.to_owned(),
            map,
            layout,
            names,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What made its rows.
    pub fn fingerprint(&self) -> &Fingerprint {
        self.layout.fingerprint()
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.layout.rows()
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many tokens it has.
    pub fn tokens(&self) -> usize {
        self.layout.tokens()
    }

    /// The number of tokens of a row, without reading it; 0 behind the last.
    pub fn length(&self, row: usize) -> usize {
        self.layout
            .span(self.map.bytes(), row)
            .map_or(0, |span| span.len())
    }

    /// The ids of a row as they lie in the file, none behind the last row.
    pub fn ids(&self, row: usize) -> impl ExactSizeIterator<Item = u32> + '_ {
        let span = self.layout.span(self.map.bytes(), row).unwrap_or(0..0);
        self.layout.ids(self.map.bytes(), span)
    }

    /// A row as the encoder made it; `None` behind the last.
    pub fn row(&self, row: usize) -> Option<Row> {
        let bytes = self.map.bytes();
        let span = self.layout.span(bytes, row)?;
        let (file, place) = self.layout.origin(bytes, row);
        Some(Row {
            encoded: Encoded {
                ids: self.layout.ids(bytes, span.clone()).collect(),
                learn: self.layout.learn(bytes, span.clone()).collect(),
                kinds: self.layout.kinds(bytes, span),
            },
            origin: Origin {
                place,
                ..self.names.get(file).cloned().unwrap_or_default()
            },
        })
    }

    /// All rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        (0..self.len()).filter_map(|row| self.row(row))
    }
}

/// Several shards as one data set, larger than memory if need be. As a [`Source`] it begins at any row at once.
#[derive(Debug)]
pub struct Shards {
    list: Vec<Shard>,
    /// For each shard the number of rows up to its end.
    ends: Vec<usize>,
}

impl Shards {
    /// Opens shards, in the order in which they are named; of a folder all, in the order of their names.
    ///
    /// # Errors
    ///
    /// As [`Shard::open`]; [`DataError::EmptyDataset`] if there is none.
    pub fn open<P: AsRef<Path>>(paths: &[P], fingerprint: &Fingerprint) -> Result<Self> {
        let mut list = Vec::new();
        for path in paths {
            let path = path.as_ref();
            let found = if path.is_dir() {
                in_folder(path)?
            } else {
                vec![path.to_owned()]
            };
            for path in found {
                list.push(Shard::open(path, fingerprint)?);
            }
        }
        let mut rows = 0;
        let ends: Vec<usize> = list
            .iter()
            .map(|shard| {
                rows += shard.len();
                rows
            })
            .collect();
        if rows == 0 {
            return Err(DataError::EmptyDataset {
                place: Place::file(paths.first().map_or(Path::new(""), AsRef::as_ref)),
                blank: 0,
                broken: 0,
                dropped: 0,
            });
        }
        Ok(Self { list, ends })
    }

    /// How many rows they have.
    pub fn len(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Whether they have no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shards.
    pub fn list(&self) -> &[Shard] {
        &self.list
    }

    /// A row, counted through all shards; `None` behind the last.
    pub fn row(&self, row: usize) -> Option<Row> {
        let (shard, row) = self.find(row)?;
        shard.row(row)
    }

    /// The shard in which a row lies, and its number there.
    fn find(&self, row: usize) -> Option<(&Shard, usize)> {
        let shard = self.ends.partition_point(|end| *end <= row);
        let first = shard.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some((self.list.get(shard)?, row - first))
    }

    /// The number of tokens of a row, counted through all shards, without reading it; 0 behind the last.
    pub fn length(&self, row: usize) -> usize {
        self.find(row).map_or(0, |(shard, row)| shard.length(row))
    }

    /// The numbers of the rows by part: split by what is asked ([`Encoded::question`]), so that no prompt is on two
    /// sides. They are other rows than those of a split of the texts. Each row is read once.
    pub fn split(&self, split: &Split) -> Parts<usize> {
        split.apply(0..self.len(), |row| {
            let encoded = self.row(*row).unwrap_or_default().encoded;
            let ids = encoded.question().iter();
            ids.flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>()
        })
    }

    /// All rows, in order.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.list.iter().flat_map(Shard::rows)
    }
}

impl Source for Shards {
    type Item = Row;

    fn open(&self, _: u64, from: u64) -> Result<Items<'_, Row>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let rows = from.min(self.len())..self.len();
        Ok(Box::new(rows.filter_map(|row| self.row(row)).map(Ok)))
    }
}

/// The shards of a folder.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| DataError::Io {
        place: Place::file(folder),
        operation: "read",
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == EXTENSION)
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
