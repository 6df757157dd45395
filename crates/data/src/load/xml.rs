//! XML of documents, walked element by element without a tree: no external entity is opened, no entity of a document
//! type is expanded, and nesting has a limit. Names are compared without their prefixes, which producers choose freely.

use std::path::Path;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::error::{DataError, Place, Result, escaped, quoted};

/// How deeply elements may be nested; the files of office programs stay below 60.
pub(super) const DEPTH_LIMIT: usize = 200;

/// Gives an entity's text by its name.
pub(super) type Entities = fn(&str) -> Option<&'static str>;

/// A walk through a part of a file.
///
/// [`next`](Self::next) gives the children of the element that was opened last, and `None` at its end. So every element
/// is either walked to its end or passed over by [`skip`](Self::skip).
pub(super) struct Xml<'a> {
    reader: Reader<&'a [u8]>,
    part: Part<'a>,
    depth: usize,
    entities: Entities,
}

/// Which part of which file, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) path: &'a Path,
    /// What the file is: "DOCX document".
    pub(super) format: &'static str,
    /// The part's name in the file: "word/document.xml".
    pub(super) name: &'a str,
}

/// What stands in an element.
pub(super) enum Node<'a> {
    Element(Element<'a>),
    Text(String),
}

/// An opened element.
pub(super) struct Element<'a>(BytesStart<'a>);

impl<'a> Xml<'a> {
    /// A walk through a whole part.
    pub(super) fn new(text: &'a str, part: Part<'a>) -> Self {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        Self {
            reader,
            part,
            depth: 0,
            entities: resolve_xml_entity,
        }
    }

    #[cfg(feature = "sheets")]
    /// A walk that begins between two elements of a part. The end of the element around it ends the walk.
    pub(super) fn fragment(text: &'a str, part: Part<'a>) -> Self {
        let mut walk = Self::new(text, part);
        walk.reader.config_mut().allow_unmatched_ends = true;
        walk
    }

    #[cfg(feature = "epub")]
    /// Knows further entities than the five of XML.
    pub(super) fn entities(mut self, entities: Entities) -> Self {
        self.entities = entities;
        self
    }

    #[cfg(feature = "sheets")]
    /// How many bytes were walked.
    pub(super) fn position(&self) -> usize {
        self.reader.buffer_position() as usize
    }

    /// The file.
    pub(super) fn path(&self) -> &'a Path {
        self.part.path
    }

    /// The next child of the open element, which is opened in turn; `None` when the open element ends.
    pub(super) fn next(&mut self) -> Result<Option<Node<'a>>> {
        loop {
            let event = self.reader.read_event();
            match event.map_err(|error| self.broken(&error.to_string()))? {
                Event::Start(start) => return self.open(start).map(Some),
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(None);
                }
                Event::Text(text) => return Ok(Some(Node::Text(text.xml10_content().into()))),
                Event::CData(text) => return Ok(Some(Node::Text(text.xml10_content().into()))),
                Event::GeneralRef(name) => return self.entity(&name).map(Some),
                Event::DocType(text) if text.contains("<!ENTITY") => {
                    return Err(self.broken("it declares entities, which are not expanded"));
                }
                Event::Eof if self.depth > 0 => return Err(self.broken("it ends too early")),
                Event::Eof => return Ok(None),
                Event::Empty(_)
                | Event::Comment(_)
                | Event::Decl(_)
                | Event::PI(_)
                | Event::DocType(_) => {}
            }
        }
    }

    /// The next child that is an element; text between is passed over.
    pub(super) fn child(&mut self) -> Result<Option<Element<'a>>> {
        while let Some(node) = self.next()? {
            if let Node::Element(element) = node {
                return Ok(Some(element));
            }
        }
        Ok(None)
    }

    /// Passes over the rest of the open element.
    pub(super) fn skip(&mut self) -> Result<()> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            self.next()?;
        }
        Ok(())
    }

    /// All text in the rest of the open element.
    pub(super) fn text(&mut self) -> Result<String> {
        let outside = self.depth.saturating_sub(1);
        let mut all = String::new();
        while self.depth > outside {
            if let Some(Node::Text(text)) = self.next()? {
                all.push_str(&text);
            }
        }
        Ok(all)
    }

    /// Opens the first element of this name, wherever it is; whether there is one.
    pub(super) fn find(&mut self, name: &str) -> Result<bool> {
        loop {
            match self.next()? {
                Some(Node::Element(element)) if element.name() == name => return Ok(true),
                None if self.depth == 0 => return Ok(false),
                _ => {}
            }
        }
    }

    /// The error that this part cannot be read.
    pub(super) fn broken(&self, message: &str) -> DataError {
        self.part.broken(message)
    }

    fn open(&mut self, start: BytesStart<'a>) -> Result<Node<'a>> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return Err(DataError::TooDeep {
                place: Place::file(self.part.path),
                limit: DEPTH_LIMIT,
            });
        }
        // Checked here once, so that an attribute can be asked for without an error.
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| self.broken(&error.to_string()))?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            value.map_err(|error| self.broken(&error.to_string()))?;
        }
        Ok(Node::Element(Element(start)))
    }

    fn entity(&self, name: &BytesRef<'_>) -> Result<Node<'a>> {
        let character = name.resolve_char_ref();
        if let Some(character) = character.map_err(|error| self.broken(&error.to_string()))? {
            return Ok(Node::Text(character.to_string()));
        }
        match (self.entities)(name) {
            Some(text) => Ok(Node::Text(text.into())),
            None => Err(self.broken(&format!(
                "the entity {} is not one of XML's; entities are not expanded",
                quoted(name)
            ))),
        }
    }
}

impl Element<'_> {
    /// The name without its prefix.
    pub(super) fn name(&self) -> &str {
        self.0.local_name().into_inner()
    }

    /// The value of the first attribute of this name, prefixes left aside.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        self.value(|key| key == name || key.rsplit(':').next() == Some(name))
    }

    /// The value of an attribute with any prefix: `r:id` beside `id`.
    pub(super) fn prefixed(&self, name: &str) -> Option<String> {
        self.value(|key| key.split_once(':').is_some_and(|(_, local)| local == name))
    }

    /// An attribute that holds a number.
    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.attribute(name)?.trim().parse().ok()
    }

    /// Whether an attribute is there and says yes; `default` if it is not there.
    pub(super) fn flag(&self, name: &str, default: bool) -> bool {
        self.attribute(name).map_or(default, |value| {
            matches!(value.as_str(), "1" | "true" | "on")
        })
    }

    fn value(&self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let mut attributes = self.0.attributes().flatten();
        let found = attributes.find(|attribute| wanted(attribute.key.into_inner()))?;
        found
            .normalized_value(XmlVersion::Implicit1_0)
            .ok()
            .map(Into::into)
    }
}

impl Part<'_> {
    /// The error that this part cannot be read.
    pub(super) fn broken(&self, message: &str) -> DataError {
        DataError::Broken {
            place: Place::file(self.path),
            format: self.format,
            message: format!("{}: {}", quoted(self.name), escaped(message)),
            hint: "Open it in the program that made it, and save it again",
        }
    }

    /// The part as text: UTF-8 unless a byte order mark or the declaration says otherwise.
    pub(super) fn decode(&self, bytes: Vec<u8>) -> Result<String> {
        let encoding = encoding_rs::Encoding::for_bom(&bytes)
            .map(|(encoding, _)| encoding)
            .or_else(|| declared(&bytes));
        let invalid = || self.broken("it holds bytes that are not in its encoding");
        match encoding {
            None => String::from_utf8(bytes).map_err(|_| invalid()),
            Some(encoding) => {
                let (text, _, wrong) = encoding.decode(&bytes);
                if wrong {
                    Err(invalid())
                } else {
                    Ok(text.into_owned())
                }
            }
        }
    }
}

/// The encoding of the XML declaration.
fn declared(bytes: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let head = bytes.strip_prefix(b"<?xml")?;
    let end = head.iter().take(200).position(|byte| *byte == b'>')?;
    let head = std::str::from_utf8(&head[..end]).ok()?;
    let value = head
        .split_once("encoding")?
        .1
        .trim_start_matches([' ', '=']);
    let label = value.split(['"', '\'']).nth(1)?;
    encoding_rs::Encoding::for_label(label.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part() -> Part<'static> {
        Part {
            path: Path::new("a.docx"),
            format: "DOCX document",
            name: "word/document.xml",
        }
    }

    fn text(xml: &str) -> Result<String> {
        Xml::new(xml, part()).text_of_all()
    }

    impl Xml<'_> {
        fn text_of_all(&mut self) -> Result<String> {
            let mut all = String::new();
            loop {
                match self.next()? {
                    Some(Node::Text(text)) => all.push_str(&text),
                    None if self.depth == 0 => return Ok(all),
                    Some(Node::Element(_)) | None => {}
                }
            }
        }
    }

    #[test]
    fn text_is_read_with_entities_of_xml_and_no_others() {
        let cases = [
            ("<a>x&amp;y&#65;&#x42;<![CDATA[<c>]]></a>", "x&yAB<c>"),
            ("<a>1<b/>2<!-- no -->3\r\n</a>", "123\n"),
            ("<!DOCTYPE a SYSTEM \"http://nowhere/a.dtd\"><a>x</a>", "x"),
        ];
        for (xml, expected) in cases {
            assert_eq!(text(xml).expect(xml), expected);
        }
        let refused = [
            (
                "<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>",
                "broken file",
            ),
            (
                "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/passwd\">]><a>&b;</a>",
                "broken file",
            ),
            ("<a>&b;</a>", "broken file"),
            ("<a b=\"&c;\">x</a>", "broken file"),
            ("<a b='1' b='2'>x</a>", "broken file"),
            ("<a>&#0;</a>", "broken file"),
            ("<a><b></a>", "broken file"),
            ("<a>x", "broken file"),
        ];
        for (xml, kind) in refused {
            assert_eq!(text(xml).expect_err(xml).kind(), kind, "{xml}");
        }
        let deep = "<a>".repeat(DEPTH_LIMIT + 1);
        assert_eq!(text(&deep).expect_err("deep").kind(), "too deep");
    }

    #[test]
    fn a_skipped_element_leaves_the_next_one() {
        let mut xml = Xml::new(
            "<a><b><c>no</c><d/></b>t<e x:id='7' id='8'>yes</e></a>",
            part(),
        );
        assert!(xml.find("b").expect("b"));
        xml.skip().expect("skipped");
        let element = xml.child().expect("e").expect("e");
        assert_eq!(element.name(), "e");
        assert_eq!(element.prefixed("id").as_deref(), Some("7"));
        assert_eq!(xml.text().expect("text"), "yes");
        assert!(xml.child().expect("end").is_none());
    }

    #[test]
    fn a_part_is_decoded_as_it_says() {
        let wide: Vec<u8> = "\u{feff}<a>é</a>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let cases: [(&[u8], &str); 4] = [
            ("<a>é</a>".as_bytes(), "<a>é</a>"),
            ("\u{feff}<a>é</a>".as_bytes(), "<a>é</a>"),
            (&wide, "<a>é</a>"),
            (
                b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9</a>",
                "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>",
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(part().decode(bytes.to_vec()).expect(expected), expected);
        }
        assert_eq!(
            part()
                .decode(b"<a>\xE9</a>".to_vec())
                .expect_err("bytes")
                .kind(),
            "broken file"
        );
    }
}
