//! The modules that PEFT saves as a whole beside the factors (`modules_to_save`).

use std::collections::BTreeMap;

use burn::tensor::{DType, TensorData};

use super::super::whole::Whole;
use super::{CONFIG_FILE, PREFIX, Reading};
use crate::checkpoint::floats::Floats;
use crate::checkpoint::names::Entry;
use crate::checkpoint::plan::{Part, windows};
use crate::error::Result;
use crate::head::Network;
use crate::weights;

/// The shapes of a model's parameters by path.
pub(super) type Shapes<'a> = BTreeMap<&'a str, &'a [usize]>;

/// The name of a tensor in the file.
pub(super) fn key(entry: &Entry) -> String {
    format!("{PREFIX}{}", entry.names[0])
}

/// The modules' tensors for the file.
pub(super) fn tensors<M: Network>(model: &M, modules: &[Whole]) -> Vec<Floats> {
    let declared = weights::declared(model);
    let shapes = shapes(&declared);
    let values = weights::values(model);
    let tensor = |entry: &Entry| {
        let (shape, parts) = windows(entry, &shapes);
        let part = |part: Part| (part.window, values[&part.path].clone().into_data());
        Floats {
            name: key(entry),
            shape,
            parts: parts.into_iter().map(part).collect(),
        }
    };
    modules
        .iter()
        .flat_map(|module| &module.entries)
        .map(tensor)
        .collect()
}

pub(super) fn shapes(declared: &[weights::Declared]) -> Shapes<'_> {
    declared
        .iter()
        .map(|parameter| (parameter.path.as_str(), parameter.shape.as_slice()))
        .collect()
}

/// What the file holds of a module, by path.
pub(super) fn read(
    reading: &Reading<'_>,
    module: &Whole,
    shapes: &Shapes<'_>,
) -> Result<BTreeMap<String, TensorData>> {
    let mut values = BTreeMap::new();
    for entry in &module.entries {
        let (shape, parts) = windows(entry, shapes);
        if !is_there(reading, module, entry, &shape)? {
            continue;
        }
        let places: Vec<_> = parts
            .iter()
            .map(|part| (part.window, part.shape.clone()))
            .collect();
        let data = reading.file.read(&key(entry), &places, DType::F32)?;
        values.extend(parts.into_iter().map(|part| part.path).zip(data));
    }
    Ok(values)
}

/// Whether the file holds a tensor; where it does, it must fit, and where the settings or the rest of its layer promise
/// it, it must be there.
fn is_there(
    reading: &Reading<'_>,
    module: &Whole,
    entry: &Entry,
    expected: &[usize],
) -> Result<bool> {
    let key = key(entry);
    let layer = |entry: &Entry| {
        entry.names[0]
            .rsplit_once('.')
            .map(|(layer, _)| layer.to_owned())
    };
    match reading.file.shape(&key) {
        Some(found) if found == expected => Ok(true),
        Some(found) => Err(reading.invalid(&format!(
            "\"{key}\" is {found:?}; expected {expected:?}. Has the model the same classes?"
        ))),
        None if reading.settings.wraps(&layer(entry).unwrap_or_default()) => {
            Err(reading.invalid(&format!(
                "\"{key}\" is missing, but modules_to_save of {CONFIG_FILE} names it; expected the trained head"
            )))
        }
        None => {
            let beside = |other: &&Entry| {
                layer(other) == layer(entry) && reading.file.shape(&self::key(other)).is_some()
            };
            match module.entries.iter().find(beside) {
                None => Ok(false),
                Some(other) => Err(reading.half(&key, &self::key(other))),
            }
        }
    }
}
