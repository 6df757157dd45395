//! What a Parquet file says of itself, held against what the file has and what memory allows, before it is believed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use parquet::basic::Encoding;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};

use super::thrift::{LIST, STRUCT, Thrift};

/// The largest footer in bytes.
const FOOTER_LIMIT: u64 = 64 << 20;
/// How deep columns may nest.
const DEPTH_LIMIT: usize = 64;
/// How many values a page of a list may have. A few bytes can say that one value comes a thousand million times, and a
/// row with a list is read as a whole.
const LIST_LIMIT: u64 = 1 << 24;
/// How many bytes are read to find a page's header: most are short, some have statistics with long texts.
const HEADERS: [u64; 2] = [4 << 10, 1 << 20];

/// Why a file is not read.
pub(super) enum Fault {
    Io(io::Error),
    Encrypted,
    Nested,
    Large {
        what: &'static str,
        found: u64,
        limit: u64,
    },
    Broken(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Broken("it ends too early"),
            _ => Self::Io(error),
        }
    }
}

/// Checks the length of the footer and how deep its schema nests.
pub(super) fn footer(file: &mut File) -> Result<(), Fault> {
    let size = file.seek(SeekFrom::End(0))?;
    let mut head = [0; 4];
    file.rewind()?;
    file.read_exact(&mut head)?;
    match &head {
        b"PAR1" => {}
        b"PARE" => return Err(Fault::Encrypted),
        _ => return Err(Fault::Broken("it does not begin with PAR1")),
    }
    if size < 12 {
        return Err(Fault::Broken("it ends too early"));
    }
    let mut tail = [0; 8];
    file.seek(SeekFrom::End(-8))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    if &magic != b"PAR1" {
        return Err(Fault::Broken(
            "it does not end with PAR1: it may be truncated",
        ));
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length > size - 12 {
        return Err(Fault::Broken(
            "its footer is said to be longer than the file",
        ));
    }
    if length > FOOTER_LIMIT {
        return Err(Fault::Large {
            what: "the length of the footer in bytes",
            found: length,
            limit: FOOTER_LIMIT,
        });
    }
    let footer = bytes(file, size - 8 - length, length)?;
    schema(&footer)
}

/// Checks that the schema is a tree of bounded depth, in the order of a walk from the root.
fn schema(footer: &[u8]) -> Result<(), Fault> {
    let mut thrift = Thrift::new(footer);
    let mut fault = None;
    let read = thrift.fields(|thrift, id, kind| {
        if (id, kind) != (2, LIST) {
            return Some(false);
        }
        let (count, kind) = thrift.list()?;
        let mut open: Vec<u64> = Vec::new();
        for _ in 0..count {
            let mut children = 0;
            (kind == STRUCT).then_some(())?;
            thrift.fields(|thrift, id, kind| {
                let found = (id, kind) == (5, 5);
                if found {
                    children = u64::try_from(thrift.integer()?).ok()?;
                }
                Some(found)
            })?;
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > count {
                fault = Some(Fault::Broken(
                    "a column is said to have more parts than there are",
                ));
                return None;
            }
            open.push(children);
            while open.last() == Some(&0) {
                open.pop();
            }
            if open.len() > DEPTH_LIMIT {
                fault = Some(Fault::Nested);
                return None;
            }
        }
        Some(true)
    });
    match (read, fault) {
        (_, Some(fault)) => Err(fault),
        (None, None) => Err(Fault::Broken("its footer makes no sense")),
        (Some(()), None) => Ok(()),
    }
}

/// Walks over the headers of a row group's pages: that they lie in the file, and how many rows may be read at a time so
/// that they fit into `limit` bytes, whatever dictionaries and shared beginnings repeat.
pub(super) fn pages(file: &mut File, group: &RowGroupMetaData, limit: u64) -> Result<u64, Fault> {
    let size = file.seek(SeekFrom::End(0))?;
    let (mut unpacked, mut value) = (0_u64, 1_u64);
    for column in group.columns() {
        let largest = column_pages(file, size, column)?;
        unpacked = unpacked.saturating_add(largest.dictionary + largest.data);
        let shares = column
            .encodings()
            .any(|encoding| encoding == Encoding::DELTA_BYTE_ARRAY);
        value = value.saturating_add(
            largest
                .dictionary
                .max(if shares { largest.data } else { 0 }),
        );
    }
    if unpacked > limit {
        return Err(Fault::Large {
            what: "the size of the pages that lie side by side, unpacked, in bytes",
            found: unpacked,
            limit,
        });
    }
    Ok(limit / value)
}

/// The largest pages of a column in bytes, unpacked.
#[derive(Default)]
struct Largest {
    dictionary: u64,
    data: u64,
}

fn column_pages(
    file: &mut File,
    size: u64,
    column: &ColumnChunkMetaData,
) -> Result<Largest, Fault> {
    const OUTSIDE: Fault = Fault::Broken("a column is said to lie outside of the file");

    let start = match column.dictionary_page_offset() {
        Some(offset) if offset > 0 => offset.min(column.data_page_offset()),
        _ => column.data_page_offset(),
    };
    let mut at = u64::try_from(start).map_err(|_| OUTSIDE)?;
    let length = u64::try_from(column.compressed_size()).map_err(|_| OUTSIDE)?;
    let end = at
        .checked_add(length)
        .filter(|end| *end <= size)
        .ok_or(OUTSIDE)?;
    let lists = column.column_descr().max_rep_level() > 0;
    let mut largest = Largest::default();
    while at < end {
        let page = page(file, at, end)?;
        if lists && page.values > LIST_LIMIT {
            return Err(Fault::Large {
                what: "the number of values in a page of a list",
                found: page.values,
                limit: LIST_LIMIT,
            });
        }
        let kind = if page.dictionary {
            &mut largest.dictionary
        } else {
            &mut largest.data
        };
        *kind = page.unpacked.max(*kind);
        at += page.length;
    }
    Ok(largest)
}

struct Page {
    dictionary: bool,
    unpacked: u64,
    values: u64,
    /// With its header, as it lies in the file.
    length: u64,
}

fn page(file: &mut File, at: u64, end: u64) -> Result<Page, Fault> {
    for length in HEADERS {
        let bytes = bytes(file, at, length.min(end - at))?;
        let Some(page) = header(&bytes) else {
            continue;
        };
        if page.length > end - at {
            return Err(Fault::Broken("a page is said to be longer than its column"));
        }
        return Ok(page);
    }
    Err(Fault::Broken("the header of a page makes no sense"))
}

fn header(bytes: &[u8]) -> Option<Page> {
    let mut thrift = Thrift::new(bytes);
    let (mut kind, mut unpacked, mut packed, mut values) = (None, None, None, 0);
    thrift.fields(|thrift, id, of| {
        match (id, of) {
            (1, 5) => kind = Some(thrift.integer()?),
            (2, 5) => unpacked = Some(thrift.integer()?),
            (3, 5) => packed = Some(thrift.integer()?),
            // The headers of data pages, old and new, begin with the number of values.
            (5 | 8, STRUCT) => thrift.fields(|thrift, id, of| {
                let found = (id, of) == (1, 5);
                if found {
                    values = u64::try_from(thrift.integer()?).ok()?;
                }
                Some(found)
            })?,
            _ => return Some(false),
        }
        Some(true)
    })?;
    let packed = u64::try_from(packed?).ok()?;
    Some(Page {
        dictionary: kind? == 2,
        unpacked: u64::try_from(unpacked?).ok()?,
        values,
        length: packed.checked_add(thrift.position() as u64)?,
    })
}

fn bytes(file: &mut File, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at))?;
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
