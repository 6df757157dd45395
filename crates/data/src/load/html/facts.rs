//! What a page says about itself.

use dom_smoothie::Readability;
use serde_json::Value;

use crate::document::Fields;

/// The fields of a page that came from `url`.
pub(super) fn facts(page: &Readability, url: Option<&str>) -> Fields {
    let said = page.get_article_metadata(page.parse_json_ld());
    let attribute = |selector: &str, name: &str| {
        let found = page.doc.select_single(selector);
        found.attr(name).map(|value| value.to_string())
    };
    let canonical = attribute("link[rel~=canonical]", "href");
    let licence = attribute("link[rel~=license], a[rel~=license]", "href");
    let language = attribute("html", "lang").or_else(|| attribute("html", "xml:lang"));
    let written = attribute("time[itemprop=datePublished], time[pubdate]", "datetime");
    let found = [
        ("title", Some(said.title)),
        ("author", said.byline),
        ("date", said.published_time.or(written)),
        ("language", language),
        (
            "url",
            canonical.or(said.url).or_else(|| url.map(str::to_owned)),
        ),
        ("description", said.excerpt),
        ("licence", licence),
        ("site", said.site_name),
    ];
    let mut fields: Fields = found
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), spaced(&value?)?.into())))
        .collect();
    if let Some(keywords) = attribute("meta[name=keywords]", "content") {
        let list: Vec<Value> = keywords
            .split(',')
            .filter_map(spaced)
            .map(Value::from)
            .collect();
        if !list.is_empty() {
            fields.insert("keywords".into(), list.into());
        }
    }
    fields
}

/// The page's own heading, if it has one and no more.
pub(super) fn heading(page: &Readability) -> Option<String> {
    let headings = page.doc.select("body h1");
    (headings.length() == 1)
        .then(|| spaced(&headings.text()))
        .flatten()
}

/// A text with single spaces; `None` if nothing is left.
fn spaced(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    (!words.is_empty()).then(|| words.join(" "))
}
