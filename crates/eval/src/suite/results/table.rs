//! Results as a table for the terminal.

use std::fmt;

use super::{Figure, Results};
use crate::metric::Unit;

impl fmt::Display for Results {
    /// A line for each figure: task, shots, metric, value, standard error and number of items; groups come last.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["task", "shots", "metric", "value", "± error", "n"].map(str::to_owned);
        let mut rows = vec![head];
        let names = self.results.keys();
        let (groups, tasks): (Vec<_>, Vec<_>) =
            names.partition(|name| self.groups.contains_key(*name));
        for name in tasks.into_iter().chain(groups) {
            let shots = self
                .tasks
                .get(name)
                .map_or(String::new(), |task| task.shots.to_string());
            let mut lead = [name.clone(), shots];
            for (metric, figure) in &self.results[name] {
                let [value, error] = shown(figure);
                let [name, shots] = std::mem::take(&mut lead);
                rows.push([
                    name,
                    shots,
                    metric.clone(),
                    value,
                    error,
                    figure.n.to_string(),
                ]);
            }
        }
        let width = |column: usize| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..6).map(width).collect();
        writeln!(f, "{}", self.model)?;
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let space = " ".repeat(width - cell.chars().count());
                // Numbers stand at the right.
                let cell = if [1, 3, 4, 5].contains(&column) {
                    space + cell
                } else {
                    cell.clone() + &space
                };
                line += &cell;
                line += "  ";
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

fn shown(figure: &Figure) -> [String; 2] {
    let number = |value: f64| match figure.unit {
        Unit::Share => format!("{:.2} %", 100.0 * value),
        Unit::Number => format!("{value:.4}"),
    };
    [
        number(figure.value),
        figure.stderr.map_or_else(|| "–".to_owned(), number),
    ]
}
