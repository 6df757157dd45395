//! Answers on disk, so that nothing is asked twice.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::ask::Answer;
use crate::error::{DataError, Place, Result};

/// The longest line, in bytes. An answer that is longer was not written by this file.
const LINE: u64 = 64 << 20;

/// A file of JSON lines, one answer each, that only grows. A line that a killed run left half written is cut off when
/// the file is opened again. Two runs cannot hold the file at once.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    end: u64,
    /// Where the answer to each key lies: its first byte and its length.
    places: HashMap<String, (u64, u64)>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    key: String,
    answer: Answer,
}

impl Cache {
    /// Opens the file, or begins it.
    ///
    /// # Errors
    ///
    /// If it cannot be read or written, another run holds it, or a line that is not the last is no answer.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let io = |operation| move |source| io(path, operation, source);
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io("open"))?;
        file.try_lock().map_err(|error| io("lock")(error.into()))?;
        let (places, end) = read(path, &file)?;
        file.set_len(end).map_err(io("write"))?;
        file.seek(SeekFrom::Start(end)).map_err(io("read"))?;
        Ok(Self {
            path: path.into(),
            state: Mutex::new(State { file, end, places }),
        })
    }

    /// The answer to a key.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or was changed.
    pub(super) fn get(&self, key: &str) -> Result<Option<Answer>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((start, length)) = state.places.get(key).copied() else {
            return Ok(None);
        };
        let mut bytes = vec![0; length as usize];
        let read = state.file.seek(SeekFrom::Start(start));
        let read = read.and_then(|_| state.file.read_exact(&mut bytes));
        read.map_err(|source| io(&self.path, "read", source))?;
        match serde_json::from_slice::<Line>(&bytes) {
            Ok(line) if line.key == key => Ok(Some(line.answer)),
            _ => Err(DataError::JsonSyntax {
                place: Place::file(&self.path),
                message: format!(
                    "found something else than the answer {key} at byte {start}; was the file changed?"
                ),
            }),
        }
    }

    /// Adds an answer.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub(super) fn put(&self, key: &str, answer: &Answer) -> Result<()> {
        let line = Line {
            key: key.into(),
            answer: answer.clone(),
        };
        let mut bytes =
            serde_json::to_vec(&line).expect("texts and numbers can be written as JSON");
        let length = bytes.len() as u64;
        bytes.push(b'\n');
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let end = state.end;
        let written = state.file.seek(SeekFrom::Start(end));
        let written = written.and_then(|_| state.file.write_all(&bytes));
        written.map_err(|source| io(&self.path, "write", source))?;
        state.end += bytes.len() as u64;
        state.places.insert(key.into(), (end, length));
        Ok(())
    }
}

/// Offset and length of each answer's line, by its key.
type Places = HashMap<String, (u64, u64)>;

/// Where the answers lie, and where the last whole line ends.
fn read(path: &Path, file: &File) -> Result<(Places, u64)> {
    let mut reader = BufReader::new(file);
    let (mut places, mut end, mut number) = (HashMap::new(), 0, 0);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let taken = reader.by_ref().take(LINE).read_until(b'\n', &mut bytes);
        let length = taken.map_err(|source| io(path, "read", source))? as u64;
        number += 1;
        if length == LINE {
            let place = Place::at(path, number, 0);
            return Err(DataError::LineTooLong {
                place,
                what: "line",
                limit: LINE as usize,
            });
        }
        if bytes.pop() != Some(b'\n') {
            return Ok((places, end));
        }
        let line: Line = serde_json::from_slice(&bytes).map_err(|error| DataError::JsonSyntax {
            place: Place::at(path, number, error.column() as u64),
            message: format!(
                "found no answer of this cache: {error}; remove the line, or name another file"
            ),
        })?;
        places.entry(line.key).or_insert((end, length - 1));
        end += length;
    }
}

fn io(path: &Path, operation: &'static str, source: std::io::Error) -> DataError {
    DataError::Io {
        place: Place::file(path),
        operation,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthesize::{Ended, Usage};

    fn answer(text: &str) -> Answer {
        Answer {
            text: text.into(),
            ended: Ended::Stop,
            usage: Some(Usage {
                prompt: 1,
                completion: 2,
            }),
        }
    }

    #[test]
    fn answers_are_found_again_and_a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.jsonl");
        {
            let cache = Cache::open(&path).unwrap();
            assert_eq!(cache.get("a").unwrap(), None);
            cache.put("a", &answer("één\n")).unwrap();
            cache.put("b", &answer("two")).unwrap();
            assert_eq!(cache.get("a").unwrap(), Some(answer("één\n")));
            cache.put("c", &answer("three")).unwrap();
            let error = Cache::open(&path).unwrap_err();
            assert!(error.to_string().contains("cannot lock"), "{error}");
        }
        let whole = std::fs::read(&path).unwrap();
        let third = whole.len()
            - whole
                .iter()
                .rev()
                .skip(1)
                .position(|byte| *byte == b'\n')
                .unwrap()
            - 1;
        // Whatever part of the last line was written.
        for length in [whole.len() - 1, whole.len() - 9, third + 1, third] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let cache = Cache::open(&path).unwrap();
            assert_eq!(cache.get("b").unwrap(), Some(answer("two")));
            assert_eq!(cache.get("c").unwrap(), None, "{length}");
            cache.put("c", &answer("three")).unwrap();
            drop(cache);
            assert_eq!(std::fs::read(&path).unwrap(), whole);
        }
    }

    #[test]
    fn another_file_is_refused_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.jsonl");
        std::fs::write(&path, "{\"text\": 1}\n").unwrap();
        let error = Cache::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("data.jsonl:1:") && error.contains("name another file"),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"text\": 1}\n");
    }
}
