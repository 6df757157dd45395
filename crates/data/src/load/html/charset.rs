//! The text of a page's bytes: which encoding they are in is said by a byte order mark, by the page, or by their look.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252, X_USER_DEFINED};

use crate::error::{DataError, Place, Result};
use crate::load::encoding;

/// How far into a page its encoding may be named, as browsers look for it.
const PRESCAN: usize = 1024;

/// The text of a page.
///
/// # Errors
///
/// [`DataError::Undecodable`] if the bytes are valid neither in the encoding that is named nor in the detected one.
pub(super) fn text(raw: &[u8], place: &Place) -> Result<String> {
    let marked = Encoding::for_bom(raw).map(|(encoding, _)| encoding);
    let detected = || encoding::detect(&raw[..raw.len().min(encoding::SAMPLE)]);
    let named = marked.or_else(|| named(&raw[..raw.len().min(PRESCAN)]));
    let named_text = named.and_then(|encoding| encoding::decode(raw, encoding));
    if let Some(text) = named_text {
        return Ok(text);
    }
    let encoding = detected().unwrap_or(UTF_8);
    encoding::decode(raw, encoding).ok_or_else(|| DataError::Undecodable {
        place: Place::file(&place.path),
        encoding: named.unwrap_or(encoding).name(),
    })
}

/// The encoding that `charset=` names inside of a `meta` element or an XML declaration.
pub(crate) fn named(head: &[u8]) -> Option<&'static Encoding> {
    let head = head.to_ascii_lowercase();
    let mut rest: &[u8] = &head;
    while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
        rest = &rest[at + 1..];
        let end = rest.iter().position(|byte| *byte == b'>');
        let tag = &rest[..end.unwrap_or(rest.len())];
        let label = if tag.starts_with(b"meta") {
            value(tag, b"charset")
        } else if tag.starts_with(b"?xml") {
            value(tag, b"encoding")
        } else {
            None
        };
        if let Some(encoding) = label.and_then(Encoding::for_label) {
            return Some(as_written(encoding));
        }
    }
    None
}

/// A page in which ASCII can be read is not UTF-16, whatever it says; both rules are the HTML standard's.
fn as_written(encoding: &'static Encoding) -> &'static Encoding {
    if encoding == UTF_16LE || encoding == UTF_16BE {
        UTF_8
    } else if encoding == X_USER_DEFINED {
        WINDOWS_1252
    } else {
        encoding
    }
}

/// What stands behind `name=`, without quotes.
fn value<'a>(tag: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = tag.windows(name.len()).position(|bytes| bytes == name)?;
    let rest = tag[at + name.len()..].trim_ascii_start();
    let rest = rest.strip_prefix(b"=")?.trim_ascii_start();
    let quoted = matches!(rest.first(), Some(b'"' | b'\''));
    let rest = if quoted { &rest[1..] } else { rest };
    let ends = |byte: &u8| matches!(byte, b'"' | b'\'' | b';' | b'/') || byte.is_ascii_whitespace();
    Some(&rest[..rest.iter().position(ends).unwrap_or(rest.len())])
}

#[cfg(test)]
mod tests {
    use encoding_rs::{SHIFT_JIS, WINDOWS_1251};

    use super::*;

    #[test]
    fn the_encoding_is_found_where_it_is_named() {
        let cases: [(&str, Option<&Encoding>); 8] = [
            ("<meta charset=windows-1251>", Some(WINDOWS_1251)),
            ("<META CharSet = \"cp1251\" />", Some(WINDOWS_1251)),
            (
                "<meta http-equiv='Content-Type' content='text/html; charset=Shift_JIS'>",
                Some(SHIFT_JIS),
            ),
            (
                "<?xml version=\"1.0\" encoding='windows-1251'?>",
                Some(WINDOWS_1251),
            ),
            ("<meta charset=utf-16>", Some(UTF_8)),
            ("<p>charset=windows-1251", None),
            ("<meta charset=unheard-of><meta charset=utf-8>", Some(UTF_8)),
            ("<meta charset", None),
        ];
        for (head, expected) in cases {
            assert_eq!(named(head.as_bytes()), expected, "{head}");
        }
    }

    #[test]
    fn bytes_become_text() {
        let place = Place::file("a.html");
        let (russian, _, _) = WINDOWS_1251.encode("<meta charset=windows-1251>Привет");
        assert!(text(&russian, &place).unwrap().ends_with("Привет"));
        let wide: Vec<u8> = "\u{feff}<p>ü"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(text(&wide, &place).unwrap(), "<p>ü");
        // The page says UTF-8 and is not.
        let wrong = b"<meta charset=utf-8><p>Un caf\xE9 cr\xE8me, d\xE9j\xE0 vu";
        assert!(
            text(wrong, &place)
                .unwrap()
                .ends_with("Un café crème, déjà vu")
        );
        let damaged = "<meta charset=utf-8>ä ö ü"
            .as_bytes()
            .iter()
            .copied()
            .chain([0xFF]);
        let error = text(&damaged.collect::<Vec<u8>>(), &place).unwrap_err();
        assert!(matches!(error, DataError::Undecodable { .. }), "{error}");
    }
}
