//! Which tensor of the file belongs to which parameter of the model, decided before any weight is read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::dtype::Dtype;
use super::element::{Window, is_number};
use super::names::{Entry, Layout, Names, Owner};
use super::source::Source;
use crate::error::{Misshapen, ModelError, Result, escape};
use crate::head::Head;
use crate::weights::Declared;

/// The parameter that has the vocabulary's vectors, in every model.
const TOKENS: &str = "embeddings.tokens.weight";

/// One tensor of the file with the parameters that it holds.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// The tensor's name in the file.
    pub(super) name: String,
    /// Its type in the file; `None` when the file does not have it yet.
    pub(super) stored: Option<Dtype>,
    /// Its shape in the file.
    pub(super) shape: Vec<usize>,
    /// The parameters, with their places.
    pub(super) parts: Vec<Part>,
}

impl Slot {
    /// The bytes that the file has of it.
    pub(super) fn bytes(&self) -> u64 {
        let numbers: usize = self.shape.iter().product();
        numbers as u64 * self.stored.map_or(0, Dtype::bits) / 8
    }
}

/// One parameter inside a tensor of the file.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) path: String,
    pub(crate) shape: Vec<usize>,
    pub(crate) window: Window,
}

/// Every tensor of a checkpoint and every parameter of a model, matched.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    /// Tensors with parameters.
    pub(super) slots: Vec<Slot>,
    /// From a parameter's path to its slot and its place in it.
    pub(super) places: BTreeMap<String, (usize, usize)>,
    /// Tensors of the file that repeat a slot's, with the slot.
    pub(super) copies: Vec<(String, usize)>,
    /// Tensors of the file that the model does not use.
    pub(super) kept: Vec<String>,
}

impl Plan {
    /// Matches names and shapes.
    ///
    /// # Arguments
    /// - `folder`: for errors
    /// - `parameters`: those of the model
    /// - `head`: that of the model
    /// - `lenient`: whether tensors that the family does not know are kept instead of refused
    pub(super) fn new(
        folder: &Path,
        source: &Source,
        names: &Names,
        parameters: &[Declared],
        head: Head,
        lenient: bool,
    ) -> Result<Self> {
        let shapes = parameters
            .iter()
            .map(|p| (p.path.as_str(), p.shape.as_slice()))
            .collect();
        let mut matching = Matching::new(source, names, shapes, head);
        for entry in names
            .entries()
            .iter()
            .filter(|entry| entry.belongs_to(head))
        {
            matching.entry(entry)?;
        }
        matching.rest(lenient)?;
        matching.finish(folder)
    }

    /// The names of the tensors that the file does not have.
    pub(super) fn fresh(&self) -> impl Iterator<Item = &str> {
        let fresh = self.slots.iter().filter(|slot| slot.stored.is_none());
        fresh.map(|slot| slot.name.as_str())
    }
}

struct Matching<'a> {
    source: &'a Source,
    names: &'a Names,
    shapes: BTreeMap<&'a str, &'a [usize]>,
    head: Head,
    with_prefix: bool,
    plan: Plan,
    claimed: BTreeSet<String>,
    missing: Vec<String>,
    unexpected: Vec<String>,
    misshapen: Vec<Misshapen>,
    vocabulary: Option<ModelError>,
}

impl<'a> Matching<'a> {
    fn new(
        source: &'a Source,
        names: &'a Names,
        shapes: BTreeMap<&'a str, &'a [usize]>,
        head: Head,
    ) -> Self {
        let prefix = format!("{}.", names.prefix());
        let with_prefix = (source.is_empty() && names.prefixes(head))
            || source.names().any(|name| name.starts_with(&prefix));
        Self {
            source,
            names,
            shapes,
            head,
            with_prefix,
            plan: Plan::default(),
            claimed: BTreeSet::new(),
            missing: Vec::new(),
            unexpected: Vec::new(),
            misshapen: Vec::new(),
            vocabulary: None,
        }
    }

    /// Finds the tensor of an entry, if the model has the entry's parameters.
    fn entry(&mut self, entry: &Entry) -> Result<()> {
        if !entry
            .parts
            .iter()
            .all(|part| self.shapes.contains_key(part.as_str()))
        {
            return Ok(());
        }
        let spellings = self.names.spellings(entry, self.with_prefix);
        let found = spellings
            .iter()
            .find(|name| self.source.tensor(name).is_some());
        let (shape, parts) = windows(entry, &self.shapes);
        let Some(name) = found.cloned() else {
            let name = spellings[0].clone();
            if self.source.is_empty() || self.may_be_new(entry) {
                self.slot(Slot {
                    name,
                    stored: None,
                    shape,
                    parts,
                });
            } else {
                self.missing.push(name);
            }
            return Ok(());
        };
        self.claimed.insert(name.clone());
        let stored = self
            .source
            .tensor(&name)
            .map(|stored| (stored.dtype, stored.shape.clone()));
        let Some((dtype, found)) = stored else {
            return Ok(());
        };
        if found != shape {
            self.misshapen(entry, name, found, shape);
            return Ok(());
        }
        if !is_number(dtype) {
            return Err(ModelError::Unsupported {
                field: format!("the type of tensor \"{}\"", escape(&name)),
                value: dtype.to_string(),
                known: "parameters may be F32, F16 or BF16".to_owned(),
            });
        }
        self.slot(Slot {
            name,
            stored: Some(dtype),
            shape,
            parts,
        });
        Ok(())
    }

    /// The head of a task may be new: pretrained trunks come without one.
    fn may_be_new(&self, entry: &Entry) -> bool {
        if !self.head.is_for_a_task() || entry.owner != Owner::Head(self.head) {
            return false;
        }
        // Weight and bias are new together or not at all.
        let layer = |entry: &Entry| {
            entry.parts[0]
                .rsplit_once('.')
                .map(|(layer, _)| layer.to_owned())
        };
        let mine = layer(entry);
        let siblings = self
            .names
            .entries()
            .iter()
            .filter(|e| e.belongs_to(self.head) && layer(e) == mine);
        let mut spellings = siblings.flat_map(|e| self.names.spellings(e, self.with_prefix));
        !spellings.any(|name| self.source.tensor(&name).is_some())
    }

    fn slot(&mut self, slot: Slot) {
        let number = self.plan.slots.len();
        for (place, part) in slot.parts.iter().enumerate() {
            self.plan.places.insert(part.path.clone(), (number, place));
        }
        self.plan.slots.push(slot);
    }

    fn misshapen(&mut self, entry: &Entry, name: String, found: Vec<usize>, expected: Vec<usize>) {
        if entry.parts == [TOKENS] && found.len() == 2 && found[1] == expected[1] {
            self.vocabulary = Some(ModelError::VocabMismatch {
                config: expected[0],
                tensor: escape(&name),
                rows: found[0],
            });
        }
        self.misshapen.push(Misshapen {
            name,
            found,
            expected,
        });
    }

    /// What no parameter claims is a copy, is kept for another head, or is not expected.
    ///
    /// What repeats a parameter here and may be one of its own in models with another head is kept where it differs.
    fn rest(&mut self, lenient: bool) -> Result<()> {
        let copies: BTreeMap<&str, &str> = self
            .names
            .copies()
            .iter()
            .map(|copy| (copy.name.as_str(), copy.of.as_str()))
            .collect();
        // Of one's own, the name that says what a tensor is: a shared one may stand under several.
        let spelled = |mine: bool, most: usize| -> BTreeSet<String> {
            let entries = self.names.entries().iter();
            entries
                .filter(|e| e.belongs_to(self.head) == mine)
                .flat_map(|e| [true, false].map(|with| (e, with)))
                .flat_map(|(e, with)| self.names.spellings(e, with).into_iter().take(most))
                .collect()
        };
        let others = &spelled(false, usize::MAX) - &spelled(true, 1);
        for name in self
            .source
            .names()
            .filter(|name| !self.claimed.contains(*name))
        {
            let original = copies.get(name).and_then(|of| self.plan.places.get(*of));
            let repeated = match original {
                Some(&(slot, _)) if others.contains(name) => {
                    let same = self.source.same(name, &self.plan.slots[slot].name)?;
                    same.then_some(slot)
                }
                original => original.map(|(slot, _)| *slot),
            };
            if let Some(slot) = repeated {
                self.plan.copies.push((name.to_owned(), slot));
            } else if lenient
                || others.contains(name)
                || copies.contains_key(name)
                || self.names.keeps(name)
            {
                self.plan.kept.push(name.to_owned());
            } else {
                self.unexpected.push(name.to_owned());
            }
        }
        Ok(())
    }

    fn finish(self, folder: &Path) -> Result<Plan> {
        let unclaimed: Vec<&str> = self
            .shapes
            .keys()
            .copied()
            .filter(|path| !self.plan.places.contains_key(*path) && !path.contains(".lora."))
            .collect();
        let complete =
            self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty();
        if let (Some(error), 1) = (self.vocabulary, self.misshapen.len()) {
            return Err(error);
        }
        if !complete {
            return Err(ModelError::Coverage {
                folder: folder.to_owned(),
                missing: self.missing,
                unexpected: self.unexpected,
                misshapen: self.misshapen,
            });
        }
        match unclaimed.first() {
            None => Ok(self.plan),
            Some(path) => Err(ModelError::Parameter {
                path: (*path).to_owned(),
                why: "the family's table of names has no entry for it".to_owned(),
            }),
        }
    }
}

/// The shape of a tensor in the file, and where its parameters lie in it.
pub(crate) fn windows(entry: &Entry, shapes: &BTreeMap<&str, &[usize]>) -> (Vec<usize>, Vec<Part>) {
    let shape_of = |path: &String| shapes[path.as_str()].to_vec();
    let columns_of = |shape: &[usize]| shape.last().copied().unwrap_or(1);
    let first = shape_of(&entry.parts[0]);
    let before = &first[..first.len().saturating_sub(1)];
    let rows: usize = before.iter().product();
    let columns: usize = entry
        .parts
        .iter()
        .map(|path| columns_of(&shape_of(path)))
        .sum();
    let mut shape = match (before, entry.layout) {
        ([], _) => vec![columns],
        (_, Layout::Same) => [before, &[columns]].concat(),
        (_, Layout::Transposed) => vec![columns, rows],
    };
    if let Some(heads) = entry.heads
        && let Some(last) = shape.pop()
    {
        shape.extend([heads, last / heads]);
    }
    let mut next = 0;
    let part = |path: &String| {
        let shape = shape_of(path);
        let count = columns_of(&shape);
        let window = Window::new(entry.layout, [rows, columns], next, count).in_runs(entry.runs);
        next += count;
        Part {
            path: path.clone(),
            shape,
            window,
        }
    };
    (shape, entry.parts.iter().map(part).collect())
}
