//! Folders of data sets, laid out as the Hugging Face hub has them.

mod card;
mod find;
mod pattern;
mod rows;
mod saved;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::card::Card;
use self::find::Files;
use self::rows::TextRows;
use super::Loaders;
use super::chain::{Chain, Entry, Member, until_error};
use super::classes::Classes;
use crate::document::{Documents, documents};
use crate::error::{DataError, Result, quoted};

/// A data set in a folder: its splits with their files, its columns, and the number of its rows.
///
/// What is where is found as `datasets` finds it. First come the `configs` in the front matter of `README.md` with
/// their `data_files`; without them the names of files and folders tell: `data/train-00000-of-00002.parquet`, folders
/// `train` or `my_dev`, files `test.jsonl` or `x-eval.csv`, else everything is `train`. The words are train and
/// training; validation, valid, dev and val; test, testing, eval and evaluation. Of several formats in a split the most
/// frequent one counts. Folders that `save_to_disk` wrote are read by their `state.json`.
///
/// Read are Parquet, Arrow, JSON, JSON lines, tables of comma- and tab-separated values, and texts, a line of which is a
/// row. `dataset_info` in the front matter, `dataset_infos.json` and `dataset_info.json` give columns and row counts.
///
/// ```no_run
/// use finetune_data::load::{DatasetFolder, Loaders};
///
/// # fn main() -> finetune_data::Result<()> {
/// let set = DatasetFolder::open("imdb")?;
/// assert_eq!(set.labels("label"), ["neg", "pos"]);
/// for document in set.load("train", &Loaders::default())? {
///     println!("{:?}", document?.fields);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetFolder {
    /// The folder.
    pub path: PathBuf,
    /// The configuration's name, `default` if it has none.
    pub configuration: String,
    /// The splits in order: as the front matter has them, else train, validation and test before others.
    pub splits: Vec<FolderSplit>,
    /// The columns that the folder describes; empty if it describes none.
    pub features: Vec<Feature>,
}

/// A split of a [`DatasetFolder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderSplit {
    /// Its name, such as `train`.
    pub name: String,
    /// Its files in order, at least one.
    pub files: Vec<PathBuf>,
    /// How many rows the folder says it has.
    pub rows: Option<u64>,
}

/// A column as a [`DatasetFolder`] describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// Its type, as `datasets` names it: `string`, `int64`, `ClassLabel`, `List`, `struct`.
    pub kind: String,
    /// The names of its classes, by their numbers; empty if it is no column of classes or of lists of them.
    pub labels: Vec<String>,
}

impl DatasetFolder {
    /// Looks into a folder, and takes its default configuration.
    ///
    /// # Errors
    ///
    /// If it has several configurations and none of them is the default, if its description cannot be read, or if no
    /// file is found for one of its splits.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::find(path.as_ref(), None)
    }

    /// Looks into a folder, and takes the configuration of this name.
    ///
    /// # Errors
    ///
    /// As [`DatasetFolder::open`], and if there is no such configuration.
    pub fn open_configuration(path: impl AsRef<Path>, name: &str) -> Result<Self> {
        Self::find(path.as_ref(), Some(name))
    }

    fn find(path: &Path, wanted: Option<&str>) -> Result<Self> {
        let files = find::files(path)?;
        let found = Self::among(path, &files, wanted, &path.display().to_string())?;
        found.ok_or_else(|| find::empty(path, "train"))
    }

    /// The data set in a folder that has the files of these paths, of which so far only those must lie there that
    /// [`DatasetFolder::is_description`] knows. `None` if no file can hold rows. `shown` stands for the folder in
    /// messages.
    #[cfg(feature = "hub")]
    pub(super) fn listed<'a>(
        folder: &Path,
        paths: impl Iterator<Item = &'a str>,
        wanted: Option<&str>,
        shown: &str,
    ) -> Result<Option<Self>> {
        Self::among(folder, &find::listed(folder, paths), wanted, shown)
    }

    /// Whether a path inside a data set is that of a file which describes it.
    #[cfg(feature = "hub")]
    pub(super) fn is_description(path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        match name {
            "README.md" | "dataset_infos.json" | "dataset_dict.json" => folder.is_empty(),
            "state.json" | "dataset_info.json" => !folder.contains('/'),
            _ => false,
        }
    }

    fn among(
        path: &Path,
        files: &Files,
        wanted: Option<&str>,
        shown: &str,
    ) -> Result<Option<Self>> {
        if path.join("dataset_dict.json").is_file() || path.join("state.json").is_file() {
            return saved::read(path).map(Some);
        }
        let cards = card::read(path)?;
        let (configuration, card) = choose(cards, wanted, shown)?;
        let splits = match &card.folder {
            Some(folder) => {
                let folder = find::inside(folder, path)?;
                let files = find::below(files, folder);
                find::splits(&path.join(folder), &files, card.files.as_deref())?
            }
            None if card.files.is_none() && !find::any_rows(files) => return Ok(None),
            None => find::splits(path, files, card.files.as_deref())?,
        };
        let splits = splits.into_iter().map(|(name, files)| FolderSplit {
            rows: card.about.rows.get(&name).copied(),
            name,
            files,
        });
        Ok(Some(Self {
            path: path.to_path_buf(),
            configuration,
            splits: splits.collect(),
            features: card.about.features,
        }))
    }

    /// The names of a column's classes, by their numbers; empty if the folder names none.
    pub fn labels(&self, column: &str) -> &[String] {
        let feature = self.features.iter().find(|feature| feature.name == column);
        feature.map_or(&[], |feature| &feature.labels)
    }

    /// The rows of a split, file by file. Columns of classes hold the names of the classes instead of their numbers,
    /// and null instead of -1, which stands for none.
    ///
    /// The last item is an error if the folder says how many rows the split has and they are not as many.
    ///
    /// # Errors
    ///
    /// If there is no such split, or there is no loader for a file of it.
    pub fn load(&self, split: &str, loaders: &Loaders) -> Result<Documents> {
        let split = self.split(split)?;
        let member = Member::data_set(self.path.clone(), self.path.clone(), self.classes());
        let entries = split.entries(loaders, &member)?;
        let chain = Chain::new(loaders.clone(), entries, |loader, path| {
            loader.in_turn(path)
        });
        let rows = documents(until_error(chain));
        Ok(counted(rows, split.clone(), self.path.clone()))
    }

    /// The split of this name.
    pub(super) fn split(&self, name: &str) -> Result<&FolderSplit> {
        let named = |split: &&FolderSplit| split.name == name;
        self.splits.iter().find(named).ok_or_else(|| {
            let known: Vec<&str> = self
                .splits
                .iter()
                .map(|split| split.name.as_str())
                .collect();
            DataError::Setting {
                name: "split".into(),
                found: quoted(name),
                expected: format!("one of {}", known.join(", ")),
            }
        })
    }

    /// The classes of all columns.
    pub(super) fn classes(&self) -> Classes {
        let features = self.features.iter();
        let named = features.filter(|feature| !feature.labels.is_empty());
        Classes(
            named
                .map(|feature| (feature.name.clone(), feature.labels.clone()))
                .collect(),
        )
    }
}

impl FolderSplit {
    /// Its files, to be read as rows.
    pub(super) fn entries(&self, loaders: &Loaders, member: &Arc<Member>) -> Result<Vec<Entry>> {
        let loaders = loaders.clone().with(TextRows);
        let files = self.files.iter();
        files
            .map(|file| Ok(Entry::new(file.clone(), loaders.loader(file)?).of(member)))
            .collect()
    }
}

/// The rows, and an error behind the last if they are not as many as the folder says.
fn counted(mut rows: Documents, split: FolderSplit, path: PathBuf) -> Documents {
    let mut expected = split.rows;
    let mut found = 0;
    Box::new(std::iter::from_fn(move || {
        let row = rows.next();
        match &row {
            Some(Ok(_)) => found += 1,
            // What is broken is said by its own error.
            Some(Err(_)) => expected = None,
            None => {
                let expected = expected.take().filter(|expected| *expected != found)?;
                let message = format!(
                    "the split {} has {found} rows; expected {expected}",
                    quoted(&split.name)
                );
                return Some(Err(card::broken(&path, &message)));
            }
        }
        row
    }))
}

/// The configuration that is asked for, or the default one.
fn choose(
    mut cards: Vec<(String, Card)>,
    wanted: Option<&str>,
    shown: &str,
) -> Result<(String, Card)> {
    let with_files = cards
        .iter()
        .filter(|(_, card)| card.files.is_some() || card.folder.is_some())
        .count();
    let chosen = match wanted {
        Some(wanted) => cards.iter().position(|(name, _)| name == wanted),
        None if cards.is_empty() => return Ok(("default".into(), Card::default())),
        None if cards.len() == 1 => Some(0),
        None => {
            let default = cards.iter().position(|(_, card)| card.default);
            let default = default.or_else(|| cards.iter().position(|(name, _)| name == "default"));
            // Descriptions without files may be of more configurations than the folder has.
            let only = || {
                (with_files == 1)
                    .then(|| cards.iter().position(|(_, card)| card.files.is_some()))
                    .flatten()
            };
            default.or_else(only)
        }
    };
    if let Some(index) = chosen {
        return Ok(cards.swap_remove(index));
    }
    let known: Vec<String> = cards.iter().map(|(name, _)| quoted(name)).collect();
    Err(DataError::Setting {
        name: format!("configuration of {shown}"),
        found: wanted.map_or_else(|| "none".into(), quoted),
        expected: format!(
            "one of {}",
            if known.is_empty() {
                "none".into()
            } else {
                known.join(", ")
            }
        ),
    })
}
