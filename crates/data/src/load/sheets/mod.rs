//! Tables of spreadsheets: XLSX and ODS.
//!
//! The readers are our own and not calamine's, which sets memory aside for as many texts as a file claims to have and
//! for every cell between the first and the last one: a file of a kilobyte then ends the program. Here a row is read
//! when it is asked for, and only cells that are there take room.

mod date;
mod excel;
mod open;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::packing::Packing;
use super::parts::Parts;
use super::table::Table;
use crate::document::{
    Document, Documents, Fields, Load, Origin, PlaceUnit, Record, Records, documents,
};
use crate::error::{DataError, Place, Result, quoted};

/// How many rows a sheet may have.
const ROW_LIMIT: u64 = 1 << 20;
/// How many columns a sheet may have.
const COLUMN_LIMIT: usize = 1 << 14;
/// What a cell takes as a field of a document beside its text, in bytes.
const CELL: usize = 64;

/// How much of a spreadsheet makes one document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SheetUnit {
    /// A row; the first row of a sheet that is not empty names the fields.
    #[default]
    Row,
    /// A sheet, as a table in Markdown.
    Sheet,
}

/// Loads spreadsheets: `.xlsx` (and `.xlsm`, `.xltx`) and `.ods` (and `.ots`). Sheets come in the order of their tabs.
///
/// **A row per document** (the default): its cells are fields under the names in the first row that is not empty, and
/// its place is the row's number. Types are kept: numbers are numbers, dates are text after ISO 8601 (`2024-05-01`,
/// `13:45:00`, `2024-05-01T13:45:00`, durations `PT30H15M`), errors are their text (`#DIV/0!`), an empty cell is null.
/// A column with cells but without a name is called by its letters. `sheet` names the sheet, and `hidden` is true for a
/// sheet that is not shown, unless a column has that name. Empty rows are passed over.
///
/// **A sheet per document**: its text is a table in Markdown without empty columns at its left; `sheet` and `hidden`
/// are fields beside those of the file as in [`TextDocument`](super::TextDocument). A sheet without cells counts as
/// blank.
///
/// Of a formula the stored value is taken. It is never evaluated, and one without a stored value is an error of its
/// row. A text that begins with `=` is a text like others: it is not changed, and no table that this loader writes has
/// it at the beginning of a line or cell of separated values, where a spreadsheet would run it. The value of merged
/// cells stands in the first of them; the others are empty. Hidden rows and columns are read as others.
///
/// Old `.xls` files are not read. Limits are those of [`TextDocument`](super::TextDocument), where texts count as often
/// as cells show them; and a sheet has at most 1,048,576 rows and 16,384 columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sheets {
    /// What makes one document.
    pub unit: SheetUnit,
}

impl Sheets {
    /// A document per sheet.
    pub fn tables() -> Self {
        Self {
            unit: SheetUnit::Sheet,
        }
    }
}

impl Load for Sheets {
    fn extensions(&self) -> &[&str] {
        &["xlsx", "xlsm", "xltx", "ods", "ots"]
    }

    fn load(&self, path: &Path) -> Result<Documents> {
        Ok(documents(self.records(path)?))
    }

    fn records(&self, path: &Path) -> Result<Records> {
        let book = Book::open(path)?;
        Ok(match self.unit {
            SheetUnit::Row => Box::new(
                RowRecords {
                    book,
                    sheet: 0,
                    head: None,
                }
                .fused(),
            ),
            SheetUnit::Sheet => Box::new(SheetRecords { book, sheet: 0 }.fused()),
        })
    }
}

/// A sheet of a workbook.
#[derive(Debug)]
struct Sheet {
    name: String,
    hidden: bool,
    /// The part's name in XLSX.
    part: String,
    /// Where the sheet's rows begin in the part, in bytes.
    start: usize,
}

/// The cells of a row that are there.
#[derive(Debug, Clone, Default)]
struct Row {
    /// From 1.
    number: u64,
    /// Columns from 0, in ascending order.
    cells: Vec<(usize, Value)>,
    /// The column of a formula without a value.
    unknown: Option<usize>,
}

/// An opened workbook, whose rows are read one after the other.
struct Book {
    parts: Parts,
    path: PathBuf,
    fields: Fields,
    sheets: Vec<Sheet>,
    rows: Rows,
}

enum Rows {
    Excel(excel::Rows),
    Open(open::Rows),
}

impl Book {
    fn open(path: &Path) -> Result<Self> {
        let name = Packing::stem(path);
        let extension = name.extension().unwrap_or_default();
        if ["ods", "ots"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
        {
            open::open(path)
        } else {
            excel::open(path)
        }
    }

    /// Goes to the first row of a sheet.
    fn enter(&mut self, index: usize) -> Result<()> {
        match &mut self.rows {
            Rows::Excel(rows) => rows.enter(&mut self.parts, &self.sheets[index]),
            Rows::Open(rows) => {
                rows.enter(&self.sheets[index]);
                Ok(())
            }
        }
    }

    /// The next row of the sheet that is not empty.
    fn row(&mut self) -> Result<Option<Row>> {
        loop {
            let row = match &mut self.rows {
                Rows::Excel(rows) => rows.next(&self.parts)?,
                Rows::Open(rows) => rows.next(&self.parts)?,
            };
            let Some(row) = row else {
                return Ok(None);
            };
            let texts = row
                .cells
                .iter()
                .map(|(_, value)| CELL + value.as_str().map_or(0, str::len));
            self.parts.spend(texts.sum())?;
            if row.number > ROW_LIMIT {
                return Err(self.limit("the number of rows", row.number, ROW_LIMIT));
            }
            if !row.cells.is_empty() || row.unknown.is_some() {
                return Ok(Some(row));
            }
        }
    }

    fn limit(&self, what: &'static str, found: u64, limit: u64) -> DataError {
        DataError::LimitExceeded {
            place: Place::file(&self.path),
            what,
            found,
            limit,
            hint: "Is the file broken?",
        }
    }

    fn origin(&self, row: &Row) -> Origin {
        Origin::of(&self.path, PlaceUnit::Row, row.number)
    }

    /// The error of a row that has a formula without a value.
    fn known(&self, row: &Row, sheet: &Sheet) -> Result<()> {
        let Some(column) = row.unknown else {
            return Ok(());
        };
        let cell = format!("{}{}", letters(column), row.number);
        Err(DataError::Unsupported {
            place: Place::from(&self.origin(row)),
            what: format!(
                "the formula without a stored value in {cell} of sheet {}",
                quoted(&sheet.name)
            ),
            hint: "Open the file in a spreadsheet program, which computes it, and save it again",
        })
    }
}

/// What is read of a workbook as records; an error ends it.
trait Step {
    fn step(&mut self) -> Result<Option<Record>>;

    fn fused(mut self) -> impl Iterator<Item = Result<Record>>
    where
        Self: Sized,
    {
        let mut ended = false;
        std::iter::from_fn(move || {
            let next = if ended { None } else { self.step().transpose() };
            ended = !matches!(next, Some(Ok(_)));
            next
        })
    }
}

/// The rows of a workbook as records.
struct RowRecords {
    book: Book,
    /// The index of the sheet.
    sheet: usize,
    /// The names of the sheet's columns once they are read.
    head: Option<Arc<BTreeMap<usize, String>>>,
}

impl Step for RowRecords {
    fn step(&mut self) -> Result<Option<Record>> {
        while self.sheet < self.book.sheets.len() {
            if self.head.is_none() {
                self.book.enter(self.sheet)?;
                if let Some(row) = self.book.row()? {
                    self.book.known(&row, &self.book.sheets[self.sheet])?;
                    self.head = Some(Arc::new(names(&row, &self.book)?));
                }
            }
            if let Some(head) = self.head.clone()
                && let Some(row) = self.book.row()?
            {
                // Each row repeats the names, and has a null for each empty cell.
                let names = head.values().map(|name| CELL + name.len());
                self.book.parts.spend(names.sum())?;
                return Ok(Some(Record::ready(self.document(row, &head))));
            }
            self.head = None;
            self.sheet += 1;
        }
        Ok(None)
    }
}

impl RowRecords {
    fn document(&self, row: Row, head: &BTreeMap<usize, String>) -> Result<Document> {
        let origin = self.book.origin(&row);
        self.book.known(&row, &self.book.sheets[self.sheet])?;
        let empty = head.values().map(|name| (name.clone(), Value::Null));
        let mut fields: Fields = empty.collect();
        for (column, value) in row.cells {
            let name = head
                .get(&column)
                .cloned()
                .unwrap_or_else(|| letters(column));
            if !head.contains_key(&column) && fields.contains_key(&name) {
                return Err(DataError::DuplicateKey {
                    place: Place::from(&origin),
                    key: quoted(&name),
                });
            }
            fields.insert(name, value);
        }
        describe(&mut fields, &self.book.sheets[self.sheet]);
        Ok(Document {
            text: String::new(),
            fields,
            origin,
        })
    }
}

/// The names of columns in the first row.
fn names(row: &Row, book: &Book) -> Result<BTreeMap<usize, String>> {
    let mut names: BTreeMap<usize, String> = BTreeMap::new();
    let mut seen = std::collections::HashSet::new();
    for (column, value) in &row.cells {
        let name = show(value).trim().to_owned();
        if !seen.insert(name.clone()) {
            return Err(DataError::DuplicateKey {
                place: Place::from(&book.origin(row)),
                key: quoted(&name),
            });
        }
        names.insert(*column, name);
    }
    names.retain(|_, name| !name.is_empty());
    Ok(names)
}

/// Adds the sheet's name and whether it is hidden, unless columns are called so.
fn describe(fields: &mut Fields, sheet: &Sheet) {
    if !fields.contains_key("sheet") {
        fields.insert("sheet".into(), sheet.name.clone().into());
    }
    if sheet.hidden && !fields.contains_key("hidden") {
        fields.insert("hidden".into(), true.into());
    }
}

/// The sheets of a workbook as records.
struct SheetRecords {
    book: Book,
    sheet: usize,
}

impl Step for SheetRecords {
    fn step(&mut self) -> Result<Option<Record>> {
        if self.sheet == self.book.sheets.len() {
            return Ok(None);
        }
        let index = self.sheet;
        self.sheet += 1;
        self.book.enter(index)?;
        let mut rows = Vec::new();
        while let Some(row) = self.book.row()? {
            let last = row.cells.last().map_or(0, |(column, _)| *column);
            self.book.parts.spend(16 * last)?;
            if let Err(error) = self.book.known(&row, &self.book.sheets[index]) {
                return Ok(Some(Record::ready(Err(error))));
            }
            rows.push(row);
        }
        if rows.is_empty() {
            return Ok(Some(Record::blank()));
        }
        let mut fields = self.book.fields.clone();
        describe(&mut fields, &self.book.sheets[index]);
        Ok(Some(Record::ready(Ok(Document {
            text: table(&rows),
            fields,
            origin: Origin::of(&self.book.path, PlaceUnit::Sheet, index as u64 + 1),
        }))))
    }
}

/// Rows as a table in Markdown.
fn table(rows: &[Row]) -> String {
    let first = rows
        .iter()
        .filter_map(|row| row.cells.first())
        .map(|(column, _)| *column);
    let left = first.min().unwrap_or(0);
    let mut table = Table::default();
    for row in rows {
        table.row();
        let mut next = left;
        for (column, value) in &row.cells {
            for _ in next..*column {
                table.cell("", 1);
            }
            table.cell(&show(value), 1);
            next = column + 1;
        }
    }
    table.markdown()
}

/// A cell's value as text.
fn show(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The letters of a column from 0: A, B, … Z, AA.
fn letters(column: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    letters.iter().rev().collect()
}

/// A number as it is written: an integer if it has neither point nor exponent.
fn number(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(integer) = text.parse::<i64>() {
        return Some(integer.into());
    }
    let number: f64 = text.parse().ok()?;
    serde_json::Number::from_f64(number).map(Value::Number)
}
