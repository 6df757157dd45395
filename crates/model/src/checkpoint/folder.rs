//! Writing a folder: beside its place first, then by one rename.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::place;
use super::stamp::Stamp;
use crate::error::{ModelError, Result};

/// The largest file beside the weights that is copied along, in bytes.
const LARGEST_SIDE_FILE: u64 = 256 << 20;
/// The folder of the chat templates that are chosen by name.
const MORE_TEMPLATES: &str = "additional_chat_templates";

/// Writes a JSON file as the reference does, indented by two.
pub(super) fn write_json(path: &Path, value: &Value) -> Result<()> {
    let mut text = format!("{value:#}");
    text.push('\n');
    let mut file = File::create(path).map_err(ModelError::io(path, "create"))?;
    file.write_all(text.as_bytes())
        .map_err(ModelError::io(path, "write"))?;
    file.sync_all().map_err(ModelError::io(path, "write"))
}

/// The files without which the weights cannot be used: the tokenizer's, the chat templates, the settings of generation,
/// the licence. What describes the base alone, such as its card, is none of them.
///
/// # Returns
/// Their paths inside the folder.
///
/// # Errors
/// When the folder cannot be listed, or one of them is a link that leads out of it.
pub(super) fn side_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = needed(folder, Path::new(""))?;
    if folder.join(MORE_TEMPLATES).is_dir() {
        files.extend(needed(folder, Path::new(MORE_TEMPLATES))?);
    }
    Ok(files)
}

fn needed(folder: &Path, below: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let list = folder.join(below);
    for entry in fs::read_dir(&list).map_err(ModelError::io(&list, "list"))? {
        let name = entry.map_err(ModelError::io(&list, "list"))?.file_name();
        if !name.to_str().is_some_and(is_needed) {
            continue;
        }
        let (path, name) = (list.join(&name), below.join(name));
        // Links are followed: a download cache consists of them.
        let metadata = fs::metadata(&path).map_err(ModelError::io(&path, "inspect"))?;
        if metadata.is_file() && metadata.len() <= LARGEST_SIDE_FILE {
            place::inside(folder, &name.to_string_lossy())?;
            files.push(name);
        }
    }
    Ok(files)
}

/// Copies the files without which the weights cannot be used.
pub(super) fn copy_side_files(from: &Path, to: &Path) -> Result<()> {
    for name in side_files(from)? {
        let (path, copy) = (from.join(&name), to.join(&name));
        if let Some(parent) = copy.parent() {
            fs::create_dir_all(parent).map_err(ModelError::io(parent, "create"))?;
        }
        let file = File::open(&path).map_err(ModelError::io(&path, "open"))?;
        let stamp = Stamp::of(&file, &path)?;
        fs::copy(&path, &copy).map_err(ModelError::io(&path, "copy"))?;
        // A change while copying leaves a mixture.
        let file = File::open(&path).map_err(ModelError::io(&path, "open"))?;
        stamp.holds(&file, &path)?;
        sync(&copy)?;
    }
    Ok(())
}

/// Whether a file is needed to use the weights.
fn is_needed(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "vocab.txt",
        "merges.txt",
        "tekken.json",
        "chat_template.json",
    ];
    // SentencePiece's and tiktoken's vocabularies, templates, and code that an auto_map names.
    const ENDINGS: [&str; 4] = [".model", ".tiktoken", ".jinja", ".py"];
    // Their terms bind whoever passes the tuned weights on.
    const TERMS: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];
    let upper = name.to_ascii_uppercase();
    NAMES.contains(&name)
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
        || TERMS.iter().any(|terms| upper.starts_with(terms))
}

/// Fills a folder beside the final one and renames it when all of it is on the disk.
pub(super) fn replace_folder(folder: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(ModelError::FolderExists {
                    path: folder.to_owned(),
                });
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(ModelError::io(folder, "list")(error)),
    }
    let parent = match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    fs::create_dir_all(parent).map_err(ModelError::io(parent, "create"))?;
    let temporary = Temporary::new(folder)?;
    fill(&temporary.path)?;
    sync(&temporary.path)?;
    if folder.exists() {
        fs::remove_dir(folder).map_err(ModelError::io(folder, "replace"))?;
    }
    fs::rename(&temporary.path, folder).map_err(ModelError::io(folder, "rename to"))?;
    sync(parent)
}

/// A folder that is removed unless it was renamed.
struct Temporary {
    path: PathBuf,
}

impl Temporary {
    fn new(folder: &Path) -> Result<Self> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.with_file_name(format!(".{name}.{}.tmp", std::process::id()));
        if path.exists() {
            // Ours, from a run that was killed and had the same number.
            fs::remove_dir_all(&path).map_err(ModelError::io(&path, "remove"))?;
        }
        fs::create_dir(&path).map_err(ModelError::io(&path, "create"))?;
        Ok(Self { path })
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing here; after an error what is left is worthless.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Waits until a file or a folder's list is on the disk.
fn sync(path: &Path) -> Result<()> {
    #[cfg(not(unix))]
    if path.is_dir() {
        return Ok(());
    }
    let file = File::open(path).map_err(ModelError::io(path, "open"))?;
    file.sync_all().map_err(ModelError::io(path, "write"))
}
