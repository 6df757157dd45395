//! What a data set's folder says of itself: the front matter of its `README.md`, `dataset_infos.json`,
//! `dataset_info.json`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::Feature;
use crate::error::{DataError, Place, Result, escaped, quoted};
use crate::load::sniff::Format;
use crate::load::whole;

/// The largest of these files in bytes.
const LIMIT: u64 = 16 << 20;

/// What is said of one configuration.
#[derive(Debug, Clone, Default)]
pub(super) struct Card {
    /// Whether it is the one to take when none is named.
    pub(super) default: bool,
    /// The splits in order with the patterns of their files; `None` if the names of the files tell.
    pub(super) files: Option<Vec<(String, Vec<String>)>>,
    /// The folder that patterns and names start from.
    pub(super) folder: Option<String>,
    pub(super) about: About,
}

/// The columns, and how many rows each split has.
#[derive(Debug, Clone, Default)]
pub(super) struct About {
    pub(super) features: Vec<Feature>,
    pub(super) rows: BTreeMap<String, u64>,
}

/// The configurations by name, those with files in the order of the card.
pub(super) fn read(folder: &Path) -> Result<Vec<(String, Card)>> {
    let mut cards = Vec::new();
    let readme = folder.join("README.md");
    if readme.is_file() {
        let text = whole::noted(&readme, Format::Text, LIMIT)?.1;
        if let Some(matter) = front_matter(&text) {
            // A column may be called `y`, which is no truth value.
            let options = serde_saphyr::options! { strict_booleans: true };
            let matter: Value = serde_saphyr::from_str_with_options(matter, options)
                .map_err(|error| broken(&readme, &error.to_string()))?;
            configurations(&matter, &readme, &mut cards)?;
        }
    }
    let legacy = folder.join("dataset_infos.json");
    if legacy.is_file()
        && let Value::Object(infos) = json(&legacy)?
    {
        for (name, info) in infos {
            card(&mut cards, &name).about = about(&info);
        }
    }
    Ok(cards)
}

/// What `dataset_info.json` of a folder written by `save_to_disk` says.
pub(super) fn saved(folder: &Path) -> Result<About> {
    let path = folder.join("dataset_info.json");
    if path.is_file() {
        Ok(about(&json(&path)?))
    } else {
        Ok(About::default())
    }
}

/// The value of a small JSON file.
pub(super) fn json(path: &Path) -> Result<Value> {
    let text = whole::noted(path, Format::Text, LIMIT)?.1;
    serde_json::from_str(&text).map_err(|error| broken(path, &error.to_string()))
}

pub(super) fn broken(path: &Path, message: &str) -> DataError {
    DataError::Broken {
        place: Place::file(path),
        format: "description of the data set",
        message: escaped(message),
        hint: "Mend the file, or load the data files one by one",
    }
}

fn front_matter(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("---\n")?;
    let end = rest.find("\n---").map(|end| end + 1)?;
    Some(&rest[..end])
}

fn card<'a>(cards: &'a mut Vec<(String, Card)>, name: &str) -> &'a mut Card {
    let known = cards.iter().position(|(known, _)| known == name);
    let index = known.unwrap_or_else(|| {
        cards.push((name.to_string(), Card::default()));
        cards.len() - 1
    });
    &mut cards[index].1
}

fn configurations(matter: &Value, readme: &Path, cards: &mut Vec<(String, Card)>) -> Result<()> {
    for config in items(&matter["configs"]) {
        let Some(name) = config["config_name"].as_str() else {
            return Err(broken(
                readme,
                "a configuration in configs has no config_name",
            ));
        };
        let card = card(cards, name);
        card.default = config["default"] == true;
        card.folder = config["data_dir"].as_str().map(str::to_string);
        card.files = match &config["data_files"] {
            Value::Null => None,
            files => Some(data_files(files, readme)?),
        };
    }
    for info in items(&matter["dataset_info"]) {
        let name = info["config_name"].as_str().unwrap_or("default");
        card(cards, name).about = about(info);
    }
    Ok(())
}

/// The items of a list, or the one value that stands in its place.
fn items(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(items) => items,
        one => std::slice::from_ref(one),
    }
}

fn data_files(files: &Value, readme: &Path) -> Result<Vec<(String, Vec<String>)>> {
    let wrong = || {
        broken(
            readme,
            "data_files must be a path, a list of paths, or a list of split and path",
        )
    };
    let paths = |value: &Value| -> Result<Vec<String>> {
        let paths = items(value)
            .iter()
            .map(|path| path.as_str().map(str::to_string).ok_or_else(wrong));
        paths.collect()
    };
    if items(files).iter().all(Value::is_string) {
        return Ok(vec![("train".into(), paths(files)?)]);
    }
    let splits = items(files).iter().map(|item| {
        let split = item["split"].as_str().ok_or_else(wrong)?;
        if !is_name(split) {
            let message = format!("found {} as the name of a split", quoted(split));
            return Err(broken(readme, &message));
        }
        Ok((split.to_string(), paths(&item["path"])?))
    });
    splits.collect()
}

/// Whether a split may have this name: words of letters, digits and underscores, with dots between.
pub(super) fn is_name(split: &str) -> bool {
    let word = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    split.split('.').all(word)
}

/// Both ways in which columns and splits are described: objects by name (JSON), and lists of objects with a name (YAML).
fn about(info: &Value) -> About {
    let named = |value: &Value| -> Vec<(String, Value)> {
        match value {
            Value::Object(entries) => entries
                .iter()
                .map(|(name, entry)| (name.clone(), entry.clone()))
                .collect(),
            value => {
                let name =
                    |entry: &Value| Some((entry["name"].as_str()?.to_string(), entry.clone()));
                items(value).iter().filter_map(name).collect()
            }
        }
    };
    let features = named(&info["features"])
        .into_iter()
        .map(|(name, entry)| Feature {
            kind: kind(&entry),
            labels: labels(&entry),
            name,
        });
    let rows = named(&info["splits"]).into_iter();
    About {
        features: features.collect(),
        rows: rows
            .filter_map(|(name, entry)| Some((name, entry["num_examples"].as_u64()?)))
            .collect(),
    }
}

/// The type of a column in a word: `string`, `int64`, `ClassLabel`, `Sequence`, `struct`.
fn kind(entry: &Value) -> String {
    let dtype = &entry["dtype"];
    match (entry["_type"].as_str(), dtype) {
        (Some("Value") | None, Value::String(kind)) => kind.clone(),
        (Some(kind), _) => kind.into(),
        (None, Value::Object(kind)) if kind.contains_key("class_label") => "ClassLabel".into(),
        (None, _)
            if entry.is_array()
                || entry.get("list").is_some()
                || entry.get("sequence").is_some() =>
        {
            "List".into()
        }
        _ => "struct".into(),
    }
}

/// The names of a column of classes, or of lists of them, in the order of their numbers.
fn labels(entry: &Value) -> Vec<String> {
    // One item of the list, as JSON has it (of old, a list of it), and as YAML.
    let lists = [
        &entry["feature"],
        &entry[0],
        &entry["sequence"],
        &entry["list"],
    ];
    if let Some(item) = lists.into_iter().find(|item| !item.is_null()) {
        return labels(item);
    }
    let text = |name: &Value| {
        name.as_str()
            .map_or_else(|| name.to_string(), str::to_string)
    };
    let kind = match &entry["dtype"] {
        Value::Object(kind) => kind.get("class_label"),
        _ => entry.get("class_label"),
    };
    let names = &kind.unwrap_or(entry)["names"];
    match names {
        Value::Array(names) => names.iter().map(text).collect(),
        // In YAML the names are keyed by their numbers, written as texts.
        Value::Object(names) => {
            let mut names: Vec<(u64, String)> = names
                .iter()
                .filter_map(|(number, name)| Some((number.parse().ok()?, text(name))))
                .collect();
            names.sort();
            names.into_iter().map(|(_, name)| name).collect()
        }
        _ => Vec::new(),
    }
}
