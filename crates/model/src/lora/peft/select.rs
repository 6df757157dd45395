//! Which layers the settings of an adapter choose, as PEFT reads them.

use regex::Regex;
use serde_json::Value;

use super::super::LoraTargets;
use super::super::target::{Fit, Slot, choose};
use super::super::whole::SAVED;
use super::fields::{Fields, texts};
use crate::error::Result;
use crate::family::Architecture;

/// What `target_modules`, `exclude_modules`, `modules_to_save` and the settings of layers choose.
#[derive(Debug)]
pub(super) struct Selection {
    targets: LoraTargets,
    excluded: Option<Fit>,
    /// Modules that are trained as a whole and get no factors.
    saved: Vec<String>,
    /// The numbers of the blocks, where not all are meant.
    blocks: Option<Vec<u64>>,
    /// How a block's number is found in a module's name.
    numbered: Vec<Regex>,
}

impl Selection {
    pub(super) fn read(fields: &Fields<'_>) -> Result<Self> {
        let mut saved = fields
            .optional("modules_to_save", "a list of names", texts)?
            .unwrap_or_default();
        let task = fields.get("task_type").and_then(Value::as_str);
        if matches!(task, Some("SEQ_CLS" | "TOKEN_CLS")) {
            saved.extend(SAVED.map(str::to_owned));
        }
        Ok(Self {
            targets: targets(fields)?,
            excluded: fit(fields, "exclude_modules")?,
            saved,
            blocks: blocks(fields)?,
            numbered: numbered(fields)?,
        })
    }

    /// Whether a module lies in one that is trained as a whole: PEFT looks for the ends of names, at whatever character
    /// they begin.
    pub(super) fn wraps(&self, module: &str) -> bool {
        let around = module.match_indices('.').map(|(dot, _)| &module[..dot]);
        let mut around = around.chain([module]);
        around.any(|module| {
            self.saved
                .iter()
                .any(|name| module.ends_with(name.as_str()))
        })
    }

    /// Whether a module gets no factors because one of those holds it: here PEFT looks for whole names.
    fn saves(&self, module: &str) -> bool {
        let bounded = format!(".{module}.");
        self.saved
            .iter()
            .any(|name| bounded.contains(&format!(".{name}.")))
    }

    /// The layers that get factors.
    pub(super) fn chosen<'a>(
        &self,
        slots: &'a [Slot],
        architecture: &Architecture,
    ) -> Result<Vec<&'a Slot>> {
        let place = Fields::place("target_modules");
        let mut chosen = choose(slots, architecture, &self.targets, &place)?;
        chosen.retain(|slot| {
            let excluded = self.excluded.as_ref();
            !excluded.is_some_and(|fit| fit.fits(&slot.module))
                && !self.saves(&slot.module)
                && self.in_blocks(&slot.module)
        });
        Ok(chosen)
    }

    /// Whether a module lies in one of the blocks that are meant. Whole names and patterns mean themselves.
    fn in_blocks(&self, module: &str) -> bool {
        let Some(blocks) = &self.blocks else {
            return true;
        };
        match &self.targets {
            LoraTargets::Pattern(_) => return true,
            LoraTargets::Names(names) if names.iter().any(|name| name == module) => return true,
            _ => {}
        }
        let number = self.numbered.iter().find_map(|pattern| {
            let found = pattern.captures(module)?;
            found[1].parse::<u64>().ok()
        });
        number.is_some_and(|number| blocks.contains(&number))
    }
}

fn targets(fields: &Fields<'_>) -> Result<LoraTargets> {
    let read = |value: &Value| match value {
        Value::String(text) if text.eq_ignore_ascii_case("all-linear") => {
            Some(LoraTargets::AllLinear)
        }
        Value::String(pattern) => Some(LoraTargets::Pattern(pattern.clone())),
        other => texts(other).map(LoraTargets::Names),
    };
    let expected = "a list of names, a regular expression or \"all-linear\"";
    let targets = fields.optional("target_modules", expected, read)?;
    Ok(targets.unwrap_or_default())
}

fn fit(fields: &Fields<'_>, field: &str) -> Result<Option<Fit>> {
    let Some(value) = fields.get(field) else {
        return Ok(None);
    };
    if let Some(pattern) = value.as_str() {
        return Fit::whole(pattern, &Fields::place(field)).map(Some);
    }
    let names = texts(value)
        .ok_or_else(|| fields.wrong(field, "a list of names or a regular expression"))?;
    Ok(Some(Fit::names(&names)))
}

fn blocks(fields: &Fields<'_>) -> Result<Option<Vec<u64>>> {
    let read = |value: &Value| match value {
        Value::Array(numbers) => numbers.iter().map(Value::as_u64).collect(),
        number => number.as_u64().map(|number| vec![number]),
    };
    let expected = "the number of a block or a list of them, from 0";
    let blocks: Option<Vec<u64>> = fields.optional("layers_to_transform", expected, read)?;
    Ok(blocks.filter(|blocks| !blocks.is_empty()))
}

fn numbered(fields: &Fields<'_>) -> Result<Vec<Regex>> {
    let read = |value: &Value| match value {
        Value::String(pattern) => Some(vec![pattern.clone()]),
        other => texts(other),
    };
    let names = fields.optional("layers_pattern", "a name or a list of them", read)?;
    let patterns = match names.filter(|names| !names.is_empty()) {
        None => vec![r"^.*?\.[^.]*\.(\d+)\.".to_owned()],
        Some(names) => names
            .iter()
            .map(|name| format!(r"(?:^|^.*?\.){name}\.(\d+)\."))
            .collect(),
    };
    let compile = |pattern: &String| {
        Regex::new(pattern).map_err(|_| fields.wrong("layers_pattern", "regular expressions"))
    };
    patterns.iter().map(compile).collect()
}
