//! The text of a page of a book, XHTML, as Markdown.

use quick_xml::escape::resolve_html5_entity;

use crate::error::Result;
use crate::load::blocks::{Blocks, link};
use crate::load::table::{Table, line};
use crate::load::xml::{Element, Node, Xml};

/// A page's text.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) text: String,
    /// The first heading, or what the page calls itself.
    pub(super) title: String,
}

/// Reads a page.
pub(super) fn read(xml: Xml<'_>) -> Result<Page> {
    let mut xml = xml.entities(resolve_html5_entity);
    let mut flow = Flow::default();
    let mut title = String::new();
    let root = xml.child()?;
    if root.is_none_or(|root| root.name() != "html") {
        return Err(xml.broken("it is no page of a book"));
    }
    while let Some(element) = xml.child()? {
        match element.name() {
            "head" => {
                while let Some(element) = xml.child()? {
                    if element.name() == "title" {
                        title = line(&xml.text()?);
                    } else {
                        xml.skip()?;
                    }
                }
            }
            _ => flow.children(&mut xml)?,
        }
    }
    flow.flush();
    Ok(Page {
        text: flow.blocks.finish(),
        title: flow.heading.unwrap_or(title),
    })
}

/// Text that flows: finished blocks, and the line that is being filled.
#[derive(Default)]
struct Flow {
    blocks: Blocks,
    line: String,
    /// The marker of an item whose text has not begun, and how deep its list is.
    item: Option<(usize, String)>,
    /// How many lists are open.
    lists: usize,
    /// How many lines have ended, those without text included.
    ended: usize,
    /// The first heading.
    heading: Option<String>,
}

impl Flow {
    fn children(&mut self, xml: &mut Xml<'_>) -> Result<()> {
        while let Some(node) = xml.next()? {
            match node {
                Node::Text(text) => self.push(&text),
                Node::Element(element) => self.element(&element, xml)?,
            }
        }
        Ok(())
    }

    fn element(&mut self, element: &Element<'_>, xml: &mut Xml<'_>) -> Result<()> {
        match element.name() {
            "h1" | "h2" | "h3" | "h4" | "h5" | "h6" => self.head(element.name(), xml)?,
            "ul" | "ol" => self.list(element, xml)?,
            "table" => {
                self.flush();
                let mut table = Table::default();
                self.rows(xml, &mut table)?;
                self.blocks.table(table);
            }
            "pre" => {
                self.flush();
                let text = xml.text()?;
                if !text.trim().is_empty() {
                    self.blocks
                        .raw(&format!("```\n{}\n```", text.trim_matches('\n')));
                }
            }
            "br" => {
                self.line.push('\n');
                xml.skip()?;
            }
            "a" => {
                let start = self.line.len();
                let ended = self.ended;
                self.children(xml)?;
                let address = element.attribute("href").unwrap_or_default();
                let outside = address.starts_with("http") || address.starts_with("mailto:");
                // A link around whole blocks has no place in one line.
                if outside && self.ended == ended {
                    let text = link(&self.line[start..], &address);
                    self.line.truncate(start);
                    self.line.push_str(&text);
                }
            }
            "rt" | "rp" | "script" | "style" | "template" | "svg" | "iframe" | "object"
            | "audio" | "video" => {
                xml.skip()?;
            }
            "nav"
                if element
                    .attribute("type")
                    .is_some_and(|kind| kind.contains("toc")) =>
            {
                xml.skip()?;
            }
            name if is_block(name) => {
                self.flush();
                self.children(xml)?;
                self.flush();
            }
            _ => self.children(xml)?,
        }
        Ok(())
    }

    fn head(&mut self, name: &str, xml: &mut Xml<'_>) -> Result<()> {
        self.flush();
        let mut inside = Self::default();
        inside.children(xml)?;
        inside.flush();
        let text = line(&inside.blocks.finish());
        let level = name[1..].parse().unwrap_or(1);
        self.blocks.heading(level, &text);
        if self.heading.is_none() && !text.is_empty() {
            self.heading = Some(text);
        }
        Ok(())
    }

    fn list(&mut self, element: &Element<'_>, xml: &mut Xml<'_>) -> Result<()> {
        self.flush();
        let mut number = element.number("start").unwrap_or(1);
        let ordered = element.name() == "ol";
        self.lists += 1;
        while let Some(element) = xml.child()? {
            if element.name() == "li" {
                let marker = if ordered {
                    format!("{number}.")
                } else {
                    "-".into()
                };
                number = number.saturating_add(1);
                self.item = Some((self.lists - 1, marker));
                self.children(xml)?;
                self.flush();
                self.item = None;
            } else {
                self.element(&element, xml)?;
            }
        }
        self.lists -= 1;
        Ok(())
    }

    /// The rows of the open table or part of a table; its caption comes before it.
    fn rows(&mut self, xml: &mut Xml<'_>, table: &mut Table) -> Result<()> {
        while let Some(element) = xml.child()? {
            match element.name() {
                "tr" => {
                    table.row();
                    while let Some(element) = xml.child()? {
                        let mut inside = Self {
                            blocks: Blocks::cell(),
                            ..Self::default()
                        };
                        inside.children(xml)?;
                        inside.flush();
                        let text = inside.blocks.finish();
                        table.cell(&text, element.number("colspan").unwrap_or(1));
                    }
                }
                "caption" => {
                    self.children(xml)?;
                    self.flush();
                }
                _ => self.rows(xml, table)?,
            }
        }
        Ok(())
    }

    /// Ends the line as a block.
    fn flush(&mut self) {
        self.ended += 1;
        if self.line.trim().is_empty() {
            self.line.clear();
            return;
        }
        let text = std::mem::take(&mut self.line);
        match self.item.take() {
            Some((depth, marker)) => self.blocks.item(depth, &marker, &text),
            None => self.blocks.paragraph(&text),
        }
    }

    /// Adds text as the format reads it: white space is one space, and none at the beginning of a line.
    fn push(&mut self, text: &str) {
        for character in text.chars() {
            let space = matches!(character, ' ' | '\t' | '\n' | '\r');
            if !space {
                self.line.push(character);
            } else if !self.line.is_empty() && !self.line.ends_with([' ', '\n']) {
                self.line.push(' ');
            }
        }
    }
}

fn is_block(name: &str) -> bool {
    matches!(
        name,
        "p" | "div"
            | "section"
            | "article"
            | "header"
            | "footer"
            | "main"
            | "aside"
            | "nav"
            | "figure"
            | "figcaption"
            | "blockquote"
            | "address"
            | "center"
            | "dl"
            | "dt"
            | "dd"
            | "hr"
            | "body"
            | "details"
            | "summary"
            | "hgroup"
    )
}
