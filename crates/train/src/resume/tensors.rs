//! Tensors in safetensors files, written as they are read from the device, one at a time.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value, json};

use super::files::{self, Sum};
use crate::error::{Result, TrainError};

/// Tensors of a file, by name.
pub(crate) type Stored = BTreeMap<String, TensorData>;

/// A tensor that is going to be written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: DType,
}

impl Entry {
    pub(super) fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.size()
    }
}

/// Takes the tensors' values, in the order of the entries.
pub(crate) struct Sink<'a> {
    path: &'a Path,
    entries: std::slice::Iter<'a, Entry>,
    writer: &'a mut dyn Write,
}

impl Sink<'_> {
    /// Writes the next tensor.
    pub(crate) fn put(&mut self, data: &TensorData) -> Result<()> {
        let fits =
            |entry: &Entry| data.dtype() == entry.dtype && data.as_bytes().len() == entry.bytes();
        let entry = self.entries.next().filter(|entry| fits(entry));
        if entry.is_none() {
            let why = format!(
                "a tensor of shape {:?} and type {:?} came, which was not announced",
                data.shape(),
                data.dtype()
            );
            return Err(TrainError::invalid(self.path, why));
        }
        self.writer
            .write_all(data.as_bytes())
            .map_err(|source| TrainError::io(self.path, "write", source))
    }
}

/// Writes a safetensors file: 8 bytes with the header's length, the header as JSON, the tensors without gaps.
pub(crate) fn write(
    path: &Path,
    entries: &[Entry],
    fill: impl FnOnce(&mut Sink) -> Result<()>,
) -> Result<Sum> {
    let header = header(path, entries)?;
    files::write_new(path, |writer| {
        writer
            .write_all(&(header.len() as u64).to_le_bytes())
            .and_then(|()| writer.write_all(header.as_bytes()))
            .map_err(|source| TrainError::io(path, "write", source))?;
        let mut sink = Sink {
            path,
            entries: entries.iter(),
            writer,
        };
        fill(&mut sink)?;
        match sink.entries.next() {
            None => Ok(()),
            Some(entry) => Err(TrainError::invalid(
                path,
                format!("{} did not come", entry.name),
            )),
        }
    })
}

fn header(path: &Path, entries: &[Entry]) -> Result<String> {
    let mut header = Map::new();
    let mut start = 0;
    for entry in entries {
        let end = start + entry.bytes();
        let tensor = json!({
            "dtype": name(path, entry.dtype)?,
            "shape": entry.shape,
            "data_offsets": [start, end],
        });
        header.insert(entry.name.clone(), tensor);
        start = end;
    }
    let mut text = Value::Object(header).to_string();
    // The data begins at a multiple of 8.
    text.extend(std::iter::repeat_n(
        ' ',
        text.len().next_multiple_of(8) - text.len(),
    ));
    Ok(text)
}

fn name(path: &Path, dtype: DType) -> Result<&'static str> {
    match dtype {
        DType::F64 => Ok("F64"),
        DType::F32 => Ok("F32"),
        DType::F16 => Ok("F16"),
        DType::BF16 => Ok("BF16"),
        other => Err(TrainError::invalid(
            path,
            format!("the type {other:?} cannot be saved"),
        )),
    }
}

/// Reads a file that has this size and digest, and whose numbers are all finite.
pub(crate) fn read(path: &Path, sum: &Sum) -> Result<Stored> {
    let bytes = files::read_checked(path, sum)?;
    let invalid = |why: String| TrainError::invalid(path, why);
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| invalid(error.to_string()))?;
    let mut stored = Stored::new();
    for (name, view) in tensors.iter() {
        let dtype = match view.dtype() {
            Dtype::F64 => DType::F64,
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => return Err(invalid(format!("{name} is of type {other:?}"))),
        };
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
        if !is_finite(&data) {
            return Err(invalid(format!("{name} holds numbers that are not finite")));
        }
        stored.insert(name.to_owned(), data);
    }
    Ok(stored)
}

fn is_finite(data: &TensorData) -> bool {
    match data.as_slice::<f32>() {
        Ok(values) => values.iter().all(|value| value.is_finite()),
        Err(_) => data.iter::<f64>().all(f64::is_finite),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> Vec<Entry> {
        let entry = |name: &str, shape: &[usize], dtype| Entry {
            name: name.to_owned(),
            shape: shape.to_vec(),
            dtype,
        };
        vec![
            entry("b", &[2, 3], DType::F32),
            entry("a", &[3], DType::BF16),
            entry("none", &[0], DType::F32),
        ]
    }

    fn values(last: f32) -> [TensorData; 3] {
        let b = TensorData::new(vec![1.0f32, 2.0, -3.5, 0.0, 1e-30, last], [2, 3]);
        let a = TensorData::new(vec![0.5f32, -1.0, 2.0], [3])
            .try_cast(DType::BF16)
            .unwrap();
        [b, a, TensorData::new(Vec::<f32>::new(), [0])]
    }

    fn store(path: &Path, last: f32) -> Sum {
        write(path, &entries(), |sink| {
            values(last).iter().try_for_each(|data| sink.put(data))
        })
        .unwrap()
    }

    #[test]
    fn what_was_written_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let sum = store(&path, 7.0);
        let stored = read(&path, &sum).unwrap();
        let [b, a, none] = values(7.0);
        assert_eq!(stored["a"], a);
        assert_eq!(stored["b"], b);
        assert_eq!(stored["none"], none);
    }

    #[test]
    fn damage_and_nan_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.safetensors");
        let sum = store(&path, f32::NAN);
        let message = read(&path, &sum).unwrap_err().to_string();
        assert!(
            message.contains("b holds numbers that are not finite"),
            "{message}"
        );
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(
            read(&path, &sum)
                .unwrap_err()
                .to_string()
                .contains("SHA-256")
        );
        bytes.pop();
        std::fs::write(&path, &bytes).unwrap();
        assert!(
            read(&path, &sum)
                .unwrap_err()
                .to_string()
                .contains("expected")
        );
    }

    #[test]
    fn only_announced_tensors_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let values = values(1.0);
        let first = folder.path().join("1");
        assert!(write(&first, &entries(), |sink| sink.put(&values[1])).is_err());
        let second = folder.path().join("2");
        assert!(write(&second, &entries(), |sink| sink.put(&values[0])).is_err());
    }
}
