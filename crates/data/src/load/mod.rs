//! Loaders: one file per format, and the list of them.

mod archive;
#[cfg(feature = "arrow")]
mod arrow;
#[cfg(any(feature = "arrow", feature = "parquet"))]
mod batches;
#[cfg(feature = "office")]
mod blocks;
#[cfg(any(feature = "arrow", feature = "parquet"))]
mod cells;
mod chain;
mod classes;
mod counts;
mod csv;
#[cfg(feature = "datasets")]
mod dataset;
mod encoding;
#[cfg(feature = "epub")]
mod epub;
mod file;
mod gather;
mod github;
#[cfg(any(
    feature = "arrow",
    feature = "html",
    feature = "parquet",
    feature = "pdf",
    feature = "wikipedia"
))]
mod guard;
mod heads;
#[cfg(feature = "html")]
pub mod html;
mod json;
mod json_lines;
mod lines;
#[cfg(feature = "mail")]
pub mod mail;
mod markdown;
mod notebook;
#[cfg(feature = "office")]
mod office;
mod outcome;
mod outline;
mod packing;
#[cfg(feature = "parquet")]
mod parquet;
pub(crate) mod parse;
mod parser;
#[cfg(feature = "office")]
mod parts;
#[cfg(feature = "pdf")]
pub mod pdf;
mod quarantine;
mod remote;
#[cfg(feature = "repository")]
mod repository;
#[cfg(feature = "sheets")]
mod sheets;
mod sniff;
mod source;
#[cfg(any(
    feature = "archives",
    feature = "arrow",
    feature = "office",
    feature = "parquet",
    feature = "sqlite"
))]
mod spool;
#[cfg(feature = "sqlite")]
mod sqlite;
mod subtitle;
#[cfg(any(feature = "html", feature = "office", feature = "wikipedia"))]
mod table;
mod talk;
mod text;
mod time;
mod tweets;
mod typed;
#[cfg(feature = "archives")]
mod unpack;
#[cfg(any(feature = "arrow", feature = "parquet", feature = "sqlite"))]
mod values;
mod walk;
mod whole;
#[cfg(feature = "wikipedia")]
mod wikipedia;
#[cfg(feature = "office")]
mod xml;
#[cfg(any(feature = "archives", feature = "office"))]
mod zip;

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "arrow")]
pub use arrow::Arrow;
pub(crate) use chain::Member;
pub use counts::{Counts, Reason};
pub use csv::{Cells, Csv};
#[cfg(feature = "datasets")]
pub use dataset::{DatasetFolder, Feature, FolderSplit};
#[cfg(feature = "epub")]
pub use epub::Epub;
pub(crate) use file::regular;
pub use gather::OnError;
pub use github::GithubIssues;
#[cfg(feature = "html")]
pub use html::Html;
#[cfg(feature = "net")]
pub(crate) use html::named_encoding;
pub use json::Json;
pub use json_lines::JsonLines;
#[cfg(feature = "mail")]
pub use mail::Mail;
pub use markdown::Markdown;
pub use notebook::Notebooks;
#[cfg(feature = "office")]
pub use office::{Presentation, TextDocument};
#[cfg(feature = "parquet")]
pub use parquet::Parquet;
#[cfg(feature = "pdf")]
pub use pdf::Pdf;
#[cfg(feature = "repository")]
pub use repository::SourceFile;
#[cfg(feature = "sheets")]
pub use sheets::{SheetUnit, Sheets};
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
pub use subtitle::{Stretch, Subtitles};
pub use talk::Conversations;
pub use text::{Text, Unit};
pub use tweets::Tweets;
#[cfg(feature = "wikipedia")]
pub use wikipedia::Wikipedia;

use rayon::prelude::*;

use crate::document::{Document, Documents, Load, documents};
use crate::error::{DataError, Place, Result, quoted};
use archive::Archive;
use chain::{Chain, Entry, What, until_error};
use packing::Packing;
use remote::Remote;

/// The list of loaders: the file's extension chooses, unless a loader recognises the file by its beginning.
///
/// `data.jsonl.gz` is read by the loader for `jsonl`; `.zst`, `.bz2` and `.xz` are unpacked likewise under the features
/// of their names. With the feature `archives`, `.zip` and `.tar` are opened as the folders that they hold, and their
/// files are named below the archive: `data.zip/train.csv`.
///
/// With the feature `hub`, `hf://owner/name[@revision]` is a data set of the hub, read as a `DatasetFolder` but for the
/// check of its row counts: all splits of its default configuration one after the other, or, with `:configuration`,
/// `:configuration:split` or `::split` behind it, what these name. Only the files of these are downloaded. With `/path`
/// behind it, the files of that folder, or that file, are read one by one as they are. With the feature `net` an address
/// of the web is a page, or the pages of a `sitemap.xml`.
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
    walk: fn(&Path) -> Result<Vec<PathBuf>>,
    watch: Option<Arc<dyn Fn(Reading) + Send + Sync>>,
    #[cfg(feature = "hub")]
    hub: Option<crate::hub::Hub>,
    #[cfg(feature = "net")]
    fetch: Arc<crate::net::Fetch>,
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
    /// Text, Markdown, JSON, JSON lines, tables of comma- or tab-separated values, notebooks, subtitles, and the exports
    /// of messengers and of Twitter.
    fn default() -> Self {
        let list: Vec<Arc<dyn Load>> = vec![
            Arc::new(Text::default()),
            Arc::new(Markdown),
            Arc::new(Json),
            Arc::new(JsonLines),
            Arc::new(Csv::default()),
            Arc::new(Notebooks::default()),
            Arc::new(Subtitles::default()),
            Arc::new(Conversations::default()),
            Arc::new(Tweets::default()),
            #[cfg(feature = "wikipedia")]
            Arc::new(Wikipedia::default()),
            #[cfg(feature = "arrow")]
            Arc::new(Arrow::default()),
            #[cfg(feature = "parquet")]
            Arc::new(Parquet::default()),
            #[cfg(feature = "sqlite")]
            Arc::new(Sqlite::default()),
            #[cfg(feature = "html")]
            Arc::new(Html::default()),
            #[cfg(feature = "mail")]
            Arc::new(Mail::default()),
            #[cfg(feature = "pdf")]
            Arc::new(Pdf::default()),
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
            walk: walk::files,
            watch: None,
            #[cfg(feature = "hub")]
            hub: None,
            #[cfg(feature = "net")]
            fetch: Arc::default(),
        }
    }
}

impl Loaders {
    /// Loaders for a source tree: every file that git would keep is read by [`SourceFile`].
    #[cfg(feature = "repository")]
    pub fn repository() -> Self {
        Self {
            list: vec![Arc::new(SourceFile::default())],
            walk: repository::files,
            ..Self::default()
        }
    }

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

    /// The hub that data sets named `hf://owner/name` come from; else it is the environment's.
    #[cfg(feature = "hub")]
    pub fn hub(mut self, hub: crate::hub::Hub) -> Self {
        self.hub = Some(hub);
        self
    }

    /// How pages named by their addresses are fetched; else within the limits of
    /// [`Fetch::new`](crate::net::Fetch::new).
    #[cfg(feature = "net")]
    pub fn fetch(mut self, fetch: crate::net::Fetch) -> Self {
        self.fetch = Arc::new(fetch);
        self
    }

    /// Calls `watch` now and then while everything is loaded ([`Loaders::each`]), and at the end, for a bar.
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
        let entries = self.entries(path)?;
        // A short record takes no longer to be read than to be handed on, so a file alone goes without the chain.
        let open: Open = if let [entry] = entries.as_slice()
            && let Some(loader) = entry.loader_alone()
        {
            let path = entry.path.clone();
            Box::new(move || loader.load(&path))
        } else {
            let in_turn = |loader: &dyn Load, path: &Path| loader.in_turn(path);
            let chain = Chain::new(self.clone(), entries, in_turn);
            Box::new(move || Ok(documents(until_error(chain))))
        };
        Ok(Box::new(Loaded {
            open: Some(open),
            documents: Box::new(std::iter::empty()),
            empty: Some(DataError::EmptyDataset {
                place: Place::file(path),
                blank: 0,
                broken: 0,
                dropped: 0,
            }),
        }))
    }

    /// The files that a path leads to, in order.
    fn entries(&self, path: &Path) -> Result<Vec<Entry>> {
        if let Some(remote) = Remote::of(path) {
            return remote.entries(self);
        }
        let folder = path.is_dir();
        let entry = |file: PathBuf| {
            let what = match self.loader(&file) {
                Ok(what) => what,
                Err(_) if folder => What::PassedOver,
                Err(error) => return Err(error),
            };
            Ok(Entry::new(file, what))
        };
        // A loader may know a file by its beginning, so each is opened here once more than to be read. That is 50 of the
        // 110 microseconds that a file of a kilobyte takes (10,000 of them, on two busy cores); so it is done on all
        // threads.
        let entries: Vec<Result<Entry>> = (self.walk)(path)?.into_par_iter().map(entry).collect();
        entries.into_iter().collect()
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
        if let Some((_, hint)) = OLD.iter().find(|(known, _)| *known == extension) {
            return DataError::Unsupported {
                place,
                what: format!("the old format of Office, {found},"),
                hint,
            };
        }
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

type Open = Box<dyn FnOnce() -> Result<Documents> + Send>;

/// The documents of a path, which is opened when the first is asked for.
struct Loaded {
    open: Option<Open>,
    documents: Documents,
    /// The error for a path without any record, until there is one.
    empty: Option<DataError>,
}

impl Iterator for Loaded {
    type Item = Result<Document>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(open) = self.open.take() {
            match open() {
                Ok(documents) => self.documents = documents,
                Err(error) => {
                    self.empty = None;
                    return Some(Err(error));
                }
            }
        }
        let document = self.documents.next();
        if document.is_none() {
            return self.empty.take().map(Err);
        }
        if self.empty.is_some() {
            self.empty = None;
        }
        document
    }
}

/// How much of a file a loader sees to recognise it.
const HEAD: usize = 4 << 10;

/// Extensions whose loaders need a feature, for those who miss one.
const OPTIONAL: [(&str, &str); 25] = [
    ("arrow", "arrow"),
    ("arrows", "arrow"),
    ("db", "sqlite"),
    ("db3", "sqlite"),
    ("docx", "office"),
    ("eml", "mail"),
    ("epub", "epub"),
    ("feather", "arrow"),
    ("htm", "html"),
    ("html", "html"),
    ("ipc", "arrow"),
    ("mbox", "mail"),
    ("odp", "office"),
    ("ods", "sheets"),
    ("odt", "office"),
    ("parquet", "parquet"),
    ("pdf", "pdf"),
    ("pptx", "office"),
    ("pq", "parquet"),
    ("sqlite", "sqlite"),
    ("sqlite3", "sqlite"),
    ("xhtml", "html"),
    ("xlsm", "sheets"),
    ("xlsx", "sheets"),
    ("xml", "wikipedia"),
];

/// Extensions of formats that are not read, with what to do.
const OLD: [(&str, &str); 3] = [
    ("doc", "Save it as .docx first"),
    ("ppt", "Save it as .pptx first"),
    ("xls", "Save it as .xlsx first"),
];
