//! Adapters in PEFT's two files: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Where a checkpoint fuses projections that the model keeps apart (`c_attn` of GPT-2), PEFT has one pair of factors for
//! all of them. Such a pair is read exactly: every projection gets the first factor and its own columns of the second.
//! It is written exactly too: as it was when the first factors are still equal, and otherwise as one pair of the summed
//! rank whose second factor is zero outside each projection's own block.

mod fields;
mod layout;
mod select;
mod settings;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::checkpoint::floats::{self, FloatFile};
use crate::checkpoint::place;
use crate::error::{ModelError, Result, escape};
use crate::family::Architecture;
use crate::head::Network;
use crate::part::{Linear, Lora};
use crate::weights;

use super::target::{Slot, linears, slots};
use super::whole::{Whole, fill, modules, train};
use layout::Pair;
use settings::Settings;

/// The name of the file with the settings.
pub const CONFIG_FILE: &str = "adapter_config.json";
/// The name of the file with the factors.
pub const WEIGHTS_FILE: &str = "adapter_model.safetensors";

/// What PEFT puts before every name.
const PREFIX: &str = "base_model.model.";

/// Writes the adapter of a model into a folder, as PEFT does. An adapter that is there already is replaced.
///
/// # Arguments
/// - `base`: the name or folder of the base model, for `base_model_name_or_path`
///
/// # Errors
/// When the model has no adapter, a value of it is NaN or infinite, or a file cannot be written.
pub fn save<M: Network>(
    model: &M,
    architecture: &Architecture,
    base: &str,
    folder: &Path,
) -> Result<()> {
    let mut model = model.clone();
    let slots = slots(&mut model, &architecture.names);
    let layers = linears(&mut model);
    let pairs: Vec<(&Slot, Pair)> = slots
        .iter()
        .filter_map(|slot| Some((slot, layout::join(slot, &layers)?)))
        .collect();
    if pairs.is_empty() {
        let why = "the model has no adapter; attach one before saving";
        return Err(invalid(folder, why));
    }
    let whole = modules(&model, &architecture.names);
    let config = settings::written::<M>(&pairs, &slots, &whole, base);
    let mut tensors = Vec::new();
    for (slot, pair) in pairs {
        tensors.extend(pair.tensors(&slot.module));
    }
    tensors.extend(whole::tensors(&model, &whole));
    fs::create_dir_all(folder).map_err(ModelError::io(folder, "create"))?;
    floats::write(&folder.join(WEIGHTS_FILE), &tensors)?;
    let text = format!("{config:#}\n");
    floats::replace(&folder.join(CONFIG_FILE), &[text.as_bytes()])
}

/// Freezes the model and attaches the adapter of a folder, trainable.
///
/// # Errors
/// When a file is missing or damaged, a setting is not implemented here (it is named), the settings choose other layers
/// than the file has factors for, a tensor belongs to no layer of the model, or a shape does not fit.
pub fn load<M: Network>(model: M, architecture: &Architecture, folder: &Path) -> Result<M> {
    check_files(folder)?;
    let settings = Settings::read(&place::inside(folder, CONFIG_FILE)?)?;
    let file = FloatFile::open(folder, WEIGHTS_FILE)?;
    let mut model = model.no_grad();
    let slots = slots(&mut model, &architecture.names);
    let layers = linears(&mut model);
    let reading = Reading {
        path: &folder.join(WEIGHTS_FILE),
        file: &file,
        settings: &settings,
        layers: &layers,
    };
    let adapted = reading.adapted(&slots)?;
    let mut whole = modules(&model, &architecture.names);
    // A head with an adapter of its own is not trained as a whole.
    whole.retain(|module| !adapted.iter().any(|slot| module.holds(&slot.module)));
    reading.strays(&adapted, &whole)?;
    reading.agrees(&adapted, &settings.chosen(&slots, architecture)?)?;
    let mut attached: BTreeMap<String, Lora> = BTreeMap::new();
    for slot in adapted {
        attached.extend(layout::split(&reading, slot)?);
    }
    let declared = weights::declared(&model);
    let mut values = BTreeMap::new();
    for module in &whole {
        values.extend(whole::read(&reading, module, &whole::shapes(&declared))?);
    }
    model.linears(&mut |path, linear| {
        if let Some(lora) = attached.remove(path) {
            linear.lora = Some(lora);
        }
    });
    Ok(train(fill(model, values), &whole))
}

/// What is at hand while an adapter is read.
struct Reading<'a> {
    path: &'a Path,
    file: &'a FloatFile,
    settings: &'a Settings,
    layers: &'a BTreeMap<String, Linear>,
}

impl Reading<'_> {
    fn invalid(&self, why: &str) -> ModelError {
        invalid(self.path, why)
    }

    /// The layers that the file has factors for.
    fn adapted<'s>(&self, slots: &'s [Slot]) -> Result<Vec<&'s Slot>> {
        let mut adapted = Vec::new();
        for slot in slots {
            let [a, b] = layout::keys(&slot.module);
            match (self.file.shape(&a), self.file.shape(&b)) {
                (None, None) => {}
                (Some(_), Some(_)) => adapted.push(slot),
                (Some(_), None) => return Err(self.half(&b, &a)),
                (None, Some(_)) => return Err(self.half(&a, &b)),
            }
        }
        if adapted.is_empty() && self.file.names().next().is_none() {
            let why = "holds no tensors; expected lora_A and lora_B of at least one layer";
            return Err(self.invalid(why));
        }
        Ok(adapted)
    }

    fn half(&self, missing: &str, found: &str) -> ModelError {
        self.invalid(&format!(
            "\"{missing}\" is missing, but \"{found}\" is there; expected both. Copy the whole file again"
        ))
    }

    /// Refuses tensors that nothing here would take.
    fn strays(&self, adapted: &[&Slot], whole: &[Whole]) -> Result<()> {
        let mut known: BTreeSet<String> = BTreeSet::new();
        for slot in adapted {
            known.extend(layout::keys(&slot.module));
        }
        let entries = whole.iter().flat_map(|module| &module.entries);
        known.extend(entries.map(whole::key));
        let strays: Vec<&str> = self
            .file
            .names()
            .filter(|name| !known.contains(*name))
            .collect();
        let Some(first) = strays.first() else {
            return Ok(());
        };
        let modules: Vec<&str> = whole.iter().map(|module| module.name.as_str()).collect();
        let modules = if modules.is_empty() {
            String::new()
        } else {
            format!(", and of {}", modules.join(", "))
        };
        Err(self.invalid(&format!(
            "\"{}\" and {} more belong to no layer of this model; expected lora_A and lora_B of linear layers{modules}. \
             Is it the adapter of another model?",
            escape(first),
            strays.len() - 1,
        )))
    }

    /// The layers that the settings choose must be those of the file: PEFT would leave others out silently.
    fn agrees(&self, adapted: &[&Slot], chosen: &[&Slot]) -> Result<()> {
        let names = |slots: &[&Slot]| -> BTreeSet<String> {
            slots.iter().map(|slot| slot.module.clone()).collect()
        };
        let (adapted, chosen) = (names(adapted), names(chosen));
        if let Some(module) = chosen.difference(&adapted).next() {
            return Err(self.invalid(&format!(
                "has no lora_A and lora_B for \"{module}\", which target_modules of {CONFIG_FILE} chooses; the two \
                 files must be of one adapter"
            )));
        }
        if let Some(module) = adapted.difference(&chosen).next() {
            return Err(self.invalid(&format!(
                "has lora_A and lora_B for \"{module}\", which target_modules of {CONFIG_FILE} does not choose; the \
                 two files must be of one adapter"
            )));
        }
        Ok(())
    }
}

/// Says which of the two files is missing.
fn check_files(folder: &Path) -> Result<()> {
    const PICKLE: &str = "adapter_model.bin";
    let there = |name: &str| folder.join(name).symlink_metadata().is_ok();
    if there(CONFIG_FILE) && !there(WEIGHTS_FILE) && there(PICKLE) {
        return Err(ModelError::UnsupportedFormat {
            path: folder.join(PICKLE),
            found: "PyTorch's pickle format".to_owned(),
            advice: "pickle can run code; save the adapter with safe_serialization=True".to_owned(),
        });
    }
    let missing = [CONFIG_FILE, WEIGHTS_FILE]
        .into_iter()
        .find(|name| !there(name));
    missing.map_or(Ok(()), |name| {
        let why = format!(
            "{name} is missing; expected a folder of PEFT with {CONFIG_FILE} and {WEIGHTS_FILE}"
        );
        Err(invalid(folder, &why))
    })
}

fn invalid(place: &Path, why: &str) -> ModelError {
    ModelError::Adapter {
        place: place.display().to_string(),
        why: why.to_owned(),
    }
}
