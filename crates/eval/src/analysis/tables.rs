//! What was found, as tables for the terminal.

use std::fmt;

use super::{Analysis, Collection, Flow, Slices, Suspects};
use crate::{
    metric::Unit,
    report::{
        figures::{counted, grouped, interval, p_value, share},
        table::Table,
    },
    text::{one_line, shorten},
};

/// How many rows of a kind are shown.
const SHOWN: usize = 20;

impl fmt::Display for Analysis {
    /// How often each class holds, with intervals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["class", "outputs", "main", "share", "95% interval"]);
        for total in &self.totals {
            table.row([
                total.name.clone(),
                grouped(total.count as i64),
                grouped(total.main as i64),
                share(total.share.value),
                interval(total.share, Unit::Share),
            ]);
        }
        let right = self.items.iter().filter(|item| item.main.is_none()).count();
        table.row([
            super::RIGHT.to_owned(),
            grouped(right as i64),
            grouped(right as i64),
            share(self.right.value),
            interval(self.right, Unit::Share),
        ]);
        let (model, items) = (one_line(&self.model), counted(self.items.len(), "output"));
        write!(
            f,
            "Errors of {model} over {items}; several classes may hold for one\n{table}"
        )
    }
}

impl fmt::Display for Flow {
    /// What became of each class, and what was fixed and what broke.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = (one_line(&self.before), one_line(&self.after));
        let mut table = Table::new(["class", &before, &after, "gone", "come", "sign test, Holm"]);
        let held = self
            .changes
            .iter()
            .filter(|change| change.before + change.after > 0);
        for change in held {
            table.row([
                change.class.clone(),
                grouped(change.before as i64),
                grouped(change.after as i64),
                grouped(change.gone as i64),
                grouped(change.come as i64),
                change.p_value.map_or_else(|| "—".to_owned(), p_value),
            ]);
        }
        writeln!(
            f,
            "What became of each class from {before} to {after}\n{table}"
        )?;
        let test = self
            .p_value
            .map_or_else(String::new, |p| format!(" (sign test, {})", p_value(p)));
        writeln!(
            f,
            "  {} fixed, {} broken{test}",
            grouped(self.fixed as i64),
            grouped(self.broken as i64)
        )
    }
}

impl fmt::Display for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(["slice", "n", "wrong", "share", "rest", "corrected p", ""]);
        for slice in self.slices.iter().take(SHOWN) {
            let clear = slice.corrected < self.level;
            let verdict = match slice.difference() > 0.0 {
                true if clear => "worse",
                false if clear => "better",
                _ => "",
            };
            table.row([
                format!("{}: {}", slice.by, slice.value),
                grouped(slice.items.len() as i64),
                grouped(slice.wrong as i64),
                share(slice.share.value),
                share(slice.rest.value),
                p_value(slice.corrected),
                verdict.to_owned(),
            ]);
        }
        let what = self.class.as_deref().unwrap_or("wrong outputs");
        writeln!(
            f,
            "Share of {} of {} in {}, each against the rest; Fisher's exact test, correction: {}\n{table}",
            one_line(what),
            one_line(&self.model),
            counted(self.slices.len(), "slice"),
            self.correction.name()
        )?;
        if self.slices.len() > SHOWN {
            writeln!(
                f,
                "  and {} more",
                grouped((self.slices.len() - SHOWN) as i64)
            )?;
        }
        if self.small > 0 {
            writeln!(
                f,
                "  {} with too few items or too few others",
                counted(self.small, "slice")
            )?;
        }
        for (cut, reason) in &self.passed_over {
            writeln!(f, "  not cut by {}: {}", one_line(cut), one_line(reason))?;
        }
        Ok(())
    }
}

impl fmt::Display for Collection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.needs.is_empty() {
            return writeln!(
                f,
                "Nothing to collect: no slice of {} is clearly worse than the rest",
                one_line(&self.model)
            );
        }
        writeln!(
            f,
            "What to collect next, for {}, with {} so far",
            one_line(&self.model),
            counted(self.training, "training row")
        )?;
        for need in &self.needs {
            let slice = &need.slice;
            let errors: Vec<String> = need
                .errors
                .iter()
                .take(4)
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            writeln!(
                f,
                "\n  {}: {}\n    {} of {} wrong ({}); {} of training are in it; write {} more",
                one_line(&slice.by),
                one_line(&slice.value),
                slice.wrong,
                counted(slice.items.len(), "item"),
                one_line(&errors.join(", ")),
                counted(need.rows, "row"),
                need.wanted
            )?;
            for row in &need.nearest {
                let (origin, input) = (
                    one_line(&row.origin.to_string()),
                    shorten(&one_line(&row.input), 80),
                );
                writeln!(f, "    {:.2} {origin}  {input}", row.similarity)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Suspects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} among {} of training that are probably wrong",
            counted(self.suspects.len(), "row"),
            counted(self.rows, "row")
        )?;
        for suspect in &self.suspects {
            let origin = one_line(&suspect.origin.to_string());
            writeln!(f, "\n  {origin}: {}", suspect.verdict.name())?;
            for text in [&suspect.input, &suspect.reference] {
                writeln!(f, "    | {}", shorten(&one_line(text), 100))?;
            }
            for reason in &suspect.reasons {
                writeln!(f, "    {}", one_line(reason))?;
            }
        }
        Ok(())
    }
}
