//! Sitemaps (<https://www.sitemaps.org/protocol.html>): the addresses of a site's pages, over any number of files.

use std::collections::HashSet;
use std::io::Read;

use flate2::bufread::MultiGzDecoder;
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use url::Url;

use super::Fetch;
use super::page::{Page, too_long};
use crate::error::{DataError, Place, Result, escaped};
use crate::http::{network, shown};

/// How deep indexes may lie in indexes. The protocol knows one level.
const NESTING_LIMIT: usize = 3;
/// How many files a sitemap may have.
const FILES_LIMIT: usize = 1000;

/// The pages that a sitemap names, in its order, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sitemap {
    /// The pages.
    pub pages: Vec<Location>,
    /// How many names stood there again.
    pub repeated: u64,
    /// How many pages lie on another host than the file that names them, and are left out, as the protocol asks for.
    pub elsewhere: u64,
    /// How many names are no HTTP address, and are left out.
    pub invalid: u64,
}

/// A page of a sitemap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Its address.
    pub url: String,
    /// When it changed last, as the sitemap says it.
    pub modified: Option<String>,
}

/// A sitemap in the making.
pub(super) struct Walk<'a> {
    fetch: &'a Fetch,
    found: Sitemap,
    files: HashSet<String>,
    pages: HashSet<String>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(fetch: &'a Fetch) -> Self {
        Self {
            fetch,
            found: Sitemap::default(),
            files: HashSet::new(),
            pages: HashSet::new(),
        }
    }

    /// Reads a file and those that it leads to, each once, so that a circle ends.
    pub(super) fn run(mut self, url: &Url) -> Result<Sitemap> {
        let mut open = vec![(url.clone(), 0)];
        while let Some((url, depth)) = open.pop() {
            if !self.files.insert(url.to_string()) {
                continue;
            }
            limited(
                &url,
                "the number of files of the sitemap",
                self.files.len(),
                FILES_LIMIT,
            )?;
            let page = self.fetch.get(&url)?;
            let file = read(&url, &unpacked(&url, page, self.fetch.bytes)?)?;
            for entry in file.pages {
                self.add(&url, entry)?;
            }
            let deeper = depth + 1;
            if !file.sitemaps.is_empty() {
                limited(&url, "the nesting of the sitemap", deeper, NESTING_LIMIT)?;
            }
            for location in file.sitemaps.into_iter().rev() {
                match url.join(location.url.trim()) {
                    Ok(next) => open.push((next, deeper)),
                    Err(_) => self.found.invalid += 1,
                }
            }
        }
        Ok(self.found)
    }

    fn add(&mut self, file: &Url, location: Location) -> Result<()> {
        let address = Url::parse(location.url.trim()).ok();
        let address = address.filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(mut address) = address else {
            self.found.invalid += 1;
            return Ok(());
        };
        if address.host() != file.host() {
            self.found.elsewhere += 1;
            return Ok(());
        }
        address.set_fragment(None);
        if !self.pages.insert(address.to_string()) {
            self.found.repeated += 1;
            return Ok(());
        }
        limited(
            file,
            "the number of pages of the sitemap",
            self.pages.len(),
            self.fetch.pages,
        )?;
        self.found.pages.push(Location {
            url: address.into(),
            modified: location.modified,
        });
        Ok(())
    }
}

/// What one file names.
#[derive(Default)]
struct File {
    pages: Vec<Location>,
    sitemaps: Vec<Location>,
}

/// The text of a file, which may be packed with gzip.
fn unpacked(url: &Url, page: Page, limit: u64) -> Result<String> {
    if !page.bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(page
            .text
            .unwrap_or_else(|| String::from_utf8_lossy(&page.bytes).into_owned()));
    }
    let mut bytes = Vec::new();
    MultiGzDecoder::new(&*page.bytes)
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            network(
                url,
                None,
                format!("the gzip data is broken: {}", escaped(&error.to_string())),
            )
        })?;
    if bytes.len() as u64 > limit {
        return Err(too_long(url, bytes.len() as u64, limit));
    }
    // The protocol knows no other encoding.
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        network(
            url,
            None,
            format!("the sitemap is not UTF-8 at byte {at}; expected UTF-8"),
        )
    })
}

/// Reads `<urlset>` or `<sitemapindex>`. Entities of its own are refused by the parser, so they cannot multiply.
fn read(url: &Url, text: &str) -> Result<File> {
    let broken = |found: &dyn std::fmt::Display, at: u64| {
        let found = escaped(&found.to_string());
        network(
            url,
            None,
            format!("the sitemap is broken at byte {at}: {found}"),
        )
    };
    let mut reader = Reader::from_str(text);
    let mut file = File::default();
    let mut root = None;
    let mut open: Vec<String> = Vec::new();
    let mut entry = (String::new(), String::new());
    loop {
        let event = reader
            .read_event()
            .map_err(|error| broken(&error, reader.error_position()))?;
        match event {
            Event::Eof => break,
            Event::Start(start) => {
                let name = start.local_name().as_ref().to_owned();
                if open.is_empty() {
                    root.get_or_insert_with(|| name.clone());
                }
                open.push(name);
            }
            Event::End(_) => match open.pop().as_deref() {
                Some(ended @ ("url" | "sitemap")) if open.len() == 1 => {
                    let (location, modified) = std::mem::take(&mut entry);
                    let modified = Some(modified.trim().to_owned()).filter(|date| !date.is_empty());
                    let list = if ended == "url" {
                        &mut file.pages
                    } else {
                        &mut file.sitemaps
                    };
                    list.push(Location {
                        url: location,
                        modified,
                    });
                }
                _ => {}
            },
            Event::Text(content) => append(&mut entry, &open, &content.xml10_content()),
            Event::CData(content) => append(&mut entry, &open, &content.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = reference
                    .resolve_char_ref()
                    .ok()
                    .flatten()
                    .map(String::from);
                let name = reference.xml10_content();
                let value =
                    character.or_else(|| resolve_predefined_entity(&name).map(str::to_owned));
                let value = value.ok_or_else(|| {
                    broken(
                        &"an entity that XML does not know",
                        reader.buffer_position(),
                    )
                })?;
                append(&mut entry, &open, &value);
            }
            _ => {}
        }
    }
    match root.as_deref() {
        Some("urlset" | "sitemapindex") if open.is_empty() => Ok(file),
        Some("urlset" | "sitemapindex") => Err(broken(&"it ends too early", text.len() as u64)),
        _ => Err(network(
            url,
            None,
            "found no sitemap; expected <urlset> or <sitemapindex>".to_owned(),
        )),
    }
}

/// Adds text to the address or the date that it stands in.
fn append(entry: &mut (String, String), open: &[String], text: &str) {
    match open {
        [_, _, name] if name == "loc" => entry.0.push_str(text),
        [_, _, name] if name == "lastmod" => entry.1.push_str(text),
        _ => {}
    }
}

fn limited(url: &Url, what: &'static str, found: usize, limit: usize) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    Err(DataError::LimitExceeded {
        place: Place::file(shown(url)),
        what,
        found: found as u64,
        limit: limit as u64,
        hint: "Fetch a part of the sitemap",
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(text: &str) -> Result<(Vec<String>, Vec<String>), String> {
        let url = Url::parse("https://a.test/sitemap.xml").unwrap();
        let file = read(&url, text).map_err(|error| error.to_string())?;
        let show = |list: Vec<Location>| list.into_iter().map(|location| location.url).collect();
        Ok((show(file.pages), show(file.sitemaps)))
    }

    #[test]
    fn addresses_are_read_in_every_spelling() {
        let text = "<?xml version='1.0'?><s:urlset xmlns:s='x'><s:url><s:loc> https://a.test/?a=1&amp;b=&#50; </s:loc>\
                    <image><loc>no</loc></image></s:url><s:url><s:loc><![CDATA[https://a.test/c]]></s:loc></s:url></s:urlset>";
        let (pages, sitemaps) = of(text).unwrap();
        assert_eq!(pages, [" https://a.test/?a=1&b=2 ", "https://a.test/c"]);
        assert!(sitemaps.is_empty());
        let index =
            "<sitemapindex><sitemap><loc>https://a.test/1.xml.gz</loc></sitemap></sitemapindex>";
        assert_eq!(of(index).unwrap().1, ["https://a.test/1.xml.gz"]);
    }

    proptest! {
        #[test]
        fn any_text_ends_in_a_list_or_an_error(
            text in "(</?urlset>|</?sitemapindex>|</?url>|</?loc>|<!\\[CDATA\\[|\\]\\]>|&[#a-z0-9]{0,4};?|[a-z<>&]){0,20}"
        ) {
            let _ = of(&text);
        }
    }

    #[test]
    fn what_is_no_sitemap_is_refused() {
        let laughs = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]><urlset><url><loc>&b;</loc></url></urlset>";
        for text in [
            "",
            "<html/>",
            "<html></html>",
            "<urlset><url>",
            "<urlset><url></urlset>",
            "plain",
            laughs,
        ] {
            let error = of(text).unwrap_err();
            assert!(error.contains("sitemap"), "{error}");
        }
    }
}
