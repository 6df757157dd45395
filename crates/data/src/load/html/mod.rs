//! Web pages: their main text as Markdown, without navigation, advertisements and scripts.
//!
//! What is the main text is found as browsers find it for their reading view, by `dom_smoothie`. The Markdown is
//! written here, since the text of a page is to stay as its author wrote it: nothing is escaped, links are words
//! unless they are asked for, and a table keeps its rows.

mod charset;
mod facts;
mod write;

#[cfg(feature = "net")]
pub(crate) use charset::named as named_encoding;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dom_query::NodeRef;
use dom_smoothie::{Config, Readability};

use super::guard::guarded;
use super::sniff::{self, Format};
use super::whole::contents;
use crate::document::{Document, Documents, Fields, Load, Origin, Record, Records, documents};
use crate::error::{DataError, Place, Result};

/// The largest page in bytes.
const SIZE_LIMIT: u64 = 32 << 20;
/// The most tags of a page.
const TAG_LIMIT: u64 = 1 << 20;
/// How deep elements may be nested. Browsers stop at 512.
const DEPTH_LIMIT: usize = 600;
const TIME_LIMIT: Duration = Duration::from_secs(9);
/// A main text with fewer characters than this was found by the finder's last resort only, which keeps menus too.
const LEAST_LENGTH: usize = 500;
/// A main text with less than one word in this many of what the page shows without its landmarks was not found well.
const LEAST_SHARE: usize = 4;

/// Loads `.html`, `.htm` and `.xhtml` files: a page is one document, its text Markdown.
///
/// Headings, paragraphs, lists, quotations, tables (a line per row) and code blocks keep their form. Scripts, styles,
/// forms, images and what is hidden are left out, and by default all that is not the main text: navigation, side bars,
/// footers. Where no main text can be told from the rest, the page is taken without its landmarks (`nav`, `aside`,
/// `header`, `footer`); the field `content` says which: `main` or `whole`.
///
/// The encoding is that of the byte order mark, else the one that the page names, else it is detected.
///
/// Fields, where the page has them: `title`, `author`, `date`, `language`, `url` (the canonical one), `description`,
/// `licence` (the address that `rel="license"` names), `site` and `keywords`.
///
/// Limits: 32 MiB, 1,048,576 tags, 600 nested elements, 9 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Html {
    content: Content,
    links: Links,
}

/// How much of a page is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Content {
    /// The main text.
    #[default]
    Main,
    /// Everything that is shown.
    Whole,
}

/// What becomes of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// Their words.
    #[default]
    Text,
    /// `[words](address)`.
    Markdown,
}

/// What a page says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The text, as Markdown.
    pub text: String,
    /// What is known about it; see [`Html`].
    pub fields: Fields,
}

/// The main text and the fields of a page that came from `url`.
///
/// # Errors
///
/// [`DataError::LimitExceeded`], [`DataError::TooDeep`] or [`DataError::Broken`] for a page beyond the limits of
/// [`Html`]. Otherwise every text is a page.
pub fn page(html: &str, url: Option<&str>) -> Result<Page> {
    Html::default().page(html, url)
}

impl Html {
    /// How much of a page is taken.
    pub fn content(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    /// What becomes of links.
    pub fn links(mut self, links: Links) -> Self {
        self.links = links;
        self
    }

    /// The text and the fields of a page that came from `url`.
    ///
    /// # Errors
    ///
    /// As [`page`].
    pub fn page(&self, html: &str, url: Option<&str>) -> Result<Page> {
        self.read(html.to_string(), url, Path::new(url.unwrap_or_default()))
    }

    /// As [`page`](Self::page); errors name `path`.
    pub(super) fn read(self, html: String, url: Option<&str>, path: &Path) -> Result<Page> {
        let place = Place::file(path);
        bounded(&html, &place)?;
        let (url, at) = (url.map(str::to_owned), place.clone());
        guarded(&place, "HTML page", TIME_LIMIT, move || {
            self.parse(&html, url.as_deref(), &at)
        })
    }

    fn parse(self, html: &str, url: Option<&str>, place: &Place) -> Result<Page> {
        // An address that is not absolute helps nobody, and the parser refuses it.
        let url = url.filter(|url| url.starts_with("http://") || url.starts_with("https://"));
        let config = Config {
            // They name the languages of code blocks.
            keep_classes: true,
            ..Config::default()
        };
        let mut readability = Readability::new(html, url, Some(config.clone()))
            .or_else(|_| Readability::new(html, None, Some(config)))
            .map_err(|error| DataError::Broken {
                place: place.clone(),
                format: "HTML page",
                message: error.to_string(),
                hint: "Repair the page",
            })?;
        shallow(readability.doc.root(), place)?;
        let mut fields = facts::facts(&readability, url);
        let whole = write::markdown(readability.doc.root(), self.links, self.content);
        let heading = facts::heading(&readability);
        let main = match self.content {
            Content::Whole => None,
            Content::Main => self.main(&mut readability, heading, &whole, &mut fields),
        };
        let name = if main.is_some() { "main" } else { "whole" };
        fields.insert("content".into(), name.into());
        Ok(Page {
            text: main.unwrap_or(whole),
            fields,
        })
    }

    /// The main text, if it can be told from the rest.
    fn main(
        self,
        readability: &mut Readability,
        heading: Option<String>,
        whole: &str,
        fields: &mut Fields,
    ) -> Option<String> {
        let article = readability.parse().ok()?;
        let parsed = Readability::from(article.content);
        let mut text = write::markdown(parsed.doc.root(), self.links, Content::Whole);
        let words = |text: &str| text.split_whitespace().count();
        let doubtful = text.chars().count() < LEAST_LENGTH;
        if doubtful || words(&text) * LEAST_SHARE < words(whole) {
            return None;
        }
        if let Some(author) = article.byline.filter(|_| !fields.contains_key("author")) {
            fields.insert("author".into(), author.trim().into());
        }
        // The parser takes the page's own heading for its title only, and out of the text.
        if let Some(heading) = heading {
            let line = format!("# {heading}");
            if !text
                .lines()
                .take(5)
                .any(|known| known.trim_start_matches(['#', ' ']) == heading)
            {
                text = format!("{line}\n\n{text}");
            }
        }
        Some(text)
    }
}

impl Load for Html {
    fn extensions(&self) -> &[&str] {
        &["html", "htm", "xhtml"]
    }

    fn whole(&self) -> bool {
        true
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let raw = contents(path, SIZE_LIMIT)?;
        sniff::check(
            &raw[..raw.len().min(sniff::HEAD)],
            path,
            Format::Text,
            false,
        )?;
        if raw.trim_ascii().is_empty() {
            return Ok(Box::new(std::iter::once(Ok(Record::blank()))));
        }
        let html = *self;
        let read = move |raw: &[u8], place: &Place| {
            let page = html.read(charset::text(raw, place)?, None, &place.path)?;
            Ok(Document {
                text: page.text,
                fields: page.fields,
                origin: Origin::new(&place.path, 1),
            })
        };
        let record = Record::later(raw, Place::at(path, 1, 1), Arc::new(read));
        Ok(Box::new(std::iter::once(Ok(record))))
    }
}

/// Refuses pages whose tree would not fit, before there is one.
fn bounded(html: &str, place: &Place) -> Result<()> {
    let exceeded = |what, found, limit| DataError::LimitExceeded {
        place: place.clone(),
        what,
        found,
        limit,
        hint: "Split the page",
    };
    let size = html.len() as u64;
    if size > SIZE_LIMIT {
        return Err(exceeded("the size of a page in bytes", size, SIZE_LIMIT));
    }
    let (mut tags, mut open) = (0, 0_usize);
    for (at, _) in html.match_indices('<') {
        tags += 1;
        let rest = &html.as_bytes()[at + 1..];
        // The tree's builder looks through all open elements at each new block, so ten thousands of them, which no
        // page has, take it minutes. Elements that need no end are not counted; a page that forgets the ends of
        // others this often does not exist either.
        let nests = |name: &&str| {
            let (head, tail) = rest.split_at(rest.len().min(name.len()));
            head.eq_ignore_ascii_case(name.as_bytes())
                && !tail.first().is_some_and(u8::is_ascii_alphanumeric)
        };
        match rest.first() {
            Some(b'/') => open = open.saturating_sub(1),
            Some(first) if first.is_ascii_alphabetic() && !SHORT.iter().any(nests) => {
                open += 1;
            }
            _ => {}
        }
        if open > OPEN_LIMIT {
            return Err(too_deep(place));
        }
    }
    if tags > TAG_LIMIT {
        return Err(exceeded("the number of tags", tags, TAG_LIMIT));
    }
    Ok(())
}

/// How many elements may be open by the count of their tags, which is higher than the depth of the tree.
const OPEN_LIMIT: usize = 5000;

/// Elements that have no end, or whose end is often not written.
const SHORT: [&str; 25] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr", "p", "li", "dt", "dd", "tr", "td", "th", "option", "path", "thead", "tbody", "param",
];

fn too_deep(place: &Place) -> DataError {
    DataError::TooDeep {
        place: place.clone(),
        limit: DEPTH_LIMIT,
    }
}

/// Refuses a tree that is nested so deeply that walking through it could pass the stack's end.
fn shallow(root: NodeRef<'_>, place: &Place) -> Result<()> {
    let mut depth = 0;
    let mut node = root;
    loop {
        if let Some(child) = node.first_child() {
            node = child;
            depth += 1;
        } else {
            while node.next_sibling().is_none() {
                match node.parent() {
                    Some(parent) if depth > 0 => node = parent,
                    _ => return Ok(()),
                }
                depth -= 1;
            }
            match node.next_sibling() {
                Some(next) if depth > 0 => node = next,
                _ => return Ok(()),
            }
        }
        if depth > DEPTH_LIMIT {
            return Err(too_deep(place));
        }
    }
}
