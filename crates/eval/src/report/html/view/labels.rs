//! Which label became which.

use serde::Serialize;

use super::{Cell, cell};
use crate::{
    metric::{ClassFigures, Confusion, Unit},
    report::figures::{counted, grouped, share},
};

#[derive(Serialize)]
pub(super) struct ConfusionView<'a> {
    note: String,
    labels: &'a [String],
    rows: Vec<LabelView>,
}

#[derive(Serialize)]
struct LabelView {
    name: String,
    counts: Vec<Count>,
    recall: Option<Cell>,
    precision: Option<Cell>,
    f1: String,
}

#[derive(Serialize)]
struct Count {
    count: String,
    same: bool,
}

pub(super) fn confusion(confusion: &Confusion) -> ConfusionView<'_> {
    let classes = confusion.classes();
    let items = classes.iter().map(|class| class.count).sum();
    ConfusionView {
        note: format!(
            "The labels of {}: a row has those that have the label, a column those that were given it.",
            counted(items, "item")
        ),
        labels: &confusion.labels,
        rows: (0..)
            .zip(classes)
            .map(|(row, class)| label(confusion, row, class))
            .collect(),
    }
}

fn label(confusion: &Confusion, row: usize, class: ClassFigures) -> LabelView {
    let count = |column: usize| Count {
        count: match confusion.count(row, column) {
            0 => "·".to_owned(),
            count => grouped(count as i64),
        },
        same: row == column,
    };
    let shown = |estimate| cell(estimate, Unit::Share);
    LabelView {
        name: class.label,
        counts: (0..confusion.labels.len()).map(count).collect(),
        recall: class.recall.map(shown),
        precision: class.precision.map(shown),
        f1: share(class.f1),
    }
}
