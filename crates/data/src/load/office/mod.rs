//! Documents and presentations of office programs: DOCX and PPTX, ODT and ODP.
//!
//! The readers are our own: what is on hand reads a file into one tree without a limit, or loses the order of slides,
//! the numbers of notes and the place of an error.

mod open;
mod open_files;
pub(in crate::load) mod package;
mod slides;
mod styles;
mod word;

use std::path::{Path, PathBuf};

use serde_json::Value;
use slides::Slide;

pub(in crate::load) use open_files::{properties, refuse_encrypted};

use super::packing::Packing;
use super::parts::Parts;
use crate::document::{
    Document, Documents, Fields, Load, Origin, PlaceUnit, Record, Records, documents,
};
use crate::error::Result;

/// Loads text documents: `.docx` (and `.docm`, `.dotx`) and `.odt` (and `.ott`), one document per file.
///
/// The text is Markdown: headings `#`, items of lists `-` or their numbers, tables with their first row as head, links
/// as `[text](address)`, footnotes and endnotes as `[^1]` with their texts at the end. Text boxes follow the paragraph
/// that they are anchored to. Tracked changes are read as accepted: what was inserted is text, what was deleted is not.
/// Left out are comments, headers and footers, pictures, charts, formulas of fields (their results stay), and the
/// numbers of headings.
///
/// Fields: `title`, `author`, `date` (when it was made), `language`, `subject`, `description`, `keywords`, as far as
/// the file has them.
///
/// A part of a file may have 256 MiB, all parts together 200 times the file's size or 64 MiB, elements may be nested
/// 200 deep. Nothing outside the file is opened, and entities of a document type are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TextDocument;

/// Loads presentations: `.pptx` (and `.pptm`, `.ppsx`, `.potx`) and `.odp` (and `.otp`), a document per slide in the
/// order in which they are shown.
///
/// The text is Markdown as [`TextDocument`] writes it: the title as a heading, then shapes and tables in the order of
/// the file. The paragraphs of a slide's content are items of a list, for so they are shown. Date, footer and number of
/// the slide are left out, and so are pictures, charts, diagrams and comments. A slide without text counts as blank.
///
/// Fields: those of the presentation as in [`TextDocument`]; `section`, the slide's title; `notes`, the speaker's notes,
/// which are not part of the text; and `hidden`, which is true for a slide that is not shown and missing for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Presentation;

impl Load for TextDocument {
    fn extensions(&self) -> &[&str] {
        &["docx", "docm", "dotx", "odt", "ott"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let (text, fields) = if is_open(path) {
            let mut parts = Parts::open(path, "ODT document")?;
            refuse_encrypted(&mut parts)?;
            let fields = properties(&mut parts)?;
            (open_files::text(&mut parts)?, fields)
        } else {
            let mut parts = Parts::open(path, "DOCX document")?;
            let (main, fields) = package::main(&mut parts, "word/document.xml")?;
            (word::text(&mut parts, &main)?, fields)
        };
        if text.is_empty() {
            return Ok(Box::new(std::iter::once(Ok(Record::blank()))));
        }
        let origin = Origin::new(path, 1);
        let document = Document {
            text,
            fields,
            origin,
        };
        Ok(Box::new(std::iter::once(Ok(Record::ready(Ok(document))))))
    }

    fn whole(&self) -> bool {
        true
    }
}

impl Load for Presentation {
    fn extensions(&self) -> &[&str] {
        &["pptx", "pptm", "ppsx", "potx", "odp", "otp"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        if is_open(path) {
            let mut parts = Parts::open(path, "ODP presentation")?;
            refuse_encrypted(&mut parts)?;
            let deck = Deck::new(path, properties(&mut parts)?);
            let slides = open_files::slides(&mut parts)?;
            let slides = slides.into_iter().enumerate();
            return Ok(Box::new(
                slides.map(move |(index, slide)| Ok(deck.record(index, Ok(slide)))),
            ));
        }
        let mut parts = Parts::open(path, "PPTX presentation")?;
        let (main, fields) = package::main(&mut parts, "ppt/presentation.xml")?;
        let deck = Deck::new(path, fields);
        let order = slides::order(&mut parts, &main)?.into_iter().enumerate();
        Ok(Box::new(order.map(move |(index, name)| {
            Ok(deck.record(index, slides::read(&mut parts, &name)))
        })))
    }
}

/// What the slides of a presentation share.
struct Deck {
    path: PathBuf,
    fields: Fields,
}

impl Deck {
    fn new(path: &Path, fields: Fields) -> Self {
        Self {
            path: path.into(),
            fields,
        }
    }

    fn record(&self, index: usize, slide: Result<Slide>) -> Record {
        let slide = match slide {
            Ok(slide) => slide,
            Err(error) => return Record::ready(Err(error)),
        };
        if slide.text.is_empty() && slide.notes.is_empty() {
            return Record::blank();
        }
        let mut fields = self.fields.clone();
        for (name, text) in [("section", slide.title), ("notes", slide.notes)] {
            if !text.is_empty() {
                fields.insert(name.into(), Value::from(text));
            }
        }
        if slide.hidden {
            fields.insert("hidden".into(), Value::from(true));
        }
        Record::ready(Ok(Document {
            text: slide.text,
            fields,
            origin: Origin::of(&self.path, PlaceUnit::Slide, index as u64 + 1),
        }))
    }
}

/// Whether the name is one of `OpenDocument`'s.
fn is_open(path: &Path) -> bool {
    let name = Packing::stem(path);
    let extension = name.extension().unwrap_or_default();
    ["odt", "ott", "odp", "otp"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}
