//! The text of `OpenDocument` files: paragraphs, lists, tables and notes, as text documents and presentations share them.

use std::collections::{HashMap, HashSet};

use crate::error::{DataError, Place, Result};
use crate::load::blocks::{Blocks, link};
use crate::load::table::Table;
use crate::load::xml::{Element, Node, Xml};

/// How many cells of text tables may stand for repetitions in one document.
const REPEATED_LIMIT: usize = 100_000;

/// What is known of a document while its text is read.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Styles of paragraphs that are titles.
    titles: HashSet<String>,
    /// For each list style the levels, from 1, that are numbered, with their first number.
    numbered: HashMap<String, HashMap<usize, usize>>,
    /// Styles of pages that are not shown.
    pub(super) hidden: HashSet<String>,
    /// The last number of each list style and level, for lists that go on.
    counts: HashMap<(String, usize), usize>,
    /// The texts of notes in their order.
    notes: Vec<String>,
    repeated: usize,
}

/// A paragraph while it is read.
#[derive(Default)]
struct Paragraph {
    text: String,
    /// Text boxes that are anchored here; they follow as blocks of their own.
    boxes: Vec<String>,
}

/// The list that is open.
struct List {
    style: String,
    depth: usize,
    number: usize,
}

impl Open {
    /// Reads the open element with styles.
    pub(super) fn styles(&mut self, xml: &mut Xml<'_>) -> Result<()> {
        while let Some(element) = xml.child()? {
            let name = element.attribute("name").unwrap_or_default();
            match element.name() {
                "style" => {
                    if name == "Title"
                        || element.attribute("parent-style-name").as_deref() == Some("Title")
                    {
                        self.titles.insert(name.clone());
                    }
                    while let Some(element) = xml.child()? {
                        if element.attribute("visibility").as_deref() == Some("hidden") {
                            self.hidden.insert(name.clone());
                        }
                        xml.skip()?;
                    }
                }
                "list-style" => {
                    let mut levels = HashMap::new();
                    while let Some(element) = xml.child()? {
                        let format = element.attribute("num-format").unwrap_or_default();
                        if element.name() == "list-level-style-number" && !format.is_empty() {
                            let level = element.number("level").unwrap_or(1);
                            levels.insert(level, element.number("start-value").unwrap_or(1));
                        }
                        xml.skip()?;
                    }
                    self.numbered.insert(name, levels);
                }
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    /// The blocks in the open element. What is not known is read for the blocks inside of it.
    pub(super) fn blocks(&mut self, xml: &mut Xml<'_>, blocks: &mut Blocks) -> Result<()> {
        while let Some(element) = xml.child()? {
            self.block(&element, xml, blocks)?;
        }
        Ok(())
    }

    /// The block that was just opened.
    pub(super) fn block(
        &mut self,
        element: &Element<'_>,
        xml: &mut Xml<'_>,
        blocks: &mut Blocks,
    ) -> Result<()> {
        match element.name() {
            "p" => {
                let title = element
                    .attribute("style-name")
                    .is_some_and(|style| self.titles.contains(&style));
                let paragraph = self.paragraph(xml)?;
                if title {
                    blocks.heading(1, &paragraph.text);
                } else {
                    blocks.paragraph(&paragraph.text);
                }
                paragraph.add_boxes(blocks);
            }
            "h" => {
                let level = element.number("outline-level").unwrap_or(1);
                let paragraph = self.paragraph(xml)?;
                blocks.heading(level, &paragraph.text);
                paragraph.add_boxes(blocks);
            }
            "list" => self.list(element, xml, blocks, None)?,
            "table" => {
                let mut table = Table::default();
                self.rows(xml, &mut table)?;
                blocks.table(table);
            }
            name if is_no_text(name) => xml.skip()?,
            _ => self.blocks(xml, blocks)?,
        }
        Ok(())
    }

    /// Adds the notes behind the text.
    pub(super) fn add_notes(&mut self, blocks: &mut Blocks) {
        for (index, note) in std::mem::take(&mut self.notes).iter().enumerate() {
            blocks.item(0, &format!("[^{}]:", index + 1), note);
        }
    }

    fn paragraph(&mut self, xml: &mut Xml<'_>) -> Result<Paragraph> {
        let mut paragraph = Paragraph::default();
        self.inline(xml, &mut paragraph)?;
        Ok(paragraph)
    }

    fn inline(&mut self, xml: &mut Xml<'_>, paragraph: &mut Paragraph) -> Result<()> {
        while let Some(node) = xml.next()? {
            let element = match node {
                Node::Text(text) => {
                    paragraph.push(&text);
                    continue;
                }
                Node::Element(element) => element,
            };
            match element.name() {
                "s" => {
                    // A long run of spaces is layout; 64 of them say so as well as more.
                    let count = element.number("c").unwrap_or(1).min(64);
                    paragraph.text.extend(std::iter::repeat_n(' ', count));
                    xml.skip()?;
                }
                "tab" => {
                    paragraph.text.push('\t');
                    xml.skip()?;
                }
                "line-break" => {
                    paragraph.text.push('\n');
                    xml.skip()?;
                }
                "a" => {
                    let start = paragraph.text.len();
                    self.inline(xml, paragraph)?;
                    let address = element.attribute("href").unwrap_or_default();
                    // An address that begins with `#` is a place in the document.
                    if !address.starts_with('#') {
                        let text = link(&paragraph.text[start..], &address);
                        paragraph.text.truncate(start);
                        paragraph.text.push_str(&text);
                    }
                }
                "note" => self.note(xml, paragraph)?,
                "frame" | "text-box" | "custom-shape" | "g" | "rect" | "ellipse" => {
                    let mut blocks = Blocks::default();
                    self.blocks(xml, &mut blocks)?;
                    paragraph.boxes.push(blocks.finish());
                }
                // The document's title as a field; elsewhere a title is that of a picture.
                "title" => self.inline(xml, paragraph)?,
                "ruby-text" => xml.skip()?,
                name if is_no_text(name) => xml.skip()?,
                _ => self.inline(xml, paragraph)?,
            }
        }
        Ok(())
    }

    fn note(&mut self, xml: &mut Xml<'_>, paragraph: &mut Paragraph) -> Result<()> {
        // The place is taken first: a note inside of this one comes after it.
        let index = self.notes.len();
        self.notes.push(String::new());
        while let Some(element) = xml.child()? {
            if element.name() == "note-body" {
                let mut blocks = Blocks::default();
                self.blocks(xml, &mut blocks)?;
                self.notes[index] = blocks.finish();
            } else {
                xml.skip()?;
            }
        }
        let number = (index + 1).to_string();
        paragraph.text.extend(["[^", &number, "]"]);
        Ok(())
    }

    fn list(
        &mut self,
        element: &Element<'_>,
        xml: &mut Xml<'_>,
        blocks: &mut Blocks,
        outer: Option<&List>,
    ) -> Result<()> {
        let depth = outer.map_or(0, |outer| outer.depth + 1);
        let inherited = outer.map(|outer| outer.style.clone());
        let style = element
            .attribute("style-name")
            .or(inherited)
            .unwrap_or_default();
        let start = self
            .numbered
            .get(&style)
            .and_then(|levels| levels.get(&(depth + 1)));
        let mut list = List {
            number: start.map_or(0, |start| start.saturating_sub(1)),
            style,
            depth,
        };
        let key = (list.style.clone(), depth);
        if element.flag("continue-numbering", false) {
            list.number = self.counts.get(&key).copied().unwrap_or(list.number);
        }
        while let Some(element) = xml.child()? {
            match element.name() {
                "list-item" => {
                    if let Some(start) = element.number("start-value") {
                        list.number = start.saturating_sub(1);
                    }
                    list.number = list.number.saturating_add(1);
                    self.item(xml, blocks, &list)?;
                }
                "list-header" => self.blocks(xml, blocks)?,
                _ => xml.skip()?,
            }
        }
        self.counts.insert(key, list.number);
        Ok(())
    }

    fn item(&mut self, xml: &mut Xml<'_>, blocks: &mut Blocks, list: &List) -> Result<()> {
        let numbered = self
            .numbered
            .get(&list.style)
            .is_some_and(|levels| levels.contains_key(&(list.depth + 1)));
        let marker = if numbered {
            format!("{}.", list.number)
        } else {
            "-".into()
        };
        let mut text = String::new();
        while let Some(element) = xml.child()? {
            if element.name() == "p" {
                let paragraph = self.paragraph(xml)?;
                text.push_str(&paragraph.text);
                text.push('\n');
                for inside in paragraph.boxes {
                    text.push_str(&inside);
                    text.push('\n');
                }
                continue;
            }
            blocks.item(list.depth, &marker, &text);
            text.clear();
            if element.name() == "list" {
                self.list(&element, xml, blocks, Some(list))?;
            } else {
                self.block(&element, xml, blocks)?;
            }
        }
        blocks.item(list.depth, &marker, &text);
        Ok(())
    }

    fn rows(&mut self, xml: &mut Xml<'_>, table: &mut Table) -> Result<()> {
        while let Some(element) = xml.child()? {
            match element.name() {
                "table-row" => {
                    let cells = self.cells(xml)?;
                    let filled = cells.iter().any(|(text, _)| !text.is_empty());
                    let times = if filled {
                        element.number("number-rows-repeated").unwrap_or(1).max(1)
                    } else {
                        1
                    };
                    self.repeat((times - 1).saturating_mul(cells.len()), xml)?;
                    for _ in 0..times {
                        table.row();
                        for (text, span) in &cells {
                            table.cell(text, *span);
                        }
                    }
                }
                "table-header-rows" | "table-rows" | "table-row-group" => self.rows(xml, table)?,
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    /// The cells of the open row: texts, and how many columns an empty one takes.
    fn cells(&mut self, xml: &mut Xml<'_>) -> Result<Vec<(String, usize)>> {
        let mut cells = Vec::new();
        while let Some(element) = xml.child()? {
            let times = element
                .number("number-columns-repeated")
                .unwrap_or(1)
                .max(1);
            match element.name() {
                "table-cell" => {
                    let mut blocks = Blocks::cell();
                    self.blocks(xml, &mut blocks)?;
                    let text = blocks.finish();
                    if text.is_empty() {
                        cells.push((text, times));
                    } else {
                        self.repeat(times - 1, xml)?;
                        cells.extend(std::iter::repeat_n((text, 1), times));
                    }
                }
                // What a merged cell covers is not seen.
                "covered-table-cell" => {
                    xml.skip()?;
                    cells.push((String::new(), times));
                }
                _ => xml.skip()?,
            }
        }
        Ok(cells)
    }

    /// Counts cells that repeat others.
    fn repeat(&mut self, cells: usize, xml: &Xml<'_>) -> Result<()> {
        self.repeated = self.repeated.saturating_add(cells);
        if self.repeated <= REPEATED_LIMIT {
            return Ok(());
        }
        Err(DataError::LimitExceeded {
            place: Place::file(xml.path()),
            what: "the number of repeated cells",
            found: self.repeated as u64,
            limit: REPEATED_LIMIT as u64,
            hint: "Split the document",
        })
    }
}

impl Paragraph {
    /// Adds text as the format reads it: white space is one space, and none at the beginning.
    fn push(&mut self, text: &str) {
        for character in text.chars() {
            let space = matches!(character, ' ' | '\t' | '\n' | '\r');
            if !space {
                self.text.push(character);
            } else if !self.text.is_empty() && !self.text.ends_with([' ', '\t', '\n']) {
                self.text.push(' ');
            }
        }
    }

    fn add_boxes(self, blocks: &mut Blocks) {
        for text in self.boxes {
            blocks.raw(&text);
        }
    }
}

/// Elements whose text is no text of the document: comments, deleted text, pictures, names, settings.
fn is_no_text(name: &str) -> bool {
    matches!(
        name,
        "annotation"
            | "annotation-end"
            | "tracked-changes"
            | "image"
            | "object"
            | "object-ole"
            | "plugin"
            | "binary-data"
            | "title"
            | "desc"
            | "forms"
            | "script"
            | "scripts"
            | "sequence-decls"
            | "variable-decls"
            | "user-field-decls"
            | "soft-page-break"
            | "image-map"
            | "event-listeners"
            | "animations"
    )
}
