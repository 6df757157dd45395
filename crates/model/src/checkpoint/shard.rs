//! One weight file: opened, checked, read by position.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

#[cfg(unix)]
use rayon::prelude::*;

use super::header::{Header, LONGEST_HEADER, Stored};
use super::place;
use super::stamp::Stamp;
use crate::error::{ModelError, Result};

/// One weight file.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    /// Its name in the folder.
    pub(super) name: String,
    /// The free text of its header.
    pub(super) metadata: BTreeMap<String, String>,
    path: PathBuf,
    stamp: Stamp,
    /// Where its data begins.
    begin: u64,
}

impl Shard {
    /// Opens a file of a folder and checks its header.
    pub(super) fn open(folder: &Path, name: &str) -> Result<(Self, Vec<Stored>)> {
        let path = place::inside(folder, name)?;
        let file = open(&path)?;
        let stamp = Stamp::of(&file, &path)?;
        let (header, begin) = read_header(&file, &path, stamp.length())?;
        let shard = Self {
            name: name.to_owned(),
            metadata: header.metadata,
            path,
            stamp,
            begin,
        };
        Ok((shard, header.tensors))
    }

    /// Reads the bytes of one of its tensors.
    pub(super) fn read(&self, stored: &Stored) -> Result<Vec<u8>> {
        let mut bytes = vec![0; stored.bytes() as usize];
        let mut stream = self.stream(stored)?;
        stream.fill(&mut bytes)?;
        stream.end()?;
        Ok(bytes)
    }

    /// Begins to read one of its tensors piece by piece.
    pub(super) fn stream(&self, stored: &Stored) -> Result<Stream<'_>> {
        let file = open(&self.path)?;
        self.unchanged(&file)?;
        Ok(Stream {
            shard: self,
            file,
            place: self.begin + stored.begin,
        })
    }

    fn unchanged(&self, file: &File) -> Result<()> {
        self.stamp.holds(file, &self.path)
    }
}

/// A tensor that is being read.
#[derive(Debug)]
pub(super) struct Stream<'a> {
    shard: &'a Shard,
    file: File,
    /// Where the next byte lies.
    place: u64,
}

impl Stream<'_> {
    /// Reads the bytes that follow.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        read_parallel(&self.file, bytes, self.place).map_err(|error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                let found = "fewer bytes than before".to_owned();
                return self.shard.stamp.changed(&self.shard.path, found);
            }
            ModelError::io(&self.shard.path, "read")(error)
        })?;
        self.place += bytes.len() as u64;
        Ok(())
    }

    /// Ends the reading: a change on the way leaves a mixture.
    pub(super) fn end(self) -> Result<()> {
        self.shard.unchanged(&self.file)
    }
}

fn open(path: &Path) -> Result<File> {
    // Before opening: to open a pipe would wait for its other end.
    let metadata = fs::metadata(path).map_err(ModelError::io(path, "find"))?;
    if !metadata.is_file() {
        return Err(ModelError::NotARegularFile {
            path: path.to_owned(),
        });
    }
    File::open(path).map_err(ModelError::io(path, "open"))
}

fn read_header(file: &File, path: &Path, length: u64) -> Result<(Header, u64)> {
    if length < 8 {
        let why = format!("file has {length} bytes, expected at least 8 for the header's length");
        return Err(ModelError::SafetensorsHeader {
            path: path.to_owned(),
            why,
        });
    }
    let io = || ModelError::io(path, "read");
    let mut first = [0; 8];
    read_at(file, &mut first, 0).map_err(io())?;
    if let Some((found, advice)) = foreign(first) {
        return Err(unsupported(path, found, advice));
    }
    let header = Header::length(path, first, length)?;
    let mut bytes = vec![0; header as usize];
    read_at(file, &mut bytes, 8).map_err(io())?;
    let begin = 8 + header;
    Ok((Header::parse(path, &bytes, length - begin)?, begin))
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], place: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, place)
}

/// Reads parts of a long piece side by side.
#[cfg(unix)]
fn read_parallel(file: &File, bytes: &mut [u8], place: u64) -> std::io::Result<()> {
    const PART: usize = 1 << 20;
    let parts = bytes.par_chunks_mut(PART).enumerate();
    parts
        .map(|(number, part)| read_at(file, part, place + (number * PART) as u64))
        .collect()
}

/// There is one place in the file, shared by all.
#[cfg(not(unix))]
fn read_parallel(file: &File, bytes: &mut [u8], place: u64) -> std::io::Result<()> {
    read_at(file, bytes, place)
}

#[cfg(not(unix))]
fn read_at(file: &File, bytes: &mut [u8], place: u64) -> std::io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(place))?;
    file.read_exact(bytes)
}

/// A file of another format.
pub(super) fn unsupported(path: &Path, found: &str, advice: &str) -> ModelError {
    ModelError::UnsupportedFormat {
        path: path.to_owned(),
        found: found.to_owned(),
        advice: advice.to_owned(),
    }
}

/// What to do with a pickle.
pub(super) const CONVERT: &str = "pickle can run code; convert the weights to safetensors";

/// What a file is that begins with these bytes and is no safetensors file, and what to do.
fn foreign(first: [u8; 8]) -> Option<(&'static str, &'static str)> {
    const CONVERT_TOO: &str = "convert the weights to safetensors";
    const AGAIN: &str = "download the file again";
    match first {
        // What can be a header's length is one.
        _ if u64::from_le_bytes(first) <= LONGEST_HEADER => None,
        [b'P', b'K', 3, 4, ..] => Some(("a ZIP archive (PyTorch's pickle format)", CONVERT)),
        [0x80, 2..=5, ..] => Some(("a pickle", CONVERT)),
        [0x89, b'H', b'D', b'F', ..] => Some(("an HDF5 file", CONVERT_TOO)),
        [b'G', b'G', b'U', b'F', ..] => Some(("a GGUF file", CONVERT_TOO)),
        [0x1f, 0x8b, ..] | [b'7', b'z', 0xbc, 0xaf, ..] => Some(("a compressed file", "unpack it")),
        _ if first == *b"version " => Some(("a pointer of Git LFS", "run git lfs pull")),
        [b'<', b'!' | b'h', ..] => Some(("an HTML page", AGAIN)),
        _ => None,
    }
}
