//! The rows of an XLSX workbook.

use std::path::Path;

use serde_json::Value;

use super::date::Format;
use super::{Book, COLUMN_LIMIT, Row, Sheet, number};
use crate::error::Result;
use crate::load::office::package::{self, Relations};
use crate::load::parts::Parts;
use crate::load::xml::{Element, Xml};

/// Opens a workbook and reads what its sheets share.
pub(super) fn open(path: &Path) -> Result<Book> {
    let mut parts = Parts::open(path, "XLSX workbook")?;
    let (main, fields) = package::main(&mut parts, "xl/workbook.xml")?;
    let relations = Relations::of(&mut parts, &main)?;
    let mut rows = Rows::default();
    let sheets = rows.workbook(&mut parts, &main, &relations)?;
    if let Some(name) = relations.kind("sharedStrings")
        && let Some(text) = parts.optional(name)?
    {
        rows.texts = shared(Xml::new(&text, parts.part(name)))?;
    }
    if let Some(name) = relations.kind("styles")
        && let Some(text) = parts.optional(name)?
    {
        rows.formats = formats(Xml::new(&text, parts.part(name)))?;
    }
    Ok(Book {
        parts,
        path: path.into(),
        fields,
        sheets,
        rows: super::Rows::Excel(rows),
    })
}

/// The rows of one sheet after the other.
#[derive(Default)]
pub(super) struct Rows {
    since_1904: bool,
    texts: Vec<String>,
    /// The format of each style of cells.
    formats: Vec<Format>,
    /// The name of the sheet's part, its text, and how far it is read.
    name: String,
    text: String,
    position: usize,
    /// The number of the last row.
    number: u64,
}

impl Rows {
    fn workbook(
        &mut self,
        parts: &mut Parts,
        main: &str,
        relations: &Relations,
    ) -> Result<Vec<Sheet>> {
        let text = parts.required(main)?;
        let part = parts.part(main);
        let mut xml = Xml::new(&text, part);
        let mut sheets: Vec<Sheet> = Vec::new();
        if !xml.find("workbook")? {
            return Err(xml.broken("it is no workbook"));
        }
        while let Some(element) = xml.child()? {
            match element.name() {
                "workbookPr" => self.since_1904 = element.flag("date1904", false),
                "sheets" => {
                    while let Some(element) = xml.child()? {
                        let name = element.attribute("name").unwrap_or_default();
                        let id = element.prefixed("id").unwrap_or_default();
                        let target = relations.part(&id);
                        let Some(target) =
                            target.filter(|part| sheets.iter().all(|sheet| sheet.part != *part))
                        else {
                            return Err(part.broken(&format!(
                                "sheet {name:?} has no part of its own (r:id {id:?})"
                            )));
                        };
                        sheets.push(Sheet {
                            hidden: element
                                .attribute("state")
                                .is_some_and(|state| state != "visible"),
                            part: target.into(),
                            name,
                            start: 0,
                        });
                        xml.skip()?;
                    }
                    continue;
                }
                _ => {}
            }
            xml.skip()?;
        }
        Ok(sheets)
    }

    /// Goes to the first row of a sheet.
    pub(super) fn enter(&mut self, parts: &mut Parts, sheet: &Sheet) -> Result<()> {
        self.text = parts.required(&sheet.part)?;
        self.name.clone_from(&sheet.part);
        self.number = 0;
        let mut xml = Xml::new(&self.text, parts.part(&self.name));
        // A sheet of charts has no rows.
        let found = xml.find("sheetData")?;
        self.position = if found {
            xml.position()
        } else {
            self.text.len()
        };
        Ok(())
    }

    /// The next row, which may be empty.
    pub(super) fn next(&mut self, parts: &Parts) -> Result<Option<Row>> {
        let part = parts.part(&self.name);
        let mut xml = Xml::fragment(&self.text[self.position..], part);
        while let Some(element) = xml.child()? {
            if element.name() != "row" {
                xml.skip()?;
                continue;
            }
            let number = element
                .number("r")
                .map_or(self.number + 1, |number| number as u64);
            let row = self.row(&mut xml, number)?;
            self.number = number;
            self.position += xml.position();
            return Ok(Some(row));
        }
        self.position = self.text.len();
        Ok(None)
    }

    fn row(&self, xml: &mut Xml<'_>, number: u64) -> Result<Row> {
        let mut row = Row {
            number,
            ..Row::default()
        };
        let mut next = 0;
        while let Some(element) = xml.child()? {
            if element.name() != "c" {
                xml.skip()?;
                continue;
            }
            let column = match element.attribute("r") {
                Some(name) => column(&name)
                    .ok_or_else(|| xml.broken(&format!("there is no cell {name:?}")))?,
                None => next,
            };
            if column >= COLUMN_LIMIT {
                return Err(xml.broken("a row has too many cells"));
            }
            next = column + 1;
            match self.cell(&element, xml)? {
                Stored::Value(Value::Null) => {}
                Stored::Value(value) => row.cells.push((column, value)),
                Stored::Unknown => row.unknown = Some(column),
            }
        }
        row.cells.sort_by_key(|(column, _)| *column);
        if row.cells.windows(2).any(|cells| cells[0].0 == cells[1].0) {
            return Err(xml.broken(&format!("row {number} has a cell twice")));
        }
        Ok(row)
    }

    fn cell(&self, element: &Element<'_>, xml: &mut Xml<'_>) -> Result<Stored> {
        let kind = element.attribute("t").unwrap_or_default();
        let style = element.number("s").unwrap_or(0);
        let (mut stored, mut formula, mut inline) = (None, false, None);
        while let Some(element) = xml.child()? {
            match element.name() {
                "v" => stored = Some(xml.text()?),
                "is" => inline = Some(text(xml)?),
                name => {
                    formula |= name == "f";
                    xml.skip()?;
                }
            }
        }
        let Some(stored) = stored else {
            return Ok(match inline {
                Some(text) => Stored::Value(text.into()),
                None if formula => Stored::Unknown,
                None => Stored::Value(Value::Null),
            });
        };
        let wrong = || xml.broken(&format!("a cell holds {stored:?} as {kind:?}"));
        Ok(Stored::Value(match kind.as_str() {
            "s" => {
                let index = stored.trim().parse::<usize>().ok();
                let text = index
                    .and_then(|index| self.texts.get(index))
                    .ok_or_else(wrong)?;
                text.as_str().into()
            }
            "str" | "inlineStr" => unescape(&stored).into(),
            "b" => (stored.trim() == "1" || stored.trim() == "true").into(),
            "e" | "d" => stored.trim().into(),
            _ if stored.trim().is_empty() => Value::Null,
            _ => {
                let value = number(&stored).ok_or_else(wrong)?;
                let format = self.formats.get(style).copied().unwrap_or(Format::Number);
                let date = value
                    .as_f64()
                    .and_then(|days| format.show(days, self.since_1904));
                date.map_or(value, Value::from)
            }
        }))
    }
}

/// What a cell holds.
enum Stored {
    Value(Value),
    /// A formula whose value was not stored.
    Unknown,
}

/// The texts that cells refer to by their index.
fn shared(mut xml: Xml<'_>) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    if !xml.find("sst")? {
        return Ok(texts);
    }
    while let Some(element) = xml.child()? {
        if element.name() == "si" {
            texts.push(text(&mut xml)?);
        } else {
            xml.skip()?;
        }
    }
    Ok(texts)
}

/// The text of the open element: its runs together, without the reading aids of East Asian texts.
fn text(xml: &mut Xml<'_>) -> Result<String> {
    let mut all = String::new();
    while let Some(element) = xml.child()? {
        match element.name() {
            "t" => all.push_str(&unescape(&xml.text()?)),
            "r" => all.push_str(&text(xml)?),
            _ => xml.skip()?,
        }
    }
    Ok(all)
}

/// Puts the characters in place of `_x000D_` and the like, as which XML's forbidden ones are written; line ends become
/// `\n`.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("_x") {
        let code = rest
            .get(start + 2..start + 6)
            .filter(|code| code.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let closed = rest.as_bytes().get(start + 6) == Some(&b'_');
        let code = code
            .filter(|_| closed)
            .and_then(|code| u32::from_str_radix(code, 16).ok());
        if let Some(character) = code.and_then(char::from_u32) {
            plain.push_str(&rest[..start]);
            plain.push(character);
            rest = &rest[start + 7..];
        } else {
            plain.push_str(&rest[..start + 2]);
            rest = &rest[start + 2..];
        }
    }
    plain.push_str(rest);
    if plain.contains('\r') {
        plain = plain.replace("\r\n", "\n").replace('\r', "\n");
    }
    plain
}

/// The formats of the styles of cells.
fn formats(mut xml: Xml<'_>) -> Result<Vec<Format>> {
    let mut named = std::collections::HashMap::new();
    let mut formats = Vec::new();
    if !xml.find("styleSheet")? {
        return Ok(formats);
    }
    while let Some(element) = xml.child()? {
        let list = element.name().to_owned();
        while let Some(element) = xml.child()? {
            let id = element.number("numFmtId").unwrap_or(0);
            match list.as_str() {
                "numFmts" => {
                    let code = element.attribute("formatCode").unwrap_or_default();
                    named.insert(id, Format::of(&code));
                }
                "cellXfs" => {
                    let format = named.get(&id).copied();
                    formats.push(format.unwrap_or_else(|| Format::built_in(id)));
                }
                _ => {}
            }
            xml.skip()?;
        }
    }
    Ok(formats)
}

/// The column, from 0, of a cell's name such as `BC12`.
fn column(name: &str) -> Option<usize> {
    let letters = name.trim_end_matches(|character: char| character.is_ascii_digit());
    if letters.is_empty() || letters.len() > 3 {
        return None;
    }
    let mut column = 0;
    for letter in letters.bytes() {
        let letter = letter.to_ascii_uppercase();
        if !letter.is_ascii_uppercase() {
            return None;
        }
        column = column * 26 + usize::from(letter - b'A') + 1;
    }
    Some(column - 1)
}
