//! Tables of plain text.

use std::fmt::{self, Write};

use unicode_width::UnicodeWidthStr;

use crate::text::{markdown, one_line, shorten};

/// The widest cell, in characters.
const WIDEST: usize = 44;

/// A table with a header: the first column to the left, the others to the right.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this header.
    pub(crate) fn new<S: AsRef<str>>(header: impl IntoIterator<Item = S>) -> Self {
        let mut table = Self { rows: Vec::new() };
        table.row(header);
        table
    }

    /// Adds a row. Cells are shown on one line, and long ones are cut.
    pub(crate) fn row<S: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(
            cells
                .into_iter()
                .map(|cell| shorten(&one_line(cell.as_ref()), WIDEST))
                .collect(),
        );
    }
}

impl Table {
    fn write_markdown(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        for (index, row) in self.rows.iter().enumerate() {
            let cells = (0..columns).map(|column| row.get(column).map_or("", String::as_str));
            let cells: Vec<String> = cells.map(markdown).collect();
            writeln!(f, "| {} |", cells.join(" | "))?;
            if index == 0 {
                writeln!(f, "|---|{}", "---:|".repeat(columns.saturating_sub(1)))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    /// Plain text; with `{:#}`, Markdown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return self.write_markdown(f);
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
        };
        let widths: Vec<usize> = (0..columns)
            .map(|column| width(column).unwrap_or(0))
            .collect();
        for (index, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, &width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                let space = " ".repeat(width - cell.width());
                match column {
                    0 => write!(line, "  {cell}{space}")?,
                    _ => write!(line, "  {space}{cell}")?,
                }
            }
            writeln!(f, "{}", line.trim_end())?;
            if index == 0 {
                writeln!(
                    f,
                    "  {}",
                    "─".repeat(widths.iter().sum::<usize>() + 2 * columns.saturating_sub(1))
                )?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let mut table = Table::new(["class", "base"]);
        table.row(["模型", "1"]);
        table.row(["a\u{1b}[31m\nb", "12"]);
        assert_eq!(
            table.to_string(),
            "  class           base\n  ────────────────────\n  模型               1\n  a\\u{1b}[31m\\nb    12\n"
        );
    }

    #[test]
    fn markdown_takes_nothing_of_a_cell_for_markup() {
        let mut table = Table::new(["a|b", "n"]);
        table.row(["<b>*x*"]);
        assert_eq!(
            format!("{table:#}"),
            "| a\\|b | n |\n|---|---:|\n| \\<b\\>\\*x\\* |  |\n"
        );
    }
}
