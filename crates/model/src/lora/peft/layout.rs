//! Between the two factors of the model's layers and the pair that the file has for a module of the checkpoint.
//!
//! The file keeps `lora_A` as `[rank, in]` and `lora_B` as `[out, rank]`; the model keeps both the other way round.

use std::collections::BTreeMap;

use burn::tensor::{DType, TensorData};

use super::super::factor;
use super::super::target::Slot;
use super::{PREFIX, Reading};
use crate::checkpoint::element::Window;
use crate::checkpoint::floats::Floats;
use crate::checkpoint::names::Layout;
use crate::error::Result;
use crate::part::{Linear, Lora};

/// The pair of factors of a module of the checkpoint.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) rank: usize,
    pub(super) scale: f64,
    pub(super) dropout: f64,
    /// What `lora_A` consists of.
    a: Vec<(Window, TensorData)>,
    /// What `lora_B` consists of.
    b: Vec<(Window, TensorData)>,
    /// Input and output features of the module.
    shape: [usize; 2],
}

/// The names of the two factors in the file.
pub(super) fn keys(module: &str) -> [String; 2] {
    ["lora_A", "lora_B"].map(|factor| format!("{PREFIX}{module}.{factor}.weight"))
}

/// Columns of a tensor that the file stores the other way round than the model.
pub(super) fn columns(rows: usize, columns: usize, first: usize, count: usize) -> Window {
    Window::new(Layout::Transposed, [rows, columns], first, count)
}

impl Pair {
    pub(super) fn tensors(self, module: &str) -> [Floats; 2] {
        let [input, output] = self.shape;
        let [a, b] = keys(module);
        [
            Floats {
                name: a,
                shape: vec![self.rank, input],
                parts: self.a,
            },
            Floats {
                name: b,
                shape: vec![output, self.rank],
                parts: self.b,
            },
        ]
    }
}

/// The pair of a module, when one of its layers has an adapter.
///
/// A layer without one, beside others that have one, gets zeros in the second factor.
pub(super) fn join(slot: &Slot, layers: &BTreeMap<String, Linear>) -> Option<Pair> {
    let own: Vec<&Linear> = slot
        .paths
        .iter()
        .filter_map(|path| layers.get(path))
        .collect();
    let adapters: Vec<&Lora> = own
        .iter()
        .filter_map(|linear| linear.lora.as_ref())
        .collect();
    let first = *adapters.first()?;
    let input = own[0].shape()[0];
    let output = own.iter().map(|linear| linear.shape()[1]).sum();
    let firsts: Vec<TensorData> = adapters.iter().map(|lora| values(lora.a.val())).collect();
    let shared = firsts.iter().all(|a| *a == firsts[0]);
    let ranks: Vec<usize> = firsts.iter().map(|a| a.shape()[1]).collect();
    let rank = if shared { ranks[0] } else { ranks.iter().sum() };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    let (mut ranks_before, mut columns_before) = (0, 0);
    for linear in own {
        let count = linear.shape()[1];
        let place = columns(rank, output, columns_before, count).in_runs(slot.runs);
        b.push((place, second(linear, first.scale, ranks_before, rank)));
        columns_before += count;
        if let Some(lora) = &linear.lora
            && (!shared || a.is_empty())
        {
            let own = lora.a.val().dims()[1];
            let place = columns(input, rank, ranks_before, own);
            a.push((place, values(lora.a.val())));
            ranks_before += if shared { 0 } else { own };
        }
    }
    Some(Pair {
        rank,
        scale: first.scale,
        dropout: first.dropout,
        a,
        b,
        shape: [input, output],
    })
}

/// The adapters of a module's layers from the pair that the file has.
pub(super) fn split(reading: &Reading<'_>, slot: &Slot) -> Result<Vec<(String, Lora)>> {
    let own: Vec<(&String, &Linear)> = slot
        .paths
        .iter()
        .filter_map(|path| reading.layers.get_key_value(path))
        .collect();
    let input = own[0].1.shape()[0];
    let output: usize = own.iter().map(|(_, linear)| linear.shape()[1]).sum();
    let (rank, scale) = reading.settings.of(&slot.module);
    let keys = keys(&slot.module);
    for (key, expected) in keys.iter().zip([[rank, input], [output, rank]]) {
        let found = reading.file.shape(key).unwrap_or_default();
        if found != expected {
            return Err(reading.invalid(&format!(
                "\"{key}\" is {found:?}; expected {expected:?} for {input} inputs, {output} outputs and rank {rank}"
            )));
        }
    }
    let whole = (columns(input, rank, 0, rank), vec![input, rank]);
    let mut first = 0;
    let mut parts = Vec::new();
    for (_, linear) in &own {
        let count = linear.shape()[1];
        let place = columns(rank, output, first, count).in_runs(slot.runs);
        parts.push((place, vec![rank, count]));
        first += count;
    }
    let a = reading.file.read(&keys[0], &[whole], DType::F32)?;
    let b = reading.file.read(&keys[1], &parts, DType::F32)?;
    let dropout = reading.settings.dropout;
    let part = |((path, linear), b): ((&String, &Linear), TensorData)| {
        let lora = factor::given(path, linear, a[0].clone(), b, scale, dropout);
        (path.clone(), lora)
    };
    Ok(own.into_iter().zip(b).map(part).collect())
}

fn values(tensor: burn::tensor::Tensor<2>) -> TensorData {
    tensor.into_data().convert::<f32>()
}

/// The second factor of a layer for a pair with this scale, in its own rows of the whole rank.
fn second(linear: &Linear, scale: f64, before: usize, rank: usize) -> TensorData {
    match &linear.lora {
        None => TensorData::zeros::<f32, _>([rank, linear.shape()[1]]),
        Some(lora) => below(values(lora.b.val() * (lora.scale / scale)), before, rank),
    }
}

/// The rows of a second factor below so many rows of zeros, and zeros up to the whole rank.
fn below(data: TensorData, before: usize, rank: usize) -> TensorData {
    let [own, columns] = [data.shape()[0], data.shape()[1]];
    if own == rank {
        return data;
    }
    let mut values = vec![0.0_f32; rank * columns];
    let place = &mut values[before * columns..(before + own) * columns];
    for (to, from) in place.iter_mut().zip(data.iter::<f32>()) {
        *to = from;
    }
    TensorData::new(values, [rank, columns])
}
