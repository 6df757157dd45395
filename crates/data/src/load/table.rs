//! Tables as Markdown has them.

/// The rows of a table.
#[derive(Debug, Default)]
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Begins a row.
    pub(super) fn row(&mut self) {
        self.rows.push(Vec::new());
    }

    /// Takes back the row that was begun last.
    #[cfg(feature = "office")]
    pub(super) fn take_back(&mut self) {
        self.rows.pop();
    }

    /// Adds a cell to the last row, and empty ones for the further columns that it spans.
    pub(super) fn cell(&mut self, text: &str, span: usize) {
        // A text's table has 63 columns at most in the programs that write it; a span adds nothing but empty cells.
        let empty = span.clamp(1, 63) - 1;
        if let Some(row) = self.rows.last_mut() {
            row.push(line(text).replace('|', "\\|"));
            row.extend(std::iter::repeat_n(String::new(), empty));
        }
    }

    /// The table's rows on one line, for a table inside of a cell.
    #[cfg(feature = "office")]
    pub(super) fn plain(self) -> String {
        let rows = self.rows.into_iter().map(|row| {
            let cells = row.into_iter().filter(|cell| !cell.is_empty());
            cells.collect::<Vec<_>>().join(", ").replace("\\|", "|")
        });
        let rows: Vec<String> = rows.filter(|row| !row.is_empty()).collect();
        rows.join("; ")
    }

    /// The table's rows as Markdown; nothing if all cells are empty. Columns that are empty in all rows at the right
    /// edge are left out.
    pub(super) fn markdown(mut self) -> String {
        for row in &mut self.rows {
            let filled = row.iter().rposition(|cell| !cell.is_empty());
            row.truncate(filled.map_or(0, |last| last + 1));
        }
        self.rows.retain(|row| !row.is_empty());
        let width = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        if let Some(head) = self.rows.first_mut() {
            // Markdown wants the head to have all columns; a later row may be short.
            head.resize(width, String::new());
        }
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                text.push('\n');
            }
            push_row(&mut text, row);
            if index == 0 {
                text.push_str("\n|");
                text.push_str(&" --- |".repeat(width));
            }
        }
        text
    }
}

/// A row of a table without a line end.
fn push_row(text: &mut String, row: &[String]) {
    text.push('|');
    for cell in row {
        text.push(' ');
        text.push_str(cell);
        text.push_str(if cell.is_empty() { "|" } else { " |" });
    }
}

/// A text on one line, white space run together.
pub(super) fn line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}
