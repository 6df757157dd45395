//! Dumps of Wikipedia and its sisters: the XML that `MediaWiki` exports, page by page.

mod aside;
mod pages;
mod text;

use std::path::Path;
use std::sync::Arc;

use pages::{Page, Pages};

use super::sniff::Format;
use super::source::Source;
use crate::document::{
    Document, Documents, Load, Origin, PlaceUnit, Read, Record, Records, documents,
};
use crate::error::{Place, Result};

/// Loads `pages-articles.xml`, usually packed as `.xml.bz2`: a document per article, read one after the other.
///
/// The text is the article without its markup: headings, lists, tables (their captions above them), preformatted lines and
/// formulas (TeX in `$…$`, in `$$…$$` if they are displayed) stay as Markdown; templates, references, files and categories
/// are left out. What the parser of the markup does not read (a table with merged cells) is reduced to its words, and the
/// field `unread` counts such places. Fields: `title`, `id`, `url`,
/// `date`, `author` (of the last revision), `language` and `licence`.
///
/// Redirections and pages of other namespaces (talk, templates, categories) are dropped, each under its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wikipedia {
    /// The namespaces whose pages are read. Default: 0, the articles.
    pub namespaces: Vec<i64>,
}

impl Default for Wikipedia {
    fn default() -> Self {
        Self {
            namespaces: vec![0],
        }
    }
}

impl Load for Wikipedia {
    /// None: `.xml` says nothing, the first bytes do.
    fn extensions(&self) -> &[&str] {
        &[]
    }

    fn recognises(&self, _: &Path, head: &[u8]) -> bool {
        let mut windows = head.windows(b"<mediawiki".len());
        windows.any(|window| window == b"<mediawiki")
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let source = Source::open(path, Format::Text)?;
        let notes = source.notes();
        let mut pages = Some(Pages::new(source));
        let loader = self.clone();
        let path = path.to_path_buf();
        let mut number = 0;
        let records = std::iter::from_fn(move || {
            let page = pages.as_mut()?.next_page().transpose();
            if !matches!(page, Some(Ok(_))) {
                pages = None;
            }
            number += 1;
            Some(page?.map(|page| loader.record(page, &path, number)))
        });
        Ok(Box::new(notes.map(Ok).chain(records)))
    }
}

impl Wikipedia {
    fn record(&self, page: Page, path: &Path, number: u64) -> Record {
        let place = Place::of(path, PlaceUnit::Page, number);
        if page.redirects {
            return Record::dropped("redirections");
        }
        if !self.namespaces.contains(&page.namespace) {
            return Record::dropped("pages of other namespaces");
        }
        let fields = page.fields;
        let read: Read = Arc::new(move |raw, place| {
            let wikitext = super::text::decode(raw, place)?;
            let (text, unread) = text::text(wikitext, place)?;
            let mut fields = fields.clone();
            if unread > 0 {
                fields.insert("unread".into(), unread.into());
            }
            Ok(Document {
                text,
                fields,
                origin: Origin::of(&place.path, place.unit, place.line),
            })
        });
        Record::later(page.wikitext.into_bytes(), place, read)
    }
}
