//! Books in EPUB.

mod package;
mod page;

use std::path::Path;

use serde_json::Value;

use super::parts::Parts;
use super::xml::Xml;
use crate::document::{Document, Documents, Load, Origin, PlaceUnit, Record, Records, documents};
use crate::error::{DataError, Place, Result, quoted};
use package::{Chapter, Package};

/// Loads `.epub` books, a document per chapter in the order of reading; a chapter is a file of the book, whose place is
/// its number in that order.
///
/// The text is Markdown: headings `#`, items of lists, tables with their first row as head, links that lead out of the
/// book as `[text](address)`, and preformatted text between fences. Pictures, scripts, readings beside characters and
/// the book's table of contents are left out. A chapter without text, such as a cover, counts as blank.
///
/// Fields: `title`, `author` (a list if there are several), `language`, `date`, `licence` (the rights as the book
/// states them), `publisher`, `id`, `description` and `keywords` of the book, as far as it has them, and `section`, the
/// first heading of the chapter or its title.
///
/// A chapter that is encrypted or is not well-formed XML is an error of that chapter. Limits are those of
/// [`TextDocument`](super::TextDocument).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epub;

impl Load for Epub {
    fn extensions(&self) -> &[&str] {
        &["epub"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let mut parts = Parts::open(path, "EPUB book")?;
        let mut package = Package::read(&mut parts)?;
        let chapters = std::mem::take(&mut package.chapters);
        let chapters = chapters.into_iter().enumerate();
        Ok(Box::new(chapters.map(move |(index, chapter)| {
            let origin = Origin::of(parts.path(), PlaceUnit::Chapter, index as u64 + 1);
            let document = document(&mut parts, &package, &chapter, origin);
            Ok(document
                .transpose()
                .map_or_else(Record::blank, Record::ready))
        })))
    }
}

/// A chapter as a document; `None` if it has no text.
fn document(
    parts: &mut Parts,
    package: &Package,
    chapter: &Chapter,
    origin: Origin,
) -> Result<Option<Document>> {
    if chapter.encrypted {
        return Err(DataError::Unsupported {
            place: Place::from(&origin),
            what: format!("the encrypted chapter {}", quoted(&chapter.part)),
            hint: "Get the book without protection against copies",
        });
    }
    if !chapter.is_text {
        return Ok(None);
    }
    let text = parts.required(&chapter.part)?;
    let page = page::read(Xml::new(&text, parts.part(&chapter.part)))?;
    if page.text.is_empty() {
        return Ok(None);
    }
    let mut fields = package.fields.clone();
    if !page.title.is_empty() {
        fields.insert("section".into(), Value::from(page.title));
    }
    Ok(Some(Document {
        text: page.text,
        fields,
        origin,
    }))
}
