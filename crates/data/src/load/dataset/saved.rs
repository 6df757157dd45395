//! Folders that `save_to_disk` wrote.

use std::path::{Path, PathBuf};

use super::{DatasetFolder, FolderSplit, card, find};
use crate::error::{DataError, Place, Result};

/// The splits of a folder that `save_to_disk` wrote.
pub(super) fn read(root: &Path) -> Result<DatasetFolder> {
    let dictionary = root.join("dataset_dict.json");
    let mut folders = vec![(None, root.to_path_buf())];
    if dictionary.is_file() {
        let names = card::json(&dictionary)?;
        let names = names["splits"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str());
        let names: Result<Vec<_>> = names
            .map(|name| {
                Ok((
                    Some(name.to_string()),
                    root.join(find::inside(name, &dictionary)?),
                ))
            })
            .collect();
        folders = names?;
    }
    let mut set = DatasetFolder {
        path: root.to_path_buf(),
        configuration: "default".into(),
        splits: Vec::new(),
        features: Vec::new(),
    };
    for (name, folder) in folders {
        let path = folder.join("state.json");
        let state = card::json(&path)?;
        if !state["_indices_data_files"].is_null() {
            return Err(DataError::Unsupported {
                place: Place::file(path),
                what: "a data set whose rows are chosen by indices".into(),
                hint: "Save it again after flatten_indices()",
            });
        }
        let names = state["_data_files"].as_array().into_iter().flatten();
        let files = names.map(|file| match file["filename"].as_str() {
            Some(name) => Ok(folder.join(find::inside(name, &path)?)),
            None => Err(card::broken(&path, "a data file has no filename")),
        });
        let files: Vec<PathBuf> = files.collect::<Result<_>>()?;
        let name = name.or_else(|| state["_split"].as_str().map(str::to_string));
        let name = name.unwrap_or_else(|| "train".into());
        if files.is_empty() {
            return Err(find::empty(&folder, &name));
        }
        let about = card::saved(&folder)?;
        set.splits.push(FolderSplit {
            // What is said of the whole set from which a split was selected is not said of the split.
            rows: None,
            name,
            files,
        });
        set.features = about.features;
    }
    Ok(set)
}
