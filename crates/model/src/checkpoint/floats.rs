//! Floats in a safetensors file that is no checkpoint's, such as an adapter's. It is read and checked as weights are.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};

use super::decode::decode;
use super::dtype::Dtype;
use super::element::{self, Window};
use super::header::{Header, Stored};
use super::shard::Shard;
use crate::error::{ModelError, Result, escape};

/// A file of floats: the header is read and checked, the tensors are read one by one.
#[derive(Debug)]
pub(crate) struct FloatFile {
    path: PathBuf,
    shard: Shard,
    tensors: BTreeMap<String, Stored>,
}

/// A tensor of a file with the parameters that it holds.
#[derive(Debug)]
pub(crate) struct Floats {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Values with their places, which together cover the tensor.
    pub(crate) parts: Vec<(Window, TensorData)>,
}

impl FloatFile {
    /// Opens a file of a folder and checks its header.
    pub(crate) fn open(folder: &Path, name: &str) -> Result<Self> {
        let (shard, tensors) = Shard::open(folder, name)?;
        let named = |stored: Stored| (stored.name.clone(), stored);
        Ok(Self {
            path: folder.join(name),
            shard,
            tensors: tensors.into_iter().map(named).collect(),
        })
    }

    /// Every tensor's name.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The shape of the tensor of that name.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|stored| stored.shape.as_slice())
    }

    /// Reads the parameters that a tensor holds.
    ///
    /// # Arguments
    /// - `parts`: place and shape of each; the places must lie inside the tensor's shape
    pub(crate) fn read(
        &self,
        name: &str,
        parts: &[(Window, Vec<usize>)],
        dtype: DType,
    ) -> Result<Vec<TensorData>> {
        let stored = &self.tensors[name];
        if !element::is_number(stored.dtype) {
            return Err(ModelError::SafetensorsTensor {
                path: self.path.clone(),
                name: escape(name),
                dtype: stored.dtype.to_string(),
                shape: format!("{:?}", stored.shape),
                why: "expected F32, F16 or BF16".to_owned(),
            });
        }
        let bytes = self.shard.read(stored)?;
        let mut values = Vec::with_capacity(parts.len());
        let mut wrong = 0;
        for (window, shape) in parts {
            let (data, count) = decode(&bytes, stored.dtype, *window, shape, dtype);
            wrong += count;
            values.push(data);
        }
        finite(&self.path, name, wrong)?;
        Ok(values)
    }
}

/// Writes a file of f32 beside its place and renames it, so that nobody reads half of it.
pub(crate) fn write(path: &Path, tensors: &[Floats]) -> Result<()> {
    let mut header = Header {
        tensors: Vec::new(),
        metadata: BTreeMap::from([("format".to_owned(), "pt".to_owned())]),
    };
    let mut data = Vec::new();
    for tensor in tensors {
        let (bytes, wrong) = element::encode(&tensor.parts, Dtype::F32);
        finite(path, &tensor.name, wrong)?;
        header.tensors.push(Stored {
            name: tensor.name.clone(),
            dtype: Dtype::F32,
            shape: tensor.shape.clone(),
            begin: data.len() as u64,
            end: (data.len() + bytes.len()) as u64,
        });
        data.extend(bytes);
    }
    replace(path, &[&header.write(), &data])
}

/// Writes a file beside its place, waits until it is on the disk, and renames it.
pub(crate) fn replace(path: &Path, pieces: &[&[u8]]) -> Result<()> {
    let beside = path.with_extension("tmp");
    let mut file = File::create(&beside).map_err(ModelError::io(&beside, "create"))?;
    for piece in pieces {
        file.write_all(piece)
            .map_err(ModelError::io(&beside, "write"))?;
    }
    file.sync_all().map_err(ModelError::io(&beside, "write"))?;
    fs::rename(&beside, path).map_err(ModelError::io(path, "rename to"))
}

fn finite(path: &Path, name: &str, wrong: usize) -> Result<()> {
    if wrong == 0 {
        return Ok(());
    }
    Err(ModelError::Adapter {
        place: path.display().to_string(),
        why: format!(
            "\"{}\" holds {wrong} values that are NaN or infinite; train it again from an earlier step",
            escape(name)
        ),
    })
}
