//! PDF documents, page by page.

mod direction;
mod encryption;
mod facts;
mod layout;
mod mend;
mod running;
mod tree;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pdf_oxide::PdfDocument;
use serde_json::Value;

use self::layout::Line;
use super::guard::guarded;
use super::whole::{DOCUMENT_LIMIT, contents};
use crate::document::{
    Document, Documents, Fields, Load, Origin, PlaceUnit, Record, Records, documents,
};
use crate::error::{DataError, Place, Result, escaped};

/// The most pages.
const PAGE_LIMIT: u64 = 20_000;
/// For opening, and for each page.
const TIME_LIMIT: Duration = Duration::from_secs(8);
/// For all pages of a document, in addition for each of them.
const TIME_PER_PAGE: Duration = Duration::from_secs(1);

/// Loads `.pdf` files: a document per page.
///
/// Columns are read one after the other, lines of a paragraph are joined, words that a line's end divides are whole
/// again, ligatures are letters. A row of a table is a line with tabs between its cells. Lines that stand at the same
/// place of many pages (headers, footers, page numbers) are left out unless they are asked for; `left_out` counts
/// them on each page. Lines from right to left are in the order of reading, words of the other direction in them too.
///
/// Fields: `page` (from 1), `pages`, and where the document says so `title`, `author`, `date` (of its creation),
/// `subject`, `keywords`; on the first page `form`, the filled fields of a form by their names.
///
/// A page without text, as a scanned one is, is dropped and counted under that reason: nothing can be learned from an
/// empty text. A page that cannot be read is an error, and the next one follows. A document that needs a password, or is
/// encrypted otherwise than by AES-256 of revision 6, is refused with the name of its cipher. Limits: 256 MiB, 20,000 pages, 8 seconds for a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pdf {
    running: Running,
}

/// What becomes of running headers, footers and page numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Running {
    /// They are left out, and counted.
    #[default]
    LeftOut,
    /// They stay in the text.
    Kept,
}

impl Pdf {
    /// What becomes of running headers, footers and page numbers.
    pub fn running(mut self, running: Running) -> Self {
        self.running = running;
        self
    }
}

impl Load for Pdf {
    fn extensions(&self) -> &[&str] {
        &["pdf"]
    }

    fn whole(&self) -> bool {
        true
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let bytes = contents(path, DOCUMENT_LIMIT)?;
        let head = &bytes[..bytes.len().min(1024)];
        if !head.windows(5).any(|window| window == b"%PDF-") {
            return Err(DataError::WrongFormat {
                place: Place::file(path),
                found: "other data",
                expected: "a PDF document",
                hint: "Rename it to what it is".into(),
            });
        }
        let place = Place::file(path);
        let at = place.clone();
        let opened = guarded(&place, "PDF", TIME_LIMIT, move || open(bytes, &at))?;
        let mut pages = read(path, &opened);
        let counts = self.take_out(&mut pages);
        let hyphenated = mend::hyphenated(pages.iter().flatten().flatten());
        let path = path.to_path_buf();
        let records =
            pages
                .into_iter()
                .zip(counts)
                .enumerate()
                .map(move |(index, (page, left_out))| {
                    let number = index as u64 + 1;
                    let lines = match page {
                        Ok(lines) => lines,
                        Err(error) => return Ok(Record::ready(Err(error))),
                    };
                    let text = mend::paragraphs(&lines, &hyphenated);
                    if text.is_empty() {
                        return Ok(Record::dropped("a page without text"));
                    }
                    Ok(Record::ready(Ok(Document {
                        text,
                        fields: opened.fields(number, left_out),
                        origin: Origin::of(&path, PlaceUnit::Page, number),
                    })))
                });
        Ok(Box::new(records))
    }
}

impl Pdf {
    /// Takes running lines out of the pages that could be read: how many of each page.
    fn take_out(self, pages: &mut [Result<Vec<Line>>]) -> Vec<usize> {
        if self.running == Running::Kept {
            return vec![0; pages.len()];
        }
        let read = pages
            .iter_mut()
            .map(|page| page.as_mut().map(std::mem::take));
        let mut lines: Vec<Vec<Line>> = read.map(Result::unwrap_or_default).collect();
        let counts = running::take_out(&mut lines);
        for (page, lines) in pages.iter_mut().zip(lines) {
            if let Ok(page) = page {
                *page = lines;
            }
        }
        counts
    }
}

/// A document that can be read.
struct Opened {
    pdf: Arc<PdfDocument>,
    pages: usize,
    /// What it says about itself, on every page.
    facts: Fields,
    form: Option<Value>,
}

impl Opened {
    fn fields(&self, number: u64, left_out: usize) -> Fields {
        let mut fields = self.facts.clone();
        fields.insert("page".into(), number.into());
        fields.insert("pages".into(), self.pages.into());
        if left_out > 0 {
            fields.insert("left_out".into(), left_out.into());
        }
        if let Some(form) = self.form.as_ref().filter(|_| number == 1) {
            fields.insert("form".into(), form.clone());
        }
        fields
    }
}

fn open(bytes: Vec<u8>, place: &Place) -> Result<Opened> {
    let pdf = PdfDocument::from_bytes(bytes).map_err(|error| broken(place, &error))?;
    if let Some(what) = encryption::unreadable(&pdf) {
        return Err(DataError::Unsupported {
            place: place.clone(),
            what,
            hint: "Save it without encryption first, such as with qpdf --decrypt",
        });
    }
    tree::check(&pdf, place)?;
    let pages = pdf.page_count().map_err(|error| broken(place, &error))?;
    if pages as u64 > PAGE_LIMIT {
        return Err(DataError::LimitExceeded {
            place: place.clone(),
            what: "the number of pages",
            found: pages as u64,
            limit: PAGE_LIMIT,
            hint: "Split the document",
        });
    }
    if pages == 0 {
        return Err(DataError::Broken {
            place: place.clone(),
            format: "PDF",
            message: "it has no pages".into(),
            hint: "Get the file again, or repair it",
        });
    }
    Ok(Opened {
        facts: facts::facts(&pdf),
        form: facts::form(&pdf),
        pdf: Arc::new(pdf),
        pages,
    })
}

/// The lines of each page in reading order. Where the time is over, an error stands for the pages that are left.
fn read(path: &Path, opened: &Opened) -> Vec<Result<Vec<Line>>> {
    let mut pages = Vec::new();
    let started = Instant::now();
    let limit = TIME_LIMIT + TIME_PER_PAGE * opened.pages as u32;
    for index in 0..opened.pages {
        let place = Place::of(path, PlaceUnit::Page, index as u64 + 1);
        let began = Instant::now();
        pages.push(page(opened, index, &place));
        // A page that is not ready in time goes on in its thread. It is left to be the only one.
        if began.elapsed() >= TIME_LIMIT || started.elapsed() >= limit {
            let left = opened.pages - index - 1;
            if left > 0 {
                pages.push(Err(DataError::Broken {
                    place: Place::of(path, PlaceUnit::Page, index as u64 + 2),
                    format: "PDF",
                    message: format!("the pages before took too long, {left} pages were not read"),
                    hint: "Split the document",
                }));
            }
            break;
        }
    }
    pages
}

fn page(opened: &Opened, index: usize, place: &Place) -> Result<Vec<Line>> {
    let pdf = Arc::clone(&opened.pdf);
    let at = place.clone();
    let page = guarded(place, "PDF", TIME_LIMIT, move || {
        let mut spans = pdf
            .extract_spans(index)
            .map_err(|error| broken(&at, &error))?;
        if spans.iter().any(direction::mixed) {
            let glyphs = pdf.extract_chars(index);
            direction::mend(&mut spans, glyphs.map_err(|error| broken(&at, &error))?);
        }
        if spans.is_empty() {
            // A page whose content cannot be unpacked looks like an empty one.
            let content = pdf.get_page_content_data(index);
            content.map_err(|error| broken(&at, &error))?;
        }
        Ok(layout::runs(spans)
            .into_iter()
            .flat_map(layout::lines)
            .collect())
    });
    page.map_err(|error| placed(error, place))
}

/// The same error at a page.
fn placed(error: DataError, page: &Place) -> DataError {
    match error {
        DataError::Broken {
            format,
            message,
            hint,
            ..
        } => DataError::Broken {
            place: page.clone(),
            format,
            message,
            hint,
        },
        error => error,
    }
}

fn broken(place: &Place, error: &pdf_oxide::Error) -> DataError {
    DataError::Broken {
        place: place.clone(),
        format: "PDF",
        message: escaped(&error.to_string()),
        hint: "Get the file again, or repair it",
    }
}
