//! What `OpenDocument` files hold around their text: properties, styles, and the slides of a presentation.

use serde_json::Value;

use super::open::Open;
use super::slides::Slide;
use crate::document::Fields;
use crate::error::{DataError, Place, Result};
use crate::load::blocks::Blocks;
use crate::load::parts::Parts;
use crate::load::table::line;
use crate::load::xml::{Element, Xml};

/// Refuses a document with a password, whose parts are not XML.
pub(in crate::load) fn refuse_encrypted(parts: &mut Parts) -> Result<()> {
    let name = "META-INF/manifest.xml";
    let Some(text) = parts.optional(name)? else {
        return Ok(());
    };
    if Xml::new(&text, parts.part(name)).find("encryption-data")? {
        return Err(DataError::Unsupported {
            place: Place::file(parts.path()),
            what: "a document with a password".into(),
            hint: "Open it, remove the password, and save it again",
        });
    }
    Ok(())
}

/// The properties of `meta.xml` as fields.
pub(in crate::load) fn properties(parts: &mut Parts) -> Result<Fields> {
    let name = "meta.xml";
    let mut fields = Fields::new();
    let Some(text) = parts.optional(name)? else {
        return Ok(fields);
    };
    let mut xml = Xml::new(&text, parts.part(name));
    if !xml.find("meta")? {
        return Ok(fields);
    }
    let mut keywords = Vec::new();
    while let Some(element) = xml.child()? {
        let (field, first) = match element.name() {
            "title" => ("title", true),
            "initial-creator" => ("author", true),
            "creator" => ("author", false),
            "creation-date" => ("date", true),
            "date" => ("date", false),
            "language" => ("language", true),
            "subject" => ("subject", true),
            "description" => ("description", true),
            "keyword" => ("keywords", true),
            _ => {
                xml.skip()?;
                continue;
            }
        };
        let text = xml.text()?.trim().to_owned();
        if text.is_empty() {
            continue;
        }
        if field == "keywords" {
            keywords.push(text);
        } else if first {
            // Who made the document, and when, comes before who changed it last.
            fields.insert(field.to_owned(), Value::from(text));
        } else if !fields.contains_key(field) {
            fields.insert(field.to_owned(), text.into());
        }
    }
    if !keywords.is_empty() {
        fields.insert("keywords".into(), Value::from(keywords.join(", ")));
    }
    Ok(fields)
}

/// The text of an ODT document.
pub(super) fn text(parts: &mut Parts) -> Result<String> {
    let mut open = named_styles(parts)?;
    let content = parts.required("content.xml")?;
    let mut xml = Xml::new(&content, parts.part("content.xml"));
    let mut blocks = Blocks::default();
    enter(&mut xml, &mut open, "text")?;
    open.blocks(&mut xml, &mut blocks)?;
    open.add_notes(&mut blocks);
    Ok(blocks.finish())
}

/// The slides of an ODP presentation.
pub(super) fn slides(parts: &mut Parts) -> Result<Vec<Slide>> {
    let mut open = named_styles(parts)?;
    let content = parts.required("content.xml")?;
    let mut xml = Xml::new(&content, parts.part("content.xml"));
    let mut slides = Vec::new();
    enter(&mut xml, &mut open, "presentation")?;
    while let Some(element) = xml.child()? {
        if element.name() == "page" {
            slides.push(slide(&element, &mut xml, &mut open)?);
        } else {
            xml.skip()?;
        }
    }
    Ok(slides)
}

/// The styles of `styles.xml`.
fn named_styles(parts: &mut Parts) -> Result<Open> {
    let mut open = Open::default();
    if let Some(text) = parts.optional("styles.xml")? {
        let mut xml = Xml::new(&text, parts.part("styles.xml"));
        xml.child()?;
        while let Some(element) = xml.child()? {
            if matches!(element.name(), "styles" | "automatic-styles") {
                open.styles(&mut xml)?;
            } else {
                xml.skip()?;
            }
        }
    }
    Ok(open)
}

/// Reads the styles of `content.xml` and opens the body, which is to be of a kind.
fn enter(xml: &mut Xml<'_>, open: &mut Open, kind: &str) -> Result<()> {
    xml.child()?;
    while let Some(element) = xml.child()? {
        match element.name() {
            "automatic-styles" => open.styles(xml)?,
            "body" => {
                if let Some(body) = xml.child()?
                    && body.name() == kind
                {
                    return Ok(());
                }
                break;
            }
            _ => xml.skip()?,
        }
    }
    Err(xml.broken(&format!("it has no office:{kind}")))
}

fn slide(page: &Element<'_>, xml: &mut Xml<'_>, open: &mut Open) -> Result<Slide> {
    let mut slide = Slide {
        hidden: page
            .attribute("style-name")
            .is_some_and(|style| open.hidden.contains(&style)),
        ..Slide::default()
    };
    let (mut blocks, mut notes) = (Blocks::default(), Blocks::default());
    while let Some(element) = xml.child()? {
        if element.name() == "notes" {
            note_page(xml, open, &mut notes)?;
            continue;
        }
        match element.attribute("class").as_deref() {
            Some("title") => {
                let mut title = Blocks::default();
                open.block(&element, xml, &mut title)?;
                let title = line(&title.finish());
                blocks.heading(1, &title);
                if slide.title.is_empty() {
                    slide.title = title;
                }
            }
            // They say the same on each slide.
            Some("date-time" | "footer" | "header" | "page-number") => xml.skip()?,
            _ => open.block(&element, xml, &mut blocks)?,
        }
    }
    open.add_notes(&mut blocks);
    slide.text = blocks.finish();
    slide.notes = notes.finish();
    Ok(slide)
}

/// The notes of a slide: the frame for them, and not the small picture of the slide.
fn note_page(xml: &mut Xml<'_>, open: &mut Open, notes: &mut Blocks) -> Result<()> {
    while let Some(element) = xml.child()? {
        if element.attribute("class").as_deref() == Some("notes") {
            open.block(&element, xml, notes)?;
        } else {
            xml.skip()?;
        }
    }
    Ok(())
}
