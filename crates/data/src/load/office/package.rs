//! What the files of Microsoft's formats share: how parts name each other, and the properties of the document.

use serde_json::Value;

use crate::document::Fields;
use crate::error::Result;
use crate::load::parts::{Parts, resolve};
use crate::load::xml::Xml;

/// What a part names: other parts, and addresses outside.
#[derive(Debug, Default)]
pub(in crate::load) struct Relations(Vec<Relation>);

#[derive(Debug)]
struct Relation {
    id: String,
    /// The last word of the kind's address: "slide", "hyperlink".
    kind: String,
    /// The part's name, or the address as it is written.
    target: String,
    outside: bool,
}

impl Relations {
    /// The relations of a part; of the package for the empty name.
    pub(in crate::load) fn of(parts: &mut Parts, part: &str) -> Result<Self> {
        let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
        let separator = if folder.is_empty() { "" } else { "/" };
        let file = format!("{folder}{separator}_rels/{name}.rels");
        let Some(text) = parts.optional(&file)? else {
            return Ok(Self::default());
        };
        let mut found = Vec::new();
        let mut xml = Xml::new(&text, parts.part(&file));
        if !xml.find("Relationships")? {
            return Ok(Self::default());
        }
        while let Some(element) = xml.child()? {
            let outside = element.attribute("TargetMode").as_deref() == Some("External");
            let target = element.attribute("Target").unwrap_or_default();
            let kind = element.attribute("Type").unwrap_or_default();
            found.push(Relation {
                id: element.attribute("Id").unwrap_or_default(),
                kind: kind.rsplit('/').next().unwrap_or_default().into(),
                target: if outside {
                    target
                } else {
                    resolve(part, &target)
                },
                outside,
            });
            xml.skip()?;
        }
        Ok(Self(found))
    }

    /// The part of a kind, such as "footnotes".
    pub(in crate::load) fn kind(&self, kind: &str) -> Option<&str> {
        let mut relations = self.0.iter();
        let found = relations.find(|relation| relation.kind == kind && !relation.outside)?;
        Some(&found.target)
    }

    /// The part behind an id.
    pub(in crate::load) fn part(&self, id: &str) -> Option<&str> {
        let mut relations = self.0.iter();
        let found = relations.find(|relation| relation.id == id && !relation.outside)?;
        Some(&found.target)
    }

    /// The address outside behind an id.
    pub(in crate::load) fn address(&self, id: &str) -> Option<&str> {
        let mut relations = self.0.iter();
        let found = relations.find(|relation| relation.id == id && relation.outside)?;
        Some(&found.target)
    }
}

/// The part with the document itself, and the document's properties as fields.
pub(in crate::load) fn main(parts: &mut Parts, usual: &str) -> Result<(String, Fields)> {
    let relations = Relations::of(parts, "")?;
    let main = relations.kind("officeDocument").unwrap_or(usual).to_owned();
    let core = relations
        .kind("core-properties")
        .unwrap_or("docProps/core.xml");
    let fields = match parts.optional(core)? {
        Some(text) => properties(Xml::new(&text, parts.part(core)))?,
        None => Fields::new(),
    };
    Ok((main, fields))
}

/// The Dublin Core properties of `docProps/core.xml`.
fn properties(mut xml: Xml<'_>) -> Result<Fields> {
    let mut fields = Fields::new();
    if !xml.find("coreProperties")? {
        return Ok(fields);
    }
    while let Some(element) = xml.child()? {
        let name = match element.name() {
            "title" => "title",
            "creator" => "author",
            "created" => "date",
            "language" => "language",
            "subject" => "subject",
            "description" => "description",
            "keywords" => "keywords",
            _ => {
                xml.skip()?;
                continue;
            }
        };
        let text = xml.text()?;
        if !text.trim().is_empty() {
            fields.insert(name.to_owned(), Value::from(text.trim()));
        }
    }
    Ok(fields)
}
