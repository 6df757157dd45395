//! Which files belong to which split.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::card::{self, is_name};
use super::pattern::matches;
use crate::error::{DataError, Place, Result, escaped, quoted};
use crate::load::walk;

/// The splits that names tell, with the words that tell them.
const WORDS: [(&str, &[&str]); 3] = [
    ("train", &["train", "training"]),
    ("validation", &["validation", "valid", "dev", "val"]),
    ("test", &["test", "testing", "eval", "evaluation"]),
];
/// How folders are named by one of these words, which stands for `@`.
const FOLDERS: &[&str] = &[
    "**/@/**",
    "**/@[-._ 0-9]*/**",
    "**/*[-._ 0-9]@/**",
    "**/*[-._ 0-9]@[-._ 0-9]*/**",
];
/// How files are.
const NAMES: &[&str] = &["**/@[-._ 0-9]*", "**/*[-._ 0-9]@[-._ 0-9]*"];
/// Files that hold no rows.
const ABOUT: [&str; 6] = [
    "README.md",
    "config.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dummy_data.zip",
    "dataset_dict.json",
];
/// The formats with their extensions. Of two that are equally frequent the first one counts.
const FORMATS: [&[&str]; 5] = [
    &["parquet"],
    &["arrow"],
    &["jsonl", "json", "ndjson"],
    &["csv", "tsv"],
    &["txt"],
];

/// The files of a data set by their paths inside of it, with `/` between names, in order.
pub(super) type Files = BTreeMap<String, PathBuf>;
type Splits = Vec<(String, Vec<PathBuf>)>;

/// The splits of a folder with their files, by the patterns of its card or by the files' names.
pub(super) fn splits(
    root: &Path,
    files: &Files,
    said: Option<&[(String, Vec<String>)]>,
) -> Result<Splits> {
    let splits = match said {
        Some(said) => by_patterns(root, files, said)?,
        None => by_names(files),
    };
    one_format(root, splits)
}

/// The files below a folder.
pub(super) fn files(root: &Path) -> Result<Files> {
    let files = walk::files(root)?.into_iter().map(|file| {
        let below = file.strip_prefix(root).unwrap_or(&file);
        let names = below
            .components()
            .map(|part| part.as_os_str().to_string_lossy());
        (names.collect::<Vec<_>>().join("/"), file)
    });
    Ok(files.filter(|(name, _)| !is_about(name)).collect())
}

/// The files of these paths in a folder, which need not be there yet: those that [`files`] would find.
#[cfg(feature = "hub")]
pub(super) fn listed<'a>(root: &Path, paths: impl Iterator<Item = &'a str>) -> Files {
    let hidden = |path: &str| path.split('/').any(|name| name.starts_with('.'));
    paths
        .filter(|path| !hidden(path) && !is_about(path))
        .map(|path| {
            (
                path.to_owned(),
                path.split('/')
                    .fold(root.to_path_buf(), |at, name| at.join(name)),
            )
        })
        .collect()
}

fn is_about(path: &str) -> bool {
    ABOUT.contains(&path.rsplit('/').next().unwrap_or(path))
}

/// The files in one of the folders, by their paths from there.
pub(super) fn below(files: &Files, folder: &Path) -> Files {
    let names = folder.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    });
    let start: String = names.flat_map(|name| [name, "/"]).collect();
    let files = files.iter().filter_map(|(path, file)| {
        let inside = path.strip_prefix(&start)?;
        Some((inside.to_owned(), file.clone()))
    });
    files.collect()
}

/// Whether any file may hold rows.
pub(super) fn any_rows(files: &Files) -> bool {
    let is_rows = |file: &PathBuf| FORMATS.iter().any(|format| has_format(file, format));
    files.values().any(is_rows)
}

/// A path below a folder, refused if it leads out of it.
pub(super) fn inside<'a>(name: &'a str, said_by: &Path) -> Result<&'a Path> {
    let path = Path::new(name);
    if path
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
    {
        return Ok(path);
    }
    Err(card::broken(
        said_by,
        &format!("the path {} leads out of the folder", quoted(name)),
    ))
}

fn by_patterns(root: &Path, files: &Files, said: &[(String, Vec<String>)]) -> Result<Splits> {
    let splits = said.iter().map(|(split, patterns)| {
        let mut found = Vec::new();
        for pattern in patterns {
            if pattern.contains("://") {
                return Err(DataError::Unsupported {
                    place: Place::file(root.join("README.md")),
                    what: format!("the address {} in data_files", quoted(pattern)),
                    hint: "Get the file, and write its path below the folder",
                });
            }
            inside(pattern, &root.join("README.md"))?;
            found.extend(
                files
                    .iter()
                    .filter(|(name, _)| matches(pattern, name))
                    .map(|(_, file)| file.clone()),
            );
        }
        if found.is_empty() {
            return Err(empty(root, split));
        }
        Ok((split.clone(), found))
    });
    splits.collect()
}

pub(super) fn empty(root: &Path, split: &str) -> DataError {
    card::broken(
        root,
        &format!("no file found for the split {}", quoted(split)),
    )
}

/// The first way of naming that any file follows.
fn by_names(files: &Files) -> Splits {
    let sharded = sharded(files);
    if !sharded.is_empty() {
        return sharded;
    }
    for way in [FOLDERS, NAMES] {
        let splits: Splits = WORDS
            .iter()
            .filter_map(|(split, words)| {
                let patterns: Vec<String> = words
                    .iter()
                    .flat_map(|word| way.iter().map(move |pattern| pattern.replace('@', word)))
                    .collect();
                let found = in_order(files, &patterns);
                (!found.is_empty()).then(|| ((*split).to_string(), found))
            })
            .collect();
        if !splits.is_empty() {
            return splits;
        }
    }
    vec![("train".into(), files.values().cloned().collect())]
}

/// The files of one pattern after the other, each once.
fn in_order(files: &Files, patterns: &[String]) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let found = patterns
        .iter()
        .flat_map(|pattern| files.iter().filter(move |(name, _)| matches(pattern, name)));
    found
        .filter(|(name, _)| seen.insert(name.as_str()))
        .map(|(_, file)| file.clone())
        .collect()
}

/// Files named `data/SPLIT-00000-of-00002.EXTENSION`.
fn sharded(files: &Files) -> Splits {
    let digits = "[0-9]".repeat(5);
    let pattern = format!("data/*-{digits}-of-{digits}*.*");
    let mut splits: BTreeMap<(usize, String), Vec<PathBuf>> = BTreeMap::new();
    for (name, file) in files.iter().filter(|(name, _)| matches(&pattern, name)) {
        let shard = name.find("-of-").map_or(0, |at| at.saturating_sub(6));
        let split = name["data/".len()..]
            .get(..shard.saturating_sub("data/".len()))
            .unwrap_or_default();
        if is_name(split) {
            let rank = WORDS
                .iter()
                .position(|(known, _)| *known == split)
                .unwrap_or(WORDS.len());
            splits
                .entry((rank, split.to_string()))
                .or_default()
                .push(file.clone());
        }
    }
    splits
        .into_iter()
        .map(|((_, name), files)| (name, files))
        .collect()
}

/// Leaves of each split the files of its most frequent format, which must be the same in all splits.
fn one_format(root: &Path, mut splits: Splits) -> Result<Splits> {
    let mut all: Option<usize> = None;
    for (name, files) in &mut splits {
        let count = |format: usize| {
            files
                .iter()
                .filter(|file| has_format(file, FORMATS[format]))
                .count()
        };
        let most = (0..FORMATS.len())
            .rev()
            .max_by_key(|format| count(*format))
            .filter(|format| count(*format) > 0);
        let Some(most) = most else {
            return Err(empty(root, name));
        };
        if *all.get_or_insert(most) != most {
            let formats = format!(
                "{} and {}",
                FORMATS[all.unwrap_or(most)][0],
                FORMATS[most][0]
            );
            return Err(card::broken(
                root,
                &format!("the splits have different formats: {}", escaped(&formats)),
            ));
        }
        files.retain(|file| has_format(file, FORMATS[most]));
    }
    Ok(splits)
}

/// Whether any of the extensions of a name, such as `.csv.gz`, is one of these.
fn has_format(file: &Path, extensions: &[&str]) -> bool {
    let name = file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    name.split('.')
        .skip(1)
        .any(|extension| extensions.contains(&extension))
}
