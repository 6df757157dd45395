//! What the parts of a data set are, and whether all of them are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::Share;
use crate::draft::Draft;
use crate::error::{DataError, Place, Result, escaped, quoted};
use crate::load::Counts;

/// The longest description of a part, in bytes.
const LIMIT: u64 = 4 << 20;

/// What a part is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Which machine made it, from 0.
    pub rank: u32,
    /// How many machines there are.
    pub world: u32,
    /// The file's name.
    pub file: String,
    /// How many rows or documents it has.
    pub rows: u64,
    /// How many tokens, if it has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The file's length.
    pub bytes: u64,
    /// XXH3, 64 bits in hexadecimal, of the file's bytes.
    pub xxh3: String,
    /// The types of the columns of a Parquet file. A column in which nothing but null stands is not written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// What became of the records, if it was made of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// How many documents and broken records the inputs have, if every machine has read all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// What it has in common with the other parts.
    pub settings: String,
}

/// A data set whose parts are all there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Rows or documents of all parts.
    pub rows: u64,
    /// Tokens of all parts, if they have such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Bytes of all parts.
    pub bytes: u64,
    /// What became of the records of all inputs, if the parts were made of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// The parts, by rank.
    pub parts: Vec<Part>,
}

/// Checks that every rank has written its part, that the files are what was written, and that they belong together;
/// then writes `manifest.json` into the folder.
///
/// # Errors
///
/// [`DataError::Broken`] that names the ranks which are missing, or the part that is not what its description says, or
/// differs from the first in its settings, its format, the type of a column, or how many records its machine has counted
/// in the inputs; [`DataError::EmptyDataset`] if no part has a row; what the system says.
pub fn merge(folder: impl AsRef<Path>) -> Result<Manifest> {
    let folder = folder.as_ref();
    let parts = parts(folder)?;
    let Some(first) = parts.values().next() else {
        return Err(broken(
            folder,
            "there is no description of a part (part-….json)".into(),
        ));
    };
    // The greatest rank is known to be below the world's size; a world that is a lie must not fill memory.
    let missing = (0..first.world).filter(|rank| !parts.contains_key(rank));
    let shown: Vec<String> = missing.take(10).map(|rank| rank.to_string()).collect();
    if !shown.is_empty() {
        let count = u64::from(first.world) - parts.len() as u64;
        let message = format!(
            "{count} of {} parts are missing, first those of the ranks {}",
            first.world,
            shown.join(", ")
        );
        return Err(broken(folder, message));
    }
    let mut manifest = Manifest {
        rows: 0,
        tokens: None,
        bytes: 0,
        counts: None,
        parts: Vec::new(),
    };
    let mut columns: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
    for part in parts.values() {
        check(folder, part, first)?;
        for (name, kind) in &part.columns {
            let (before, file) = *columns.entry(name).or_insert((kind, &part.file));
            if outer(before) != outer(kind) {
                let message = format!(
                    "column {} is {before} in {file} and {kind} in {}",
                    quoted(name),
                    part.file
                );
                return Err(broken(folder, message));
            }
        }
        let overflow = || broken(folder, "its counts are too great to be true".into());
        let add = |a: u64, b: u64| a.checked_add(b).ok_or_else(overflow);
        manifest.rows = add(manifest.rows, part.rows)?;
        manifest.bytes = add(manifest.bytes, part.bytes)?;
        if let Some(tokens) = part.tokens {
            manifest.tokens = Some(add(manifest.tokens.unwrap_or_default(), tokens)?);
        }
        if let Some(counts) = &part.counts {
            let sum = manifest.counts.get_or_insert_default();
            *sum += counts.clone();
        }
    }
    if manifest.rows == 0 {
        let counts = manifest.counts.unwrap_or_default();
        return Err(counts.nothing_kept(&[folder]));
    }
    manifest.parts = parts.into_values().collect();
    write(&folder.join("manifest.json"), &manifest)?;
    Ok(manifest)
}

/// A type without what stands inside of it: the objects of one part may have members that those of another lack.
fn outer(kind: &str) -> &str {
    kind.split_once('(').map_or(kind, |(outer, _)| outer)
}

/// Writes a description.
pub(super) fn write(path: &Path, what: &impl Serialize) -> Result<()> {
    let mut file = Draft::create(path)?;
    let json = serde_json::to_vec_pretty(what).expect("numbers and texts are always JSON");
    let written = file.write_all(&json).and_then(|()| file.write_all(b"\n"));
    written.map_err(|error| file.failed(error))?;
    file.finish().map(|_| ())
}

/// The descriptions in a folder, by rank.
fn parts(folder: &Path) -> Result<BTreeMap<u32, Part>> {
    let failed = |source| input(folder, source);
    let mut paths = BTreeSet::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("part-") && name.ends_with(".json") {
            paths.insert(path);
        }
    }
    let mut parts: BTreeMap<u32, Part> = BTreeMap::new();
    for path in paths {
        let part = part(&path)?;
        let share = Share::new(part.rank, part.world)
            .map_err(|error| broken(&path, escaped(&error.to_string())))?;
        let named = path.file_stem().unwrap_or_default().to_string_lossy();
        if named != share.name() || !part.file.starts_with(&format!("{named}.")) {
            return Err(broken(&path, format!("it describes {}", share.name())));
        }
        if let Some(other) = parts.values().find(|other| other.world != part.world) {
            let message = format!(
                "it is one of {}, {} one of {}",
                part.world, other.file, other.world
            );
            return Err(broken(&path, message));
        }
        parts.insert(part.rank, part);
    }
    Ok(parts)
}

fn part(path: &Path) -> Result<Part> {
    let mut json = Vec::new();
    let file = File::open(path).map_err(|source| input(path, source))?;
    file.take(LIMIT)
        .read_to_end(&mut json)
        .map_err(|source| input(path, source))?;
    serde_json::from_slice(&json).map_err(|error| broken(path, escaped(&error.to_string())))
}

/// Compares a part with its file and with the first part.
fn check(folder: &Path, part: &Part, first: &Part) -> Result<()> {
    let path = folder.join(&part.file);
    // The name has been compared with the rank, but may still lead elsewhere.
    if path
        .file_name()
        .is_none_or(|name| name != part.file.as_str())
    {
        return Err(broken(&path, "its name is not a file's name".into()));
    }
    let extension = |part: &Part| PathBuf::from(&part.file).extension().map(ToOwned::to_owned);
    for (what, same) in [
        ("other settings", part.settings == first.settings),
        ("another format", extension(part) == extension(first)),
    ] {
        if !same {
            return Err(broken(&path, format!("it has {what} than {}", first.file)));
        }
    }
    // Records are shared out by their numbers, so machines that read other inputs lose some and take others twice.
    if part.records != first.records {
        let counted = |part: &Part| {
            part.records
                .map_or("none".to_owned(), |records| records.to_string())
        };
        let message = format!(
            "its machine has counted {} records in the inputs, that of {} {}: they have read different files",
            counted(part),
            first.file,
            counted(first)
        );
        return Err(broken(&path, message));
    }
    let mut file = File::open(&path).map_err(|source| input(&path, source))?;
    let (mut hash, mut bytes) = (Xxh3::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file
            .read(&mut buffer)
            .map_err(|source| input(&path, source))?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
    let found = format!("{:016x}", hash.digest());
    if (bytes, &found) != (part.bytes, &part.xxh3) {
        let message = format!(
            "it has {bytes} bytes with the checksum {found}, and its description says {} and {}",
            part.bytes,
            escaped(&part.xxh3)
        );
        return Err(broken(&path, message));
    }
    Ok(())
}

fn input(path: &Path, source: std::io::Error) -> DataError {
    DataError::Io {
        place: Place::file(path),
        operation: "read",
        source,
    }
}

fn broken(path: &Path, message: String) -> DataError {
    DataError::Broken {
        place: Place::file(path),
        format: "prepared data",
        message,
        hint: "Prepare what is missing or wrong again, then merge again",
    }
}
