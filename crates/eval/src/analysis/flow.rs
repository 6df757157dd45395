//! Which class became which between two models.

use serde::{Deserialize, Serialize};

use super::{Analysis, Correction, Judged, RIGHT};
use crate::{
    Result,
    metric::{same_items, sign_test},
};

/// Which main class became which, over the same items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// The model before.
    pub before: String,
    /// The model after.
    pub after: String,
    /// The classes in the order of rows and columns: the weightiest first, [`RIGHT`] last. Every class of either
    /// analysis stands here, whether or not it occurs.
    pub classes: Vec<String>,
    /// The number of items, by class before (row) and after (column).
    pub counts: Vec<Vec<usize>>,
    /// How many were wrong before and are right after.
    pub fixed: usize,
    /// How many were right before and are wrong after.
    pub broken: usize,
    /// The two-sided p-value of the exact sign test of `fixed` against `broken`; none if both are 0.
    #[serde(default)]
    pub p_value: Option<f64>,
    /// The class of every item before and after, in the items' order.
    #[serde(default)]
    pub moves: Vec<Move>,
    /// What became of each class by itself, whether or not it is the main one.
    #[serde(default)]
    pub changes: Vec<ClassChange>,
}

/// On how many items a class holds before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassChange {
    /// The class.
    pub class: String,
    /// How many items it holds for before.
    pub before: usize,
    /// How many items it holds for after.
    pub after: usize,
    /// How many items it held for before and does no longer.
    pub gone: usize,
    /// How many items it holds for after and did not before.
    pub come: usize,
    /// The two-sided p-value of the exact sign test of `gone` against `come`, by Holm's correction for the number of
    /// classes that changed; none if nothing changed.
    pub p_value: Option<f64>,
}

/// The class of one item before and after, as indices into [`Flow::classes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The class before.
    pub from: usize,
    /// The class after.
    pub to: usize,
}

impl Flow {
    /// The flow between two analyses of the same items in the same order.
    ///
    /// # Errors
    /// [`Unmatched`](crate::EvalError::Unmatched) if they do not hold the same items.
    pub fn between<'a>(before: &'a Analysis, after: &'a Analysis) -> Result<Self> {
        let outcomes = |analysis: &'a Analysis| analysis.items.iter().map(|item| &item.outcome);
        same_items(
            &before.model,
            outcomes(before),
            &after.model,
            outcomes(after),
        )?;
        let mut classes: Vec<String> = Vec::new();
        for total in before.totals.iter().chain(&after.totals) {
            if !classes.contains(&total.name) {
                classes.push(total.name.clone());
            }
        }
        classes.push(RIGHT.to_owned());
        let place = |class: &str| {
            classes
                .iter()
                .position(|name| name == class)
                .unwrap_or(classes.len() - 1)
        };
        let moves: Vec<_> = before
            .items
            .iter()
            .zip(&after.items)
            .map(|(old, new)| Move {
                from: place(old.class()),
                to: place(new.class()),
            })
            .collect();
        let right = classes.len() - 1;
        let mut counts = vec![vec![0; classes.len()]; classes.len()];
        for step in &moves {
            counts[step.from][step.to] += 1;
        }
        let fixed = moves
            .iter()
            .filter(|step| step.from != right && step.to == right)
            .count();
        let broken = moves
            .iter()
            .filter(|step| step.from == right && step.to != right)
            .count();
        Ok(Self {
            before: before.model.clone(),
            after: after.model.clone(),
            classes,
            counts,
            fixed,
            broken,
            p_value: sign_test(fixed, broken),
            moves,
            changes: changes(before, after),
        })
    }

    /// The items that went from one class to another, the first of them; both by name.
    pub fn examples(&self, from: &str, to: &str, count: usize) -> Vec<usize> {
        let named =
            |place: usize, name: &str| self.classes.get(place).is_some_and(|class| class == name);
        let mut items = self.items(|step| named(step.from, from) && named(step.to, to));
        items.truncate(count);
        items
    }

    /// How many items went from one class to another; 0 for a place that the table does not have.
    pub fn count(&self, from: usize, to: usize) -> usize {
        self.counts
            .get(from)
            .and_then(|row| row.get(to))
            .copied()
            .unwrap_or(0)
    }

    /// The items that went from wrong to right.
    pub fn fixed_items(&self) -> Vec<usize> {
        let right = self.classes.len().saturating_sub(1);
        self.items(|step| step.from != right && step.to == right)
    }

    /// The items that went from right to wrong.
    pub fn broken_items(&self) -> Vec<usize> {
        let right = self.classes.len().saturating_sub(1);
        self.items(|step| step.from == right && step.to != right)
    }

    fn items(&self, wanted: impl Fn(&Move) -> bool) -> Vec<usize> {
        self.moves
            .iter()
            .enumerate()
            .filter(|(_, step)| wanted(step))
            .map(|(index, _)| index)
            .collect()
    }
}

/// What became of each class of either analysis, in their order.
fn changes(before: &Analysis, after: &Analysis) -> Vec<ClassChange> {
    let mut changes: Vec<ClassChange> = Vec::new();
    for total in before.totals.iter().chain(&after.totals) {
        if changes.iter().any(|change| change.class == total.name) {
            continue;
        }
        let holds = |item: &Judged| item.errors.iter().any(|(name, _)| *name == total.name);
        let pairs = before.items.iter().zip(&after.items);
        let pairs: Vec<(bool, bool)> = pairs.map(|(old, new)| (holds(old), holds(new))).collect();
        let count =
            |wanted: fn(&(bool, bool)) -> bool| pairs.iter().filter(|pair| wanted(pair)).count();
        let (gone, come) = (
            count(|pair| pair.0 && !pair.1),
            count(|pair| !pair.0 && pair.1),
        );
        changes.push(ClassChange {
            class: total.name.clone(),
            before: count(|pair| pair.0),
            after: count(|pair| pair.1),
            gone,
            come,
            p_value: sign_test(gone, come),
        });
    }
    let p_values: Vec<f64> = changes.iter().filter_map(|change| change.p_value).collect();
    let mut corrected = Correction::Holm.adjust(&p_values).into_iter();
    for change in changes.iter_mut().filter(|change| change.p_value.is_some()) {
        change.p_value = corrected.next();
    }
    changes
}
