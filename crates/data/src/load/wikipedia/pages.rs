//! The pages of a dump, without holding more than one.

use std::io::{self, BufRead, Read};
use std::path::PathBuf;

use quick_xml::Reader;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};

use super::super::source::Source;
use crate::document::Fields;
use crate::error::{DataError, Place, Result, escaped, quoted};

/// The largest page in bytes; Wikipedia allows 2 MiB.
const PAGE_LIMIT: usize = 16 << 20;
/// How deeply elements may be nested; a dump needs 5.
const DEPTH_LIMIT: usize = 32;
/// Under which all Wikipedias publish.
const LICENCE: &str = "CC BY-SA 4.0";

/// A page as the dump has it.
#[derive(Default)]
pub(super) struct Page {
    pub(super) namespace: i64,
    pub(super) redirects: bool,
    pub(super) fields: Fields,
    pub(super) wikitext: String,
}

pub(super) struct Pages {
    reader: Reader<Bounded>,
    buffer: Vec<u8>,
    path: PathBuf,
    /// The names of the open elements, the outermost first.
    open: Vec<String>,
    site: Site,
}

/// What the head of the dump says about all pages.
#[derive(Default)]
struct Site {
    language: String,
    /// What stands before a title in an address, such as `https://en.wikipedia.org/wiki/`.
    base: String,
}

impl Pages {
    pub(super) fn new(source: Source) -> Self {
        let path = source.path().to_path_buf();
        let mut reader = Reader::from_reader(Bounded {
            source,
            left: PAGE_LIMIT,
        });
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            buffer: Vec::new(),
            path,
            open: Vec::new(),
            site: Site::default(),
        }
    }

    /// The next page, `None` behind the last.
    pub(super) fn next_page(&mut self) -> Result<Option<Page>> {
        let mut page = Page::default();
        let mut text = String::new();
        self.reader.get_mut().left = PAGE_LIMIT;
        loop {
            self.buffer.clear();
            let event = self.reader.read_event_into(&mut self.buffer);
            let event = event.map_err(|error| fault(&self.path, error))?;
            match event {
                Event::Start(start) => {
                    text.clear();
                    let name = start.local_name().as_ref().to_owned();
                    let name = String::from_utf8_lossy(name.as_ref()).into_owned();
                    match name.as_str() {
                        "mediawiki" => self.site.language = attribute(&start, "lang"),
                        "page" => page = Page::default(),
                        "redirect" => page.redirects = true,
                        _ => {}
                    }
                    if self.open.len() == DEPTH_LIMIT {
                        return Err(DataError::TooDeep {
                            place: Place::file(&self.path),
                            limit: DEPTH_LIMIT,
                        });
                    }
                    self.open.push(name);
                }
                Event::End(_) => {
                    let name = self.open.pop().unwrap_or_default();
                    if name == "page" {
                        return Ok(Some(page));
                    }
                    self.leave(&name, &mut text, &mut page);
                }
                Event::Text(part) => text.push_str(&part.xml10_content()),
                Event::CData(part) => text.push_str(&part.xml10_content()),
                Event::GeneralRef(name) => text.push_str(&entity(&name).ok_or_else(|| {
                    let name = quoted(&name);
                    broken(&self.path, format!("the entity {name} is not known"))
                })?),
                Event::Eof if self.open.is_empty() => return Ok(None),
                Event::Eof => return Err(broken(&self.path, "it ends too early".into())),
                _ => {}
            }
        }
    }

    /// Keeps the text of an element that ends.
    fn leave(&mut self, name: &str, text: &mut String, page: &mut Page) {
        let text = std::mem::take(text);
        let parent = self.open.last().map_or("", String::as_str);
        let mut keep = |field: &str, text: String| {
            page.fields.insert(field.into(), text.into());
        };
        match (parent, name) {
            ("siteinfo", "base") => {
                let end = text.rfind('/').map_or(0, |at| at + 1);
                self.site.base = text[..end].to_string();
            }
            ("page", "title") => {
                if !self.site.base.is_empty() {
                    let title = text.replace(' ', "_");
                    keep("url", format!("{}{title}", self.site.base));
                }
                if !self.site.language.is_empty() {
                    keep("language", self.site.language.clone());
                }
                if self.site.base.contains(".wikipedia.org/") {
                    keep("licence", LICENCE.into());
                }
                keep("title", text);
            }
            ("page", "id") => keep("id", text),
            ("page", "ns") => page.namespace = text.trim().parse().unwrap_or(-1),
            ("revision", "timestamp") => keep("date", text),
            ("contributor", "username") => keep("author", text),
            ("revision", "text") => page.wikitext = text,
            _ => {}
        }
    }
}

fn attribute(start: &BytesStart<'_>, name: &str) -> String {
    let found = start.attributes().flatten().find(|attribute| {
        let local = attribute.key.local_name();
        local.as_ref() == name
    });
    found.map_or(String::new(), |attribute| attribute.value.into_owned())
}

/// The text of an entity: one of the five of XML, or a character's number. What a document type declares is unknown.
fn entity(name: &BytesRef<'_>) -> Option<String> {
    if let Ok(Some(character)) = name.resolve_char_ref() {
        return Some(character.to_string());
    }
    resolve_xml_entity(name).map(str::to_owned)
}

fn broken(path: &std::path::Path, message: String) -> DataError {
    DataError::Broken {
        place: Place::file(path),
        format: "MediaWiki dump",
        message,
        hint: "Get the file again",
    }
}

fn fault(path: &std::path::Path, error: quick_xml::Error) -> DataError {
    match error {
        // The source's own errors come through the reader as they are.
        quick_xml::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref())
        {
            Some(Failed(message)) => broken(path, message.clone()),
            None => broken(path, error.to_string()),
        },
        error => broken(path, escaped(&error.to_string())),
    }
}

/// A source that fails behind so many bytes of one page.
struct Bounded {
    source: Source,
    left: usize,
}

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Failed(String);

impl Bounded {
    fn failed(message: String) -> io::Error {
        io::Error::other(Failed(message))
    }
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.fill_buf()?;
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl BufRead for Bounded {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            let limit = PAGE_LIMIT >> 20;
            return Err(Self::failed(format!("a page is longer than {limit} MiB")));
        }
        let left = self.left;
        let bytes = self
            .source
            .fill()
            .map_err(|error| Self::failed(error.to_string()))?;
        Ok(&bytes[..bytes.len().min(left)])
    }

    fn consume(&mut self, count: usize) {
        self.left -= count;
        self.source.consume(count);
    }
}
