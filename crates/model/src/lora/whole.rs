//! What is trained as a whole beside an adapter: the modules of a head that is made for the task.
//!
//! They are new more often than not, and a new layer that stays frozen spoils what is trained around it.

use std::collections::{BTreeMap, BTreeSet};

use burn::module::Param;
use burn::tensor::{Tensor, TensorData};

use crate::checkpoint::names::{Entry, Names, Owner};
use crate::head::{Head, Network};
use crate::weights::{self, Change};

/// The ends of names that PEFT trains as a whole in every classifier, and never adapts.
pub(super) const SAVED: [&str; 2] = ["classifier", "score"];

/// A module of a head beside the trunk, such as `classifier`.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    /// Its name in the checkpoint.
    pub(super) name: String,
    /// The tensors that lie in it, one parameter each.
    pub(super) entries: Vec<Entry>,
}

impl Whole {
    /// Whether a layer lies in it.
    pub(super) fn holds(&self, module: &str) -> bool {
        top(module) == self.name
    }

    fn paths(&self) -> impl Iterator<Item = &String> {
        self.entries.iter().flat_map(|entry| &entry.parts)
    }
}

/// Whether a layer of such a head gets no adapter, whatever is asked for.
pub(super) fn is_never_adapted(head: Head, module: &str) -> bool {
    head.is_for_a_task() && SAVED.iter().any(|name| top(module).ends_with(name))
}

/// The modules of the model's head that have no adapter anywhere.
pub(super) fn modules<M: Network>(model: &M, names: &Names) -> Vec<Whole> {
    let declared: BTreeSet<String> = weights::declared(model)
        .into_iter()
        .map(|parameter| parameter.path)
        .collect();
    let mut modules: Vec<Whole> = Vec::new();
    let own = |entry: &&Entry| {
        M::HEAD.is_for_a_task()
            && entry.owner == Owner::Head(M::HEAD)
            && !entry.prefixed
            && entry.parts.iter().all(|part| declared.contains(part))
    };
    for entry in names.entries().iter().filter(own) {
        let name = top(&entry.names[0]);
        match modules.iter_mut().find(|module| module.name == name) {
            Some(module) => module.entries.push(entry.clone()),
            None => modules.push(Whole {
                name: name.to_owned(),
                entries: vec![entry.clone()],
            }),
        }
    }
    let adapted = |path: &String| {
        let factor = path
            .strip_suffix(".weight")
            .map(|layer| format!("{layer}.lora.a"));
        factor.is_some_and(|factor| declared.contains(&factor))
    };
    modules.retain(|module| !module.paths().any(adapted));
    modules
}

/// Makes these modules trainable.
pub(super) fn train<M: Network>(model: M, modules: &[Whole]) -> M {
    let paths = modules.iter().flat_map(Whole::paths).cloned().collect();
    weights::map(model, &mut Train { paths })
}

/// Gives parameters values, by path, in their own type.
pub(super) fn fill<M: Network>(model: M, values: BTreeMap<String, TensorData>) -> M {
    weights::map(model, &mut Fill { values })
}

struct Train {
    paths: BTreeSet<String>,
}

impl Change for Train {
    fn apply<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.paths.contains(path) {
            param.set_require_grad(true)
        } else {
            param
        }
    }
}

struct Fill {
    values: BTreeMap<String, TensorData>,
}

impl Change for Fill {
    fn apply<const D: usize>(&mut self, path: &str, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.values.remove(path) {
            Some(data) => {
                let dtype = param.val().dtype();
                weights::replace(param, data.convert_dtype(dtype))
            }
            None => param,
        }
    }
}

/// The part of a name before its first dot.
fn top(name: &str) -> &str {
    name.split('.').next().unwrap_or(name)
}
