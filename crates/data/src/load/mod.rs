//! Loaders: one file per format, and the list of them.

mod counts;
mod csv;
mod file;
mod gather;
mod json;
mod json_lines;
mod lines;
mod markdown;
pub(crate) mod parse;
mod parser;
mod quarantine;
mod sniff;
mod source;
mod text;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use counts::{Counts, Reason};
pub use csv::Csv;
pub use gather::OnError;
pub use json::Json;
pub use json_lines::JsonLines;
pub use markdown::Markdown;
pub use text::{Text, Unit};

use crate::document::{Documents, Load, Record, Records};
use crate::error::{DataError, Place, Result, quoted};

/// The list of loaders: the file's extension chooses. `data.jsonl.gz` is read by the loader for `jsonl`.
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
        ];
        Self {
            list,
            strict: false,
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
        let mut records = Chain::new(self.files(path)?.found);
        Ok(Box::new(std::iter::from_fn(move || {
            for record in records.by_ref() {
                let document = record.and_then(Record::document).transpose();
                if document.is_some() {
                    empty = None;
                    return document;
                }
            }
            empty.take().map(Err)
        })))
    }

    fn files(&self, path: &Path) -> Result<Files> {
        let folder = path.is_dir();
        let mut files = Files {
            found: Vec::new(),
            passed_over: 0,
        };
        for file in walk::files(path)? {
            match self.loader(&file) {
                Ok(loader) => files.found.push((file, loader)),
                Err(_) if folder => files.passed_over += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    /// The loader for a file's extension.
    fn loader(&self, file: &Path) -> Result<Arc<dyn Load>> {
        let name = if source::is_gz(file) {
            file.with_extension("")
        } else {
            file.to_path_buf()
        };
        let extension = name
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .to_ascii_lowercase();
        let loader = self
            .list
            .iter()
            .rev()
            .find(|loader| loader.extensions().contains(&extension.as_str()));
        loader.cloned().ok_or_else(|| {
            let mut known: Vec<&str> = self
                .list
                .iter()
                .flat_map(|loader| loader.extensions())
                .copied()
                .collect();
            known.sort_unstable();
            known.dedup();
            let found = match extension.as_str() {
                "" => "a name without an extension".into(),
                extension => quoted(&format!(".{extension}")),
            };
            DataError::UnknownFormat {
                place: Place::file(file),
                found,
                known: known.join(", "),
            }
        })
    }
}

/// What a path leads to.
struct Files {
    /// The files with their loaders, in order.
    found: Vec<(PathBuf, Arc<dyn Load>)>,
    /// How many files of the folder have no loader.
    passed_over: u64,
}

/// The records of one file after the other, up to the first error of a file.
struct Chain {
    files: std::vec::IntoIter<(PathBuf, Arc<dyn Load>)>,
    open: Option<Records>,
}

impl Chain {
    fn new(files: Vec<(PathBuf, Arc<dyn Load>)>) -> Self {
        Self {
            files: files.into_iter(),
            open: None,
        }
    }

    fn fail(&mut self, error: DataError) -> Result<Record> {
        self.files = Vec::new().into_iter();
        self.open = None;
        Err(error)
    }
}

impl Iterator for Chain {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.open.as_mut().and_then(Iterator::next) {
                Some(Ok(record)) => return Some(Ok(record)),
                Some(Err(error)) => return Some(self.fail(error)),
                None => {}
            }
            let (file, loader) = self.files.next()?;
            match loader.records(&file) {
                Ok(records) => self.open = Some(records),
                Err(error) => return Some(self.fail(error)),
            }
        }
    }
}
