//! The text of a DOCX document.

use std::collections::HashMap;

use super::package::Relations;
use super::styles::{Kind, Layout, Lists, Styles};
use crate::error::Result;
use crate::load::blocks::{Blocks, link};
use crate::load::parts::Parts;
use crate::load::table::Table;
use crate::load::xml::{Element, Xml};

/// The document's text in Markdown.
pub(super) fn text(parts: &mut Parts, main: &str) -> Result<String> {
    let relations = Relations::of(parts, main)?;
    let mut word = Word {
        styles: Styles::default(),
        lists: Lists::default(),
        relations: &relations,
        notes: HashMap::new(),
        noted: Vec::new(),
    };
    if let Some(name) = relations.kind("styles")
        && let Some(text) = parts.optional(name)?
    {
        word.styles = Styles::read(Xml::new(&text, parts.part(name)))?;
    }
    if let Some(name) = relations.kind("numbering")
        && let Some(text) = parts.optional(name)?
    {
        word.lists = Lists::read(Xml::new(&text, parts.part(name)))?;
    }
    for kind in ["footnote", "endnote"] {
        let plural = format!("{kind}s");
        let Some(name) = relations.kind(&plural) else {
            continue;
        };
        let links = Relations::of(parts, name)?;
        if let Some(text) = parts.optional(name)? {
            word.read_notes(kind, Xml::new(&text, parts.part(name)), &links)?;
        }
    }
    let body = parts.required(main)?;
    word.document(Xml::new(&body, parts.part(main)))
}

struct Word<'a> {
    styles: Styles,
    lists: Lists,
    /// The addresses of the part that is read.
    relations: &'a Relations,
    /// Texts of the footnotes ("footnote 2") and endnotes.
    notes: HashMap<String, String>,
    /// The notes in the order in which the text refers to them.
    noted: Vec<String>,
}

/// A paragraph while it is read.
#[derive(Default)]
struct Paragraph {
    layout: Layout,
    text: String,
    /// Text boxes that are anchored here; they follow as blocks of their own.
    boxes: Vec<String>,
    fields: Vec<Field>,
}

/// A field, such as a link, between its beginning and its end.
#[derive(Default)]
struct Field {
    instruction: String,
    /// Where in the paragraph its result begins.
    result: Option<usize>,
}

impl Word<'_> {
    fn document(&mut self, mut xml: Xml<'_>) -> Result<String> {
        if !xml.find("body")? {
            return Err(xml.broken("it has no body"));
        }
        let mut blocks = Blocks::default();
        self.blocks(&mut xml, &mut blocks)?;
        for (index, key) in self.noted.iter().enumerate() {
            if let Some(note) = self.notes.get(key) {
                blocks.item(0, &format!("[^{}]:", index + 1), note);
            }
        }
        Ok(blocks.finish())
    }

    fn read_notes(&mut self, kind: &str, mut xml: Xml<'_>, links: &Relations) -> Result<()> {
        if !xml.find(&format!("{kind}s"))? {
            return Ok(());
        }
        let mut word = Word {
            styles: Styles::default(),
            lists: Lists::default(),
            relations: links,
            notes: HashMap::new(),
            noted: Vec::new(),
        };
        while let Some(element) = xml.child()? {
            let id = element.attribute("id").unwrap_or_default();
            // The lines that separate notes from the text are notes of another type.
            if element
                .attribute("type")
                .is_some_and(|kind| kind != "normal")
            {
                xml.skip()?;
                continue;
            }
            let mut blocks = Blocks::default();
            word.blocks(&mut xml, &mut blocks)?;
            self.notes.insert(format!("{kind} {id}"), blocks.finish());
        }
        Ok(())
    }

    /// The paragraphs and tables in the open element.
    fn blocks(&mut self, xml: &mut Xml<'_>, blocks: &mut Blocks) -> Result<()> {
        let mut open: Option<Paragraph> = None;
        self.collect(xml, blocks, &mut open)?;
        if let Some(paragraph) = open {
            self.add(paragraph, blocks);
        }
        Ok(())
    }

    /// As [`blocks`](Self::blocks); `open` is a paragraph whose end was deleted and that goes on in the next.
    fn collect(
        &mut self,
        xml: &mut Xml<'_>,
        blocks: &mut Blocks,
        open: &mut Option<Paragraph>,
    ) -> Result<()> {
        let mut chosen = false;
        while let Some(element) = xml.child()? {
            match element.name() {
                "Choice" | "Fallback" if chosen => xml.skip()?,
                "Choice" | "Fallback" => {
                    chosen = true;
                    self.collect(xml, blocks, open)?;
                }
                _ => self.block(&element, xml, blocks, open)?,
            }
        }
        Ok(())
    }

    fn block(
        &mut self,
        element: &Element<'_>,
        xml: &mut Xml<'_>,
        blocks: &mut Blocks,
        open: &mut Option<Paragraph>,
    ) -> Result<()> {
        match element.name() {
            "p" => {
                let mut paragraph = open.take().unwrap_or_default();
                paragraph.layout = Layout::default();
                self.inline(xml, &mut paragraph)?;
                if paragraph.layout.joined {
                    *open = Some(paragraph);
                } else {
                    self.add(paragraph, blocks);
                }
            }
            "tbl" => {
                if let Some(paragraph) = open.take() {
                    self.add(paragraph, blocks);
                }
                let mut table = Table::default();
                self.rows(xml, &mut table)?;
                blocks.table(table);
            }
            "sdt" | "sdtContent" | "customXml" | "smartTag" | "ins" | "moveTo"
            | "AlternateContent" => {
                self.collect(xml, blocks, open)?;
            }
            _ => xml.skip()?,
        }
        Ok(())
    }

    fn add(&mut self, paragraph: Paragraph, blocks: &mut Blocks) {
        match self.styles.kind(&paragraph.layout) {
            Kind::Heading(level) => blocks.heading(level, &paragraph.text),
            Kind::Item { list, depth } if !paragraph.text.trim().is_empty() => {
                let marker = self.lists.marker(&list, depth);
                blocks.item(depth, &marker, &paragraph.text);
            }
            Kind::Item { .. } => {}
            Kind::Paragraph => blocks.paragraph(&paragraph.text),
        }
        for text in paragraph.boxes {
            blocks.raw(&text);
        }
    }

    /// The runs of the open element. Elements that are not known are read for the text inside of them.
    fn inline(&mut self, xml: &mut Xml<'_>, paragraph: &mut Paragraph) -> Result<()> {
        let mut chosen = false;
        while let Some(element) = xml.child()? {
            match element.name() {
                "pPr" => paragraph.layout = Layout::read(xml)?,
                "t" => paragraph.text.push_str(&xml.text()?),
                "txbxContent" => {
                    let mut blocks = Blocks::default();
                    self.blocks(xml, &mut blocks)?;
                    paragraph.boxes.push(blocks.finish());
                }
                "hyperlink" => self.hyperlink(xml, &element, paragraph)?,
                "fldSimple" => {
                    let start = paragraph.text.len();
                    self.inline(xml, paragraph)?;
                    let instruction = element.attribute("instr").unwrap_or_default();
                    paragraph.link(start, address(&instruction));
                }
                "instrText" => {
                    let text = xml.text()?;
                    if let Some(field) = paragraph.fields.last_mut() {
                        field.instruction.push_str(&text);
                    }
                }
                "Choice" | "Fallback" if !chosen => {
                    chosen = true;
                    self.inline(xml, paragraph)?;
                }
                "Choice" | "Fallback" | "rPr" | "del" | "moveFrom" | "delText" | "delInstrText"
                | "sdtPr" | "rt" => {
                    xml.skip()?;
                }
                _ => {
                    self.mark(&element, paragraph);
                    self.inline(xml, paragraph)?;
                }
            }
        }
        Ok(())
    }

    /// Adds what an empty element stands for.
    fn mark(&mut self, element: &Element<'_>, paragraph: &mut Paragraph) {
        match element.name() {
            "tab" | "ptab" => paragraph.text.push('\t'),
            "br" | "cr" => paragraph.text.push('\n'),
            "noBreakHyphen" => paragraph.text.push('\u{2011}'),
            "sym" => {
                let code = element.attribute("char").unwrap_or_default();
                let code = u32::from_str_radix(&code, 16).unwrap_or(0xE000);
                // The private area holds pictures of fonts, which have no meaning as text.
                let private = (0xE000..=0xF8FF).contains(&code);
                paragraph
                    .text
                    .extend(char::from_u32(code).filter(|_| !private));
            }
            "fldChar" => paragraph.field(&element.attribute("fldCharType").unwrap_or_default()),
            name @ ("footnoteReference" | "endnoteReference") => {
                let kind = name.trim_end_matches("Reference");
                let key = format!("{kind} {}", element.attribute("id").unwrap_or_default());
                if self.notes.contains_key(&key) {
                    let known = self.noted.iter().position(|noted| *noted == key);
                    let index = known.unwrap_or_else(|| {
                        self.noted.push(key);
                        self.noted.len() - 1
                    });
                    let number = (index + 1).to_string();
                    paragraph.text.extend(["[^", &number, "]"]);
                }
            }
            _ => {}
        }
    }

    fn hyperlink(
        &mut self,
        xml: &mut Xml<'_>,
        element: &Element<'_>,
        paragraph: &mut Paragraph,
    ) -> Result<()> {
        let start = paragraph.text.len();
        self.inline(xml, paragraph)?;
        let id = element.prefixed("id").unwrap_or_default();
        let address = self.relations.address(&id).map(str::to_owned);
        paragraph.link(start, address);
        Ok(())
    }

    /// The rows of the open table, or of what is wrapped around some of them.
    fn rows(&mut self, xml: &mut Xml<'_>, table: &mut Table) -> Result<()> {
        while let Some(element) = xml.child()? {
            match element.name() {
                "tr" => {
                    table.row();
                    if self.cells(xml, table)? {
                        table.take_back();
                    }
                }
                "sdt" | "sdtContent" | "customXml" | "ins" | "moveTo" => self.rows(xml, table)?,
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    /// The cells of the open row; whether the row is a deleted one.
    fn cells(&mut self, xml: &mut Xml<'_>, table: &mut Table) -> Result<bool> {
        let mut deleted = false;
        while let Some(element) = xml.child()? {
            match element.name() {
                "trPr" => {
                    while let Some(element) = xml.child()? {
                        deleted |= element.name() == "del";
                        // Columns that the row leaves out at its left.
                        if element.name() == "gridBefore" {
                            table.cell("", element.number("val").unwrap_or(1));
                        }
                        xml.skip()?;
                    }
                }
                "tc" => self.cell(xml, table)?,
                "sdt" | "sdtContent" | "customXml" => deleted |= self.cells(xml, table)?,
                _ => xml.skip()?,
            }
        }
        Ok(deleted)
    }

    fn cell(&mut self, xml: &mut Xml<'_>, table: &mut Table) -> Result<()> {
        let mut span = 1;
        let mut blocks = Blocks::cell();
        let mut open = None;
        while let Some(element) = xml.child()? {
            if element.name() == "tcPr" {
                while let Some(element) = xml.child()? {
                    if element.name() == "gridSpan" {
                        span = element.number("val").unwrap_or(1);
                    }
                    xml.skip()?;
                }
            } else {
                self.block(&element, xml, &mut blocks, &mut open)?;
            }
        }
        if let Some(paragraph) = open {
            self.add(paragraph, &mut blocks);
        }
        table.cell(&blocks.finish(), span);
        Ok(())
    }
}

impl Paragraph {
    /// Makes a link of the text from `start` on.
    fn link(&mut self, start: usize, address: Option<String>) {
        if let Some(address) = address
            && let Some(text) = self.text.get(start..)
        {
            let text = link(text, &address);
            self.text.truncate(start);
            self.text.push_str(&text);
        }
    }

    /// Goes on to the next part of a field: what it is told, its result, and its end.
    fn field(&mut self, part: &str) {
        match part {
            "begin" => self.fields.push(Field::default()),
            "separate" => {
                if let Some(field) = self.fields.last_mut() {
                    field.result = Some(self.text.len());
                }
            }
            _ => {
                if let Some(field) = self.fields.pop()
                    && let Some(start) = field.result
                {
                    self.link(start, address(&field.instruction));
                }
            }
        }
    }
}

/// The address in the instruction of a field: `HYPERLINK "https://…"`. One that begins with a switch leads to a place
/// in the document.
fn address(instruction: &str) -> Option<String> {
    let rest = instruction.trim().strip_prefix("HYPERLINK")?.trim_start();
    let address = rest.strip_prefix('"')?.split('"').next()?;
    Some(address.to_owned())
}
