//! What an EPUB book says of itself: its properties, and its chapters in order.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use crate::document::Fields;
use crate::error::Result;
use crate::load::parts::{Parts, resolve};
use crate::load::xml::Xml;

/// Ways of hiding fonts, which leave the text alone.
const FONTS: [&str; 2] = [
    "http://www.idpf.org/2008/embedding",
    "http://ns.adobe.com/pdf/enc#RC",
];

/// A book.
#[derive(Debug, Default)]
pub(super) struct Package {
    pub(super) fields: Fields,
    pub(super) chapters: Vec<Chapter>,
}

/// A file in the order of reading.
#[derive(Debug)]
pub(super) struct Chapter {
    pub(super) part: String,
    /// Whether it is text, and not a picture or the table of contents.
    pub(super) is_text: bool,
    pub(super) encrypted: bool,
}

/// A file of the book.
struct Item {
    part: String,
    is_text: bool,
}

impl Package {
    /// Finds and reads the book's package file.
    pub(super) fn read(parts: &mut Parts) -> Result<Self> {
        let name = root(parts)?;
        let encrypted = encrypted(parts)?;
        let text = parts.required(&name)?;
        let part = parts.part(&name);
        let mut xml = Xml::new(&text, part);
        let mut package = Self::default();
        let (mut items, mut seen) = (HashMap::new(), HashSet::new());
        if !xml.find("package")? {
            return Err(xml.broken("it is no package file"));
        }
        while let Some(element) = xml.child()? {
            match element.name() {
                "metadata" => package.fields = metadata(&mut xml)?,
                "manifest" => items = manifest(&mut xml, &name)?,
                "spine" => {
                    while let Some(element) = xml.child()? {
                        let id = element.attribute("idref").unwrap_or_default();
                        let Some(item) = items.get(&id) else {
                            return Err(
                                part.broken(&format!("the chapter {id:?} is in no list of files"))
                            );
                        };
                        if !seen.insert(id.clone()) {
                            return Err(
                                part.broken(&format!("the chapter {id:?} stands there twice"))
                            );
                        }
                        package.chapters.push(Chapter {
                            part: item.part.clone(),
                            is_text: item.is_text,
                            encrypted: encrypted.contains(&item.part),
                        });
                        xml.skip()?;
                    }
                }
                _ => xml.skip()?,
            }
        }
        Ok(package)
    }
}

/// The name of the package file.
fn root(parts: &mut Parts) -> Result<String> {
    let name = "META-INF/container.xml";
    let text = parts.required(name)?;
    let mut xml = Xml::new(&text, parts.part(name));
    if xml.find("rootfiles")?
        && let Some(element) = xml.child()?
        && let Some(path) = element.attribute("full-path")
    {
        return Ok(resolve("", &path));
    }
    Err(xml.broken("it names no package file"))
}

/// The names of the parts that are encrypted.
fn encrypted(parts: &mut Parts) -> Result<HashSet<String>> {
    let name = "META-INF/encryption.xml";
    let mut found = HashSet::new();
    let Some(text) = parts.optional(name)? else {
        return Ok(found);
    };
    let mut xml = Xml::new(&text, parts.part(name));
    while xml.find("EncryptedData")? {
        let (mut fonts, mut target) = (false, None);
        while let Some(element) = xml.child()? {
            match element.name() {
                "EncryptionMethod" => {
                    let method = element.attribute("Algorithm").unwrap_or_default();
                    fonts = FONTS.contains(&method.as_str());
                }
                "CipherData" => {
                    while let Some(element) = xml.child()? {
                        target = element.attribute("URI").or(target);
                        xml.skip()?;
                    }
                    continue;
                }
                _ => {}
            }
            xml.skip()?;
        }
        if let Some(target) = target.filter(|_| !fonts) {
            found.insert(resolve("", &decode(&target)));
        }
    }
    Ok(found)
}

/// The Dublin Core properties of a book as fields.
fn metadata(xml: &mut Xml<'_>) -> Result<Fields> {
    let mut found: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    while let Some(element) = xml.child()? {
        let name = match element.name() {
            "title" => "title",
            "creator" => "author",
            "language" => "language",
            "date" => "date",
            "rights" => "licence",
            "publisher" => "publisher",
            "identifier" => "id",
            "description" => "description",
            "subject" => "keywords",
            _ => {
                xml.skip()?;
                continue;
            }
        };
        let text = xml.text()?.trim().to_owned();
        if !text.is_empty() {
            found.entry(name).or_default().push(text);
        }
    }
    let fields = found.into_iter().map(|(name, mut values)| {
        let value = match name {
            "keywords" => Value::from(values.join(", ")),
            "author" if values.len() > 1 => Value::from(values),
            _ => Value::from(values.swap_remove(0)),
        };
        (name.to_owned(), value)
    });
    Ok(fields.collect())
}

/// The files of a book by their ids.
fn manifest(xml: &mut Xml<'_>, package: &str) -> Result<HashMap<String, Item>> {
    let mut items = HashMap::new();
    while let Some(element) = xml.child()? {
        let href = element.attribute("href").unwrap_or_default();
        let kind = element.attribute("media-type").unwrap_or_default();
        let properties = element.attribute("properties").unwrap_or_default();
        let contents = properties
            .split_whitespace()
            .any(|property| property == "nav");
        items.insert(
            element.attribute("id").unwrap_or_default(),
            Item {
                part: resolve(package, &decode(&href)),
                is_text: (kind.contains("html") || kind.contains("xml"))
                    && !kind.contains("svg")
                    && !contents,
            },
        );
        xml.skip()?;
    }
    Ok(items)
}

/// Puts bytes in place of `%20` and the like.
fn decode(address: &str) -> String {
    let mut bytes = Vec::with_capacity(address.len());
    let mut rest = address.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after
            .get(..2)
            .and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn addresses_are_decoded() {
        let cases = [
            ("a%20b.xhtml", "a b.xhtml"),
            ("%C3%A9", "é"),
            ("100%", "100%"),
            ("%zz", "%zz"),
            ("a+b", "a+b"),
        ];
        for (address, expected) in cases {
            assert_eq!(decode(address), expected);
        }
    }
}
