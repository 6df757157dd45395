//! Which linear layers get an adapter, by the names that the checkpoint gives them.

use std::collections::BTreeMap;

use regex::Regex;

use super::LoraTargets;
use crate::checkpoint::names::{Entry, Layout, Names};
use crate::error::{ModelError, Result, escape};
use crate::family::Architecture;
use crate::head::Network;
use crate::part::Linear;

/// A linear layer of the checkpoint: one of the model, or several that the file stores as one.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// The module's name in the checkpoint.
    pub(super) module: String,
    /// The paths of the model's layers that it holds, along the output.
    pub(super) paths: Vec<String>,
    pub(super) layout: Layout,
    /// In how many runs each of them is cut; see [`Entry::runs`].
    pub(super) runs: usize,
    /// Whether it makes the model's output.
    pub(super) output: bool,
}

/// Names of modules, as PEFT compares them.
#[derive(Clone, Debug)]
pub(super) enum Fit {
    /// One of these, or a name that ends with a dot and one of them.
    Names(Vec<String>),
    /// The whole name.
    Whole(Regex),
}

impl Fit {
    pub(super) fn names(names: &[impl AsRef<str>]) -> Self {
        Self::Names(names.iter().map(|name| name.as_ref().to_owned()).collect())
    }

    pub(super) fn whole(pattern: &str, place: &str) -> Result<Self> {
        let whole = Regex::new(&format!("^(?:{pattern})$"));
        whole.map(Self::Whole).map_err(|error| ModelError::Adapter {
            place: place.to_owned(),
            why: format!(
                "\"{}\" is no regular expression that is understood here: {}",
                escape(pattern),
                escape(&error.to_string())
            ),
        })
    }

    pub(super) fn fits(&self, module: &str) -> bool {
        let ends = |name: &String| {
            let rest = module.strip_suffix(name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        match self {
            Self::Names(names) => names.iter().any(ends),
            Self::Whole(whole) => whole.is_match(module),
        }
    }
}

/// The linear layers of a model, as the checkpoint has them.
pub(super) fn slots<M: Network>(model: &mut M, names: &Names) -> Vec<Slot> {
    let layers = linears(model);
    let slot = |entry: &Entry| {
        let spelled = names
            .spellings(entry, names.prefixes(M::HEAD))
            .into_iter()
            .next()?;
        let module = spelled.strip_suffix(".weight")?.to_owned();
        let paths: Option<Vec<String>> = entry
            .parts
            .iter()
            .map(|part| part.strip_suffix(".weight").map(str::to_owned))
            .collect();
        let paths = paths.filter(|paths| paths.iter().all(|path| layers.contains_key(path)))?;
        Some(Slot {
            module,
            layout: entry.layout,
            runs: entry.runs,
            output: paths[0] == M::OUTPUT,
            paths,
        })
    };
    names
        .entries()
        .iter()
        .filter(|entry| entry.belongs_to(M::HEAD))
        .filter_map(slot)
        .collect()
}

/// Every linear layer by its path. Values are shared, not copied.
pub(super) fn linears<M: Network>(model: &mut M) -> BTreeMap<String, Linear> {
    let mut layers = BTreeMap::new();
    model.linears(&mut |path, linear| {
        layers.insert(path.to_owned(), linear.clone());
    });
    layers
}

/// The layers that fit.
///
/// # Arguments
/// - `place`: where the targets stand, for errors
pub(super) fn choose<'a>(
    slots: &'a [Slot],
    architecture: &Architecture,
    targets: &LoraTargets,
    place: &str,
) -> Result<Vec<&'a Slot>> {
    let chosen: Vec<&Slot> = match fit(architecture, targets, place)? {
        Some(fit) => slots.iter().filter(|slot| fit.fits(&slot.module)).collect(),
        None => slots.iter().filter(|slot| !slot.output).collect(),
    };
    if chosen.is_empty() {
        let inner = slots.iter().filter(|slot| !slot.output);
        let known: Vec<&str> = inner.map(|slot| slot.module.as_str()).take(8).collect();
        return Err(ModelError::Adapter {
            place: place.to_owned(),
            why: format!(
                "{} fits no linear layer; there are {} …",
                escape(&format!("{targets:?}")),
                known.join(", ")
            ),
        });
    }
    Ok(chosen)
}

/// What names have to fit; `None` for every layer but the output.
fn fit(architecture: &Architecture, targets: &LoraTargets, place: &str) -> Result<Option<Fit>> {
    Ok(match targets {
        LoraTargets::Family => Some(Fit::names(architecture.adapted)),
        LoraTargets::AllLinear => None,
        LoraTargets::Names(names) => Some(Fit::names(names)),
        LoraTargets::Pattern(pattern) => Some(Fit::whole(pattern, place)?),
    })
}
