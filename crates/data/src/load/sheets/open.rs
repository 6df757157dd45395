//! The rows of an ODS spreadsheet.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

use super::{Book, COLUMN_LIMIT, Row, Sheet, number};
use crate::error::Result;
use crate::load::office::{properties, refuse_encrypted};
use crate::load::parts::Parts;
use crate::load::xml::{Element, Node, Xml};

const PART: &str = "content.xml";

/// Opens a spreadsheet and finds its sheets.
pub(super) fn open(path: &Path) -> Result<Book> {
    let mut parts = Parts::open(path, "ODS spreadsheet")?;
    refuse_encrypted(&mut parts)?;
    let fields = properties(&mut parts)?;
    let text = parts.required(PART)?;
    let sheets = sheets(Xml::new(&text, parts.part(PART)))?;
    Ok(Book {
        parts,
        path: path.into(),
        fields,
        sheets,
        rows: super::Rows::Open(Rows {
            text,
            ..Rows::default()
        }),
    })
}

/// The sheets, and where their rows begin.
fn sheets(mut xml: Xml<'_>) -> Result<Vec<Sheet>> {
    let mut hidden = HashSet::new();
    let mut sheets = Vec::new();
    let root = xml.child()?;
    if root.is_none_or(|root| root.name() != "document-content") {
        return Err(xml.broken("it is no content of a document"));
    }
    while let Some(element) = xml.child()? {
        match element.name() {
            "automatic-styles" => {
                while let Some(style) = xml.child()? {
                    while let Some(element) = xml.child()? {
                        if element.attribute("display").as_deref() == Some("false") {
                            hidden.insert(style.attribute("name").unwrap_or_default());
                        }
                        xml.skip()?;
                    }
                }
            }
            "body" => {
                let body = xml.child()?;
                if body.is_none_or(|body| body.name() != "spreadsheet") {
                    return Err(xml.broken("it has no office:spreadsheet"));
                }
                while let Some(element) = xml.child()? {
                    if element.name() == "table" {
                        let style = element.attribute("style-name").unwrap_or_default();
                        sheets.push(Sheet {
                            name: element.attribute("name").unwrap_or_default(),
                            hidden: hidden.contains(&style),
                            part: PART.into(),
                            start: xml.position(),
                        });
                    }
                    xml.skip()?;
                }
                return Ok(sheets);
            }
            _ => xml.skip()?,
        }
    }
    Err(xml.broken("it has no office:spreadsheet"))
}

/// The rows of one sheet after the other.
#[derive(Default)]
pub(super) struct Rows {
    text: String,
    /// How far the text is read, in bytes.
    position: usize,
    /// How many groups of rows are open.
    groups: usize,
    /// The number of the last row.
    number: u64,
    /// A row that is there several times: its cells, and how often it still comes.
    again: Option<(Row, u64)>,
}

impl Rows {
    /// Goes to the first row of a sheet.
    pub(super) fn enter(&mut self, sheet: &Sheet) {
        self.position = sheet.start;
        self.groups = 0;
        self.number = 0;
        self.again = None;
    }

    /// The next row, which may be empty.
    pub(super) fn next(&mut self, parts: &Parts) -> Result<Option<Row>> {
        if let Some((row, times)) = self.again.take() {
            self.number += 1;
            if times > 1 {
                self.again = Some((row.clone(), times - 1));
            }
            return Ok(Some(Row {
                number: self.number,
                ..row
            }));
        }
        let mut xml = Xml::fragment(&self.text[self.position..], parts.part(PART));
        loop {
            let Some(element) = xml.child()? else {
                if self.groups == 0 {
                    return Ok(None);
                }
                self.groups -= 1;
                continue;
            };
            match element.name() {
                "table-row" => {
                    let times = element.number("number-rows-repeated").unwrap_or(1).max(1) as u64;
                    let mut row = read_row(&mut xml)?;
                    self.position += xml.position();
                    row.number = self.number + 1;
                    if row.cells.is_empty() && row.unknown.is_none() {
                        self.number = self.number.saturating_add(times);
                        return Ok(Some(Row::default()));
                    }
                    self.number += 1;
                    if times > 1 {
                        self.again = Some((row.clone(), times - 1));
                    }
                    return Ok(Some(row));
                }
                "table-row-group" | "table-header-rows" | "table-rows" => self.groups += 1,
                _ => xml.skip()?,
            }
        }
    }
}

fn read_row(xml: &mut Xml<'_>) -> Result<Row> {
    let mut row = Row::default();
    let mut column = 0_usize;
    while let Some(element) = xml.child()? {
        let times = element
            .number("number-columns-repeated")
            .unwrap_or(1)
            .max(1);
        // What a merged cell covers is not seen.
        let value = if element.name() == "table-cell" {
            cell(&element, xml)?
        } else {
            xml.skip()?;
            Some(Value::Null)
        };
        let end = column.saturating_add(times);
        match value {
            Some(Value::Null) => {}
            _ if end > COLUMN_LIMIT => return Err(xml.broken("a row has too many cells")),
            Some(value) => row
                .cells
                .extend((column..end).map(|column| (column, value.clone()))),
            None => row.unknown = Some(column),
        }
        column = end;
    }
    Ok(row)
}

/// A cell's value; `None` for a formula whose value was not stored.
fn cell(element: &Element<'_>, xml: &mut Xml<'_>) -> Result<Option<Value>> {
    let kind = element.attribute("value-type").unwrap_or_default();
    let text = text(xml)?;
    let wrong = |value: &str| xml.broken(&format!("a cell holds {value:?} as {kind:?}"));
    let value = match kind.as_str() {
        "float" | "percentage" | "currency" => {
            let value = element.attribute("value").unwrap_or_default();
            number(&value).ok_or_else(|| wrong(&value))?
        }
        "boolean" => (element.attribute("boolean-value").as_deref() == Some("true")).into(),
        "date" => element.attribute("date-value").unwrap_or(text).into(),
        "time" => element.attribute("time-value").unwrap_or(text).into(),
        "" if text.is_empty() && element.attribute("formula").is_some() => return Ok(None),
        "" if text.is_empty() => Value::Null,
        _ => element.attribute("string-value").unwrap_or(text).into(),
    };
    Ok(Some(value))
}

/// The paragraphs of a cell, a line each.
fn text(xml: &mut Xml<'_>) -> Result<String> {
    let mut lines = Vec::new();
    while let Some(element) = xml.child()? {
        if element.name() == "p" {
            let mut line = String::new();
            inline(xml, &mut line)?;
            lines.push(line);
        } else {
            xml.skip()?;
        }
    }
    Ok(lines.join("\n"))
}

fn inline(xml: &mut Xml<'_>, line: &mut String) -> Result<()> {
    while let Some(node) = xml.next()? {
        match node {
            Node::Text(text) => line.push_str(&text),
            Node::Element(element) => {
                match element.name() {
                    // A long run of spaces is layout; 64 of them say so as well as more.
                    "s" => line.extend(std::iter::repeat_n(
                        ' ',
                        element.number("c").unwrap_or(1).min(64),
                    )),
                    "tab" => line.push('\t'),
                    "line-break" => line.push('\n'),
                    _ => {}
                }
                inline(xml, line)?;
            }
        }
    }
    Ok(())
}
