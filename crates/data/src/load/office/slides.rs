//! The slides of a PPTX presentation.

use std::collections::HashSet;

use super::package::Relations;
use crate::error::Result;
use crate::load::blocks::{Blocks, link};
use crate::load::parts::Parts;
use crate::load::table::{Table, line};
use crate::load::xml::{Element, Xml};

/// What is read of a slide.
#[derive(Debug, Default)]
pub(super) struct Slide {
    pub(super) title: String,
    pub(super) text: String,
    pub(super) notes: String,
    pub(super) hidden: bool,
}

/// The names of the slides' parts in the order in which they are shown.
pub(super) fn order(parts: &mut Parts, main: &str) -> Result<Vec<String>> {
    let relations = Relations::of(parts, main)?;
    let text = parts.required(main)?;
    let part = parts.part(main);
    let mut xml = Xml::new(&text, part);
    let (mut slides, mut seen) = (Vec::new(), HashSet::new());
    if !xml.find("presentation")? {
        return Err(xml.broken("it is no presentation"));
    }
    while let Some(element) = xml.child()? {
        if element.name() != "sldIdLst" {
            xml.skip()?;
            continue;
        }
        while let Some(element) = xml.child()? {
            let id = element.prefixed("id").unwrap_or_default();
            let slide = relations.part(&id).map(str::to_owned);
            let Some(slide) = slide.filter(|slide| seen.insert(slide.clone())) else {
                let place = slides.len() + 1;
                return Err(part.broken(&format!(
                    "slide {place} has no part of its own (r:id {id:?})"
                )));
            };
            slides.push(slide);
            xml.skip()?;
        }
    }
    Ok(slides)
}

/// Reads a slide and its notes.
pub(super) fn read(parts: &mut Parts, name: &str) -> Result<Slide> {
    let relations = Relations::of(parts, name)?;
    let text = parts.required(name)?;
    let mut slide = Slide::default();
    let mut xml = Xml::new(&text, parts.part(name));
    let Some(root) = xml.child()? else {
        return Err(xml.broken("it is empty"));
    };
    slide.hidden = !root.flag("show", true);
    let mut shapes = Shapes::new(&relations);
    shapes.tree(&mut xml)?;
    slide.title = shapes.title;
    slide.text = shapes.blocks.finish();
    if let Some(name) = relations.kind("notesSlide") {
        let relations = Relations::of(parts, name)?;
        if let Some(text) = parts.optional(name)? {
            let mut shapes = Shapes::new(&relations);
            shapes.notes = true;
            shapes.tree(&mut Xml::new(&text, parts.part(name)))?;
            slide.notes = shapes.blocks.finish();
        }
    }
    Ok(slide)
}

/// The shapes of a slide while they are read.
struct Shapes<'a> {
    relations: &'a Relations,
    /// Whether the page is one of notes, where only the notes themselves count.
    notes: bool,
    title: String,
    blocks: Blocks,
}

/// What a shape is there for, as its placeholder says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Title,
    /// The content of the slide or page of notes, whose paragraphs are items unless they say otherwise.
    Content,
    /// Date, footer and number of the slide, which say the same on each.
    Margin,
    /// Anything else: text boxes, subtitles, labels.
    Plain,
}

/// How a paragraph is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Inherited,
    None,
    Bullet,
    Number,
}

impl<'a> Shapes<'a> {
    fn new(relations: &'a Relations) -> Self {
        Self {
            relations,
            notes: false,
            title: String::new(),
            blocks: Blocks::default(),
        }
    }

    /// Walks down to shapes and tables, in the order of the file.
    fn tree(&mut self, xml: &mut Xml<'_>) -> Result<()> {
        let mut chosen = false;
        while let Some(element) = xml.child()? {
            match element.name() {
                "sp" | "cxnSp" => self.shape(xml)?,
                "tbl" => {
                    let mut table = Table::default();
                    self.rows(xml, &mut table)?;
                    if !self.notes {
                        self.blocks.table(table);
                    }
                }
                // A shape may be there twice, for new and for old programs.
                "Choice" | "Fallback" if chosen => xml.skip()?,
                "Choice" | "Fallback" => {
                    chosen = true;
                    self.tree(xml)?;
                }
                "extLst" | "timing" | "transition" => xml.skip()?,
                _ => self.tree(xml)?,
            }
        }
        Ok(())
    }

    fn shape(&mut self, xml: &mut Xml<'_>) -> Result<()> {
        let mut role = Role::Plain;
        while let Some(element) = xml.child()? {
            match element.name() {
                "nvSpPr" | "nvCxnSpPr" => role = placeholder(xml, role)?,
                "txBody" => {
                    let wanted = !self.notes || role == Role::Content;
                    if wanted && role != Role::Margin {
                        self.body(xml, role)?;
                    } else {
                        xml.skip()?;
                    }
                }
                _ => xml.skip()?,
            }
        }
        Ok(())
    }

    /// The paragraphs of a shape.
    fn body(&mut self, xml: &mut Xml<'_>, role: Role) -> Result<()> {
        let (mut numbers, mut title) = ([0; 10], String::new());
        while let Some(element) = xml.child()? {
            if element.name() != "p" {
                xml.skip()?;
                continue;
            }
            let (text, depth, mark) = self.paragraph(xml)?;
            let mark = match mark {
                Mark::Inherited if depth > 0 || (role == Role::Content && !self.notes) => {
                    Mark::Bullet
                }
                mark => mark,
            };
            let depth = depth.min(9);
            numbers[depth + 1..].fill(0);
            match (role, mark) {
                (Role::Title, _) => title = format!("{title} {text}"),
                _ if text.trim().is_empty() => {}
                (_, Mark::Bullet) => self.blocks.item(depth, "-", &text),
                (_, Mark::Number) => {
                    numbers[depth] += 1;
                    self.blocks
                        .item(depth, &format!("{}.", numbers[depth]), &text);
                }
                _ => self.blocks.paragraph(&text),
            }
        }
        let title = line(&title);
        self.blocks.heading(1, &title);
        if self.title.is_empty() {
            self.title = title;
        }
        Ok(())
    }

    /// The text of a paragraph, how deep it is indented, and its mark.
    fn paragraph(&self, xml: &mut Xml<'_>) -> Result<(String, usize, Mark)> {
        let (mut text, mut depth, mut mark) = (String::new(), 0, Mark::Inherited);
        while let Some(element) = xml.child()? {
            match element.name() {
                "pPr" => {
                    depth = element.number("lvl").unwrap_or(0);
                    while let Some(element) = xml.child()? {
                        match element.name() {
                            "buNone" => mark = Mark::None,
                            "buChar" | "buBlip" => mark = Mark::Bullet,
                            "buAutoNum" => mark = Mark::Number,
                            _ => {}
                        }
                        xml.skip()?;
                    }
                }
                "br" => {
                    text.push('\n');
                    xml.skip()?;
                }
                "r" | "fld" | "AlternateContent" | "Choice" | "m" => text.push_str(&self.run(xml)?),
                _ => xml.skip()?,
            }
        }
        Ok((text, depth, mark))
    }

    /// The text of a run, as a link if it is one. A formula is read for its text.
    fn run(&self, xml: &mut Xml<'_>) -> Result<String> {
        let (mut text, mut address) = (String::new(), None);
        while let Some(element) = xml.child()? {
            match element.name() {
                "t" => text.push_str(&xml.text()?),
                "hlinkClick" => {
                    let id = element.prefixed("id").unwrap_or_default();
                    address = self.relations.address(&id);
                    xml.skip()?;
                }
                "rPr" => {
                    while let Some(element) = xml.child()? {
                        if element.name() == "hlinkClick" {
                            let id = element.prefixed("id").unwrap_or_default();
                            address = self.relations.address(&id);
                        }
                        xml.skip()?;
                    }
                }
                "Fallback" => xml.skip()?,
                _ => text.push_str(&self.run(xml)?),
            }
        }
        Ok(address.map_or(text.clone(), |address| link(&text, address)))
    }

    fn rows(&mut self, xml: &mut Xml<'_>, table: &mut Table) -> Result<()> {
        while let Some(element) = xml.child()? {
            if element.name() != "tr" {
                xml.skip()?;
                continue;
            }
            table.row();
            while let Some(element) = xml.child()? {
                if element.name() == "tc" {
                    let text = self.cell(xml)?;
                    // The cells that a merged one spans are there, and empty.
                    table.cell(&text, 1);
                } else {
                    xml.skip()?;
                }
            }
        }
        Ok(())
    }

    fn cell(&self, xml: &mut Xml<'_>) -> Result<String> {
        let mut all = String::new();
        while let Some(element) = xml.child()? {
            if element.name() != "txBody" {
                xml.skip()?;
                continue;
            }
            while let Some(element) = xml.child()? {
                if element.name() == "p" {
                    let (text, ..) = self.paragraph(xml)?;
                    all.push_str(&text);
                    all.push('\n');
                } else {
                    xml.skip()?;
                }
            }
        }
        Ok(all)
    }
}

/// The role of the shape whose properties are open.
fn placeholder(xml: &mut Xml<'_>, mut role: Role) -> Result<Role> {
    while let Some(element) = xml.child()? {
        if element.name() == "ph" {
            role = role_of(&element);
        }
        role = placeholder(xml, role)?;
    }
    Ok(role)
}

fn role_of(placeholder: &Element<'_>) -> Role {
    match placeholder.attribute("type").as_deref() {
        Some("title" | "ctrTitle") => Role::Title,
        None | Some("body" | "obj") => Role::Content,
        Some("dt" | "ftr" | "sldNum" | "hdr" | "sldImg") => Role::Margin,
        Some(_) => Role::Plain,
    }
}
