//! The weight files of a folder: found, checked, read by position.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::header::Stored;
use super::json;
use super::place;
use super::shard::{CONVERT, Shard, Stream, unsupported};
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
        let path = place::inside(folder, INDEX)?;
        let (mut index, doubled) = json::read_pairs(&path, LONGEST_INDEX, "weight_map")?;
        let Some(Value::Object(map)) = index.get_mut("weight_map").map(Value::take) else {
            let why = vec!["found no object \"weight_map\"".to_owned()];
            return Err(mismatch(&path, why));
        };
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
        let (shard, tensors) = Shard::open(folder, name)?;
        let number = self.shards.len();
        let mut doubled = Vec::new();
        for tensor in tensors {
            let name = tensor.name.clone();
            if let Some((other, _)) = self.tensors.insert(name.clone(), (number, tensor)) {
                let other = escape(&self.shards[other].name);
                doubled.push(format!(
                    "\"{}\" is in this shard and in {other}",
                    escape(&name)
                ));
            }
        }
        self.shards.push(shard);
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

    /// Whether two tensors are equal in type, shape and every bit.
    pub(super) fn same(&self, a: &str, b: &str) -> Result<bool> {
        /// Bytes that are held of either tensor.
        const PIECE: usize = 4 << 20;
        let (Some(one), Some(other)) = (self.tensor(a), self.tensor(b)) else {
            return Ok(false);
        };
        if (one.dtype, &one.shape) != (other.dtype, &other.shape) {
            return Ok(false);
        }
        let (mut streams, mut left) = ([self.stream(a)?, self.stream(b)?], one.bytes() as usize);
        let mut pieces = [vec![0; left.min(PIECE)], vec![0; left.min(PIECE)]];
        while left > 0 {
            let count = left.min(PIECE);
            for (stream, piece) in streams.iter_mut().zip(&mut pieces) {
                stream.fill(&mut piece[..count])?;
            }
            if pieces[0][..count] != pieces[1][..count] {
                return Ok(false);
            }
            left -= count;
        }
        for stream in streams {
            stream.end()?;
        }
        Ok(true)
    }

    /// Reads the bytes of a tensor.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>> {
        let (number, stored) = &self.tensors[name];
        self.shards[*number].read(stored)
    }

    /// Begins to read a tensor piece by piece.
    pub(super) fn stream(&self, name: &str) -> Result<Stream<'_>> {
        let (number, stored) = &self.tensors[name];
        self.shards[*number].stream(stored)
    }
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
    Err(ModelError::FilePath {
        path: index.to_owned(),
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
