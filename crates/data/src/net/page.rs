//! A page as it came, and its text.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};
use ureq::http::header::HeaderMap;
use url::Url;

use crate::calendar;
use crate::document::{Document, Origin, Value};
use crate::error::{DataError, Place, Result, escaped};
use crate::http::{shown, text};
use crate::load::named_encoding;

/// How far into a page its own word on its encoding is looked for, in bytes, as browsers do.
const DECLARED_WITHIN: usize = 1024;

/// A page, or another file, from the web.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The address after redirects, without a fragment.
    pub url: String,
    /// The type in lower case and without parameters, such as `text/html`; guessed from the content if the server
    /// names none.
    pub content_type: String,
    /// The content, unpacked.
    pub bytes: Vec<u8>,
    /// The content as text, for types that are text.
    pub text: Option<String>,
    /// How many characters stand in `text` for bytes that its encoding does not know.
    pub replaced: usize,
    /// When it changed last, as `2015-10-21T07:28:00Z`.
    pub date: Option<String>,
    /// Its languages, as the server names them.
    pub language: Option<String>,
}

impl Page {
    pub(super) fn new(url: &Url, headers: &HeaderMap, bytes: Vec<u8>) -> Self {
        let declared = text(headers, "content-type").unwrap_or_default();
        let mut parameters = declared.split(';').map(str::trim);
        let essence = parameters.next().unwrap_or_default().to_ascii_lowercase();
        let content_type = if essence.contains('/') {
            essence
        } else {
            guess(&bytes).to_owned()
        };
        let charset = parameters.find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case("charset")
                .then(|| value.trim().trim_matches(['"', '\'']))
        });
        let decoded = is_text(&content_type).then(|| decode(&bytes, charset, &content_type));
        let mut address = url.clone();
        address.set_fragment(None);
        Self {
            url: address.to_string(),
            content_type,
            replaced: decoded.as_ref().map_or(0, |(_, replaced)| *replaced),
            text: decoded.map(|(text, _)| text),
            bytes,
            date: text(headers, "last-modified").and_then(iso_date),
            language: text(headers, "content-language").map(str::to_owned),
        }
    }

    /// The text with what the server says of it: the fields `url`, `date`, `language`, and `replaced` if it is not 0.
    ///
    /// # Errors
    ///
    /// If the content is no text.
    pub fn document(self) -> Result<Document> {
        let Some(text) = self.text else {
            return Err(DataError::Unsupported {
                place: Place::file(self.url),
                what: format!("a page of the type {}", escaped(&self.content_type)),
                hint: "Save it under the extension of its format, and load the file",
            });
        };
        let origin = Origin::new(&self.url, 1);
        let fields = [
            ("url", Some(Value::from(self.url))),
            ("date", self.date.map(Value::from)),
            ("language", self.language.map(Value::from)),
            (
                "replaced",
                (self.replaced > 0).then(|| self.replaced.into()),
            ),
        ];
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Ok(Document {
            text,
            fields: fields.collect(),
            origin,
        })
    }
}

/// The error of a page that is too long.
pub(super) fn too_long(url: &Url, found: u64, limit: u64) -> DataError {
    DataError::LimitExceeded {
        place: Place::file(shown(url)),
        what: "the number of bytes of the page",
        found,
        limit,
        hint: "Raise the limit if the page is worth it",
    }
}

/// Whether a type is text, in some encoding.
fn is_text(content_type: &str) -> bool {
    const OTHERS: [&str; 5] = [
        "application/javascript",
        "application/json",
        "application/x-ndjson",
        "application/xml",
        "application/yaml",
    ];
    content_type.starts_with("text/")
        || content_type.ends_with("+xml")
        || content_type.ends_with("+json")
        || OTHERS.contains(&content_type)
}

/// The type of a content of which nothing is said.
fn guess(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(DECLARED_WITHIN)];
    let start = head.trim_ascii_start().to_ascii_lowercase();
    if start.starts_with(b"<!doctype html") || start.starts_with(b"<html") {
        "text/html"
    } else if start.starts_with(b"<?xml") {
        "application/xml"
    } else if std::str::from_utf8(bytes).is_ok_and(|text| !text.contains('\0')) {
        "text/plain"
    } else {
        "application/octet-stream"
    }
}

/// The text, and how many characters stand for bytes that are none. A byte order mark decides over the server, the
/// server over the page, and the page over a guess.
fn decode(bytes: &[u8], charset: Option<&str>, content_type: &str) -> (String, usize) {
    let named = charset.and_then(|label| Encoding::for_label(label.as_bytes()));
    let encoding = named
        .or_else(|| declared(bytes, content_type))
        .unwrap_or_else(|| guessed(bytes));
    let (text, _, broken) = encoding.decode(bytes);
    let replaced = if broken {
        text.matches('\u{fffd}').count()
    } else {
        0
    };
    (text.into_owned(), replaced)
}

/// What a page says of its encoding: `<meta charset=…>`, `<meta … content="…; charset=…">`, `<?xml encoding=…?>`.
fn declared(bytes: &[u8], content_type: &str) -> Option<&'static Encoding> {
    let head = &bytes[..bytes.len().min(DECLARED_WITHIN)];
    let is_xml = head
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"<?xml"));
    let may_say = is_xml || content_type.contains("html");
    may_say.then(|| named_encoding(head)).flatten()
}

fn guessed(bytes: &[u8]) -> &'static Encoding {
    if std::str::from_utf8(bytes).is_ok() {
        return UTF_8;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    detector.guess(None, Utf8Detection::Allow)
}

/// `Wed, 21 Oct 2015 07:28:00 GMT` as `2015-10-21T07:28:00Z`; `None` for anything else, older forms included.
fn iso_date(date: &str) -> Option<String> {
    let (_, rest) = date.split_once(", ")?;
    let parts: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, time, "GMT"] = parts[..] else {
        return None;
    };
    let number = |text: &str, length: usize, most: u32| {
        let digits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .then(|| text.parse().ok())
            .flatten()
            .filter(|number: &u32| *number <= most)
    };
    let month = calendar::month(month)?;
    let (day, year) = (number(day, 2, 31)?, number(year, 4, 9999)?);
    let mut clock = time
        .split(':')
        .zip([23, 59, 60])
        .map(|(part, most)| number(part, 2, most));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(content_type: &str, bytes: &[u8]) -> Page {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert("content-type", content_type.parse().unwrap());
        }
        Page::new(
            &Url::parse("https://a.test/x#y").unwrap(),
            &headers,
            bytes.to_vec(),
        )
    }

    #[test]
    fn the_encoding_is_found_where_it_is_said_first() {
        let cases: [(&str, &[u8], &str, usize); 12] = [
            ("text/html; charset=windows-1252", b"caf\xe9", "café", 0),
            ("text/html; Charset=\"UTF-8\"", "café".as_bytes(), "café", 0),
            (
                "text/html; charset=windows-1252",
                "\u{feff}café".as_bytes(),
                "café",
                0,
            ),
            ("text/plain", b"\xff\xfea\0", "a", 0),
            (
                "text/html",
                b"<meta charset=iso-8859-2>\xb1",
                "<meta charset=iso-8859-2>ą",
                0,
            ),
            (
                "text/html",
                b"<META x><meta content='text/html; charset=koi8-r'>\xc1",
                "<META x><meta content='text/html; charset=koi8-r'>а",
                0,
            ),
            (
                "text/html",
                "<meta charset=\"utf-16\">é".as_bytes(),
                "<meta charset=\"utf-16\">é",
                0,
            ),
            (
                "application/xml",
                b"<?xml version='1.0' encoding='latin1'?>\xe9",
                "<?xml version='1.0' encoding='latin1'?>é",
                0,
            ),
            ("text/plain; charset=unknown-8bit", "é".as_bytes(), "é", 0),
            (
                "text/plain; charset=utf-8",
                b"a\xffb\xfe",
                "a\u{fffd}b\u{fffd}",
                2,
            ),
            ("text/plain", "a\u{fffd}".as_bytes(), "a\u{fffd}", 0),
            ("text/html", b"<meta charset=", "<meta charset=", 0),
        ];
        for (content_type, bytes, text, replaced) in cases {
            let page = page(content_type, bytes);
            assert_eq!(
                (page.text.as_deref(), page.replaced),
                (Some(text), replaced),
                "{content_type}"
            );
        }
        let russian = "Все счастливые семьи похожи друг на друга";
        let (bytes, _, _) = encoding_rs::WINDOWS_1251.encode(russian);
        assert_eq!(page("text/plain", &bytes).text.as_deref(), Some(russian));
    }

    #[test]
    fn a_type_that_is_not_named_is_guessed() {
        let cases: [(&str, &[u8], &str, bool); 7] = [
            ("", b" <!DOCTYPE HTML><p>", "text/html", true),
            ("", b"<?xml version='1.0'?><a/>", "application/xml", true),
            ("", b"plain", "text/plain", true),
            (
                "nonsense",
                b"\x89PNG\0\xff",
                "application/octet-stream",
                false,
            ),
            ("Application/PDF", b"%PDF", "application/pdf", false),
            ("application/ld+json", b"{}", "application/ld+json", true),
            ("image/svg+xml", b"<svg/>", "image/svg+xml", true),
        ];
        for (said, bytes, expected, is_text) in cases {
            let page = page(said, bytes);
            assert_eq!(
                (page.content_type.as_str(), page.text.is_some()),
                (expected, is_text)
            );
            assert_eq!(page.document().is_ok(), is_text);
        }
    }

    proptest! {
        #[test]
        fn any_content_is_read(
            content_type in "(text/html|text/plain|a/b|)(; ?charset=\"?(utf-16|latin1|iso-2022-kr|x)?)?",
            start in "(<meta |charset|=|<\\?xml |encoding|utf-16|\"|;|\u{e9}){0,6}",
            rest in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let page = page(&content_type, &[start.as_bytes(), &rest].concat());
            let shown = page.text.map_or(0, |text| text.matches('\u{fffd}').count());
            prop_assert!(page.replaced <= shown);
        }

        #[test]
        fn any_date_is_read_or_not(date in "(Wed, [0-9\u{e9}]{1,2} (Oct|X) [0-9]{3,5} [0-9:]{0,9} GMT|.{0,30})") {
            prop_assert!(iso_date(&date).is_none_or(|date| date.len() == 20));
        }
    }

    #[test]
    fn dates_are_read() {
        assert_eq!(
            iso_date("Wed, 21 Oct 2015 07:28:00 GMT").as_deref(),
            Some("2015-10-21T07:28:00Z")
        );
        for date in [
            "",
            "yesterday",
            "Wed, 21 Oct 2015 07:28:00",
            "Wed, 21 Okt 2015 07:28:00 GMT",
            "Wed, 32 Oct 2015 07:28:00 GMT",
            "Wed, 21 Oct 2015 25:28:00 GMT",
            "Wed, 21 Oct 2015 07:28 GMT",
            "Wed, é1 Oct 2015 07:28:00 GMT",
        ] {
            assert_eq!(iso_date(date), None, "{date}");
        }
    }
}
