//! Tensors in safetensors files.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

/// Tensors to write: shape and values.
pub(crate) type Output = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The integers of a tensor, where there is one of this name.
pub(super) fn integers(
    file: &SafeTensors<'_>,
    name: &str,
) -> Result<Option<Vec<i64>>, Box<dyn Error>> {
    file.tensor(name)
        .ok()
        .map(|view| whole_numbers(&view))
        .transpose()
}

/// The same, true where they are not 0.
pub(super) fn truths(
    file: &SafeTensors<'_>,
    name: &str,
) -> Result<Option<Vec<bool>>, Box<dyn Error>> {
    let ones = |numbers: Vec<i64>| numbers.iter().map(|one| *one != 0).collect();
    Ok(integers(file, name)?.map(ones))
}

/// The numbers of a tensor, whole or not, where there is one of this name.
pub(super) fn floats(
    file: &SafeTensors<'_>,
    name: &str,
) -> Result<Option<Vec<f32>>, Box<dyn Error>> {
    let Ok(view) = file.tensor(name) else {
        return Ok(None);
    };
    if view.dtype() != Dtype::F32 {
        let numbers = whole_numbers(&view)?;
        return Ok(Some(numbers.iter().map(|number| *number as f32).collect()));
    }
    let number = |b: &[u8]| f32::from_le_bytes(b.try_into().unwrap_or_default());
    Ok(Some(view.data().chunks_exact(4).map(number).collect()))
}

/// Whether there is a tensor of this name that holds floats.
pub(super) fn is_float(file: &SafeTensors<'_>, name: &str) -> bool {
    file.tensor(name)
        .is_ok_and(|view| view.dtype() == Dtype::F32)
}

/// How many numbers a row of a tensor has; 1 where there is none of this name.
pub(super) fn length(file: &SafeTensors<'_>, name: &str) -> usize {
    let shape = file.tensor(name).map(|view| view.shape().to_vec());
    shape
        .ok()
        .and_then(|shape| shape.last().copied())
        .unwrap_or(1)
}

/// Writes tensors as a safetensors file, all in f32 but for token ids.
pub(super) fn write(path: &Path, tensors: &Output) -> Result<(), Box<dyn Error>> {
    let bytes: Vec<(Dtype, Vec<u8>)> = tensors
        .iter()
        .map(|(name, (_, values))| {
            if name == "greedy" {
                let ids = values.iter().flat_map(|id| (*id as i64).to_le_bytes());
                (Dtype::I64, ids.collect())
            } else {
                let values = values.iter().flat_map(|value| value.to_le_bytes());
                (Dtype::F32, values.collect())
            }
        })
        .collect();
    let views: Vec<(&String, TensorView<'_>)> = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, (shape, _)), (dtype, bytes))| {
            Ok((name, TensorView::new(*dtype, shape.clone(), bytes)?))
        })
        .collect::<Result<_, safetensors::SafeTensorError>>()?;
    safetensors::serialize_to_file(views, None, path)?;
    Ok(())
}

fn whole_numbers(view: &TensorView<'_>) -> Result<Vec<i64>, Box<dyn Error>> {
    let bytes = view.data();
    match view.dtype() {
        Dtype::I64 => Ok(bytes
            .chunks_exact(8)
            .map(|b| i64::from_le_bytes(b.try_into().unwrap_or_default()))
            .collect()),
        Dtype::I32 => Ok(bytes
            .chunks_exact(4)
            .map(|b| i64::from(i32::from_le_bytes(b.try_into().unwrap_or_default())))
            .collect()),
        Dtype::BOOL | Dtype::U8 => Ok(bytes.iter().map(|b| i64::from(*b)).collect()),
        other => Err(format!("found {other:?}; expected I64, I32 or BOOL").into()),
    }
}
