//! Markdown out of the paragraphs, lists and tables of a document.

use super::table::{Table, line};

/// A text that grows block by block.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    text: String,
    /// Whether the last block is an item of a list; the next item then follows without a blank line.
    item: bool,
    /// Whether this is the text of a table's cell, which is one line and has no room for Markdown.
    cell: bool,
}

impl Blocks {
    /// The text of a table's cell: headings, items and tables in it are written as plain text.
    pub(super) fn cell() -> Self {
        Self {
            cell: true,
            ..Self::default()
        }
    }

    /// Adds a paragraph, unless it is empty.
    pub(super) fn paragraph(&mut self, text: &str) {
        if self.begin(text, false) {
            push_lines(&mut self.text, text, "");
        }
    }

    /// Adds a heading of a level from 1; Markdown has six.
    pub(super) fn heading(&mut self, level: usize, text: &str) {
        if self.cell {
            self.paragraph(text);
        } else if self.begin(text, false) {
            let marks = "#".repeat(level.clamp(1, 6));
            self.text.push_str(&marks);
            self.text.push(' ');
            self.text.push_str(&line(text));
        }
    }

    /// Adds an item of a list that is `depth` lists deep, from 0, with its marker `-` or `1.`.
    pub(super) fn item(&mut self, depth: usize, marker: &str, text: &str) {
        if self.cell {
            // A number says something, a dash does not.
            let number = if marker == "-" { "" } else { marker };
            self.paragraph(&format!("{number} {text}"));
        } else if self.begin(text, true) {
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
        let table = if self.cell {
            table.plain()
        } else {
            table.markdown()
        };
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
