//! Pages of the web, and all pages of a sitemap.

use std::path::Path;

use crate::error::{DataError, Place, Result, escaped};
use crate::load::Loaders;
use crate::load::chain::{Entry, Member};
use crate::load::file::input;
use crate::net::Page;

/// Types of content, and the extension whose loader reads them.
const TYPES: [(&str, &str); 14] = [
    ("text/html", "html"),
    ("application/xhtml+xml", "html"),
    ("application/pdf", "pdf"),
    ("application/json", "json"),
    ("application/x-ndjson", "jsonl"),
    ("application/epub+zip", "epub"),
    ("application/zip", "zip"),
    ("application/gzip", "gz"),
    ("text/csv", "csv"),
    ("text/markdown", "md"),
    ("text/tab-separated-values", "tsv"),
    ("application/xml", "xml"),
    ("text/xml", "xml"),
    ("text/plain", "txt"),
];

/// A page, or all pages of a sitemap; they are fetched one after the other when they are read.
pub(super) fn entries(address: &str, loaders: &Loaders) -> Result<Vec<Entry>> {
    let name = address.rsplit('/').next().unwrap_or_default();
    let is_sitemap = name.starts_with("sitemap") && name.contains(".xml");
    let pages = if is_sitemap {
        let sitemap = loaders.fetch.sitemap(address)?;
        sitemap.pages.into_iter().map(|page| page.url).collect()
    } else {
        vec![address.to_owned()]
    };
    Ok(pages.into_iter().map(Entry::page).collect())
}

/// Fetches a page as a file of its format.
pub(in crate::load) fn page(address: &str, loaders: &Loaders) -> Result<Entry> {
    let page = loaders.fetch.page(address)?;
    let failed = |error| input(Path::new(address), "keep", error);
    let folder = tempfile::tempdir().map_err(failed)?;
    let file = folder.path().join(name(&page));
    std::fs::write(&file, content(&page)).map_err(failed)?;
    let what = loaders.loader(&file).map_err(|_| DataError::Unsupported {
        place: Place::file(&page.url),
        what: format!("a page of the type {}", escaped(&page.content_type)),
        hint: "Save it under the extension of its format, and load the file",
    })?;
    let fields = [
        ("url", Some(page.url.clone())),
        ("date", page.date),
        ("language", page.language),
    ];
    let fields = fields
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    let member = Member::page(folder, page.url.into(), fields.collect());
    Ok(Entry::new(file, what).of(&member))
}

/// A name whose extension says what the page is.
fn name(page: &Page) -> String {
    let path = page.url.split(['?', '#']).next().unwrap_or_default();
    let own = path.rsplit('/').next().unwrap_or_default();
    let own = own.rsplit_once('.').map(|(_, extension)| extension);
    let own = own.filter(|own| !own.is_empty() && own.bytes().all(|b| b.is_ascii_alphanumeric()));
    let known = TYPES.iter().find(|(kind, _)| *kind == page.content_type);
    let extension = match (known, own) {
        // Servers send anything that they do not know as plain text.
        (Some((_, "txt")) | None, Some(own)) => own,
        (Some((_, extension)), _) => extension,
        (None, None) => "txt",
    };
    format!("page.{extension}")
}

/// The page's bytes, or its text with a mark that says UTF-8 if the server said another encoding.
fn content(page: &Page) -> Vec<u8> {
    match &page.text {
        Some(text) if text.as_bytes() != page.bytes => format!("\u{feff}{text}").into_bytes(),
        _ => page.bytes.clone(),
    }
}
