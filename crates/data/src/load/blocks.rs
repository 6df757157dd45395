//! Markdown out of the paragraphs, lists and tables of a document.

/// A text that grows block by block.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    text: String,
    /// Whether the last block is an item of a list; the next item then follows without a blank line.
    item: bool,
}

impl Blocks {
    /// Adds a paragraph, unless it is empty.
    pub(super) fn paragraph(&mut self, text: &str) {
        if self.begin(text, false) {
            push_lines(&mut self.text, text, "");
        }
    }

    /// Adds a heading of a level from 1; Markdown has six.
    pub(super) fn heading(&mut self, level: usize, text: &str) {
        if self.begin(text, false) {
            let marks = "#".repeat(level.clamp(1, 6));
            self.text.push_str(&marks);
            self.text.push(' ');
            self.text.push_str(&line(text));
        }
    }

    /// Adds an item of a list that is `depth` lists deep, from 0, with its marker `-` or `1.`.
    pub(super) fn item(&mut self, depth: usize, marker: &str, text: &str) {
        if self.begin(text, true) {
            let indent = "    ".repeat(depth.min(9));
            self.text.push_str(&indent);
            self.text.push_str(marker);
            self.text.push(' ');
            let indent = format!("{indent}{}", " ".repeat(marker.len() + 1));
            push_lines(&mut self.text, text, &indent);
        }
    }

    /// Adds a table, whose first row is its head.
    pub(super) fn table(&mut self, table: Table) {
        let table = table.markdown();
        if self.begin(&table, false) {
            self.text.push_str(&table);
        }
    }

    /// Adds a block as it is, its own line ends and indents kept.
    pub(super) fn raw(&mut self, text: &str) {
        if self.begin(text, false) {
            self.text.push_str(text.trim_end());
        }
    }

    /// The text, without a line end at its end.
    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Separates from the block before; whether there is something to add.
    fn begin(&mut self, text: &str, item: bool) -> bool {
        if text.trim().is_empty() {
            return false;
        }
        if !self.text.is_empty() {
            let together = item && self.item;
            self.text.push_str(if together { "\n" } else { "\n\n" });
        }
        self.item = item;
        true
    }
}

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

/// Adds lines without white space at their ends; those after the first are indented.
fn push_lines(text: &mut String, lines: &str, indent: &str) {
    for (index, line) in lines.trim().lines().enumerate() {
        if index > 0 {
            text.push('\n');
            text.push_str(if line.trim().is_empty() { "" } else { indent });
        }
        text.push_str(line.trim_end());
    }
}

/// A link: its text and where it leads, or one of them if they say the same.
pub(super) fn link(text: &str, url: &str) -> String {
    let plain = url.strip_prefix("mailto:").unwrap_or(url);
    let shown = line(text);
    if url.is_empty()
        || shown.is_empty()
        || plain.trim_end_matches('/') == shown.trim_end_matches('/')
    {
        text.into()
    } else {
        format!("[{text}]({url})")
    }
}
