//! Tables of comma- or tab-separated values.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

use super::lines::{Cut, records};
use super::packing::Packing;
use super::parse::locate;
use super::sniff::Format;
use super::source::Source;
use super::text::{decode, too_long};
use super::typed::Type;
use crate::document::{Document, Documents, Load, Origin, Raw, Read, Record, Records, documents};
use crate::error::{DataError, Place, Result, quoted};

/// How many rows, and how many bytes of them, tell the types of the columns.
const AHEAD: usize = 1000;
const AHEAD_BYTES: u64 = 4 << 20;

/// Loads tables whose first line names the columns: `.csv` at commas, `.tsv` and `.tab` at tabs, after RFC 4180. A
/// cell in double quotes may hold the separator, line ends, and quotes written twice. Every cell becomes a string
/// field under its column's name, or what [`Csv::typed`] makes of it; the place is the line where the row starts.
///
/// A row with more or fewer cells than there are columns, and text behind a closing quote, are errors of that row. A
/// quote that never closes ends the file, for nobody knows where the next row starts.
// The csv crate reads what can be read. Here a row's bytes, its line, a bound on its length and the place of an open
// quote are needed too, so rows are cut by this file's own machine; tests compare it with that crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Csv {
    /// The separator, if it is not the one of the file's extension.
    pub separator: Option<u8>,
    /// What the cells become.
    pub cells: Cells,
}

/// What the cells of a table become.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cells {
    /// Strings, as they are written.
    #[default]
    Text,
    /// Numbers, truth values and null in the columns that hold nothing else.
    Typed,
}

impl Csv {
    /// A loader for tables with another separator, such as `b';'`.
    pub fn separated(separator: u8) -> Self {
        Self {
            separator: Some(separator),
            ..Self::default()
        }
    }

    /// A loader that gives cells their types, column by column.
    ///
    /// The first 1000 rows (or 4 MiB of them) tell: a column in which every cell is a number, or empty, holds numbers;
    /// one of `true` and `false` truth values; empty cells in them are null. Every other column is text, and empty
    /// cells in it are empty texts. Nothing is a number that a number would not give back: leading zeros, `+`,
    /// exponents such as `1e5`, `NaN`, dates, integers beyond 64 bits and fractions of more than 15 digits are text. A
    /// later cell that has not the type of its column is an error of its row.
    pub fn typed(mut self) -> Self {
        self.cells = Cells::Typed;
        self
    }

    fn separator(self, path: &Path) -> u8 {
        let name = Packing::stem(path).to_string_lossy().to_ascii_lowercase();
        let tabs = [".tsv", ".tab"]
            .iter()
            .any(|extension| name.ends_with(extension));
        self.separator.unwrap_or(if tabs { b'\t' } else { b',' })
    }
}

impl Load for Csv {
    fn extensions(&self) -> &[&str] {
        &["csv", "tsv", "tab"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let source = Source::open(path, Format::Table)?;
        let separator = self.separator(path);
        let mut rows = Rows {
            source,
            separator,
            line: 1,
            read: None,
            ahead: VecDeque::new(),
            failed: None,
        };
        let blanks = rows.head(self.cells)?;
        let blanks = (0..blanks).map(|_| Ok(Record::blank()));
        Ok(Box::new(blanks.chain(records(rows))))
    }
}

struct Rows {
    source: Source,
    separator: u8,
    /// The line where the next row starts.
    line: u64,
    /// How a row is read once the columns are known; `None` in a file without any.
    read: Option<Read>,
    /// Rows that were read to see the types of the columns, and the error behind them.
    ahead: VecDeque<(Raw, Place)>,
    failed: Option<DataError>,
}

impl Rows {
    /// Reads the names of the columns; the number of blank lines before them.
    fn head(&mut self, cells: Cells) -> Result<u64> {
        let mut blanks = 0;
        while let Some((raw, place)) = self.row()? {
            let Raw::Bytes(raw) = raw else {
                return Err(too_long(place, "record"));
            };
            if is_blank(&raw) {
                blanks += 1;
                continue;
            }
            let names = names(&raw, self.separator, &place)?;
            let separator = self.separator;
            let types = match cells {
                Cells::Text => vec![Type::Text; names.len()],
                Cells::Typed => self.types(names.len()),
            };
            let columns: Vec<(String, Type)> = names.into_iter().zip(types).collect();
            self.read = Some(Arc::new(move |raw, place| {
                document(raw, place, separator, &columns)
            }));
            break;
        }
        Ok(blanks)
    }

    /// The types of the columns, by the rows that come first. What is wrong with these rows is said when they are due.
    fn types(&mut self, columns: usize) -> Vec<Type> {
        let mut bytes = 0;
        while self.ahead.len() < AHEAD && bytes < AHEAD_BYTES {
            match self.row() {
                Ok(Some((raw, place))) => {
                    bytes += raw.len();
                    self.ahead.push_back((raw, place));
                }
                Ok(None) => break,
                Err(error) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        let rows = self
            .ahead
            .iter()
            .filter(|(raw, _)| !is_blank(raw.bytes()))
            .filter_map(|(raw, place)| self::cells(raw.bytes(), self.separator, place).ok());
        let rows: Vec<Vec<(usize, String)>> = rows.filter(|cells| cells.len() == columns).collect();
        (0..columns)
            .map(|column| Type::of(rows.iter().map(|cells| cells[column].1.as_str())))
            .collect()
    }

    /// The bytes of the next row and where it starts.
    fn row(&mut self) -> Result<Option<(Raw, Place)>> {
        let mut state = State::Start;
        let (mut lines, mut opened) = (0, 0);
        let separator = self.separator;
        let raw = self.source.take(|bytes| {
            for (index, byte) in bytes.iter().enumerate() {
                let before = state;
                state = state.after(*byte, separator);
                if before == State::Start && state == State::Quoted {
                    opened = lines;
                }
                if *byte == b'\n' {
                    lines += 1;
                    if state == State::Start {
                        return Some(index + 1);
                    }
                }
            }
            None
        })?;
        let place = Place::at(self.source.path(), self.line, 1);
        if raw.is_some() && state == State::Quoted {
            let place = Place::at(&place.path, self.line + opened, 0);
            let message = "a quote opens here and never closes; expected a closing quote. Nothing behind it was read";
            return Err(DataError::CsvSyntax {
                place,
                message: message.into(),
            });
        }
        self.line += lines;
        Ok(raw.map(|raw| (raw, place)))
    }
}

impl Cut for Rows {
    fn cut(&mut self) -> Result<Option<Record>> {
        let Some(read) = self.read.clone() else {
            return Ok(None);
        };
        let next = match self.ahead.pop_front() {
            Some(row) => Some(row),
            None => match self.failed.take() {
                Some(error) => return Err(error),
                None => self.row()?,
            },
        };
        let Some((raw, place)) = next else {
            return Ok(None);
        };
        Ok(Some(match raw {
            Raw::Bytes(raw) if is_blank(&raw) => Record::blank(),
            Raw::Bytes(raw) => Record::later(raw, place, read),
            raw => Record::broken(raw, too_long(place, "record")),
        }))
    }

    fn source(&self) -> &Source {
        &self.source
    }
}

/// Where in a row one is; `Start` again at the end of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a cell.
    Start,
    /// In a cell without quotes.
    Bare,
    /// Between quotes.
    Quoted,
    /// Behind a quote that closes, or is the first of two.
    Closed,
    /// In text behind a closing quote.
    Stray,
}

impl State {
    fn after(self, byte: u8, separator: u8) -> Self {
        match self {
            Self::Quoted if byte == b'"' => Self::Closed,
            Self::Quoted => Self::Quoted,
            _ if byte == separator || byte == b'\n' => Self::Start,
            // Behind a closing quote another one means that the two stand for one.
            Self::Start | Self::Closed if byte == b'"' => Self::Quoted,
            Self::Start | Self::Bare => Self::Bare,
            // The end of a line may be written as CR LF.
            Self::Closed if byte == b'\r' => Self::Closed,
            Self::Closed | Self::Stray => Self::Stray,
        }
    }
}

/// The cells of a row, each with the byte offset where it starts.
fn cells(raw: &[u8], separator: u8, place: &Place) -> Result<Vec<(usize, String)>> {
    let text = decode(raw, place)?;
    let text = text
        .strip_suffix('\n')
        .map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    let fault = |at, message: &str| DataError::CsvSyntax {
        place: locate(text, at, place),
        message: message.into(),
    };
    let mut cells = Vec::new();
    let (mut cell, mut start, mut state) = (String::new(), 0, State::Start);
    for (at, character) in text.char_indices() {
        // Separators and quotes are ASCII; any other character moves the machine as a letter does.
        let byte = u8::try_from(character).unwrap_or(b'x');
        let before = state;
        state = before.after(byte, separator);
        match (before, state) {
            (_, State::Start) => {
                cells.push((start, std::mem::take(&mut cell)));
                start = at + 1;
            }
            (_, State::Bare | State::Closed) if character == '\r' => {
                return Err(fault(at, LONE_RETURN));
            }
            (_, State::Stray) => return Err(fault(at, STRAY)),
            (_, State::Bare) | (State::Quoted | State::Closed, State::Quoted) => {
                cell.push(character);
            }
            (_, State::Closed | State::Quoted) => {}
        }
    }
    cells.push((start, cell));
    Ok(cells)
}

const LONE_RETURN: &str =
    "found a lone CR; expected LF or CR LF at a line's end. Convert the old Mac line ends";
const STRAY: &str =
    "found text behind a closing quote; expected the separator. Write a quote inside quotes twice";

fn names(raw: &[u8], separator: u8, place: &Place) -> Result<Vec<String>> {
    let text = decode(raw, place)?;
    let mut names: Vec<String> = Vec::new();
    let mut seen = HashSet::new();
    for (start, name) in cells(raw, separator, place)? {
        let place = || locate(text, start, place);
        let name = name.trim().to_string();
        if name.is_empty() {
            let message =
                "found a column without a name; expected the columns' names in the first line"
                    .into();
            return Err(DataError::CsvSyntax {
                place: place(),
                message,
            });
        }
        if !seen.insert(name.clone()) {
            return Err(DataError::DuplicateKey {
                place: place(),
                key: quoted(&name),
            });
        }
        names.push(name);
    }
    Ok(names)
}

fn document(
    raw: &[u8],
    place: &Place,
    separator: u8,
    columns: &[(String, Type)],
) -> Result<Document> {
    let cells = cells(raw, separator, place)?;
    if cells.len() != columns.len() {
        let message = format!(
            "found {} cells; expected {}, as in the first line",
            cells.len(),
            columns.len()
        );
        return Err(DataError::CsvSyntax {
            place: Place {
                column: 0,
                ..place.clone()
            },
            message,
        });
    }
    let values = columns.iter().zip(cells).map(|((name, kind), (_, cell))| {
        let value = kind.value(&cell).ok_or_else(|| {
            let (name, found, kind) = (quoted(name), quoted(&cell), kind.name());
            DataError::CsvSyntax {
                place: Place {
                    column: 0,
                    ..place.clone()
                },
                message: format!(
                    "column {name}: found {found}; expected {kind}, as in the first rows. Load the table without types"
                ),
            }
        })?;
        Ok((name.clone(), value))
    });
    let fields = values.collect::<Result<_>>()?;
    Ok(Document {
        text: String::new(),
        fields,
        origin: Origin::new(&place.path, place.line),
    })
}

fn is_blank(row: &[u8]) -> bool {
    row.iter().all(|byte| matches!(byte, b' ' | b'\r' | b'\n'))
}
