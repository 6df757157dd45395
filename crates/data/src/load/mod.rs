//! Loaders: one file per format, and the list of them.

mod archive;
#[cfg(feature = "office")]
mod blocks;
mod chain;
mod counts;
mod csv;
mod encoding;
#[cfg(feature = "epub")]
mod epub;
mod file;
mod gather;
mod json;
mod json_lines;
mod lines;
mod markdown;
#[cfg(feature = "office")]
mod office;
mod packing;
pub(crate) mod parse;
mod parser;
#[cfg(feature = "office")]
mod parts;
mod quarantine;
#[cfg(feature = "sheets")]
mod sheets;
mod sniff;
mod source;
mod text;
mod walk;
mod whole;
#[cfg(feature = "office")]
mod xml;
#[cfg(any(feature = "archives", feature = "office"))]
mod zip;

use std::path::Path;
use std::sync::Arc;

pub(crate) use chain::Member;
pub use counts::{Counts, Reason};
pub use csv::Csv;
#[cfg(feature = "epub")]
pub use epub::Epub;
pub use gather::OnError;
pub use json::Json;
pub use json_lines::JsonLines;
pub use markdown::Markdown;
#[cfg(feature = "office")]
pub use office::{Presentation, TextDocument};
#[cfg(feature = "sheets")]
pub use sheets::{SheetUnit, Sheets};
pub use text::{Text, Unit};

use crate::document::{Documents, Load, Record};
use crate::error::{DataError, Place, Result, quoted};
use archive::Archive;
use chain::{Chain, Entry, What};
use packing::Packing;

/// The list of loaders: the file's extension chooses, unless a loader recognises the file by its beginning.
///
/// `data.jsonl.gz` is read by the loader for `jsonl`; `.zst`, `.bz2` and `.xz` are unpacked likewise under the features
/// of their names. With the feature `archives`, `.zip` and `.tar` are opened as the folders that they hold, and their
/// files are named below the archive: `data.zip/train.csv`.
///
/// ```
/// use finetune_data::load::{Loaders, OnError, Text};
///
/// # fn main() -> finetune_data::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # std::fs::write(folder.path().join("a.txt"), "One.\n\nTwo.\n").unwrap();
/// # let folder = folder.path();
/// let loaders = Loaders::default().with(Text::paragraphs());
/// let (documents, counts) = loaders.load_all(&[folder], &OnError::Stop)?;
/// assert_eq!(documents[1].text, "Two.");
/// assert_eq!((counts.read, counts.kept, counts.blank), (3, 2, 1));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Loaders {
    list: Vec<Arc<dyn Load>>,
    strict: bool,
    watch: Option<Arc<dyn Fn(Reading) + Send + Sync>>,
}

/// How far a load has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Bytes of the files on disk that have been read, as far as that is known.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
    /// Records read.
    pub records: u64,
}

impl Default for Loaders {
    /// Text, Markdown, JSON, JSON lines, and tables of comma- or tab-separated values.
    fn default() -> Self {
        let list: Vec<Arc<dyn Load>> = vec![
            Arc::new(Text::default()),
            Arc::new(Markdown),
            Arc::new(Json),
            Arc::new(JsonLines),
            Arc::new(Csv::default()),
            #[cfg(feature = "office")]
            Arc::new(TextDocument),
            #[cfg(feature = "office")]
            Arc::new(Presentation),
            #[cfg(feature = "sheets")]
            Arc::new(Sheets::default()),
            #[cfg(feature = "epub")]
            Arc::new(Epub),
        ];
        Self {
            list,
            strict: false,
            watch: None,
        }
    }
}

impl Loaders {
    /// Adds a loader. It takes the place of an earlier one for the same extension.
    pub fn with(mut self, loader: impl Load + 'static) -> Self {
        self.list.push(Arc::new(loader));
        self
    }

    /// Whether control characters in texts (other than tab and line ends) are errors; else they are counted.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Calls `watch` now and then while everything is loaded at once, for a bar.
    pub fn watch(mut self, watch: impl Fn(Reading) + Send + Sync + 'static) -> Self {
        self.watch = Some(Arc::new(watch));
        self
    }

    /// The documents of a file, or of all files of a folder for which there is a loader, in the order of their names.
    ///
    /// Files are opened one after the other while the documents are asked for. After an error of one record the
    /// iterator goes on; after an error of a file it ends. A path without any record yields
    /// [`DataError::EmptyDataset`].
    ///
    /// # Errors
    ///
    /// If the path does not exist, is neither a regular file nor a folder, or has no loader.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Documents> {
        let path = path.as_ref();
        let mut empty = Some(DataError::EmptyDataset {
            place: Place::file(path),
            blank: 0,
            broken: 0,
        });
        let mut records = Some(Chain::new(self.clone(), self.entries(path)?));
        Ok(Box::new(std::iter::from_fn(move || {
            while let Some(record) = records.as_mut()?.next() {
                if record.is_err() {
                    records = None;
                }
                let document = record.and_then(Record::document).transpose();
                if document.is_some() {
                    empty = None;
                    return document;
                }
            }
            empty.take().map(Err)
        })))
    }

    /// The files that a path leads to, in order.
    fn entries(&self, path: &Path) -> Result<Vec<Entry>> {
        let folder = path.is_dir();
        let files = walk::files(path)?.into_iter().map(|file| {
            let what = match self.loader(&file) {
                Ok(what) => what,
                Err(_) if folder => What::PassedOver,
                Err(error) => return Err(error),
            };
            Ok(Entry::new(file, what))
        });
        files.collect()
    }

    /// What is to be done with a file: a loader that recognises it, that for its extension, or to open it as an archive.
    fn loader(&self, file: &Path) -> Result<What> {
        let head = whole::head(file, HEAD);
        let newest_first = || self.list.iter().rev();
        if let Some(loader) = newest_first().find(|loader| loader.recognises(file, &head)) {
            return Ok(What::File(Arc::clone(loader)));
        }
        let extension = Packing::stem(file)
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_ascii_lowercase();
        let named = |loader: &&Arc<dyn Load>| loader.extensions().contains(&extension.as_str());
        if let Some(loader) = newest_first().find(named) {
            return Ok(What::File(Arc::clone(loader)));
        }
        Archive::of(file)
            .map(What::Archive)
            .ok_or_else(|| self.unknown(file, &extension))
    }

    fn unknown(&self, file: &Path, extension: &str) -> DataError {
        let place = Place::file(file);
        let found = match extension {
            "" => "a name without an extension".into(),
            extension => quoted(&format!(".{extension}")),
        };
        if let Some((_, feature)) = OPTIONAL.iter().find(|(known, _)| *known == extension) {
            return DataError::FeatureOff {
                place,
                found,
                feature,
            };
        }
        let extensions = self.list.iter().flat_map(|loader| loader.extensions());
        let mut known: Vec<&str> = extensions.copied().collect();
        known.sort_unstable();
        known.dedup();
        DataError::UnknownFormat {
            place,
            found,
            known: known.join(", "),
        }
    }
}

/// How much of a file a loader sees to recognise it.
const HEAD: usize = 4 << 10;

/// Extensions whose loaders need a feature, for those who miss one.
const OPTIONAL: [(&str, &str); 22] = [
    ("arrow", "arrow"),
    ("feather", "arrow"),
    ("ipc", "arrow"),
    ("db", "sqlite"),
    ("docx", "office"),
    ("eml", "mail"),
    ("epub", "epub"),
    ("htm", "html"),
    ("html", "html"),
    ("mbox", "mail"),
    ("odp", "office"),
    ("ods", "sheets"),
    ("odt", "office"),
    ("parquet", "parquet"),
    ("pdf", "pdf"),
    ("pptx", "office"),
    ("sqlite", "sqlite"),
    ("sqlite3", "sqlite"),
    ("xhtml", "html"),
    ("xlsm", "sheets"),
    ("xlsx", "sheets"),
    ("xml", "wikipedia"),
];
