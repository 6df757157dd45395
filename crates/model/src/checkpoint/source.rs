//! The weight files of a folder: found, checked, read by position.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;

use super::header::{Header, LONGEST_HEADER, Stored};
use super::json::{self, Pairs};
use crate::error::{ModelError, Result, escape};

/// The name of a checkpoint's only weight file.
pub(super) const SINGLE: &str = "model.safetensors";
/// The name of the list of a checkpoint's several weight files.
pub(super) const INDEX: &str = "model.safetensors.index.json";
/// The longest index that is read, in bytes.
const LONGEST_INDEX: u64 = 64 << 20;
/// The most files that a checkpoint may consist of.
const MOST_SHARDS: usize = 4096;

/// What is in a folder's weight files. The files are read tensor by tensor when a model is built.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    shards: Vec<Shard>,
    tensors: BTreeMap<String, (usize, Stored)>,
    /// The index file's metadata, where there is an index.
    pub(super) index: Option<Value>,
}

/// One weight file.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// Its name in the folder.
    pub(super) name: String,
    /// The free text of its header.
    pub(super) metadata: BTreeMap<String, String>,
    path: PathBuf,
    stamp: Stamp,
    /// Where its data begins.
    begin: u64,
}

/// What shows that a file is another one than before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    identity: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            identity: identity(metadata),
        }
    }
}

#[cfg(unix)]
fn identity(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> u64 {
    0
}

impl Source {
    /// Finds the weight files of a folder and checks their headers.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        if folder.join(SINGLE).symlink_metadata().is_ok() {
            let mut source = Self::default();
            source.add(folder, SINGLE)?;
            return Ok(source);
        }
        if folder.join(INDEX).symlink_metadata().is_ok() {
            return Self::sharded(folder);
        }
        Err(missing(folder))
    }

    fn sharded(folder: &Path) -> Result<Self> {
        let path = folder.join(INDEX);
        let mut index = json::read(&path, LONGEST_INDEX)?;
        let Some(Value::Object(map)) = index.get_mut("weight_map").map(Value::take) else {
            let why = vec!["found no object \"weight_map\"".to_owned()];
            return Err(mismatch(&path, why));
        };
        let doubled = json::doubled(&path, &Pairs::of("weight_map"))?;
        let mut wrong: Vec<String> = doubled
            .iter()
            .map(|name| format!("\"{}\" is listed twice", escape(name)))
            .collect();
        let mut placed = BTreeMap::new();
        for (tensor, shard) in &map {
            match shard.as_str() {
                Some(shard) => drop(placed.insert(tensor.clone(), shard.to_owned())),
                None => wrong.push(format!("\"{}\" has no file name", escape(tensor))),
            }
        }
        let names: BTreeSet<&String> = placed.values().collect();
        if names.len() > MOST_SHARDS {
            let (what, found, limit) = ("shards", names.len() as u64, MOST_SHARDS as u64);
            return Err(ModelError::Limit {
                path,
                what,
                found,
                limit,
            });
        }
        let mut source = Self::default();
        for name in names {
            check_shard_name(&path, name)?;
            wrong.extend(source.add(folder, name)?);
        }
        wrong.extend(source.disagreements(&placed));
        if !wrong.is_empty() {
            return Err(mismatch(&path, wrong));
        }
        source.index = Some(index);
        Ok(source)
    }

    /// Reads the header of one more file; returns the tensors that another file has already.
    fn add(&mut self, folder: &Path, name: &str) -> Result<Vec<String>> {
        let path = folder.join(name);
        check_place(folder, &path, name)?;
        let file = open(&path)?;
        let stamp = stamp(&file, &path)?;
        let header = read_header(&file, &path, stamp.length)?;
        let (header, begin) = header;
        let number = self.shards.len();
        let mut doubled = Vec::new();
        for tensor in header.tensors {
            let name = tensor.name.clone();
            if let Some((other, _)) = self.tensors.insert(name.clone(), (number, tensor)) {
                let other = escape(&self.shards[other].name);
                doubled.push(format!(
                    "\"{}\" is in this shard and in {other}",
                    escape(&name)
                ));
            }
        }
        self.shards.push(Shard {
            name: name.to_owned(),
            metadata: header.metadata,
            path,
            stamp,
            begin,
        });
        Ok(doubled)
    }

    fn disagreements(&self, placed: &BTreeMap<String, String>) -> Vec<String> {
        let mut wrong = Vec::new();
        for (tensor, shard) in placed {
            let found = self
                .tensors
                .get(tensor)
                .map(|(number, _)| &self.shards[*number].name);
            if found != Some(shard) {
                let found = found.map_or("no shard", |name| name.as_str());
                let (tensor, shard) = (escape(tensor), escape(shard));
                wrong.push(format!(
                    "\"{tensor}\" should be in {shard}, it is in {found}"
                ));
            }
        }
        for tensor in self
            .tensors
            .keys()
            .filter(|tensor| !placed.contains_key(*tensor))
        {
            wrong.push(format!("\"{}\" is in no line of the index", escape(tensor)));
        }
        wrong
    }

    /// The tensor of that name.
    pub(super) fn tensor(&self, name: &str) -> Option<&Stored> {
        self.tensors.get(name).map(|(_, stored)| stored)
    }

    /// Every tensor's name.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The files, in the order in which the index names them.
    pub(super) fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The number of the file that has a tensor.
    pub(super) fn shard_of(&self, name: &str) -> Option<usize> {
        self.tensors.get(name).map(|(number, _)| *number)
    }

    /// Whether there are no files: the checkpoint is new.
    pub(super) fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// Reads the bytes of a tensor.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let (number, stored) = &self.tensors[name];
        let shard = &self.shards[*number];
        let file = open(&shard.path)?;
        shard.unchanged(&file)?;
        let mut bytes = vec![0; stored.bytes() as usize];
        read_at(&file, &mut bytes, shard.begin + stored.begin).map_err(|error| {
            let path = shard.path.clone();
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                let (found, expected) = ("it became shorter", format!("{:?}", shard.stamp.length));
                return ModelError::FileChanged {
                    path,
                    found: found.to_owned(),
                    expected,
                };
            }
            ModelError::io(path, "read")(error)
        })?;
        shard.unchanged(&file)?;
        Ok(bytes)
    }
}

impl Shard {
    fn unchanged(&self, file: &File) -> Result<()> {
        let now = stamp(file, &self.path)?;
        if now == self.stamp {
            return Ok(());
        }
        let words = |stamp: &Stamp| format!("{} bytes, {}", stamp.length, time(stamp.modified));
        Err(ModelError::FileChanged {
            path: self.path.clone(),
            found: words(&now),
            expected: words(&self.stamp),
        })
    }
}

fn time(modified: Option<SystemTime>) -> String {
    let since = modified.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
    since.map_or_else(
        || "time unknown".to_owned(),
        |since| {
            format!(
                "written at {}.{:09} s",
                since.as_secs(),
                since.subsec_nanos()
            )
        },
    )
}

fn open(path: &Path) -> Result<File> {
    // Before opening: to open a pipe would wait for its other end.
    let metadata = fs::metadata(path).map_err(ModelError::io(path, "find"))?;
    if !metadata.is_file() {
        return Err(ModelError::NotARegularFile {
            path: path.to_owned(),
        });
    }
    File::open(path).map_err(ModelError::io(path, "open"))
}

fn stamp(file: &File, path: &Path) -> Result<Stamp> {
    let metadata = file.metadata().map_err(ModelError::io(path, "inspect"))?;
    Ok(Stamp::of(&metadata))
}

fn read_header(file: &File, path: &Path, length: u64) -> Result<(Header, u64)> {
    if length < 8 {
        let why = format!("file has {length} bytes, expected at least 8 for the header's length");
        return Err(ModelError::SafetensorsHeader {
            path: path.to_owned(),
            why,
        });
    }
    let io = || ModelError::io(path, "read");
    let mut first = [0; 8];
    read_at(file, &mut first, 0).map_err(io())?;
    if let Some((found, advice)) = foreign(first) {
        return Err(unsupported(path, found, advice));
    }
    let header = Header::length(path, first, length)?;
    let mut bytes = vec![0; header as usize];
    read_at(file, &mut bytes, 8).map_err(io())?;
    let begin = 8 + header;
    Ok((Header::parse(path, &bytes, length - begin)?, begin))
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], place: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, place)
}

#[cfg(not(unix))]
fn read_at(file: &File, bytes: &mut [u8], place: u64) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(bytes)
}

/// A shard's name must be that of a file in the folder.
fn check_shard_name(index: &Path, name: &str) -> Result<()> {
    let plain = Path::new(name).file_name().is_some_and(|file| file == name);
    let why = if name.len() > 255 {
        format!("has {} bytes", name.len())
    } else if !plain || name.contains(['/', '\\', ':']) || name.contains("..") {
        "is a path".to_owned()
    } else if !name.chars().all(crate::error::is_plain) {
        "holds a control character".to_owned()
    } else if Path::new(name).extension() != Some("safetensors".as_ref()) {
        "does not end in .safetensors".to_owned()
    } else {
        return Ok(());
    };
    Err(ModelError::ShardPath {
        path: index.to_owned(),
        name: escape(name),
        why,
    })
}

/// A link may lead to a file of the same folder, or of the same model in a download cache, where the files of
/// `snapshots/<revision>` are links into `blobs`.
fn check_place(folder: &Path, path: &Path, name: &str) -> Result<()> {
    let metadata = fs::symlink_metadata(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            let (folder, file) = (folder.to_owned(), escape(name));
            return ModelError::FileMissing { folder, file };
        }
        ModelError::io(path, "find")(error)
    })?;
    if !metadata.is_symlink() {
        return Ok(());
    }
    let target = fs::canonicalize(path).map_err(ModelError::io(path, "follow"))?;
    let home = fs::canonicalize(folder).map_err(ModelError::io(folder, "find"))?;
    let snapshots = home.parent().filter(|parent| parent.ends_with("snapshots"));
    let blobs = snapshots
        .and_then(Path::parent)
        .map(|model| model.join("blobs"));
    if target.starts_with(&home) || blobs.is_some_and(|blobs| target.starts_with(blobs)) {
        return Ok(());
    }
    let why = "is a link to a file outside of it".to_owned();
    Err(ModelError::ShardPath {
        path: folder.to_owned(),
        name: escape(name),
        why,
    })
}

fn mismatch(path: &Path, disagreements: Vec<String>) -> ModelError {
    ModelError::IndexMismatch {
        path: path.to_owned(),
        disagreements,
    }
}

/// There is no weight file: says so, or names the format that was found instead.
fn missing(folder: &Path) -> ModelError {
    const OTHERS: [(&str, &str); 10] = [
        ("pytorch_model.bin", "PyTorch's pickle format"),
        ("pytorch_model.bin.index.json", "PyTorch's pickle format"),
        ("consolidated.00.pth", "PyTorch's pickle format"),
        ("model.pt", "PyTorch's pickle format"),
        ("model.ckpt", "PyTorch's pickle format"),
        ("model.ckpt.index", "TensorFlow's format"),
        ("tf_model.h5", "the HDF5 format"),
        ("flax_model.msgpack", "Flax's format"),
        ("model.pkl", "the pickle format"),
        ("model.gguf", "the GGUF format"),
    ];
    let found = OTHERS.iter().find(|(name, _)| folder.join(name).exists());
    match found {
        Some((name, format)) => unsupported(&folder.join(name), format, CONVERT),
        None => ModelError::FileMissing {
            folder: folder.to_owned(),
            file: SINGLE.to_owned(),
        },
    }
}

fn unsupported(path: &Path, found: &str, advice: &str) -> ModelError {
    ModelError::UnsupportedFormat {
        path: path.to_owned(),
        found: found.to_owned(),
        advice: advice.to_owned(),
    }
}

const CONVERT: &str = "pickle can run code; convert the weights to safetensors";

/// What a file is that begins with these bytes and is no safetensors file, and what to do.
fn foreign(first: [u8; 8]) -> Option<(&'static str, &'static str)> {
    const CONVERT_TOO: &str = "convert the weights to safetensors";
    const AGAIN: &str = "download the file again";
    match first {
        // What can be a header's length is one.
        _ if u64::from_le_bytes(first) <= LONGEST_HEADER => None,
        [b'P', b'K', 3, 4, ..] => Some(("a ZIP archive (PyTorch's pickle format)", CONVERT)),
        [0x80, 2..=5, ..] => Some(("a pickle", CONVERT)),
        [0x89, b'H', b'D', b'F', ..] => Some(("an HDF5 file", CONVERT_TOO)),
        [b'G', b'G', b'U', b'F', ..] => Some(("a GGUF file", CONVERT_TOO)),
        [0x1f, 0x8b, ..] | [b'7', b'z', 0xbc, 0xaf, ..] => Some(("a compressed file", "unpack it")),
        _ if first == *b"version " => Some(("a pointer of Git LFS", "run git lfs pull")),
        [b'<', b'!' | b'h', ..] => Some(("an HTML page", AGAIN)),
        _ => None,
    }
}
