//! Data sets of the hub: what is to be read of them, and that no more is downloaded.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::error::{DataError, Result, quoted};
use crate::hub::{Commit, Hub, HubName, Kind, Select};
use crate::load::Loaders;
use crate::load::chain::{Entry, Member, What};
use crate::load::classes::Classes;
use crate::load::dataset::{DatasetFolder, FolderSplit};

/// Files that tell about a data set and are none of it.
const ABOUT: [&str; 3] = ["README.md", "dataset_info.json", "dataset_infos.json"];

/// The files of a data set, named by the hub's name and the commit.
///
/// First come the files that describe it; they say which files the configuration and the split have, and only those
/// come then. What no description and no extension makes a table, and what is named by a path, is read file by file.
pub(super) fn entries(name: &str, loaders: &Loaders) -> Result<Vec<Entry>> {
    let name = HubName::parse(name, Kind::Dataset)?;
    let own;
    let hub = if let Some(hub) = &loaders.hub {
        hub
    } else {
        own = Hub::from_env()?;
        &own
    };
    let commit = hub.commit(&name)?;
    if name.kind() == Kind::Dataset
        && name.path().is_none()
        && let Some(entries) = rows(&name, &commit, loaders)?
    {
        return Ok(entries);
    }
    files(&name, &commit, loaders)
}

/// The files of rows; `None` if it has none and none were asked for.
fn rows(name: &HubName, commit: &Commit<'_>, loaders: &Loaders) -> Result<Option<Vec<Entry>>> {
    let about: BTreeSet<&str> = commit
        .paths()
        .filter(|path| DatasetFolder::is_description(path))
        .collect();
    commit.bring_paths(&about)?;
    let plain = shown(name, commit.id());
    let member = |classes| Member::data_set(commit.folder(), plain.clone(), classes);
    let show = |error| member(Classes::default()).show_error(error);

    let asked = format!("{} (as in {}:CONFIGURATION)", plain.display(), id(name));
    let set = DatasetFolder::listed(
        &commit.folder(),
        commit.paths(),
        name.configuration(),
        &asked,
    );
    let Some(set) = set.map_err(show)? else {
        if name.configuration().is_none() && name.split().is_none() {
            return Ok(None);
        }
        return Err(DataError::Setting {
            name: "hub name".to_owned(),
            found: quoted(&name.to_string()),
            expected: "a name without configuration and split: no file of it holds rows".to_owned(),
        });
    };
    let splits: Vec<&FolderSplit> = match name.split() {
        Some(split) => vec![set.split(split)?],
        None => set.splits.iter().collect(),
    };
    let wanted: HashSet<&Path> = splits
        .iter()
        .flat_map(|split| &split.files)
        .map(PathBuf::as_path)
        .collect();
    let paths = commit
        .paths()
        .filter(|path| wanted.contains(commit.place(path).as_path()));
    commit.bring_paths(&paths.collect())?;
    let member = member(set.classes());
    let mut entries = Vec::new();
    for split in splits {
        entries.extend(split.entries(loaders, &member).map_err(show)?);
    }
    Ok(Some(entries))
}

/// All files, or those that a path leads to, as files of a folder.
fn files(name: &HubName, commit: &Commit<'_>, loaders: &Loaders) -> Result<Vec<Entry>> {
    let (files, _) = commit.bring_selected(&Select::of(Kind::Dataset))?;
    let plain = shown(name, commit.id());
    let member = Member::data_set(commit.folder(), plain, Classes::default());
    let files = files.into_iter();
    let files = files.filter(|file| !ABOUT.iter().any(|about| file.ends_with(about)));
    let entry = |file: PathBuf| {
        let what = loaders.loader(&file).unwrap_or(What::PassedOver);
        Entry::new(file, what).of(&member)
    };
    Ok(files.map(entry).collect())
}

fn id(name: &HubName) -> String {
    format!("{}{}", HubName::PREFIX, name.id())
}

/// What places show for the folder of a commit.
fn shown(name: &HubName, commit: &str) -> PathBuf {
    PathBuf::from(format!("{}@{commit}", id(name)))
}
