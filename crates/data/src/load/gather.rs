//! Loading everything at once, with a policy for broken records and an account of every one.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::Value;

use super::chain::{Chain, Member};
use super::counts::Counts;
use super::quarantine::Quarantine;
use super::{Loaders, Reading};
use crate::document::{Content, Document, Note, Raw, Record};
use crate::error::{DataError, Place, Result, quoted};
use crate::mapping::Mapping;

/// How many records, and about how many bytes of them, are read in parallel at a time.
const CHUNK: usize = 1024;
const CHUNK_BYTES: u64 = 4 << 20;

/// What to do with a broken record, and with a file that cannot be read to its end (it is not there any more, it
/// changed, it is something else than its name says). The records before the fault are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnError {
    /// Stop with its error.
    #[default]
    Stop,
    /// Leave it out and count it.
    Skip,
    /// Leave it out, count it, and write it byte for byte to this file; the messages go to the same name with `.why`.
    /// Of a file that cannot be read only the message is written: it lies where it lay.
    Quarantine(PathBuf),
}

impl FromStr for OnError {
    type Err = DataError;

    /// `stop`, `skip` or `quarantine=FILE`.
    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            None if text == "stop" => Ok(Self::Stop),
            None if text == "skip" => Ok(Self::Skip),
            Some(("quarantine", path)) if !path.is_empty() => Ok(Self::Quarantine(path.into())),
            _ => Err(DataError::Setting {
                name: "on error".into(),
                found: quoted(text),
                expected: "stop, skip or quarantine=FILE".into(),
            }),
        }
    }
}

impl Loaders {
    /// All documents of files and folders, in order, and what became of every record.
    ///
    /// # Errors
    ///
    /// As [`Loaders::collect`].
    pub fn load_all<P: AsRef<Path>>(
        &self,
        paths: &[P],
        on_error: &OnError,
    ) -> Result<(Vec<Document>, Counts)> {
        self.collect(paths, on_error, Ok)
    }

    /// The examples of files and folders, in order, and what became of every record. A record that the mapping refuses
    /// is as broken as one that cannot be read; one that it leaves out ([`DataError::LeftOut`]) is counted as dropped.
    ///
    /// # Errors
    ///
    /// As [`Loaders::collect`].
    pub fn examples<P: AsRef<Path>, M: Mapping<Example: Send>>(
        &self,
        paths: &[P],
        on_error: &OnError,
        mapping: &M,
    ) -> Result<(Vec<M::Example>, Counts)> {
        self.collect(paths, on_error, |document| mapping.example(document))
    }

    /// What `read` makes of all documents of files and folders, in order: [`Loaders::examples`] with a closure for a
    /// mapping.
    ///
    /// Records are read in parallel on rayon's current pool; the result does not depend on the number of threads.
    ///
    /// # Errors
    ///
    /// The first broken record or file under [`OnError::Stop`]; a path that is not there always;
    /// [`DataError::EmptyDataset`] if no record is kept.
    ///
    /// # Panics
    ///
    /// If the counts do not add up, which would be an error of this crate.
    pub fn collect<P, T, F>(
        &self,
        paths: &[P],
        on_error: &OnError,
        read: F,
    ) -> Result<(Vec<T>, Counts)>
    where
        P: AsRef<Path>,
        T: Send,
        F: Fn(Document) -> Result<T> + Sync,
    {
        let mut gathering = Gathering {
            kept: Vec::new(),
            counts: Counts::default(),
            quarantine: None,
            on_error,
        };
        let mut found = Vec::new();
        for path in paths {
            found.extend(self.entries(path.as_ref())?);
        }
        if let OnError::Quarantine(quarantine) = on_error {
            let named = |file: &Path| paths.iter().any(|path| path.as_ref() == file);
            found.retain(|file| named(&file.path) || !Quarantine::owns(quarantine, &file.path));
            let files: Vec<PathBuf> = found.iter().map(|file| file.path.clone()).collect();
            gathering.quarantine = Some(Quarantine::create(quarantine, &files)?);
        }
        let total = found.iter().map(|file| file.size).sum();
        let mut records = Chain::new(self.clone(), found, |loader, path| loader.records(path));
        let strict = self.strict;
        loop {
            let chunk = chunk(&mut records);
            if chunk.is_empty() {
                break;
            }
            let outcomes: Vec<Outcome<T>> = chunk
                .into_par_iter()
                .map(|record| outcome(record, strict, &read))
                .collect();
            outcomes
                .into_iter()
                .try_for_each(|outcome| gathering.add(outcome))?;
            if let Some(watch) = &self.watch {
                watch(Reading {
                    done: records.done(),
                    total,
                    records: gathering.counts.read,
                });
            }
        }
        gathering.finish(paths.first().map(AsRef::as_ref))
    }
}

/// The next records, not yet read.
fn chunk(records: &mut Chain) -> Vec<Record> {
    let mut chunk = Vec::new();
    let mut bytes = 0;
    while chunk.len() < CHUNK && bytes < CHUNK_BYTES {
        match records.next() {
            // The records before it are accounted for first: one of them may have to be reported.
            Some(Err(error)) => {
                chunk.push(Record::of(Content::End(Box::new(error))));
                break;
            }
            Some(Ok(record)) => {
                bytes += record.raw.len();
                chunk.push(record);
            }
            None => break,
        }
    }
    chunk
}

enum Outcome<T> {
    Blank,
    Note(Note),
    Dropped(&'static str),
    Kept {
        value: T,
        control_chars: u64,
    },
    Broken {
        error: DataError,
        raw: Raw,
        member: Option<Arc<Member>>,
        control_chars: u64,
    },
    End(DataError),
}

fn outcome<T>(record: Record, strict: bool, read: impl Fn(Document) -> Result<T>) -> Outcome<T> {
    let Record {
        raw,
        content,
        member,
    } = record;
    let document = match content {
        Content::Blank => return Outcome::Blank,
        Content::Note(note) => return Outcome::Note(note),
        Content::Dropped(reason) => return Outcome::Dropped(reason),
        Content::End(error) => return Outcome::End(*error),
        Content::Ready(document) => document.map_err(|error| *error),
        Content::Later { place, read } => read(raw.bytes(), &place),
    };
    let document = match document {
        Ok(document) => document,
        Err(error) => {
            return Outcome::Broken {
                error,
                raw,
                member,
                control_chars: 0,
            };
        }
    };
    let (control_chars, first) = control_chars(&document);
    let value = match first {
        Some(character) if strict => Err(DataError::ControlChar {
            place: Place::from(&document.origin),
            character: character.into(),
        }),
        _ => read(document),
    };
    match value {
        Ok(value) => Outcome::Kept {
            value,
            control_chars,
        },
        Err(DataError::LeftOut { reason, .. }) => Outcome::Dropped(reason),
        Err(error) => Outcome::Broken {
            error,
            raw,
            member,
            control_chars,
        },
    }
}

/// The number of control characters in a document's texts, and the first.
fn control_chars(document: &Document) -> (u64, Option<char>) {
    let mut found = (0, None);
    count(&document.text, &mut found);
    document
        .fields
        .values()
        .for_each(|value| count_value(value, &mut found));
    found
}

fn count_value(value: &Value, found: &mut (u64, Option<char>)) {
    match value {
        Value::String(text) => count(text, found),
        Value::Array(values) => values.iter().for_each(|value| count_value(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| count_value(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn count(text: &str, found: &mut (u64, Option<char>)) {
    let forbidden = |byte: &u8| matches!(byte, 0..=8 | 11 | 12 | 14..=31 | 127);
    for byte in text.bytes().filter(forbidden) {
        found.0 += 1;
        found.1.get_or_insert(char::from(byte));
    }
}

struct Gathering<'a, T> {
    kept: Vec<T>,
    counts: Counts,
    quarantine: Option<Quarantine>,
    on_error: &'a OnError,
}

impl<T> Gathering<'_, T> {
    fn add(&mut self, outcome: Outcome<T>) -> Result<()> {
        match outcome {
            Outcome::Note(note) => {
                self.note(note);
                return Ok(());
            }
            Outcome::End(error) => self.unreadable(error)?,
            Outcome::Dropped(reason) => {
                *self.counts.dropped.entry(reason.into()).or_default() += 1;
            }
            Outcome::Blank => self.counts.blank += 1,
            Outcome::Kept {
                value,
                control_chars,
            } => {
                self.counts.kept += 1;
                self.counts.control_chars += control_chars;
                self.kept.push(value);
            }
            Outcome::Broken {
                error,
                raw,
                member,
                control_chars,
            } => {
                self.counts.control_chars += control_chars;
                self.broken(error, &raw, member.as_deref())?;
            }
        }
        self.counts.read += 1;
        Ok(())
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::File => self.counts.files += 1,
            Note::PassedOver => self.counts.passed_over += 1,
            Note::ByteOrderMark => self.counts.byte_order_marks += 1,
            Note::Encoding(name) => *self.counts.encodings.entry(name.into()).or_default() += 1,
        }
    }

    fn broken(&mut self, error: DataError, raw: &Raw, member: Option<&Member>) -> Result<()> {
        if *self.on_error == OnError::Stop {
            return Err(error);
        }
        let shown = error.place().map(|place| place.path.clone());
        let shown = shown.unwrap_or_default();
        let source = member
            .and_then(|member| member.real(&shown))
            .unwrap_or_else(|| shown.to_path_buf());
        let written = match &mut self.quarantine {
            Some(quarantine) => quarantine.add(raw, &error, &source)?,
            None => false,
        };
        self.leave_out(&error, written);
        Ok(())
    }

    /// A file that could not be opened, or not read to its end.
    fn unreadable(&mut self, error: DataError) -> Result<()> {
        if *self.on_error == OnError::Stop {
            return Err(error);
        }
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.note(&error)?;
        }
        let written = self.quarantine.is_some();
        self.leave_out(&error, written);
        Ok(())
    }

    fn leave_out(&mut self, error: &DataError, quarantined: bool) {
        if quarantined {
            self.counts.quarantined += 1;
        } else {
            self.counts.skipped += 1;
        }
        self.counts.blame(error);
    }

    fn finish(self, first: Option<&Path>) -> Result<(Vec<T>, Counts)> {
        if let Some(quarantine) = self.quarantine {
            quarantine.finish()?;
        }
        let counts = self.counts;
        assert!(
            counts.balanced(),
            "every record is kept, skipped, quarantined or blank: {counts:?}"
        );
        if self.kept.is_empty() {
            let place = Place::file(first.unwrap_or(Path::new("")));
            return Err(DataError::EmptyDataset {
                place,
                blank: counts.blank,
                broken: counts.broken(),
                dropped: counts.left_out(),
            });
        }
        Ok((self.kept, counts))
    }
}
