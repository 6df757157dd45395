//! Loading everything there is, with a policy for broken records and an account of every one.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use rayon::prelude::*;

use super::chain::{Chain, Member};
use super::counts::Counts;
use super::outcome::Outcome;
use super::quarantine::Quarantine;
use super::{Loaders, Reading};
use crate::document::{Content, Document, Note, Raw, Record};
use crate::error::{DataError, Result, quoted};
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
    /// # Errors
    ///
    /// As [`Loaders::each`]; [`DataError::EmptyDataset`] if no record is kept.
    ///
    /// # Panics
    ///
    /// As [`Loaders::each`].
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
        let mut kept = Vec::new();
        let counts = self.each(paths, on_error, read, |value| {
            kept.push(value);
            Ok(())
        })?;
        if kept.is_empty() {
            return Err(counts.nothing_kept(paths));
        }
        Ok((kept, counts))
    }

    /// Hands what `read` makes of all documents of files and folders to `sink`, in order; with what became of every
    /// record. Whether it is a fault that none was kept is for the caller to say.
    ///
    /// Records are read in parallel on rayon's current pool, some thousand or some megabytes of them at a time, and no
    /// more are held; what `sink` gets does not depend on the number of threads.
    ///
    /// ```
    /// use finetune_data::{Loaders, OnError};
    ///
    /// # fn main() -> finetune_data::Result<()> {
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let file = folder.path().join("data.jsonl");
    /// # std::fs::write(&file, "{\"n\": 1}\n{\"n\": }\n{\"n\": 3}\n").unwrap();
    /// let mut lines = Vec::new();
    /// let read = |document: finetune_data::Document| Ok(document.origin.place);
    /// let counts = Loaders::default().each(&[file], &OnError::Skip, read, |line| {
    ///     lines.push(line);
    ///     Ok(())
    /// })?;
    /// assert_eq!((lines, counts.skipped), (vec![1, 3], 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The first broken record or file under [`OnError::Stop`]; a path that is not there, and what `sink` says, always.
    ///
    /// # Panics
    ///
    /// If the counts do not add up, which would be an error of this crate.
    pub fn each<P, T, F, S>(
        &self,
        paths: &[P],
        on_error: &OnError,
        read: F,
        sink: S,
    ) -> Result<Counts>
    where
        P: AsRef<Path>,
        T: Send,
        F: Fn(Document) -> Result<T> + Sync,
        S: FnMut(T) -> Result<()>,
    {
        let (counts, _) = self.each_of(paths, on_error, &|_| true, read, sink)?;
        Ok(counts)
    }

    /// The same for those records that `takes` takes by their number, from 0; with how many there are in all. What has
    /// no number, as a blank line, goes with the record behind it.
    pub(crate) fn each_of<P, T, F, S>(
        &self,
        paths: &[P],
        on_error: &OnError,
        takes: &dyn Fn(u64) -> bool,
        read: F,
        sink: S,
    ) -> Result<(Counts, u64)>
    where
        P: AsRef<Path>,
        T: Send,
        F: Fn(Document) -> Result<T> + Sync,
        S: FnMut(T) -> Result<()>,
    {
        let mut gathering = Gathering {
            sink,
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
        let mut records = Numbered {
            chain: Chain::new(self.clone(), found, |loader, path| loader.records(path)),
            takes,
            next: 0,
            ended: false,
        };
        while let Some(chunk) = records.chunk() {
            let outcomes: Vec<Outcome<T>> = chunk
                .into_par_iter()
                .map(|record| Outcome::of(record, self.strict, &read))
                .collect();
            outcomes
                .into_iter()
                .try_for_each(|outcome| gathering.add(outcome))?;
            if let Some(watch) = &self.watch {
                watch(Reading {
                    done: records.chain.done(),
                    total,
                    records: gathering.counts.read,
                });
            }
        }
        Ok((gathering.finish()?, records.next))
    }
}

/// Records with their numbers, of which some are taken.
struct Numbered<'a> {
    chain: Chain,
    takes: &'a dyn Fn(u64) -> bool,
    /// The number of the next record.
    next: u64,
    ended: bool,
}

impl Numbered<'_> {
    /// The next records that are taken, not yet read; `None` behind the last.
    fn chunk(&mut self) -> Option<Vec<Record>> {
        if self.ended {
            return None;
        }
        let mut chunk = Vec::new();
        let (mut count, mut bytes) = (0, 0);
        while count < CHUNK && bytes < CHUNK_BYTES {
            let Some(record) = self.chain.next() else {
                self.ended = true;
                break;
            };
            // The records before it are accounted for first: one of them may have to be reported.
            let end = record.is_err();
            let record = record.unwrap_or_else(|error| Record::of(Content::End(Box::new(error))));
            count += 1;
            bytes += record.raw.len();
            let taken = (self.takes)(self.next);
            self.next += u64::from(record.content.is_numbered());
            if taken {
                chunk.push(record);
            }
            if end {
                break;
            }
        }
        Some(chunk)
    }
}

struct Gathering<'a, S> {
    sink: S,
    counts: Counts,
    quarantine: Option<Quarantine>,
    on_error: &'a OnError,
}

impl<S> Gathering<'_, S> {
    fn add<T>(&mut self, outcome: Outcome<T>) -> Result<()>
    where
        S: FnMut(T) -> Result<()>,
    {
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
                (self.sink)(value)?;
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

    fn finish(self) -> Result<Counts> {
        if let Some(quarantine) = self.quarantine {
            quarantine.finish()?;
        }
        let counts = self.counts;
        assert!(
            counts.balanced(),
            "every record is kept, skipped, quarantined or blank: {counts:?}"
        );
        Ok(counts)
    }
}
