//! The structure of a text: its blocks, the strength of the borders between them, and its headings.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// How willingly a text is split at a place; greater is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Border {
    /// Within a block that is longer than a chunk.
    Inside,
    /// After a heading, or after the head of a table: what follows belongs to it.
    Led,
    /// Between rows of a table, or items of a list.
    Item,
    /// Between paragraphs, code blocks, lists and tables.
    Block,
    /// Before a section; 6 is the outermost.
    Section(u8),
}

/// What a block consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Words; may be split where it has to be, and an overlap may begin at any of them.
    Prose,
    /// Code, a heading, a row of a table: not split unless it is longer than a chunk.
    Whole,
}

/// A block. The blocks of a text follow each other without gaps: a mark such as `-` or `>` goes with the block on its
/// line, empty lines with the block above them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) start: usize,
    pub(super) end: usize,
    /// How willingly the text is split at `start`.
    pub(super) border: Border,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Heading {
    start: usize,
    /// From 1, the outermost.
    level: u8,
    title: String,
}

/// The structure of a text.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub(super) blocks: Vec<Block>,
    headings: Vec<Heading>,
    /// Whether prose is Markdown, with links and emphasis that are better not split.
    pub(super) markdown: bool,
}

impl Outline {
    /// Paragraphs between empty lines.
    pub(super) fn plain(text: &str) -> Self {
        let mut blocks = Vec::new();
        let (mut start, mut border, mut empty, mut seen) = (0, Border::Block, 0, 0);
        for line in text.split_inclusive('\n') {
            if line.trim().is_empty() {
                empty += 1;
            } else {
                if empty > 0 {
                    blocks.push((start, border));
                    // Empty lines go with the paragraph before them.
                    (start, border) = (seen, between(empty));
                }
                empty = 0;
            }
            seen += line.len();
        }
        blocks.push((start, border));
        let blocks = blocks
            .into_iter()
            .map(|(start, border)| (start, border, Kind::Prose));
        Self {
            blocks: tiled(text, blocks.collect()),
            ..Self::default()
        }
    }

    /// The blocks and headings of Markdown, with tables, footnotes and task lists.
    pub(super) fn markdown(text: &str) -> Self {
        let options =
            Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES | Options::ENABLE_TASKLISTS;
        let mut reading = Reading {
            text,
            starts: Vec::new(),
            headings: Vec::new(),
            items: 0,
            after: None,
            title: None,
        };
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            reading.read(event, &range);
        }
        Self {
            blocks: tiled(text, reading.starts),
            headings: reading.headings,
            markdown: true,
        }
    }

    /// The titles of the headings above a byte, outermost first.
    pub(super) fn path(&self, byte: usize) -> Vec<&str> {
        let above = self
            .headings
            .partition_point(|heading| heading.start <= byte);
        let mut path = Vec::new();
        let mut level = u8::MAX;
        for heading in self.headings[..above].iter().rev() {
            if heading.level < level {
                path.push(heading.title.as_str());
                level = heading.level;
            }
            if level == 1 {
                break;
            }
        }
        path.reverse();
        path
    }
}

/// The border that so many empty lines make.
fn between(empty: usize) -> Border {
    match empty {
        0 | 1 => Border::Block,
        more => Border::Section((more - 1).min(6) as u8),
    }
}

/// Blocks from where they start: the first begins with the text, and each ends where the next one starts.
fn tiled(text: &str, mut starts: Vec<(usize, Border, Kind)>) -> Vec<Block> {
    starts.sort_by_key(|(start, ..)| *start);
    // What begins at the same line is one block: a list, its first item, and the paragraph in it.
    starts.dedup_by(|next, block| {
        let same = next.0 == block.0;
        if same {
            let led = [block.1, next.1].contains(&Border::Led);
            block.1 = if led {
                Border::Led
            } else {
                block.1.max(next.1)
            };
            block.2 = next.2;
        }
        same
    });
    match starts.first_mut() {
        Some(first) => first.0 = 0,
        // Markdown may have text and no block: definitions of links.
        None => starts.push((0, Border::Block, Kind::Prose)),
    }
    let ends: Vec<usize> = starts
        .iter()
        .skip(1)
        .map(|(start, ..)| *start)
        .chain([text.len()])
        .collect();
    let blocks = starts.into_iter().zip(ends);
    blocks
        .map(|((start, border, kind), end)| Block {
            start,
            end,
            border,
            kind,
        })
        .collect()
}

/// Markdown while it is read.
struct Reading<'t> {
    text: &'t str,
    starts: Vec<(usize, Border, Kind)>,
    headings: Vec<Heading>,
    /// How many items of lists are open.
    items: usize,
    /// The border that the next block has because of the one before it.
    after: Option<Border>,
    /// The title of the heading that is open.
    title: Option<String>,
}

impl Reading<'_> {
    fn read(&mut self, event: Event<'_>, range: &Range<usize>) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                let level = level as u8;
                self.block(range.start, Border::Section(7 - level), Kind::Whole);
                self.headings.push(Heading {
                    start: self.line(range.start),
                    level,
                    title: String::new(),
                });
                self.title = Some(String::new());
            }
            Event::End(TagEnd::Heading(_)) => {
                let title = self.title.take().unwrap_or_default();
                if let Some(heading) = self.headings.last_mut() {
                    title.trim().clone_into(&mut heading.title);
                }
                self.after = Some(Border::Led);
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(title) = &mut self.title {
                    title.push_str(&text);
                }
            }
            Event::Start(tag) => self.start(&tag, range.start),
            Event::End(TagEnd::Item) => self.items = self.items.saturating_sub(1),
            Event::End(TagEnd::TableHead) => self.after = Some(Border::Led),
            Event::End(TagEnd::Table) => self.after = None,
            Event::Rule => self.block(range.start, Border::Block, Kind::Whole),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>, start: usize) {
        match tag {
            Tag::Paragraph => {
                let border = if self.items > 0 {
                    Border::Item
                } else {
                    Border::Block
                };
                self.block(start, border, Kind::Prose);
            }
            Tag::CodeBlock(_) | Tag::HtmlBlock => {
                let border = if self.items > 0 {
                    Border::Item
                } else {
                    Border::Block
                };
                self.block(start, border, Kind::Whole);
            }
            Tag::List(_) | Tag::BlockQuote(_) if self.items == 0 => {
                self.block(start, Border::Block, Kind::Prose);
            }
            Tag::FootnoteDefinition(_) => self.block(start, Border::Block, Kind::Prose),
            Tag::Table(_) => self.block(start, Border::Block, Kind::Whole),
            Tag::TableRow => self.block(start, Border::Item, Kind::Whole),
            Tag::Item => {
                self.items += 1;
                self.block(start, Border::Item, Kind::Prose);
            }
            _ => {}
        }
    }

    fn block(&mut self, start: usize, border: Border, kind: Kind) {
        // Only the weaker of the two is certain: a section right below a heading is still led by it.
        let border = self.after.take().map_or(border, |after| after.min(border));
        self.starts.push((self.line(start), border, kind));
    }

    /// The start of the line, so that indentation and marks go with their block.
    fn line(&self, start: usize) -> usize {
        self.text[..start].rfind('\n').map_or(0, |place| place + 1)
    }
}
