//! The records of one file after the other: folders walked, archives opened, several files read at once where that
//! pays, and all in one fixed order.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use tempfile::TempDir;

use super::Loaders;
use super::archive::{self, Archive, NESTING_LIMIT, Room, Unpacked};
use super::classes::Classes;
use crate::document::{Content, Document, Fields, Load, Note, Read, Record, Records};
use crate::error::{DataError, Place, Result};

/// A file to read.
#[derive(Clone)]
pub(super) struct Entry {
    /// Where it lies.
    pub(super) path: PathBuf,
    pub(super) what: What,
    /// Size in bytes; 0 in an archive, whose own size counts.
    pub(super) size: u64,
    /// What it is a part of.
    member: Option<Arc<Member>>,
}

/// What a file is to us.
#[derive(Clone)]
pub(super) enum What {
    File(Arc<dyn Load>),
    Archive(Archive),
    /// An address, to be fetched.
    #[cfg(feature = "net")]
    Page(String),
    PassedOver,
}

/// Where files come from that are shown under another name than they lie at.
pub(crate) struct Member {
    folder: PathBuf,
    /// What is shown for the folder: an archive, a name of the hub, or an address, which has one file.
    shown: PathBuf,
    alone: bool,
    /// What holds for what is packed in it, if it is an archive itself.
    nesting: Option<Nesting>,
    /// Fields that its documents get, where they have none of that name.
    fields: Fields,
    /// The classes of its columns.
    classes: Classes,
    /// Keeps the folder until the last record has been dealt with.
    _folder: Option<TempDir>,
}

/// Where an archive lies.
#[derive(Clone)]
struct Nesting {
    /// How many archives it lies in, itself included.
    depth: usize,
    /// That of the outermost one.
    room: Arc<Room>,
}

impl Member {
    fn archive(unpacked: Unpacked, entry: &Entry, nesting: Nesting) -> Arc<Self> {
        let member = entry.member.as_ref();
        Arc::new(Self {
            folder: unpacked.path,
            shown: entry.shown(),
            alone: false,
            nesting: Some(nesting),
            fields: Fields::new(),
            classes: member.map_or_else(Classes::default, |member| member.classes.clone()),
            _folder: Some(unpacked.folder),
        })
    }

    /// The files of a data set.
    #[cfg(feature = "datasets")]
    pub(super) fn data_set(folder: PathBuf, shown: PathBuf, classes: Classes) -> Arc<Self> {
        Arc::new(Self {
            folder,
            shown,
            alone: false,
            nesting: None,
            fields: Fields::new(),
            classes,
            _folder: None,
        })
    }

    /// A page of the web.
    #[cfg(feature = "net")]
    pub(super) fn page(folder: TempDir, address: PathBuf, fields: Fields) -> Arc<Self> {
        Arc::new(Self {
            folder: folder.path().to_path_buf(),
            shown: address,
            alone: true,
            nesting: None,
            fields,
            classes: Classes::default(),
            _folder: Some(folder),
        })
    }

    /// The path to show for a path in the folder.
    fn shown(&self, path: &Path) -> Option<PathBuf> {
        let inside = path.strip_prefix(&self.folder).ok()?;
        Some(if self.alone {
            self.shown.clone()
        } else {
            self.shown.join(inside)
        })
    }

    /// The path in the folder of a path that is shown.
    pub(super) fn real(&self, path: &Path) -> Option<PathBuf> {
        let inside = path.strip_prefix(&self.shown).ok()?;
        Some(self.folder.join(inside))
    }

    /// A document under the name that is shown, with the fields and the names of its classes.
    fn show(&self, mut document: Document) -> Result<Document> {
        if let Some(shown) = self.shown(&document.origin.path) {
            document.origin.path = shown.into();
        }
        for (name, value) in &self.fields {
            if !document.fields.contains_key(name) {
                document.fields.insert(name.clone(), value.clone());
            }
        }
        self.classes.name(document)
    }

    /// An error under the name that is shown.
    pub(super) fn show_error(&self, mut error: DataError) -> DataError {
        if let Some(place) = error.place_mut()
            && let Some(shown) = self.shown(&place.path)
        {
            place.path = shown.into();
        }
        error
    }
}

impl Entry {
    /// The loader of a file that is shown as what it is and where it lies.
    pub(super) fn loader_alone(&self) -> Option<Arc<dyn Load>> {
        match &self.what {
            What::File(loader) if self.member.is_none() => Some(Arc::clone(loader)),
            _ => None,
        }
    }

    pub(super) fn new(path: PathBuf, what: What) -> Self {
        let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        Self {
            path,
            what,
            size,
            member: None,
        }
    }

    /// A page of the web.
    #[cfg(feature = "net")]
    pub(super) fn page(address: String) -> Self {
        Self {
            path: PathBuf::from(&address),
            what: What::Page(address),
            size: 0,
            member: None,
        }
    }

    /// The same as a part of something.
    pub(super) fn of(mut self, member: &Arc<Member>) -> Self {
        self.member = Some(Arc::clone(member));
        self
    }

    /// Whether it is read as a whole.
    fn is_whole(&self) -> bool {
        matches!(&self.what, What::File(loader) if loader.whole())
    }

    /// Counts what a file that is packed in an archive unpacks to.
    fn measure(&self) -> Result<()> {
        match self
            .member
            .as_ref()
            .and_then(|member| member.nesting.as_ref())
        {
            Some(nesting) => nesting.room.measure(&self.path),
            None => Ok(()),
        }
    }

    fn shown(&self) -> PathBuf {
        let member = self.member.as_ref();
        member
            .and_then(|member| member.shown(&self.path))
            .unwrap_or_else(|| self.path.clone())
    }
}

/// The records of files, in order. `Err` concerns one file; the next call goes on with the next file.
pub(super) struct Chain {
    loaders: Loaders,
    open_file: OpenFile,
    waiting: VecDeque<Entry>,
    open: VecDeque<Open>,
    /// Bytes of the files that have been read to their end.
    finished: u64,
}

/// How a loader opens a file.
type OpenFile = fn(&dyn Load, &Path) -> Result<Records>;

struct Open {
    /// That it was opened, if that is still to be told.
    note: Option<Note>,
    records: Records,
    size: u64,
    /// Bytes of the records so far.
    taken: u64,
    member: Option<Arc<Member>>,
}

impl Chain {
    pub(super) fn new(loaders: Loaders, entries: Vec<Entry>, open_file: OpenFile) -> Self {
        Self {
            loaders,
            open_file,
            waiting: entries.into(),
            open: VecDeque::new(),
            finished: 0,
        }
    }

    /// Bytes read of the files on disk, as far as that is known.
    pub(super) fn done(&self) -> u64 {
        let current = self.open.front();
        self.finished + current.map_or(0, |open| open.taken.min(open.size))
    }

    /// Opens the next file, or as many as are worth opening at once; `false` if there is none.
    fn advance(&mut self) -> bool {
        let Some(entry) = self.waiting.pop_front() else {
            return false;
        };
        match &entry.what {
            #[cfg(feature = "net")]
            What::Page(address) => match super::remote::page(address, &self.loaders) {
                Ok(page) => self.waiting.push_front(page),
                Err(error) => self.push(&entry, once(Err(error))),
            },
            What::PassedOver => self.push(&entry, once(Ok(Record::note(Note::PassedOver)))),
            What::Archive(archive) => {
                let opened = self.inside(*archive, &entry);
                match opened {
                    Ok(entries) => {
                        for entry in entries.into_iter().rev() {
                            self.waiting.push_front(entry);
                        }
                        self.finished += entry.size;
                    }
                    Err(error) => self.push(&entry, once(Err(error))),
                }
            }
            What::File(_) if let Err(error) = entry.measure() => {
                self.push(&entry, once(Err(error)));
            }
            What::File(loader) if loader.whole() => self.together(entry),
            What::File(loader) => {
                let records = records(loader.as_ref(), &entry.path, self.open_file);
                self.push(&entry, records);
            }
        }
        true
    }

    /// Opens files that are read as a whole, one per thread.
    fn together(&mut self, first: Entry) {
        let mut entries = vec![first];
        let mut too_large = None;
        while entries.len() < rayon::current_num_threads()
            && too_large.is_none()
            && self.waiting.front().is_some_and(Entry::is_whole)
            && let Some(entry) = self.waiting.pop_front()
        {
            match entry.measure() {
                Ok(()) => entries.push(entry),
                Err(error) => too_large = Some((entry, error)),
            }
        }
        let open_file = self.open_file;
        let read: Vec<Vec<Result<Record>>> = entries
            .par_iter()
            .map(|entry| match &entry.what {
                What::File(loader) => records(loader.as_ref(), &entry.path, open_file).collect(),
                _ => Vec::new(),
            })
            .collect();
        for (entry, records) in entries.iter().zip(read) {
            self.push(entry, Box::new(records.into_iter()));
        }
        if let Some((entry, error)) = too_large {
            self.push(&entry, once(Err(error)));
        }
    }

    fn push(&mut self, entry: &Entry, records: Records) {
        let file = matches!(entry.what, What::File(_));
        self.open.push_back(Open {
            note: file.then_some(Note::File),
            records,
            size: entry.size,
            taken: 0,
            member: entry.member.clone(),
        });
    }

    /// The files of an archive.
    fn inside(&self, kind: Archive, entry: &Entry) -> Result<Vec<Entry>> {
        let around = entry
            .member
            .as_ref()
            .and_then(|member| member.nesting.clone());
        let nesting = match around {
            Some(Nesting { depth, room }) => Nesting {
                depth: depth + 1,
                room,
            },
            None => Nesting {
                depth: 1,
                room: Arc::new(Room::of(&entry.path)?),
            },
        };
        if nesting.depth > NESTING_LIMIT {
            return Err(DataError::LimitExceeded {
                place: Place::file(&entry.path),
                what: "the number of archives inside of each other",
                found: nesting.depth as u64,
                limit: NESTING_LIMIT as u64,
                hint: "Unpack it first",
            });
        }
        if kind == Archive::Zip {
            // It is read at random, and so unpacked first where it is packed itself.
            nesting.room.measure(&entry.path)?;
        }
        let unpacked = archive::unpack(kind, &entry.path, &nesting.room)?;
        let entries = self.loaders.entries(&unpacked.path)?;
        let member = Member::archive(unpacked, entry, nesting);
        let inside = |entry: Entry| Entry { size: 0, ..entry }.of(&member);
        Ok(entries.into_iter().map(inside).collect())
    }
}

/// The records up to the first error, which concerns the file.
pub(super) fn until_error(
    mut records: impl Iterator<Item = Result<Record>> + Send + 'static,
) -> Records {
    let mut ended = false;
    Box::new(std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let record = records.next();
        ended = !matches!(record, Some(Ok(_)));
        record
    }))
}

fn once(record: Result<Record>) -> Records {
    Box::new(std::iter::once(record))
}

fn records(loader: &dyn Load, path: &Path, open_file: OpenFile) -> Records {
    open_file(loader, path).unwrap_or_else(|error| once(Err(error)))
}

impl Iterator for Chain {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some(open) = self.open.front_mut() else {
                if self.advance() {
                    continue;
                }
                return None;
            };
            if let Some(note) = open.note.take() {
                return Some(Ok(Record::note(note)));
            }
            let record = open.records.next();
            if let Some(Ok(read)) = &record {
                open.taken += read.raw.len();
                if open.member.is_none() {
                    return record;
                }
            }
            let member = open.member.clone();
            if !matches!(record, Some(Ok(_))) {
                self.finished += open.size;
                self.open.pop_front();
            }
            if let Some(record) = record {
                return Some(match member {
                    Some(member) => moved(record, &member),
                    None => record,
                });
            }
        }
    }
}

/// The same record under the name that is shown for it.
fn moved(record: Result<Record>, member: &Arc<Member>) -> Result<Record> {
    let mut record = record.map_err(|error| member.show_error(error))?;
    record.member = Some(Arc::clone(member));
    record.content = match record.content {
        Content::Later { mut place, read } => {
            if let Some(shown) = member.shown(&place.path) {
                place.path = shown.into();
            }
            let member = Arc::clone(member);
            let read: Read = Arc::new(move |raw, place| member.show(read(raw, place)?));
            Content::Later { place, read }
        }
        Content::Ready(Ok(document)) => Content::Ready(member.show(document).map_err(Box::new)),
        Content::Ready(Err(error)) => Content::Ready(Err(Box::new(member.show_error(*error)))),
        Content::End(error) => Content::End(Box::new(member.show_error(*error))),
        content => content,
    };
    Ok(record)
}
