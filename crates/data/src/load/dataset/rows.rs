//! Texts as data sets have them: every line is a row, a blank one too.

use std::path::Path;
use std::sync::Arc;

use crate::document::{Document, Documents, Load, Origin, Raw, Record, Records, documents};
use crate::error::{Place, Result};
use crate::load::lines::{Cut, Lines, records};
use crate::load::sniff::Format;
use crate::load::source::Source;
use crate::load::text::{decode, too_long};

pub(super) struct TextRows;

impl Load for TextRows {
    fn extensions(&self) -> &[&str] {
        &["txt"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        Ok(records(Rows(Lines::new(Source::open(path, Format::Text)?))))
    }
}

struct Rows(Lines);

impl Cut for Rows {
    fn cut(&mut self) -> Result<Option<Record>> {
        let Some(line) = self.0.next()? else {
            return Ok(None);
        };
        let place = Place::at(self.0.source.path(), line.number, 1);
        Ok(Some(match line.raw {
            Raw::Bytes(raw) => Record::later(raw, place, Arc::new(row)),
            raw => Record::broken(raw, too_long(place, "line")),
        }))
    }

    fn source(&self) -> &Source {
        &self.0.source
    }
}

fn row(raw: &[u8], place: &Place) -> Result<Document> {
    let text = decode(raw, place)?;
    let text = text.trim_end_matches(['\n', '\r']);
    Ok(Document {
        text: String::new(),
        fields: [("text".to_string(), text.into())].into(),
        origin: Origin::new(&place.path, place.line),
    })
}
