//! Writing shards.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::layout::{Header, MAGIC, PREFIX, SECTIONS, Section, VERSION, aligned, hash, width};
use crate::document::Origin;
use crate::draft::{Draft, Written};
use crate::encode::{Fingerprint, Row};
use crate::error::{DataError, Place, Result};

/// Collects rows and writes them as one shard.
///
/// Memory: the shard, that is about two or four bytes for each token. Write more than one if that is too much.
#[derive(Debug)]
pub struct ShardWriter {
    fingerprint: Fingerprint,
    ends: Vec<u8>,
    places: Vec<u8>,
    ids: Vec<u8>,
    kinds: Vec<u32>,
    other_kinds: bool,
    files: Vec<u8>,
    learn: Vec<u8>,
    names: Vec<Origin>,
    known: HashMap<Origin, u32>,
    size: ShardSize,
}

/// How much there is in a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ShardSize {
    /// Rows.
    pub rows: u64,
    /// Tokens of all rows.
    pub tokens: u64,
}

impl ShardWriter {
    /// A shard for rows of the encoder that has this fingerprint.
    pub fn new(fingerprint: Fingerprint) -> Self {
        Self {
            fingerprint,
            ends: Vec::new(),
            places: Vec::new(),
            ids: Vec::new(),
            kinds: Vec::new(),
            other_kinds: false,
            files: Vec::new(),
            learn: Vec::new(),
            names: Vec::new(),
            known: HashMap::new(),
            size: ShardSize::default(),
        }
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// [`DataError::Setting`] if its three lists differ in length, or an id lies outside of the vocabulary of the
    /// fingerprint: then the row is not that encoder's. The shard is as it was before.
    pub fn push(&mut self, row: &Row) -> Result<()> {
        let encoded = &row.encoded;
        let (ids, learn, kinds) = (&encoded.ids, &encoded.learn, &encoded.kinds);
        if learn.len() != ids.len() || kinds.len() != ids.len() {
            let found = format!(
                "{} ids, {} marks, {} kinds",
                ids.len(),
                learn.len(),
                kinds.len()
            );
            return Err(foreign(row, found));
        }
        let vocabulary = self.fingerprint.vocabulary;
        if let Some(id) = ids.iter().find(|id| u64::from(**id) >= vocabulary) {
            return Err(foreign(
                row,
                format!("the id {id} in a vocabulary of {vocabulary}"),
            ));
        }
        let width = width(vocabulary);
        for (id, learn) in ids.iter().zip(learn) {
            self.ids.extend_from_slice(&id.to_le_bytes()[..width]);
            let bit = self.size.tokens % 8;
            if bit == 0 {
                self.learn.push(0);
            }
            if let Some(last) = self.learn.last_mut() {
                *last |= u8::from(*learn) << bit;
            }
            self.size.tokens += 1;
        }
        self.kinds.extend_from_slice(kinds);
        self.other_kinds |= kinds.iter().any(|kind| *kind != 0);
        self.size.rows += 1;
        self.ends.extend_from_slice(&self.size.tokens.to_le_bytes());
        self.places
            .extend_from_slice(&row.origin.place.to_le_bytes());
        let name = self.name(&row.origin);
        self.files.extend_from_slice(&name.to_le_bytes());
        Ok(())
    }

    /// How much it has so far.
    pub fn size(&self) -> ShardSize {
        self.size
    }

    /// Writes the shard to a file, which takes the place of an older one in one step when it is whole and on disk.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn write(self, path: impl AsRef<Path>) -> Result<ShardSize> {
        let size = self.size;
        self.write_to(path.as_ref())?;
        Ok(size)
    }

    pub(crate) fn write_to(self, path: &Path) -> Result<Written> {
        let kinds = if self.other_kinds {
            self.kinds
                .iter()
                .flat_map(|kind| kind.to_le_bytes())
                .collect()
        } else {
            Vec::new()
        };
        let names = serde_json::to_vec(&self.names).map_err(|error| DataError::Io {
            place: Place::file(path),
            operation: "write",
            source: error.into(),
        })?;
        let parts = [
            self.ends,
            self.places,
            self.ids,
            kinds,
            self.files,
            self.learn,
            names,
        ];
        let mut header = Header {
            fingerprint: self.fingerprint,
            rows: self.size.rows,
            tokens: self.size.tokens,
            sections: Vec::new(),
        };
        for (name, part) in SECTIONS.iter().zip(&parts) {
            header.sections.push(Section {
                name: (*name).to_owned(),
                offset: 0,
                bytes: part.len() as u64,
                xxh3: hash(part),
            });
        }
        let (header, length) = placed(header);
        let mut file = Draft::create(path)?;
        let mut write = || -> std::io::Result<()> {
            file.write_all(MAGIC)?;
            file.write_all(&VERSION.to_le_bytes())?;
            file.write_all(&(header.len() as u32).to_le_bytes())?;
            file.write_all(&xxh3_64(&header).to_le_bytes())?;
            file.write_all(&length.to_le_bytes())?;
            file.write_all(&header)?;
            let mut place = (PREFIX + header.len()) as u64;
            for part in &parts {
                let gap = aligned(place) - place;
                file.write_all(&[0; 8][..gap as usize])?;
                file.write_all(part)?;
                place += gap + part.len() as u64;
            }
            Ok(())
        };
        write().map_err(|error| file.failed(error))?;
        file.finish()
    }

    /// The number of an origin's name: all of it but the place.
    fn name(&mut self, origin: &Origin) -> u32 {
        let name = Origin {
            place: 0,
            ..origin.clone()
        };
        if let Some(known) = self.known.get(&name) {
            return *known;
        }
        let number = self.names.len() as u32;
        self.names.push(name.clone());
        self.known.insert(name, number);
        number
    }
}

/// The header's JSON with the places of the sections, and the length of the file. The places depend on the header's
/// length, and that on how many digits they have: it settles after a round or two, for a longer header only moves them
/// on.
fn placed(mut header: Header) -> (Vec<u8>, u64) {
    let mut length = 0;
    loop {
        let mut place = (PREFIX + length) as u64;
        for section in &mut header.sections {
            section.offset = aligned(place);
            place = section.offset + section.bytes;
        }
        let json = serde_json::to_vec(&header).expect("numbers and texts are always JSON");
        if json.len() == length {
            return (json, place);
        }
        length = json.len();
    }
}

fn foreign(row: &Row, found: String) -> DataError {
    DataError::Setting {
        name: format!("row of {}", row.origin),
        found,
        expected: "a row of the encoder that the shard is for".into(),
    }
}
