//! Where what lies in a shard, and whether it can be so.

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::document::Origin;
use crate::encode::Fingerprint;
use crate::error::{DataError, Place, Result, escaped};

pub(super) const MAGIC: &[u8; 8] = b"FTTOKENS";
pub(super) const VERSION: u32 = 1;
/// Bytes before the header.
pub(super) const PREFIX: usize = 32;
/// The longest header, in bytes.
const HEADER: usize = 1 << 20;

/// The sections, in their order.
pub(super) const SECTIONS: [&str; 7] =
    ["ends", "places", "ids", "kinds", "files", "learn", "names"];
const ENDS: usize = 0;
const PLACES: usize = 1;
const IDS: usize = 2;
const KINDS: usize = 3;
const FILES: usize = 4;
const LEARN: usize = 5;
const NAMES: usize = 6;

/// The header of a shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) fingerprint: Fingerprint,
    pub(super) rows: u64,
    pub(super) tokens: u64,
    pub(super) sections: Vec<Section>,
}

/// A section as the header names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) xxh3: String,
}

/// The sections of a shard, all of them inside the file.
#[derive(Debug)]
pub(super) struct Layout {
    header: Header,
    /// Where the header ends.
    after: usize,
    spans: [Range<usize>; 7],
    /// Bytes of an id: 2 or 4.
    width: usize,
}

/// Bytes of an id in a shard of this vocabulary.
pub(super) fn width(vocabulary: u64) -> usize {
    if vocabulary <= 1 << 16 { 2 } else { 4 }
}

/// The next place at which a section may begin.
pub(super) fn aligned(place: u64) -> u64 {
    place.next_multiple_of(8)
}

/// The hash of a section as the header writes it.
pub(super) fn hash(bytes: &[u8]) -> String {
    format!("{:016x}", xxh3_64(bytes))
}

impl Layout {
    /// Reads the header, and compares what it says with itself and with the file's length.
    pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Self> {
        let broken = |message: String| broken(path, message);
        let Some(prefix) = bytes.first_chunk::<PREFIX>() else {
            let found = bytes.len();
            return Err(broken(format!(
                "it has {found} bytes; expected at least {PREFIX}"
            )));
        };
        if &prefix[..8] != MAGIC {
            let found = escaped(&String::from_utf8_lossy(&prefix[..8]));
            return Err(broken(format!("it begins with {found}; expected FTTOKENS")));
        }
        let version = u32_at(prefix, 8);
        if version != VERSION {
            let message = format!("it has version {version}; expected {VERSION}");
            return Err(broken(message));
        }
        let (length, promised) = (u32_at(prefix, 12) as usize, u64_at(prefix, 24));
        if promised != bytes.len() as u64 {
            let found = bytes.len();
            let message = format!("it has {found} bytes, and its header says {promised}");
            return Err(broken(message));
        }
        let header = bytes[PREFIX..].get(..length).filter(|_| length <= HEADER);
        let header = header.ok_or_else(|| {
            broken(format!(
                "its header has {length} bytes; expected at most {HEADER}, inside the file"
            ))
        })?;
        if xxh3_64(header) != u64_at(prefix, 16) {
            return Err(broken("the checksum of its header is wrong".into()));
        }
        let header: Header = serde_json::from_slice(header)
            .map_err(|error| broken(format!("its header: {}", escaped(&error.to_string()))))?;
        Self::of(header, PREFIX + length, bytes.len()).ok_or_else(|| {
            broken("its sections do not lie where its numbers of rows and tokens put them".into())
        })
    }

    /// The layout that follows from the counts, if it is the header's and ends with the file.
    fn of(header: Header, after: usize, length: usize) -> Option<Self> {
        let (rows, tokens) = (header.rows, header.tokens);
        let width = width(header.fingerprint.vocabulary);
        let [.., kinds, _, _, names] = header.sections.as_slice() else {
            return None;
        };
        let kinds = match kinds.bytes {
            0 => 0,
            _ => tokens.checked_mul(4)?,
        };
        let sizes = [
            rows.checked_mul(8)?,
            rows.checked_mul(8)?,
            tokens.checked_mul(width as u64)?,
            kinds,
            rows.checked_mul(4)?,
            tokens.div_ceil(8),
            names.bytes,
        ];
        let mut spans = [const { 0..0 }; 7];
        let mut place = after as u64;
        if header.sections.len() != sizes.len() {
            return None;
        }
        for (index, (section, bytes)) in header.sections.iter().zip(sizes).enumerate() {
            place = place.checked_next_multiple_of(8)?;
            let end = place.checked_add(bytes)?;
            let same = section.name == SECTIONS[index]
                && section.offset == place
                && section.bytes == bytes
                && end <= length as u64;
            if !same {
                return None;
            }
            spans[index] = place as usize..end as usize;
            place = end;
        }
        (place == length as u64).then_some(Self {
            header,
            after,
            spans,
            width,
        })
    }

    /// Checks the bytes of all sections and what their numbers point at; gives the names.
    pub(super) fn check(&self, bytes: &[u8], path: &Path) -> Result<Vec<Origin>> {
        let broken = |message: String| broken(path, message);
        let mut place = self.after;
        for (section, span) in self.header.sections.iter().zip(&self.spans) {
            if hash(&bytes[span.clone()]) != section.xxh3 {
                let message = format!("the checksum of its section {} is wrong", section.name);
                return Err(broken(message));
            }
            if bytes[place..span.start].iter().any(|byte| *byte != 0) {
                let message = format!("the bytes before its section {} are not 0", section.name);
                return Err(broken(message));
            }
            place = span.end;
        }
        let names: Vec<Origin> = serde_json::from_slice(self.section(bytes, NAMES))
            .map_err(|error| broken(format!("its names: {}", escaped(&error.to_string()))))?;
        let (ends, _) = self.section(bytes, ENDS).as_chunks::<8>();
        let mut end = 0;
        for next in ends.iter().map(|end| u64::from_le_bytes(*end)) {
            if next < end || next > self.header.tokens {
                return Err(broken(format!("a row ends at token {next} behind {end}")));
            }
            end = next;
        }
        if end != self.header.tokens {
            let message = format!("its rows have {end} of its {} tokens", self.header.tokens);
            return Err(broken(message));
        }
        let (files, _) = self.section(bytes, FILES).as_chunks::<4>();
        let outside = |file: &[u8; 4]| u32::from_le_bytes(*file) as usize >= names.len();
        if files.iter().any(outside) {
            return Err(broken("a row comes from a file that has no name".into()));
        }
        let vocabulary = self.header.fingerprint.vocabulary;
        if self
            .ids(bytes, 0..self.tokens())
            .any(|id| u64::from(id) >= vocabulary)
        {
            let message = format!("an id lies outside of the vocabulary of {vocabulary}");
            return Err(broken(message));
        }
        let last = self.section(bytes, LEARN).last().copied();
        if last.is_some_and(|last| last >> ((self.tokens() - 1) % 8) > 1) {
            return Err(broken("marks stand behind its last token".into()));
        }
        Ok(names)
    }

    pub(super) fn fingerprint(&self) -> &Fingerprint {
        &self.header.fingerprint
    }

    pub(super) fn rows(&self) -> usize {
        self.header.rows as usize
    }

    pub(super) fn tokens(&self) -> usize {
        self.header.tokens as usize
    }

    /// The tokens of a row, if there is such a row.
    pub(super) fn span(&self, bytes: &[u8], row: usize) -> Option<Range<usize>> {
        if row >= self.rows() {
            return None;
        }
        let ends = self.section(bytes, ENDS);
        let end = |row: usize| u64_at(ends, row * 8) as usize;
        let start = row.checked_sub(1).map_or(0, end);
        // Checked when the file was opened; it may have been changed since.
        let end = end(row).min(self.tokens());
        Some(start.min(end)..end)
    }

    /// The number of its name, and the place.
    pub(super) fn origin(&self, bytes: &[u8], row: usize) -> (usize, u64) {
        let file = u32_at(self.section(bytes, FILES), row * 4) as usize;
        (file, u64_at(self.section(bytes, PLACES), row * 8))
    }

    pub(super) fn ids<'a>(
        &self,
        bytes: &'a [u8],
        span: Range<usize>,
    ) -> impl ExactSizeIterator<Item = u32> + use<'a> {
        let width = self.width;
        let ids = &self.section(bytes, IDS)[span.start * width..span.end * width];
        ids.chunks_exact(width).map(|id| match *id {
            [a, b] => u32::from(u16::from_le_bytes([a, b])),
            _ => u32_at(id, 0),
        })
    }

    pub(super) fn learn<'a>(
        &self,
        bytes: &'a [u8],
        span: Range<usize>,
    ) -> impl Iterator<Item = bool> + use<'a> {
        let marks = self.section(bytes, LEARN);
        span.map(move |token| marks[token / 8] >> (token % 8) & 1 == 1)
    }

    pub(super) fn kinds(&self, bytes: &[u8], span: Range<usize>) -> Vec<u32> {
        let kinds = self.section(bytes, KINDS);
        if kinds.is_empty() {
            return vec![0; span.len()];
        }
        span.map(|token| u32_at(kinds, token * 4)).collect()
    }

    fn section<'a>(&self, bytes: &'a [u8], index: usize) -> &'a [u8] {
        &bytes[self.spans[index].clone()]
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes[at..].first_chunk();
    u32::from_le_bytes(*four.expect("the section has been measured"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes[at..].first_chunk();
    u64::from_le_bytes(*eight.expect("the section has been measured"))
}

fn broken(path: &Path, message: String) -> DataError {
    DataError::Broken {
        place: Place::file(path),
        format: "shard of tokens",
        message,
        hint: "Prepare it again",
    }
}
