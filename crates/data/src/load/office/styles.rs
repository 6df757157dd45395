//! The styles and lists of a DOCX document: which paragraphs are headings, and which are items of which list.

use std::collections::{BTreeMap, HashMap};

use crate::error::Result;
use crate::load::xml::{Element, Xml};

/// How many styles a style may be based on, one upon the other; a cycle ends here.
const CHAIN_LIMIT: usize = 16;

/// What a paragraph says of itself, or a style of its paragraphs.
#[derive(Debug, Default, Clone)]
pub(super) struct Layout {
    /// The style that it follows.
    pub(super) style: Option<String>,
    /// Level of a heading from 0; 9 is running text.
    outline: Option<usize>,
    list: Option<String>,
    depth: Option<usize>,
    /// Whether the end of the paragraph was deleted, so that it goes on in the next.
    pub(super) joined: bool,
}

/// What a paragraph is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A heading of a level from 1.
    Heading(usize),
    Item {
        list: String,
        depth: usize,
    },
    Paragraph,
}

/// The styles of a document by their ids.
#[derive(Debug, Default)]
pub(super) struct Styles(HashMap<String, Style>);

#[derive(Debug, Default)]
struct Style {
    name: String,
    layout: Layout,
}

impl Layout {
    /// Reads the properties of a paragraph.
    pub(super) fn read(xml: &mut Xml<'_>) -> Result<Self> {
        let mut layout = Self::default();
        while let Some(element) = xml.child()? {
            let value = element.attribute("val");
            match element.name() {
                "pStyle" => layout.style = value,
                "outlineLvl" => layout.outline = element.number("val"),
                "numPr" => {
                    while let Some(element) = xml.child()? {
                        match element.name() {
                            "numId" => layout.list = element.attribute("val"),
                            "ilvl" => layout.depth = element.number("val"),
                            _ => {}
                        }
                        xml.skip()?;
                    }
                    continue;
                }
                "rPr" => {
                    while let Some(element) = xml.child()? {
                        layout.joined |= matches!(element.name(), "del" | "moveFrom");
                        xml.skip()?;
                    }
                    continue;
                }
                _ => {}
            }
            xml.skip()?;
        }
        Ok(layout)
    }
}

impl Styles {
    /// Reads `word/styles.xml`.
    pub(super) fn read(mut xml: Xml<'_>) -> Result<Self> {
        let mut styles = HashMap::new();
        if !xml.find("styles")? {
            return Ok(Self(styles));
        }
        while let Some(element) = xml.child()? {
            let id = element.attribute("styleId");
            let (Some(id), "style") = (id, element.name()) else {
                xml.skip()?;
                continue;
            };
            styles.insert(id, Style::read(&mut xml)?);
        }
        Ok(Self(styles))
    }

    /// What a paragraph is, by itself or by its styles.
    pub(super) fn kind(&self, layout: &Layout) -> Kind {
        let mut chain = vec![layout];
        let mut names = Vec::new();
        while let Some(style) = chain.last().and_then(|last| last.style.as_ref()) {
            match self.0.get(style) {
                Some(style) if chain.len() < CHAIN_LIMIT => {
                    names.push(style.name.as_str());
                    chain.push(&style.layout);
                }
                _ => break,
            }
        }
        let outline = chain.iter().find_map(|layout| layout.outline);
        match outline {
            Some(level @ 0..9) => return Kind::Heading(level + 1),
            None if names.contains(&"title") => return Kind::Heading(1),
            _ => {}
        }
        // List 0 takes a paragraph out of the list of its style.
        match chain.iter().find_map(|layout| layout.list.clone()) {
            Some(list) if list != "0" => Kind::Item {
                list,
                depth: chain.iter().find_map(|layout| layout.depth).unwrap_or(0),
            },
            _ => Kind::Paragraph,
        }
    }
}

impl Style {
    fn read(xml: &mut Xml<'_>) -> Result<Self> {
        let mut style = Self::default();
        let mut based = None;
        while let Some(element) = xml.child()? {
            match element.name() {
                "name" => style.name = element.attribute("val").unwrap_or_default().to_lowercase(),
                "basedOn" => based = element.attribute("val"),
                "pPr" => {
                    style.layout = Layout::read(xml)?;
                    continue;
                }
                _ => {}
            }
            xml.skip()?;
        }
        style.layout.style = based;
        let level = style
            .name
            .strip_prefix("heading ")
            .and_then(|level| level.parse().ok());
        style.layout.outline = style
            .layout
            .outline
            .or(level.map(|level: usize| level.saturating_sub(1)));
        Ok(style)
    }
}

/// The lists of a document, and how far each has counted.
#[derive(Debug, Default)]
pub(super) struct Lists {
    /// The levels by the id of a list's definition.
    definitions: HashMap<String, BTreeMap<usize, Level>>,
    /// The definition of each list.
    instances: HashMap<String, String>,
    /// The number of the last item of each level of each list.
    counts: HashMap<String, BTreeMap<usize, usize>>,
}

#[derive(Debug)]
struct Level {
    bullet: bool,
    start: usize,
}

impl Lists {
    /// Reads `word/numbering.xml`.
    pub(super) fn read(mut xml: Xml<'_>) -> Result<Self> {
        let mut lists = Self::default();
        if !xml.find("numbering")? {
            return Ok(lists);
        }
        while let Some(element) = xml.child()? {
            match element.name() {
                "abstractNum" => {
                    let id = element.attribute("abstractNumId").unwrap_or_default();
                    let levels = levels(&mut xml)?;
                    lists.definitions.insert(id, levels);
                }
                "num" => {
                    let id = element.attribute("numId").unwrap_or_default();
                    while let Some(element) = xml.child()? {
                        if element.name() == "abstractNumId" {
                            let definition = element.attribute("val").unwrap_or_default();
                            lists.instances.insert(id.clone(), definition);
                        }
                        xml.skip()?;
                    }
                }
                _ => xml.skip()?,
            }
        }
        Ok(lists)
    }

    /// The marker of the next item: `-`, or its number.
    pub(super) fn marker(&mut self, list: &str, depth: usize) -> String {
        let definition = self
            .instances
            .get(list)
            .and_then(|id| self.definitions.get(id));
        let Some(level) = definition.and_then(|levels| levels.get(&depth)) else {
            return "-".into();
        };
        let counts = self.counts.entry(list.into()).or_default();
        counts.retain(|other, _| *other <= depth);
        if level.bullet {
            return "-".into();
        }
        let count = counts.entry(depth).or_insert(level.start.saturating_sub(1));
        *count = count.saturating_add(1);
        format!("{count}.")
    }
}

/// The levels of a list's definition.
fn levels(xml: &mut Xml<'_>) -> Result<BTreeMap<usize, Level>> {
    let mut levels = BTreeMap::new();
    while let Some(element) = xml.child()? {
        if element.name() != "lvl" {
            xml.skip()?;
            continue;
        }
        let depth = element.number("ilvl").unwrap_or(0);
        let mut level = Level {
            bullet: false,
            start: 1,
        };
        while let Some(element) = xml.child()? {
            level.note(&element);
            xml.skip()?;
        }
        levels.insert(depth, level);
    }
    Ok(levels)
}

impl Level {
    fn note(&mut self, element: &Element<'_>) {
        match element.name() {
            "numFmt" => {
                self.bullet =
                    matches!(element.attribute("val").as_deref(), Some("bullet" | "none"));
            }
            "start" => self.start = element.number("val").unwrap_or(1),
            _ => {}
        }
    }
}
